"""Why an operation has no plan."""

from __future__ import annotations


class PlanningError(Exception):
    """An operation that cannot be planned; `code` is stable, the message names the field and the reasons.

    Codes: `UNKNOWN_OPERATION` (no operation of that name, or several and no name), `UNREACHABLE_FIELD` (no way through
    the subgraphs answers a field), `OPERATION_TOO_LARGE` and `PLANNING_LIMIT` (the work has an upper bound).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UnreachableError(PlanningError):
    """A field that nothing answers. `at` says where it is selected: an index for each selection set on the way."""

    def __init__(self, message: str, at: tuple[int, ...]) -> None:
        super().__init__("UNREACHABLE_FIELD", message)
        self.at = at

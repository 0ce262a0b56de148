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

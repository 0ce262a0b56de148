"""A change between a release and today, how much it matters, and who breaks by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

Severity = Literal["breaking", "dangerous", "safe"]
"""Breaking: somebody cannot read or ask any more. Dangerous: somebody may be surprised. Safe: nobody has to know."""

_ORDER: Final[Sequence[Severity]] = ("breaking", "dangerous", "safe")


class Change(msgspec.Struct, frozen=True):
    """One change. Its kind and path say which one it is; an accepted break is found by these two."""

    severity: Severity
    kind: str
    """A code, such as FIELD_REMOVED."""
    path: str
    """What has changed: `events/LOG/TYPE.FIELD`, `api/TYPE.FIELD`, `subgraphs/NAME/TYPE.FIELD`, `settings/NAME`, …"""
    message: str
    who: tuple[str, ...] = ()
    """Who breaks, or may be surprised."""
    accepted: str | None = None
    """Why the break is accepted; None: it is not."""

    @property
    def refused(self) -> bool:
        return self.severity == "breaking" and self.accepted is None


def ordered(changes: Iterable[Change]) -> Sequence[Change]:
    """Breaking ones first, then by path."""
    return sorted(changes, key=lambda one: (_ORDER.index(one.severity), one.path, one.kind, one.message))

"""Who asks, as far as a token has proved it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with a valid token.

    `actor` names the caller for ever and among all issuers: an opaque id, printable ASCII. `scopes` are what the token
    allows; `claims` is its whole content, for hooks. `expires` is when it proves nothing any more, in seconds since the
    epoch; None: never.
    """

    actor: str
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    expires: float | None = None

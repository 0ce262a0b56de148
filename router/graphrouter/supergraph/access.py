"""`@authenticated`, `@requiresScopes`, `@policy`: what a caller must be allowed, to see a type or a field.

https://www.apollographql.com/docs/graphos/routing/security/authorization
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

Groups: TypeAlias = tuple[tuple[str, ...], ...]
"""Names of which any group will do, as a whole; without a group nothing is asked for."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller must be allowed: all three of them."""

    authenticated: bool = False
    scopes: Groups = ()
    policies: Groups = ()

    def __bool__(self) -> bool:
        return self.authenticated or bool(self.scopes or self.policies)

    def __and__(self, other: Access) -> Access:
        """What satisfies both."""
        if not other or self == other:
            return self
        if not self:
            return other
        return Access(
            self.authenticated or other.authenticated,
            both(self.scopes, other.scopes),
            both(self.policies, other.policies),
        )

    def implies(self, other: Access) -> bool:
        """Whether everybody who satisfies this satisfies the other."""
        return (
            (self.authenticated or not other.authenticated)
            and _implies(self.scopes, other.scopes)
            and _implies(self.policies, other.policies)
        )

    def allows(self, authenticated: bool, scopes: Collection[str], policies: Collection[str]) -> bool:
        """Whether a caller with these is allowed."""
        return (authenticated or not self.authenticated) and all(
            not groups or any(all(name in given for name in group) for group in groups)
            for groups, given in ((self.scopes, scopes), (self.policies, policies))
        )


NO_ACCESS: Final = Access()


def groups_of(listed: Iterable[Iterable[str]]) -> Groups:
    """Groups in an order of their own, without those that ask for more than another one."""
    unique = sorted({tuple(sorted(set(group))) for group in listed}, key=lambda group: (len(group), group))
    kept: list[tuple[str, ...]] = []
    for group in unique:
        if not any(set(smaller) <= set(group) for smaller in kept):
            kept.append(group)
    return () if kept == [()] else tuple(kept)


def both(one: Groups, other: Groups) -> Groups:
    """Groups that satisfy one of each."""
    if not one or not other:
        return one or other
    return groups_of((*first, *second) for first in one for second in other)


def _implies(one: Groups, other: Groups) -> bool:
    return not other or (bool(one) and all(any(set(weaker) <= set(group) for weaker in other) for group in one))

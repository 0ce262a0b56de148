"""The limit over all accounts of an owner: so many may be open at a time, however many are opened at once.

No account's stream knows of the others, so the rule's boundary is the owner: it holds for all events that carry the
owner's tag (https://dcb.events).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, assert_never

from bank.accounts.domain import STREAM_PREFIX, AccountClosed, AccountOpened
from bank.accounts.projection import evolve_account
from eventkernel.decider import Decider
from eventkernel.errors import Refusal
from eventkernel.writing.aggregates import Aggregate
from eventkernel.writing.boundary import Query

OPEN_ACCOUNTS: Final = 10
"""How many accounts an owner has open at most."""


class TooManyAccounts(Refusal):
    """The owner has as many accounts as one may have."""

    code = "TOO_MANY_ACCOUNTS"
    remembered: ClassVar = ()


@dataclass(frozen=True, slots=True)
class OpenForOwner:
    owner_id: str
    owner: str
    name: str
    currency: str


OwnersEvent = AccountOpened | AccountClosed


def decide(command: OpenForOwner, open_accounts: int) -> Sequence[OwnersEvent]:
    if open_accounts >= OPEN_ACCOUNTS:
        raise TooManyAccounts(f"expected at most {OPEN_ACCOUNTS} open accounts of one owner, found {open_accounts}")
    return [AccountOpened(owner_id=command.owner_id, owner=command.owner, name=command.name, currency=command.currency)]


def evolve(open_accounts: int, event: OwnersEvent) -> int:
    match event:
        case AccountOpened():
            return open_accounts + 1
        case AccountClosed():
            return open_accounts - 1
        case _:
            assert_never(event)


def boundary(command: OpenForOwner) -> Query:
    return Query.of(f"owner:{command.owner_id}", types=[AccountOpened, AccountClosed])


decider: Final[Decider[int, OpenForOwner, OwnersEvent]] = Decider(int, decide, evolve)

OWNERS_ACCOUNTS: Final = Aggregate(
    "owner", STREAM_PREFIX, decider, (AccountOpened, AccountClosed), answer=evolve_account, boundary=boundary
)

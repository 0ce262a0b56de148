"""Random histories of a small network, on two logs, delivered in random pieces, some of them twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.support.feeding import FRIENDS, USERS, Feed

PEOPLE = ["1", "2", "3", "4", "5", "6", "7", "8"]

_PERSON = st.sampled_from(PEOPLE)
_PAIR = st.lists(_PERSON, min_size=2, max_size=2, unique=True).map(lambda two: ("pair", *sorted(two)))
_USER = _PERSON.map(lambda user: ("user", user))

Deed = tuple[str, ...]
"""Something happens to a user (created, then renamed or deleted) or to a pair (friends, not friends, friends, …)."""

Happened = dict[str, list[Deed]]
"""By log, what each of its records says."""


def histories(most: int = 60, *, least: int = 0, pairs: int = 1) -> st.SearchStrategy[Sequence[Deed]]:
    """Most users are created sooner or later; friendships do not care. To one deed of a user come `pairs` of pairs."""
    everybody = st.permutations([("user", user) for user in PEOPLE])
    deeds = st.lists(st.one_of(*[_PAIR] * pairs, _USER), min_size=least, max_size=most)
    return st.tuples(everybody, deeds, st.randoms()).map(_mixed)


def _mixed(drawn: Any) -> Sequence[Deed]:
    users, deeds, random = drawn
    mixed = [*users[: random.randint(len(users) // 2, len(users))], *deeds]
    random.shuffle(mixed)
    return mixed


@dataclass
class Network:
    """The oracle: who there is and who is whose friend, after some of what happened."""

    living: set[str] = field(default_factory=set)
    friends: dict[str, set[str]] = field(default_factory=lambda: {user: set() for user in PEOPLE})

    @classmethod
    def after(cls, happened: Happened, delivered: Counter[str]) -> Network:
        return cls.of([deed for log, deeds in happened.items() for deed in deeds[: delivered[log]]])

    @classmethod
    def of(cls, deeds: Sequence[Deed]) -> Network:
        network = cls()
        for what, *who in deeds:
            network._take(what, *who)
        return network

    def shown_friends(self, user: str) -> set[str]:
        return self.friends[user] & self.living if user in self.living else set()

    def recommended(self, user: str) -> list[tuple[str, int]]:
        mine = self.shown_friends(user)
        shared = Counter(other for friend in mine for other in self.shown_friends(friend) - mine - {user})
        return sorted(shared.items(), key=lambda counted: (-counted[1], counted[0]))

    def steps(self, user: str) -> int:
        return sum(len(self.friends[friend]) for friend in self.friends[user]) if user in self.living else 0

    def _take(self, what: str, one: str, other: str = "") -> None:
        if what == "created":
            self.living.add(one)
        elif what == "deleted":
            self.living.remove(one)
        elif what == "toggled":
            self.friends[one] ^= {other}
            self.friends[other] ^= {one}


def happen(feed: Feed[Any], deeds: Sequence[Deed], data: st.DataObject) -> Happened:
    """Puts the deeds on the feed's logs."""
    lives: dict[str, str] = {}
    happen_to: dict[str, Callable[[str], object]] = {
        "created": feed.create,
        "renamed": feed.rename,
        "deleted": feed.delete,
    }
    together: set[Deed] = set()
    happened: Happened = {USERS: [], FRIENDS: []}
    for kind, *who in deeds:
        if kind == "pair":
            together ^= {tuple(who)}
            (feed.add if tuple(who) in together else feed.remove)(*who)
            happened[FRIENDS].append(("toggled", *who))
        elif lives.get(who[0]) != "deleted":
            after = data.draw(st.sampled_from(["renamed", "deleted"]), label="user") if who[0] in lives else "created"
            lives[who[0]] = after
            happen_to[after](who[0])
            happened[USERS].append((after, *who))
    return happened


async def deliver_in_pieces(feed: Feed[Any], data: st.DataObject) -> None:
    """Some of what waits, now of one log and now of the other, and sometimes what was delivered before."""
    for _ in range(data.draw(st.integers(1, 6), label="pieces")):
        log = data.draw(st.sampled_from([USERS, FRIENDS]), label="log")
        upto = data.draw(st.integers(0, len(feed.logs[log])), label="up to")
        first = data.draw(st.integers(0, min(upto, feed.delivered[log])), label="from")
        await feed.deliver(log, first=first, upto=upto)

"""The users' view over random histories: the same as a plain count over the events, on every adapter."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.events import DomainEvent
from subgraphs.users.adapters.memory import MemoryUserView
from subgraphs.users.adapters.sqlite import SqliteUserView
from subgraphs.users.domain import UserCreated, UserDeleted, UserUpdated
from subgraphs.users.views import UserView
from tests.contract.test_users_view import LOG, Feed

Event = tuple[str, DomainEvent]

WORDS = {
    "Ada": ["ada"],
    "adam": ["adam"],
    "Ádám": ["adam"],
    "Lovelace": ["lovelace"],
    "Love": ["love"],
    "de la Cruz": ["de", "la", "cruz"],
    "李 小龍": ["李", "小龍"],
    "O'Neill": ["o", "neill"],
    "x": ["x"],
    "X\U0010ffff": ["x"],
}
"""Names, and the words that a person would take them apart into."""

NAMES = st.sampled_from(list(WORDS))
BEGINNINGS = ["a", "ad", "adam", "l", "love", "lovelace", "la", "李", "小", "o", "x", "z"]
PREFIXES = st.sets(st.sampled_from(BEGINNINGS), min_size=1)


@dataclass(frozen=True)
class Person:
    first_name: str
    last_name: str
    deleted: bool = False


@st.composite
def histories(draw: st.DrawFn) -> Sequence[Sequence[Event]]:
    """Batches of events of few users, none of a user who is not there."""
    living: set[str] = set()
    gone: set[str] = set()
    batches: list[list[Event]] = []
    for size in draw(st.lists(st.integers(1, 6), max_size=6)):
        batch: list[Event] = []
        for user in draw(st.lists(st.sampled_from(["a", "B", "é", "😀", "\uff5e"]), min_size=size, max_size=size)):
            if user in gone:
                continue
            if user not in living:
                living.add(user)
                batch.append((user, UserCreated(first_name=draw(NAMES), last_name=draw(NAMES))))
            elif draw(st.integers(0, 3)):
                batch.append((user, UserUpdated(first_name=draw(NAMES | st.none()), last_name=draw(NAMES | st.none()))))
            else:
                gone.add(user)
                batch.append((user, UserDeleted()))
        batches.append(batch)
    return batches


def people(batches: Sequence[Sequence[Event]]) -> dict[str, Person]:
    """The oracle: who there is after all of it."""
    known: dict[str, Person] = {}
    for user, event in (entry for batch in batches for entry in batch):
        if isinstance(event, UserCreated):
            known[user] = Person(event.first_name, event.last_name)
        elif isinstance(event, UserUpdated):
            before = known[user]
            known[user] = Person(event.first_name or before.first_name, event.last_name or before.last_name)
        else:
            known[user] = replace(known[user], deleted=True)
    return {user: person for user, person in sorted(known.items()) if not person.deleted}


def found(known: dict[str, Person], prefixes: set[str], after: str | None, limit: int) -> list[str]:
    """The oracle of `search`."""
    matching = [
        user
        for user, person in known.items()
        for own in [WORDS[person.first_name] + WORDS[person.last_name]]
        if all(any(word.startswith(prefix) for word in own) for prefix in prefixes)
    ]
    return [user for user in matching if after is None or user > after][:limit]


@settings(deadline=None, max_examples=60)
@given(histories(), st.lists(PREFIXES, max_size=4), st.sampled_from([None, "a", "B", "c", "é"]), st.integers(0, 5))
async def test_every_adapter_shows_who_there_is_and_finds_them(
    batches: Sequence[Sequence[Event]], searches: list[set[str]], after: str | None, limit: int
) -> None:
    known = people(batches)
    with tempfile.TemporaryDirectory() as folder:
        views = [
            await SqliteView.open(Path(folder) / name, build, shape=1, logs=[LOG])
            for name, build in (("rare", SqliteUserView), ("common", EverythingIsCommon))
        ]
        builds: list[UserView] = [MemoryUserView("memory"), *[await view.create() for view in views]]
        for build in builds:
            feed = Feed(build)
            for batch in batches:
                await feed.take(*batch)
            shown = await build.page(None, 100)
            assert {doc.id: Person(doc.first_name, doc.last_name) for doc in shown} == known
            assert [doc.id for doc in shown] == list(known)
            page = [user for user in known if after is None or user > after][:limit]
            assert [doc.id for doc in await build.page(after, limit)] == page
            assert (await build.users([*known, "nobody"])).keys() == known.keys()
            for prefixes in searches:
                answer = [doc.id for doc in await build.search(prefixes, after, limit)]
                assert answer == found(known, prefixes, after, limit)
        for view in views:
            await view.aclose()


class EverythingIsCommon(SqliteUserView):
    many = 1

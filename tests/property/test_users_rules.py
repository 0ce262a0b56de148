"""Random commands for a few users: the log, the rules' state and the view's documents agree with a plain model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.clock import ManualClock
from eventkernel.errors import ClaimTaken, KernelError, NotFound
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler
from subgraphs.users.domain import (
    EVENT_TYPES,
    UNCHANGED,
    CreateUser,
    DeleteUser,
    UpdateUser,
    UserCommand,
    UserEvent,
    UserState,
    claims,
    decider,
    stream_of,
    username_claim,
)
from subgraphs.users.projection import evolve

NAMES = st.sampled_from(["Ada", "Grace"])
USERNAMES = st.sampled_from(["ada", "ADA", "grace", "Ｇrace"])
UPDATES = st.builds(
    UpdateUser,
    first_name=NAMES | st.just(UNCHANGED),
    last_name=NAMES | st.just(UNCHANGED),
    username=USERNAMES | st.none() | st.just(UNCHANGED),
)
USERS = ("u1", "u2", "u3")


@dataclass(frozen=True)
class Person:
    first_name: str
    last_name: str
    username: str | None
    version: int


def expected(people: dict[str, Person | None], user: str, command: UserCommand) -> type[KernelError] | Person | None:
    """The oracle: what a command makes of a user (None: gone), or how it is refused."""
    person = people.get(user)
    if isinstance(command, CreateUser):
        changed = Person(command.first_name, command.last_name, command.username, 1)
    elif person is None:
        return NotFound
    elif isinstance(command, DeleteUser):
        return None
    else:
        changed = Person(
            person.first_name if command.first_name is UNCHANGED else command.first_name,
            person.last_name if command.last_name is UNCHANGED else command.last_name,
            person.username if command.username is UNCHANGED else command.username,
            person.version,
        )
        if changed == person:
            return person
        changed = replace(changed, version=person.version + 1)
    others = [other for name, other in people.items() if name != user and other is not None]
    if any(folded(other.username) == folded(changed.username) is not None for other in others):
        return ClaimTaken
    return changed


def folded(username: str | None) -> str | None:
    return {"ada": "ada", "ADA": "ada", "grace": "grace", "Ｇrace": "grace", None: None}[username]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(USERS), UPDATES | st.just(DeleteUser())), max_size=12), st.data())
async def test_users_are_what_the_commands_made_of_them(
    commands: Sequence[tuple[str, UserCommand]], data: st.DataObject
) -> None:
    store = MemoryEventStore("users", ManualClock())
    handler: CommandHandler[UserState, UserCommand, UserEvent] = CommandHandler(
        store, Codec(EVENT_TYPES), decider, claims, answer=evolve
    )
    people: dict[str, Person | None] = {}
    created = [
        (user, CreateUser(data.draw(NAMES), data.draw(NAMES), data.draw(USERNAMES | st.none()))) for user in USERS
    ]
    for number, (user, command) in enumerate([*created, *commands]):
        outcome = expected(people, user, command)
        executing = handler.execute(stream_of(user), command, command_id=f"c{number}", fingerprint="f")
        if isinstance(outcome, type):
            with pytest.raises(outcome):
                await executing
            continue
        done = await executing
        people[user] = outcome
        doc = done.folded(evolve)
        assert doc.deleted is (outcome is None)
        if outcome is not None:
            assert outcome == Person(doc.first_name, doc.last_name, doc.username, doc.version)
    for username in ("ada", "grace"):
        holder = await store.find_claim(username_claim(username))
        holders = [user for user, person in people.items() if person and folded(person.username) == username]
        assert ([] if holder is None else [holder.stream]) == [stream_of(user) for user in holders]

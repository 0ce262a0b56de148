"""The changes that a session asks for: a person, a friendship, the end of one; each answer compared and then probed.

After a change that the system has acknowledged, a query over all subgraphs is asked at once with the bookmark of that
change; now and then the change is sent again with its idempotency key and must have the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from kithgraph.load import compare, operations
from kithgraph.load.compare import Mismatch
from kithgraph.load.history import ONESELF, FriendshipHistory
from kithgraph.load.measure import Part
from kithgraph.load.network import Name
from kithgraph.load.operations import AddFriendPayload, Change, Data
from kithgraph.load.session import Question, Session

REPEATED: Final = 10
"""Each so many-th change of a run is sent once more."""

PayloadT = TypeVar("PayloadT", bound=Change)


async def create(session: Session, name: Name) -> str | None:
    """Create a person; the new id, or None where that went wrong."""
    wish = {"firstName": name.first, "lastName": name.last, "idempotencyKey": session.key()}
    question = Question(Part.LOAD, operations.CREATE_USER, {"input": wish})
    answer = await session.ask(question)
    payload = answer.data.create_user if answer is not None and answer.data is not None else None
    if answer is None or payload is None or answer.codes:
        session.history.strangers = True
        if answer is not None:
            session.tell(question, [Mismatch("a new user", answer.codes or None)])
        return None
    user = payload.user
    if user.id in session.history.names:
        session.tell(question, [Mismatch("an id that nobody else has", user.id)])
        return None
    if (user.first_name, user.last_name, user.version, payload.version) != (name.first, name.last, 1, 1):
        session.tell(question, [Mismatch({**wish, "version": 1}, payload)])
    session.history.add_person(user.id, name)
    session.coverage.cover_person(user.id)
    await _repeat(session, question, lambda data: data.create_user and data.create_user.user, user)
    await _probe_person(session, user.id)
    return user.id


async def befriend(session: Session, one: str, other: str) -> None:
    """Ask for a friendship, which may be there already, and may be with oneself."""
    wish = {"userId": one, "friendId": other, "idempotencyKey": session.key()}
    question = Question(Part.LOAD, operations.ADD_FRIEND, {"input": wish})
    if one == other:
        answer = await session.ask(question)
        if answer is not None and answer.codes != [ONESELF]:
            session.tell(question, [Mismatch([ONESELF], answer.codes or answer.data)])
        return
    pair = session.history.pair(one, other)
    payload = await _change(session, question, pair, lambda data: data.add_friend, adding=True)
    if payload is None:
        return
    session.tell(question, _wrong_friendship(session.history.names, one, other, pair, payload))
    pair.friendship, pair.since = payload.friendship.id, payload.friendship.since
    session.coverage.cover_pair(one, other, payload.version)
    await _repeat(session, question, lambda data: data.add_friend and data.add_friend.friendship, payload.friendship)
    await _probe_pair(session, one, other)


async def unfriend(session: Session, one: str, other: str) -> None:
    """Ask for the end of a friendship, which may not be there; the caller has the pair's turn."""
    wish = {"userId": one, "friendId": other, "idempotencyKey": session.key()}
    question = Question(Part.LOAD, operations.REMOVE_FRIEND, {"input": wish})
    pair = session.history.pair(one, other)
    payload = await _change(session, question, pair, lambda data: data.remove_friend, adding=False)
    if payload is None:
        return
    session.coverage.cover_pair(one, other, payload.version)
    await _repeat(session, question, lambda data: data.remove_friend and data.remove_friend.version, payload.version)
    await _probe_pair(session, one, other)


async def _change(
    session: Session,
    question: Question[Data],
    pair: FriendshipHistory,
    payload_of: Callable[[Data], PayloadT | None],
    *,
    adding: bool,
) -> PayloadT | None:
    """Ask for a change of a pair and write down what became of it; the payload where it was made."""
    pair.begin(adding=adding)
    answer = await session.ask(question)
    expected = pair.expected(adding=adding)
    payload = payload_of(answer.data) if answer is not None and answer.data is not None else None
    pair.end(adding=adding, version=payload.version if payload is not None else None)
    if answer is None:
        pair.lost = True
    elif payload is None or answer.codes:
        if len(answer.codes) != 1 or answer.codes[0] not in expected.codes:
            # An answer that nobody could predict leaves open what the log holds.
            pair.lost = True
            session.tell(question, [Mismatch(expected.told(), answer.codes or answer.data)])
    elif not expected.allows(payload.version):
        session.tell(question, [Mismatch(expected.told(), payload)])
    return payload


def _wrong_friendship(
    names: Mapping[str, Name], one: str, other: str, pair: FriendshipHistory, payload: AddFriendPayload
) -> Iterator[Mismatch]:
    friendship, users = payload.friendship, {one, other}
    yield from compare.members("users", sorted(person.id for person in friendship.users), users, users)
    yield from compare.first_names(names, friendship.users)
    if pair.friendship not in {None, friendship.id}:
        yield Mismatch({"friendship.id": pair.friendship}, friendship)
    if pair.since is not None and friendship.since <= pair.since:
        yield Mismatch({"friendship.since, later than": pair.since}, friendship)


async def _repeat(session: Session, question: Question[Data], part_of: Callable[[Data], object], first: object) -> None:
    """Now and then: the same request with the same key has one effect and the same answer."""
    if session.change() % REPEATED:
        return
    again = Question(Part.AT_ONCE, question.operation, question.variables)
    answer = await session.ask(again)
    if answer is not None:
        found = part_of(answer.data) if answer.data is not None and not answer.codes else answer.codes
        if found != first:
            session.tell(again, [Mismatch({"the same answer": first}, found)])


async def _probe_person(session: Session, person: str) -> None:
    """A new person is there, alone, in all subgraphs."""
    question = Question(Part.AT_ONCE, operations.NEW_USER, {"id": person})
    answer = await session.ask(question)
    if answer is None:
        return
    data = answer.data
    if answer.codes or data is None or data.user is None or data.recommendations is None:
        session.tell(question, [Mismatch("the new user", answer.codes or data)])
        return
    session.tell(question, compare.person(session.history.names, person, data.user))
    session.tell(question, compare.number("friendCount", data.user.friend_count, 0, 0))
    session.tell(question, compare.members("friends", [friend.id for friend in data.user.friends.nodes], set(), set()))
    session.tell(question, compare.recommendations(session.coverage, person, 10, data.recommendations))


async def _probe_pair(session: Session, one: str, other: str) -> None:
    """A change of a pair shows in all subgraphs."""
    question = Question(Part.AT_ONCE, operations.PAIR, {"userId": one, "friendId": other})
    answer = await session.ask(question)
    if answer is None:
        return
    data = answer.data
    if answer.codes or data is None or data.one is None or data.other is None or data.mutual_friends is None:
        session.tell(question, [Mismatch("both users", answer.codes or data)])
        return
    session.tell(question, compare.are_friends(session.coverage, one, other, data.are_friends))
    session.tell(question, compare.mutual_friends(session.coverage, one, other, data.mutual_friends))
    session.tell(question, compare.first_names(session.history.names, data.mutual_friends))
    for person, found in ((one, data.one), (other, data.other)):
        session.tell(question, compare.person(session.history.names, person, found))
        session.tell(question, compare.friend_count(session.coverage, person, found.friend_count))

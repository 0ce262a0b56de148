"""The questions that a session asks about people; every answer is compared, page by page and as a whole.

Somebody whom the session's bookmark does not cover may be unknown to the view that answers: then null and NOT_FOUND are
right answers, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kithgraph.load import compare, model, operations
from kithgraph.load.compare import Mismatch
from kithgraph.load.history import NOT_THERE, TOO_COSTLY
from kithgraph.load.measure import Part
from kithgraph.load.operations import Data, People
from kithgraph.load.session import Question, Session

LARGEST_PAGE: Final = 1000
"""How many edges a page may have: a limit that the API documents."""
MOST_STEPS: Final = 1_000_000
"""How many steps from friend to friend one request may take: a limit that the API documents."""


async def friends(session: Session, part: Part, person: str, first: int = LARGEST_PAGE) -> None:
    """All friends of a person, in pages of `first`."""
    found: list[str] = []
    after: str | None = None
    while True:
        question = Question(part, operations.FRIENDS, {"id": person, "first": first, "after": after})
        data = await _data(session, question, person)
        if data is None:
            return
        user = data.user
        if user is None:
            if session.coverage.covers_person(person):
                session.tell(question, [Mismatch({"user": person}, None)])
            return
        session.tell(question, compare.person(session.history.names, person, user))
        session.tell(question, compare.friend_count(session.coverage, person, user.friend_count))
        session.tell(question, compare.first_names(session.history.names, user.friends.nodes))
        found += [friend.id for friend in user.friends.nodes]
        if not session.tell(question, compare.page(first, user.friends)):
            return
        if not user.friends.page_info.has_next_page:
            break
        after = user.friends.page_info.end_cursor
    coverage = session.coverage
    if session.tell(question, compare.members("friends", found, coverage.certain(person), coverage.possible(person))):
        shown = set(found)
        for other, _ in session.history.pairs_of(person):
            coverage.saw(person, other, friends=other in shown)


async def are_friends(session: Session, part: Part, one: str, other: str) -> None:
    question = Question(part, operations.ARE_FRIENDS, {"userId": one, "friendId": other})
    data = await _data(session, question, one, other)
    if data is not None and session.tell(question, compare.are_friends(session.coverage, one, other, data.are_friends)):
        session.coverage.saw(one, other, friends=data.are_friends is True)


async def mutual_friends(session: Session, part: Part, one: str, other: str) -> None:
    question = Question(part, operations.MUTUAL_FRIENDS, {"userId": one, "friendId": other})
    data = await _data(session, question, one, other)
    if data is not None and data.mutual_friends is not None:
        session.tell(question, compare.mutual_friends(session.coverage, one, other, data.mutual_friends))
        session.tell(question, compare.first_names(session.history.names, data.mutual_friends))
    elif data is not None:
        session.tell(question, [Mismatch("mutual friends", data)])


async def recommendations(session: Session, part: Part, person: str, first: int = 10) -> None:
    """The first so many, or TOO_COSTLY, where the people between have so many friends as the API says."""
    question = Question(part, operations.RECOMMENDATIONS, {"id": person, "first": first})
    data = await _data(session, question, person, costs=lambda: _steps(session, person, first))
    if data is not None and data.recommendations is not None:
        session.tell(question, compare.recommendations(session.coverage, person, first, data.recommendations))
        session.tell(question, compare.first_names(session.history.names, [row.user for row in data.recommendations]))
    elif data is not None:
        session.tell(question, [Mismatch("recommendations", data)])


async def users(session: Session, first: int = LARGEST_PAGE) -> None:
    """The list of all users has each of this run's people once; others may be in it, too."""
    names = session.history.names
    question = Question(Part.SETTLED, operations.USERS, {"first": first})
    listed = await _all_pages(session, question, first, lambda data: data.users)
    if listed is not None:
        found = [person for person in listed if person in names]
        session.tell(question, compare.members("users of this run", found, names.keys(), names.keys()))


async def search(session: Session, text: str, first: int = LARGEST_PAGE) -> None:
    """A search for people of this run alone."""
    question = Question(Part.SETTLED, operations.SEARCH_USERS, {"text": text, "first": first})
    listed = await _all_pages(session, question, first, lambda data: data.search_users)
    if listed is not None:
        history = session.history
        found = [person for person in listed if person in history.names or not history.strangers]
        expected = set(model.search(history.names, text))
        session.tell(question, compare.members("users", found, expected, expected))


async def _all_pages(
    session: Session, question: Question[Data], first: int, page_of: Callable[[Data], People | None]
) -> list[str] | None:
    """The ids on all pages together; None where a page was wrong, which was told."""
    found: list[str] = []
    variables = question.variables
    while True:
        data = await _data(session, question)
        if data is None:
            return None
        page = page_of(data)
        if page is None:
            session.tell(question, [Mismatch("a page", data)])
            return None
        session.tell(question, compare.first_names(session.history.names, page.nodes))
        if not session.tell(question, compare.page(first, page)):
            return None
        found += [person.id for person in page.nodes]
        if not page.page_info.has_next_page:
            return found
        variables = {**variables, "after": page.page_info.end_cursor}
        question = Question(question.part, question.operation, variables)


def _steps(session: Session, person: str, first: int) -> int:
    """The most steps from friend to friend that recommendations with their mutual friends can take."""
    possible = session.coverage.possible
    own = possible(person)
    return sum(len(possible(friend)) for friend in own) + first * len(own)


async def _data(
    session: Session, question: Question[Data], *people: str, costs: Callable[[], int] = lambda: 0
) -> Data | None:
    """What was answered about these people; None for a wrong answer, which was told, and for a right refusal."""
    answer = await session.ask(question)
    if answer is None:
        return None
    unknown = any(not session.coverage.covers_person(person) for person in people)
    if unknown and set(answer.codes) == {NOT_THERE}:
        return None
    if set(answer.codes) == {TOO_COSTLY} and costs() > MOST_STEPS:
        return None
    if answer.codes or answer.data is None:
        session.tell(question, [Mismatch("an answer", answer.codes or None)])
        return None
    return answer.data

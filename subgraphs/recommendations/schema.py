"""The recommendations' part of the graph: types and queries, each a thin layer over the view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import strawberry
from strawberry.types import Info

from eventgraph import Around, ChangesOf
from eventgraph.serving import inputs
from eventgraph.serving.federation import QUERY, SUBSCRIPTION, FederatedSchema, Representation, field, key_of
from eventgraph.serving.request import Request
from eventkernel.errors import InvalidInput, NotFound
from eventkernel.events import RecordedEvent
from subgraphs.recommendations.events import FRIENDS_LOG, USERS_LOG, FriendAdded, FriendRemoved
from subgraphs.recommendations.projection import UserDoc
from subgraphs.recommendations.views import RecommendationQuestions, Recommended, Two

RECOMMENDATIONS_DEFAULT: Final = 10
RECOMMENDATIONS_LIMIT: Final = 100
"""The most recommendations for one user."""
STEPS_LIMIT: Final = 1_000_000
"""The most steps from friend to friend in one read: more is TOO_COSTLY. A second of work at most."""
FRIENDS_LIMIT: Final = 10_000
"""The most friends of a user whose recommendations can be subscribed to."""
MUTUAL_FRIENDS_LIMIT: Final = 10_000
"""The most mutual friends in one answer, of everybody in it together."""

RecommendationsRequest = Request[RecommendationQuestions, None]
RecommendationsInfo = Info[RecommendationsRequest, None]

_COSTS: Final = (
    f"TOO_COSTLY if an exact answer, for all users in this request together, takes more than {STEPS_LIMIT} steps "
    "from friend to friend."
)
_MUTUAL_COSTS: Final = f"{_COSTS[:-1]}, or has more than {MUTUAL_FRIENDS_LIMIT} mutual friends in it."

First = Annotated[
    int | None,
    strawberry.argument(description=f"How many recommendations there are at most: 0 to {RECOMMENDATIONS_LIMIT}."),
]
FirstFriends = Annotated[
    int | None,
    strawberry.argument(description="How many friends there are at most; all of them where it is left out."),
]

# A field that may be refused can be null, so that its error takes nothing else of the answer with it. So can one that
# leads to users: another subgraph may know already that one of them was deleted, and have nothing to say of them.


@strawberry.federation.type(keys=["id"], description="A person in the network.")
class User:
    id: strawberry.ID = strawberry.field(
        description="The user's id, made by the server. Users that are created later have greater ids, as far as the "
        "servers' clocks agree."
    )

    @field(
        "The users whom this user may know: not friends yet, ordered by the number of friends in common, most "
        f"first, then by id. {_COSTS}"
    )
    async def recommendations(
        self, info: RecommendationsInfo, first: First = RECOMMENDATIONS_DEFAULT
    ) -> list[Recommendation] | None:
        return await _recommendations(info, self.id, first)

    @field(f"The friends that the user shares with another one, in the order of their ids. {_MUTUAL_COSTS}")
    async def mutual_friends(
        self,
        info: RecommendationsInfo,
        other: Annotated[strawberry.ID, strawberry.argument(name="with", description="The id of the other user.")],
        first: FirstFriends = strawberry.UNSET,
    ) -> list[User | None] | None:
        return await _mutual_friends(info, self.id, inputs.identifier("with", other), first)

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[User | None]:
        """Null for a deleted user. One who has not been heard of yet is a user without friends, for their events may be
        on the way; not so in the past, where nothing is missing."""
        request: RecommendationsRequest = info.context
        ids = [key_of(representation) for representation in representations]
        known = await (await request.view()).users(ids)
        is_hidden = _is_deleted if request.as_of is None else _is_missing
        return [None if is_hidden(known.get(user)) else User(id=strawberry.ID(user)) for user in ids]


@strawberry.type(description="A user who is recommended as a friend, and the reason.")
class Recommendation:
    of: strawberry.Private[str]
    other: strawberry.Private[str]
    user: User | None = strawberry.field(description="Who is recommended; null for one who is deleted at this moment.")
    mutual_friend_count: int = strawberry.field(description="How many friends the two share; at least one.")

    @field(f"The friends that the two share, in the order of their ids. {_MUTUAL_COSTS}")
    async def mutual_friends(
        self, info: RecommendationsInfo, first: FirstFriends = strawberry.UNSET
    ) -> list[User | None] | None:
        return await _mutual_friends(info, self.of, self.other, first)


@strawberry.type(description=QUERY)
class Query:
    @field(
        "The users whom a user may know: not friends yet, ordered by the number of friends in common, most "
        f"first, then by id. NOT_FOUND if there is no such user. {_COSTS}"
    )
    async def recommendations(
        self,
        info: RecommendationsInfo,
        user_id: Annotated[strawberry.ID, strawberry.argument(description="The user's id.")],
        first: First = RECOMMENDATIONS_DEFAULT,
    ) -> list[Recommendation] | None:
        await _refuse_missing(info, inputs.identifier("userId", user_id))
        return await _recommendations(info, user_id, first)

    @field(
        "The friends that two users share, in the order of their ids. NOT_FOUND if one of them is not a user. "
        f"{_MUTUAL_COSTS}"
    )
    async def mutual_friends(
        self,
        info: RecommendationsInfo,
        user_id: Annotated[strawberry.ID, strawberry.argument(description="The id of one of the two.")],
        friend_id: Annotated[strawberry.ID, strawberry.argument(description="The id of the other one.")],
        first: FirstFriends = strawberry.UNSET,
    ) -> list[User | None] | None:
        await _refuse_missing(info, inputs.identifier("userId", user_id), inputs.identifier("friendId", friend_id))
        return await _mutual_friends(info, user_id, friend_id, first)


@strawberry.type(description=SUBSCRIPTION)
class Subscription:
    @field(
        "The user with this id, each time that a friendship of theirs, or of one of their friends, begins or ends: "
        "then those who are recommended to them may be others. Null for one who is no user, or no longer. TOO_COSTLY "
        f"for a user with more than {FRIENDS_LIMIT} friends."
    )
    async def recommendations_changed(
        self,
        info: RecommendationsInfo,
        user_id: Annotated[strawberry.ID, strawberry.argument(description="The user's id.")],
    ) -> User | None:
        missing = _is_missing(await info.context.loader(_load_users).load(user_id))
        return None if missing else User(id=user_id)


schema = FederatedSchema(query=Query, subscription=Subscription, types=[User])


def _users_of(recorded: RecordedEvent) -> Sequence[str]:
    event = recorded.event
    return event.users if isinstance(event, FriendAdded | FriendRemoved) else ()


def _links(recorded: RecordedEvent) -> bool:
    return isinstance(recorded.event, FriendAdded)


async def _friends_of(questions: RecommendationQuestions, user: str) -> Sequence[str]:
    return await questions.friends_of(user, FRIENDS_LIMIT)


# A user's deletion ends their friendships: it is told by these. A new user's friendship may be here before the user.
SUBSCRIPTIONS: Final = {
    "recommendationsChanged": ChangesOf(
        FRIENDS_LOG, _users_of, "userId", around=Around(_friends_of, _links), beside=(USERS_LOG,)
    )
}


async def _recommendations(info: RecommendationsInfo, user_id: str, first: int | None) -> list[Recommendation]:
    size = RECOMMENDATIONS_DEFAULT if first is None else first
    if not 0 <= size <= RECOMMENDATIONS_LIMIT:
        raise InvalidInput(f"first: expected a number from 0 to {RECOMMENDATIONS_LIMIT}, found {size}")
    found = await info.context.loader(_load_recommended).load((user_id, size))
    return [
        Recommendation(
            of=user_id,
            other=recommended.id,
            user=User(id=strawberry.ID(recommended.id)),
            mutual_friend_count=recommended.mutual_friends,
        )
        for recommended in found
    ]


async def _mutual_friends(info: RecommendationsInfo, one: str, other: str, first: int | None) -> list[User | None]:
    limit = inputs.given(first)
    if limit is not None and limit < 0:
        raise InvalidInput(f"first: expected a number from 0 on, found {limit}")
    info.context.spend("mutual friends", 0, MUTUAL_FRIENDS_LIMIT)
    found = await info.context.loader(_load_mutual_friends).load((one, other, limit))
    info.context.spend("mutual friends", len(found), MUTUAL_FRIENDS_LIMIT)
    return [User(id=strawberry.ID(user)) for user in found]


async def _refuse_missing(info: RecommendationsInfo, *ids: str) -> None:
    docs = await info.context.loader(_load_users).load_many(ids)
    missing = [user for user, doc in zip(ids, docs, strict=True) if _is_missing(doc)]
    if missing:
        raise NotFound(f"there is no user {' and no user '.join(missing)}")


def _is_missing(user: UserDoc | None) -> bool:
    return user is None or user.deleted


def _is_deleted(user: UserDoc | None) -> bool:
    return user is not None and user.deleted


async def _load_users(view: RecommendationQuestions, ids: Sequence[str]) -> Sequence[UserDoc | None]:
    known = await view.users(ids)
    return [known.get(user) for user in ids]


# One read for everybody, whatever their number: fewer are the beginning of more, and the bound holds for all together.


async def _load_recommended(
    view: RecommendationQuestions, asked: Sequence[tuple[str, int]]
) -> Sequence[Sequence[Recommended]]:
    users = list(dict.fromkeys(user for user, _ in asked))
    found = await view.recommended(users, max(limit for _, limit in asked), STEPS_LIMIT)
    return [found[user][:limit] for user, limit in asked]


async def _load_mutual_friends(
    view: RecommendationQuestions, asked: Sequence[tuple[str, str, int | None]]
) -> Sequence[Sequence[str]]:
    twos: list[Two] = list(dict.fromkeys((one, other) for one, other, _ in asked))
    limits = [limit for _, _, limit in asked if limit is not None]
    most = max(limits) if len(limits) == len(asked) else None
    found = await view.mutual_friends(twos, most, STEPS_LIMIT)
    return [found[one, other][:limit] for one, other, limit in asked]

"""The friends' part of the graph: types, queries and mutations, each a thin layer over the view and the commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import strawberry
from strawberry.types import Info

from eventgraph import ChangesOf
from eventgraph.serving import connections, history, inputs
from eventgraph.serving.federation import MUTATION, QUERY, SUBSCRIPTION, FederatedSchema, Representation, field, key_of
from eventgraph.serving.inherited import inherits
from eventgraph.serving.mutations import Done, KeyedInput, Mutations, Payload, VersionedInput
from eventgraph.serving.request import Request
from eventkernel.errors import NotFound, TooCostly
from eventkernel.events import RecordedEvent
from subgraphs.friends import domain
from subgraphs.friends.domain import (
    STREAM_PREFIX,
    AddFriend,
    FriendRemoved,
    FriendshipCommand,
    FriendshipState,
    Pair,
    Reason,
    RemoveFriend,
)
from subgraphs.friends.events import USERS_LOG
from subgraphs.friends.projection import FriendshipDoc, UserDoc, evolve_friendship
from subgraphs.friends.replica import UserReplica
from subgraphs.friends.views import Friend, FriendQuestions

FriendMutations = Mutations[FriendshipState, FriendshipCommand, domain.FriendshipEvent]


@dataclass(frozen=True, slots=True)
class FriendWrites:
    """What mutations need: commands against their own log, and who is a user."""

    mutations: FriendMutations
    replica: UserReplica


FriendsRequest = Request[FriendQuestions, FriendWrites]
FriendsInfo = Info[FriendsRequest, None]

_LIST_ORDER: Final = "friends"

WRITE_SCOPE: Final = "friends:write"
"""For callers who begin and end friendships of others."""

FRIENDS_LIMIT: Final = 20_000
"""The most friends in one answer, of everybody in it together: more is TOO_COSTLY."""

First = Annotated[int | None, connections.how_many("friends")]
OneUser = Annotated[strawberry.ID, strawberry.argument(description="The id of one of the two.")]
OtherUser = Annotated[strawberry.ID, strawberry.argument(description="The id of the other one.")]

# A field that may be refused can be null, so that its error takes nothing else of the answer with it. So can one that
# leads to users: another subgraph may know already that one of them was deleted, and have nothing to say of them.


@strawberry.federation.type(keys=["id"], description="A person in the network.")
class User:
    id: strawberry.ID = strawberry.field(
        description="The user's id, made by the server. Users that are created later have greater ids, as far as the "
        "servers' clocks agree."
    )

    @field(
        "The user's friends, in the order of their ids. TOO_COSTLY if all pages of friends in this request together "
        f"have more than {FRIENDS_LIMIT} friends."
    )
    async def friends(
        self, info: FriendsInfo, first: First = inputs.PAGE_DEFAULT, after: connections.After = strawberry.UNSET
    ) -> FriendConnection | None:
        asked = connections.asked(_LIST_ORDER, first, after)
        info.context.spend("friends", 0, FRIENDS_LIMIT)
        found = await info.context.loader(_load_friends).load((self.id, asked.behind, asked.limit))
        info.context.spend("friends", min(asked.size, len(found)), FRIENDS_LIMIT)
        page = asked.page(found, key=lambda friend: friend.id)
        edges = [
            FriendEdge(node=User(id=strawberry.ID(friend.id)), since=friend.since, cursor=cursor)
            for friend, cursor in zip(page.nodes, page.cursors, strict=True)
        ]
        return FriendConnection(edges=edges, page_info=page.info)

    @field("How many friends the user has; null for one who is being deleted at this moment.")
    async def friend_count(self, info: FriendsInfo) -> int | None:
        return await info.context.loader(_load_friend_counts).load(self.id)

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[User | None]:
        """Null for a deleted user. One who has not been heard of yet is a user without friends, for their events may be
        on the way; not so in the past, where nothing is missing."""
        request: FriendsRequest = info.context
        ids = [key_of(representation) for representation in representations]
        known = await (await request.view()).users(ids)
        is_hidden = _is_deleted if request.as_of is None else _is_missing
        return [None if is_hidden(known.get(user)) else User(id=strawberry.ID(user)) for user in ids]


@inherits(item="friend", list="list")
@strawberry.type(description="A user's place in somebody's list of friends.")
class FriendEdge(connections.Edge):
    node: User | None = strawberry.field(description="The friend; null for one who is deleted at this moment.")
    since: datetime = strawberry.field(description="When the two became friends, for the last time.")


@inherits(list="list")
@strawberry.type(description="A page of somebody's list of friends.")
class FriendConnection(connections.Connection):
    edges: list[FriendEdge] = strawberry.field(description="The friends of this page, in the order of the list.")


@strawberry.type(description="Two users who are friends of each other.")
class Friendship:
    id: strawberry.ID = strawberry.field(
        description="The friendship's id. It depends on the two users alone: ended and begun again it is the same."
    )
    since: datetime = strawberry.field(description="When the two became friends, for the last time.")
    users: list[User | None] | None = strawberry.field(
        description="The two users, in the order of their ids; null for one who is just being deleted."
    )
    version: int = strawberry.field(
        description="The number of the friendship's latest change; its first beginning is number 1. For "
        "`expectedVersion`."
    )

    @field("How the friendship came to be as it is here: the events up to `version`, oldest first.")
    async def history(
        self,
        info: FriendsInfo,
        first: history.First = inputs.PAGE_DEFAULT,
        after: history.After = strawberry.UNSET,
    ) -> FriendshipEventConnection | None:
        stream = STREAM_PREFIX + self.id
        mutations = info.context.writes.mutations
        page, _ = await history.history(info.context, mutations, stream, self.version, first, after)
        edges = [
            FriendshipEventEdge(node=_event(event), cursor=cursor)
            for event, cursor in zip(page.nodes, page.cursors, strict=True)
        ]
        return FriendshipEventConnection(edges=edges, page_info=page.info)


@inherits(own_last=True, types="`friends.FriendAdded` or `friends.FriendRemoved`")
@strawberry.type(description="Something that happened to a friendship.")
class FriendshipEvent(history.HistoryEvent):
    reason: str | None = strawberry.field(
        description="Why the friendship ended: `by hand` or `user deleted`; null for a beginning."
    )


@inherits(item="event", list="history")
@strawberry.type(description="An event's place in a friendship's history.")
class FriendshipEventEdge(connections.Edge):
    node: FriendshipEvent = strawberry.field(description="The event.")


@inherits(list="history")
@strawberry.type(description="A page of a friendship's history.")
class FriendshipEventConnection(connections.Connection):
    edges: list[FriendshipEventEdge] = strawberry.field(description="The events of this page, oldest first.")


@inherits()
@strawberry.input(description="Two users who become friends. It does not matter which of them is which.")
class AddFriendInput(KeyedInput):
    user_id: strawberry.ID = strawberry.field(description="The id of one of the two.")
    friend_id: strawberry.ID = strawberry.field(description="The id of the other one.")


@inherits()
@strawberry.input(description="Two users who are friends no longer. It does not matter which of them is which.")
class RemoveFriendInput(VersionedInput):
    user_id: strawberry.ID = strawberry.field(description="The id of one of the two.")
    friend_id: strawberry.ID = strawberry.field(description="The id of the other one.")


@inherits(item="friendship")
@strawberry.type(description="Two users became friends.")
class AddFriendPayload(Payload):
    friendship: Friendship = strawberry.field(description="The friendship as this change has made it.")


@inherits(item="friendship")
@strawberry.type(description="Two users are friends no longer.")
class RemoveFriendPayload(Payload):
    removed_friendship_id: strawberry.ID = strawberry.field(
        description="The id that the friendship had; it has it again if the two become friends again."
    )


@strawberry.type(description=QUERY)
class Query:
    @field("The friendship with this id; null if there is none, or no longer.")
    async def friendship(
        self,
        info: FriendsInfo,
        friendship_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The friendship's id.")],
    ) -> Friendship | None:
        pair = Pair.of_friendship(inputs.identifier("id", friendship_id))
        doc = None if pair is None else await info.context.loader(_load_friendships).load(pair)
        return None if doc is None else _friendship(doc)

    @field("Whether two users are friends. NOT_FOUND if one of them is not a user.")
    async def are_friends(self, info: FriendsInfo, user_id: OneUser, friend_id: OtherUser) -> bool | None:
        users = info.context.loader(_load_users)
        ids = [inputs.identifier("userId", user_id), inputs.identifier("friendId", friend_id)]
        missing = [user for user, doc in zip(ids, await users.load_many(ids), strict=True) if _is_missing(doc)]
        if missing:
            raise NotFound(f"there is no user {' and no user '.join(missing)}")
        if user_id == friend_id:
            return False
        return await info.context.loader(_load_friendships).load(Pair.of(user_id, friend_id)) is not None


@strawberry.type(description=MUTATION)
class Mutation:
    @field(
        "Make two users friends of each other. INVALID_INPUT for a user with themselves, NOT_FOUND if one of them "
        "is not a user, ALREADY_EXISTS if they are friends."
    )
    async def add_friend(
        self,
        info: FriendsInfo,
        given: Annotated[AddFriendInput, strawberry.argument(name="input", description="The two users.")],
    ) -> AddFriendPayload | None:
        pair = _pair(given)
        info.context.allow(pair.users, WRITE_SCOPE)
        missing = await info.context.writes.replica.missing(info.context, pair.users)
        done = await _run(info, AddFriend(pair, missing), "addFriend", given.idempotency_key)
        return AddFriendPayload(friendship=_friendship(done.fold(evolve_friendship)), done=done)

    @field("End the friendship of two users. NOT_FOUND if they are not friends.")
    async def remove_friend(
        self,
        info: FriendsInfo,
        given: Annotated[RemoveFriendInput, strawberry.argument(name="input", description="The two users.")],
    ) -> RemoveFriendPayload | None:
        pair = _pair(given)
        info.context.allow(pair.users, WRITE_SCOPE)
        command = RemoveFriend(pair, Reason.BY_HAND)
        done = await _run(info, command, "removeFriend", given.idempotency_key, given.expected_version)
        return RemoveFriendPayload(removed_friendship_id=strawberry.ID(pair.friendship_id), done=done)


@strawberry.type(description=SUBSCRIPTION)
class Subscription:
    @field(
        "The user with this id, each time that a friendship of theirs begins or ends; null for one who is no user, or "
        "no longer."
    )
    async def friendships_changed(
        self,
        info: FriendsInfo,
        user_id: Annotated[strawberry.ID, strawberry.argument(description="The user's id.")],
    ) -> User | None:
        missing = _is_missing(await info.context.loader(_load_users).load(user_id))
        return None if missing else User(id=user_id)


schema = FederatedSchema(query=Query, mutation=Mutation, subscription=Subscription, types=[User])


def users_of(recorded: RecordedEvent) -> Sequence[str]:
    """Whom an event concerns: the two who become friends, or are friends no longer."""
    event = recorded.event
    return event.users if isinstance(event, domain.FriendAdded | FriendRemoved) else ()


# A new user's friendship may be here before the user.
SUBSCRIPTIONS: Final = {"friendshipsChanged": ChangesOf("friends", users_of, "userId", beside=(USERS_LOG,))}


async def _run(
    info: FriendsInfo,
    command: FriendshipCommand,
    mutation: str,
    key: str | None,
    expected_version: int | None = None,
) -> Done:
    """Run a command on its pair's stream. A repetition may name the two the other way round."""
    return await info.context.writes.mutations.run(
        info.context,
        command,
        stream=command.pair.stream,
        mutation=mutation,
        content={"users": command.pair.users},
        key=key,
        expected_version=expected_version,
    )


async def _load_users(view: FriendQuestions, ids: Sequence[str]) -> Sequence[UserDoc | None]:
    known = await view.users(ids)
    return [known.get(user) for user in ids]


async def _load_friendships(view: FriendQuestions, pairs: Sequence[Pair]) -> Sequence[FriendshipDoc | None]:
    found = await view.friendships(pairs)
    return [found.get(pair) for pair in pairs]


async def _load_friend_counts(view: FriendQuestions, ids: Sequence[str]) -> Sequence[int]:
    counts = await view.friend_counts(ids)
    return [counts[user] for user in ids]


_Asked = tuple[str, str | None, int]
"""A user, the id to go on behind, and how many friends."""


async def _load_friends(view: FriendQuestions, asked: Sequence[_Asked]) -> Sequence[Sequence[Friend]]:
    """One read for all users who are asked for the same page: that is all of them, but for aliases.

    No read can find many more friends than an answer may have, and reading ends where they have been found: it is the
    sizes of the pages that say how many users one read is for.
    """
    users: dict[tuple[str | None, int], list[str]] = {}
    for user, after, limit in asked:
        users.setdefault((after, limit), []).append(user)
    found: dict[_Asked, Sequence[Friend]] = {}
    total = 0
    for (after, limit), ids in users.items():
        at_once = max(1, FRIENDS_LIMIT // limit)
        for start in range(0, len(ids), at_once):
            friends = await view.friends(ids[start : start + at_once], after, limit)
            for user, theirs in friends.items():
                found[user, after, limit] = theirs
                # One more than the page is asked for, to know whether another page follows.
                total += min(len(theirs), limit - 1)
            if total > FRIENDS_LIMIT:
                expected = f"expected at most {FRIENDS_LIMIT} friends in one answer"
                raise TooCostly(f"{expected}, found more: ask for fewer with the argument first")
    return [found[key] for key in asked]


def _is_missing(user: UserDoc | None) -> bool:
    return user is None or user.deleted


def _is_deleted(user: UserDoc | None) -> bool:
    return user is not None and user.deleted


def _pair(given: AddFriendInput | RemoveFriendInput) -> Pair:
    return Pair.of(inputs.identifier("userId", given.user_id), inputs.identifier("friendId", given.friend_id))


def _event(recorded: RecordedEvent) -> FriendshipEvent:
    event = recorded.event
    return FriendshipEvent(recorded=recorded, reason=event.reason if isinstance(event, FriendRemoved) else None)


def _friendship(doc: FriendshipDoc) -> Friendship:
    return Friendship(
        id=strawberry.ID(doc.id),
        since=doc.since,
        users=[User(id=strawberry.ID(user)) for user in doc.pair.users],
        version=doc.version,
    )

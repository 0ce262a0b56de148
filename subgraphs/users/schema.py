"""The users' part of the graph: types, queries and mutations, each a thin layer over the view and the commands."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import strawberry
import uuid6
from strawberry.types import Info

from eventgraph import ChangesOf
from eventgraph.serving import connections, history, inputs
from eventgraph.serving.federation import MUTATION, QUERY, SUBSCRIPTION, FederatedSchema, Representation, field, key_of
from eventgraph.serving.inherited import inherits
from eventgraph.serving.mutations import Done, KeyedInput, Mutations, Payload, VersionedInput
from eventgraph.serving.request import Request
from eventkernel.errors import ClaimTaken, InvalidInput
from eventkernel.events import Position, RecordedEvent
from eventkernel.reading.bookmark import Bookmark, WrittenStream
from eventkernel.writing.commands import CommandHandler
from subgraphs.users import domain
from subgraphs.users.domain import (
    UNCHANGED,
    CreateUser,
    DeleteUser,
    UpdateUser,
    UserCommand,
    UsernameTaken,
    UserState,
    id_of,
    stream_of,
    username_claim,
)
from subgraphs.users.lookalikes import Lookalikes
from subgraphs.users.projection import UserDoc, evolve
from subgraphs.users.usernames import unfit
from subgraphs.users.views import UserQuestions

NAME_LIMIT: Final = 100
USERNAME_LIMIT: Final = 50
SEARCH_LIMIT: Final = 100
"""The longest names, usernames and search texts, in code points."""

WRITE_SCOPE: Final = "users:write"
"""For callers who create users, and change any of them."""

USERS_LIMIT: Final = 20_000
"""How many users all pages of one request have at most together, by the sizes that were asked for."""


class UserMutations(Mutations[UserState, UserCommand, domain.UserEvent]):
    """The commands of users, and the usernames that no claim keeps from being taken."""

    def __init__(
        self, handler: CommandHandler[UserState, UserCommand, domain.UserEvent], lookalikes: Lookalikes
    ) -> None:
        super().__init__(handler)
        self.lookalikes = lookalikes


UsersRequest = Request[UserQuestions, UserMutations]
UsersInfo = Info[UsersRequest, None]

_LIST_ORDER: Final = "users"


@strawberry.federation.type(keys=["id"], description="A person in the network.")
class User:
    id: strawberry.ID = strawberry.field(
        description="The user's id, made by the server. Users that are created later have greater ids, as far as the "
        "servers' clocks agree."
    )
    first_name: str = strawberry.field(description="The given name.")
    last_name: str = strawberry.field(description="The family name.")
    username: str | None = strawberry.field(
        description="A name that no other user has, in any case; null for a user without one."
    )
    created_at: datetime = strawberry.field(description="When the user was created.")
    updated_at: datetime = strawberry.field(description="When the user was changed for the last time.")
    version: int = strawberry.field(
        description="The number of the user's latest change; the creation is number 1. For `expectedVersion`."
    )

    @field("How the user came to be as they are here: the events up to `version`, oldest first.")
    async def history(
        self,
        info: UsersInfo,
        first: history.First = inputs.PAGE_DEFAULT,
        after: history.After = strawberry.UNSET,
    ) -> UserEventConnection | None:
        return await _history(info, self.id, self.version, first, after)

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[User | None]:
        ids = [key_of(representation) for representation in representations]
        request: UsersRequest = info.context
        found = await (await request.view()).users(ids)
        return [_user_or_none(found.get(user_id)) for user_id in ids]


@inherits(item="user", list="list")
@strawberry.type(description="A user's place in a list of users.")
class UserEdge(connections.Edge):
    node: User = strawberry.field(description="The user.")


@inherits(list="list")
@strawberry.type(description="A page of a list of users.")
class UserConnection(connections.Connection):
    edges: list[UserEdge] = strawberry.field(description="The users of this page, in the order of the list.")


@strawberry.type(description="What an event changed of a user.")
class UserChange:
    field: str = strawberry.field(description="The field: `firstName`, `lastName` or `username`.")
    before: str | None = strawberry.field(description="What it was; null where there was nothing.")
    after: str | None = strawberry.field(description="What it became; null where nothing was left.")


@inherits(own_last=True, types="`users.UserCreated`, `users.UserUpdated` or `users.UserDeleted`")
@strawberry.type(description="Something that happened to a user.")
class UserEvent(history.HistoryEvent):
    changes: list[UserChange] = strawberry.field(description="The fields that it changed.")


@inherits(item="event", list="history")
@strawberry.type(description="An event's place in a user's history.")
class UserEventEdge(connections.Edge):
    node: UserEvent = strawberry.field(description="The event.")


@inherits(list="history")
@strawberry.type(description="A page of a user's history.")
class UserEventConnection(connections.Connection):
    edges: list[UserEventEdge] = strawberry.field(description="The events of this page, oldest first.")


_USERNAME_DESCRIPTION: Final = (
    "A name that no other user has, whatever its case, and that looks like none of theirs: 1 to "
    f"{USERNAME_LIMIT} letters and digits that Unicode allows in identifiers, and `_`, `-`, `.`."
)


@inherits()
@strawberry.input(description="A user to create.")
class CreateUserInput(KeyedInput):
    first_name: str = strawberry.field(description=f"The given name, 1 to {NAME_LIMIT} characters.")
    last_name: str = strawberry.field(description=f"The family name, 1 to {NAME_LIMIT} characters.")
    username: str | None = strawberry.field(default=strawberry.UNSET, description=_USERNAME_DESCRIPTION)


@inherits()
@strawberry.input(description="What to change of a user. A field that is left out stays as it is.")
class UpdateUserInput(VersionedInput):
    id: strawberry.ID = strawberry.field(description="The user's id.")
    first_name: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"The given name, 1 to {NAME_LIMIT} characters."
    )
    last_name: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"The family name, 1 to {NAME_LIMIT} characters."
    )
    username: str | None = strawberry.field(
        default=strawberry.UNSET, description=f"{_USERNAME_DESCRIPTION} Null takes the username away."
    )


@inherits()
@strawberry.input(description="A user to delete.")
class DeleteUserInput(VersionedInput):
    id: strawberry.ID = strawberry.field(description="The user's id.")


@inherits(item="user")
@strawberry.type(description="A user was created.")
class CreateUserPayload(Payload):
    user: User = strawberry.field(description="The user as this change has made it.")


@inherits(item="user")
@strawberry.type(description="A user was changed.")
class UpdateUserPayload(Payload):
    user: User = strawberry.field(description="The user as this change has made it.")


@inherits(item="user")
@strawberry.type(description="A user was deleted; their friendships end.")
class DeleteUserPayload(Payload):
    deleted_user_id: strawberry.ID = strawberry.field(description="The id that the user had; it is not used again.")


First = Annotated[int | None, connections.how_many("users")]


@strawberry.type(description=QUERY)
class Query:
    @field("The user with this id; null if there is none.")
    async def user(
        self,
        info: UsersInfo,
        user_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The user's id.")],
    ) -> User | None:
        inputs.identifier("id", user_id)
        return _user_or_none((await (await info.context.view()).users([user_id])).get(user_id))

    @field("The user who asks: the one whose id is the subject of the token; null if nobody is known, or no such user.")
    async def me(self, info: UsersInfo) -> User | None:
        actor = info.context.actor
        if actor is None:
            return None
        return _user_or_none((await (await info.context.view()).users([actor.name])).get(actor.name))

    @field("The user with this username, in any case; null if there is none.")
    async def user_by_username(
        self,
        info: UsersInfo,
        username: Annotated[str, strawberry.argument(description="The username.")],
    ) -> User | None:
        return await _user_of_username(info.context, _username("username", username))

    @field("All users, in the order of their ids.")
    async def users(
        self, info: UsersInfo, first: First = inputs.PAGE_DEFAULT, after: connections.After = strawberry.UNSET
    ) -> UserConnection:
        asked = connections.asked(_LIST_ORDER, first, after)
        info.context.spend("users in pages", asked.size, USERS_LIMIT)
        return _connection(asked, await (await info.context.view()).page(asked.behind, asked.limit))

    @field(
        "The users for whom every word of a text is the beginning of a word of their names, whatever case "
        "and accents; in the order of their ids."
    )
    async def search_users(
        self,
        info: UsersInfo,
        text: Annotated[
            str,
            strawberry.argument(description=f"Beginnings of words, 1 to {SEARCH_LIMIT} characters: `ad lovel`."),
        ],
        first: First = inputs.PAGE_DEFAULT,
        after: connections.After = strawberry.UNSET,
    ) -> UserConnection:
        beginnings = inputs.beginnings("text", text, limit=SEARCH_LIMIT)
        asked = connections.asked(_LIST_ORDER, first, after)
        info.context.spend("users in pages", asked.size, USERS_LIMIT)
        return _connection(asked, await (await info.context.view()).search(beginnings, asked.behind, asked.limit))


@strawberry.type(description=MUTATION)
class Mutation:
    @field("Create a user. USERNAME_TAKEN if another user has the username, or one that looks like it.")
    async def create_user(
        self,
        info: UsersInfo,
        given: Annotated[CreateUserInput, strawberry.argument(name="input", description="The user to create.")],
    ) -> CreateUserPayload | None:
        info.context.allow((), WRITE_SCOPE)
        command = CreateUser(
            first_name=inputs.text("firstName", given.first_name, limit=NAME_LIMIT),
            last_name=inputs.text("lastName", given.last_name, limit=NAME_LIMIT),
            username=None if (username := inputs.given(given.username)) is None else _username("username", username),
        )
        content = {"firstName": command.first_name, "lastName": command.last_name, "username": command.username}
        if command.username is not None:
            await _refuse_unfit(info, command.username, given.idempotency_key)
        stream = stream_of(new_user_id())
        done = await _run(info, command, "createUser", content, stream, given.idempotency_key)
        return CreateUserPayload(user=_user(done.fold(evolve)), done=done)

    @field(
        "Change a user. NOT_FOUND if no user has this id, USERNAME_TAKEN if another user has "
        "the username, or one that looks like it. A change to the same values changes nothing."
    )
    async def update_user(
        self,
        info: UsersInfo,
        given: Annotated[UpdateUserInput, strawberry.argument(name="input", description="What to change.")],
    ) -> UpdateUserPayload | None:
        content: dict[str, str | None] = {"id": inputs.identifier("id", given.id)}
        info.context.allow((given.id,), WRITE_SCOPE)
        for name, value in (("firstName", given.first_name), ("lastName", given.last_name)):
            if value is None:
                raise InvalidInput(f"{name}: expected a name, or nothing to leave it as it is, found null")
            if value is not strawberry.UNSET:
                content[name] = inputs.text(name, value, limit=NAME_LIMIT)
        if given.username is not strawberry.UNSET:
            content["username"] = None if given.username is None else _username("username", given.username)
            if content["username"] is not None:
                await _refuse_unfit(info, content["username"], given.idempotency_key, given.id)
        command = UpdateUser(
            first_name=content.get("firstName") or UNCHANGED,
            last_name=content.get("lastName") or UNCHANGED,
            username=content.get("username", UNCHANGED),
        )
        stream = stream_of(given.id)
        done = await _run(info, command, "updateUser", content, stream, given.idempotency_key, given.expected_version)
        return UpdateUserPayload(user=_user(done.fold(evolve)), done=done)

    @field("Delete a user, for ever. Their friendships end. NOT_FOUND if no user has this id.")
    async def delete_user(
        self,
        info: UsersInfo,
        given: Annotated[DeleteUserInput, strawberry.argument(name="input", description="The user to delete.")],
    ) -> DeleteUserPayload | None:
        content = {"id": inputs.identifier("id", given.id)}
        info.context.allow((given.id,), WRITE_SCOPE)
        stream = stream_of(given.id)
        done = await _run(
            info, DeleteUser(), "deleteUser", content, stream, given.idempotency_key, given.expected_version
        )
        return DeleteUserPayload(deleted_user_id=strawberry.ID(id_of(done.stream)), done=done)


@strawberry.type(description=SUBSCRIPTION)
class Subscription:
    @field("The user with this id, each time that they are created, changed or deleted; null once they are deleted.")
    async def user_changed(
        self,
        info: UsersInfo,
        user_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The user's id.")],
    ) -> User | None:
        return _user_or_none((await (await info.context.view()).users([user_id])).get(user_id))


schema = FederatedSchema(query=Query, mutation=Mutation, subscription=Subscription)


def users_of(recorded: RecordedEvent) -> Sequence[str]:
    """Whom an event concerns."""
    return (id_of(recorded.stream),)


SUBSCRIPTIONS: Final = {"userChanged": ChangesOf("users", users_of, "id")}


def new_user_id() -> str:
    """A UUID version 7 (https://www.rfc-editor.org/rfc/rfc9562#section-5.7), above all that this process drew."""
    return str(uuid6.uuid7())


async def _run(
    info: UsersInfo,
    command: UserCommand,
    mutation: str,
    content: Mapping[str, object],
    stream: str,
    key: str | None,
    expected_version: int | None = None,
) -> Done:
    """Run a command on one user's stream; `content` is the mutation's checked input."""
    request = info.context
    try:
        return await request.writes.run(
            request,
            command,
            stream=stream,
            mutation=mutation,
            content=content,
            key=key,
            expected_version=expected_version,
        )
    except ClaimTaken as taken:
        raise UsernameTaken(
            "username: expected one that no other user has and that looks like no other, found one that is taken"
        ) from taken


async def _refuse_unfit(info: UsersInfo, username: str, key: str | None, user_id: str | None = None) -> None:
    """A username that this user (a new one, without an id) cannot have: by the rule of today, or because it looks like
    one that holds no claim. What a user has already stays, and so does the answer to a command of before.

    Raises:
        InvalidInput, UsernameTaken: it is refused.
    """
    request = info.context
    character = unfit(username)
    if character is None and not await request.writes.lookalikes.has(username, request.timeout, but=user_id):
        return
    if user_id is not None:
        doc = (await (await request.view()).users([user_id])).get(user_id)
        if doc is not None and doc.username == username:
            return
    if await request.writes.knows(request, key):
        return
    if character is not None:
        raise InvalidInput(
            "username: expected letters and digits that Unicode allows in identifiers "
            f"(https://www.unicode.org/reports/tr39/), found U+{ord(character):04X}"
        )
    raise UsernameTaken("username: expected one that looks like no other user's, found one that does")


async def _user_of_username(request: UsersRequest, username: str) -> User | None:
    """The user who holds the username by the event store's word, as the view shows them once it knows that they do.

    The store knows of now only; who held it then is the view's word, which has all of that past.
    """
    claim = username_claim(username)
    if request.as_of is not None:
        return _user_or_none(await (await request.view()).of_username(claim))
    holder = await request.writes.store.find_claim(claim)
    if holder is None:
        return None
    user_id = id_of(holder.stream)
    doc = (await (await request.view()).users([user_id])).get(user_id)
    if doc is None or doc.version < holder.version:
        records = await request.writes.store.read_stream(holder.stream, holder.version)
        taken = records[-1]
        position = Position.of(taken.log, taken.partition, taken.offset + 1)
        streams = {WrittenStream(taken.log, taken.partition, taken.stream): taken.version}
        view = await request.catch_up(Bookmark(position=position, streams=streams))
        doc = (await view.users([user_id])).get(user_id)
    # The view may know of a later change that gave the username up.
    if doc is None or doc.username is None or username_claim(doc.username) != claim:
        return None
    return _user(doc)


async def _history(
    info: UsersInfo, user_id: str, version: int, first: int | None, after: str | None
) -> UserEventConnection:
    stream = stream_of(user_id)
    page, recorded = await history.history(info.context, info.context.writes, stream, version, first, after)
    docs: list[UserDoc | None] = [None]
    for event in recorded:
        docs.append(evolve(docs[-1], event))
    edges = [
        UserEventEdge(node=_event(event, docs[event.version - 1], docs[event.version]), cursor=cursor)
        for event, cursor in zip(page.nodes, page.cursors, strict=True)
    ]
    return UserEventConnection(edges=edges, page_info=page.info)


def _event(recorded: RecordedEvent, before: UserDoc | None, after: UserDoc | None) -> UserEvent:
    was, became = _fields(before), _fields(after)
    return UserEvent(
        recorded=recorded,
        changes=[
            UserChange(field=name, before=was[name], after=became[name]) for name in was if was[name] != became[name]
        ],
    )


def _fields(doc: UserDoc | None) -> dict[str, str | None]:
    """What events change of a user, by the names in the graph."""
    if doc is None or doc.deleted:
        return {"firstName": None, "lastName": None, "username": None}
    return {"firstName": doc.first_name, "lastName": doc.last_name, "username": doc.username}


def _connection(asked: connections.Asked, found: Sequence[UserDoc]) -> UserConnection:
    return asked.connection(UserConnection, UserEdge, found, key=lambda doc: doc.id, node=_user)


def _user_or_none(doc: UserDoc | None) -> User | None:
    return None if doc is None else _user(doc)


def _user(doc: UserDoc) -> User:
    return User(
        id=strawberry.ID(doc.id),
        first_name=doc.first_name,
        last_name=doc.last_name,
        username=doc.username,
        created_at=doc.created_at,
        updated_at=doc.updated_at,
        version=doc.version,
    )


def _username(name: str, value: str) -> str:
    username = inputs.text(name, value, limit=USERNAME_LIMIT)
    for character in username:
        if character not in "_-." and unicodedata.category(character)[0] not in "LNM":
            raise InvalidInput(f"{name}: expected letters, digits and _-. only, found U+{ord(character):04X}")
    return username

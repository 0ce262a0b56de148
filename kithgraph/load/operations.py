"""The operations that are sent, and the shapes that their answers must have.

Each is one document for ever, with variables: so do clients that a router can plan for once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

import msgspec

Data = TypeVar("Data")


class Shape(msgspec.Struct, frozen=True, rename="camel"):
    """A part of an answer; a field that is missing or of another type is a wrong answer."""


class Id(Shape, frozen=True):
    id: str


class Person(Shape, frozen=True):
    id: str
    first_name: str


class FullPerson(Shape, frozen=True):
    id: str
    first_name: str
    last_name: str
    version: int


class PageInfo(Shape, frozen=True):
    has_next_page: bool
    end_cursor: str | None


class PersonEdge(Shape, frozen=True):
    node: Person


class People(Shape, frozen=True):
    edges: list[PersonEdge]
    page_info: PageInfo

    @property
    def nodes(self) -> list[Person]:
        return [edge.node for edge in self.edges]


class Recommendation(Shape, frozen=True):
    user: Person
    mutual_friend_count: int
    mutual_friends: list[Id]


class Friendship(Shape, frozen=True):
    id: str
    since: datetime
    users: list[Person]


class Change(Shape, frozen=True):
    """What every mutation's payload has."""

    version: int
    bookmark: str


class CreateUserPayload(Change, frozen=True):
    user: FullPerson


class AddFriendPayload(Change, frozen=True):
    friendship: Friendship


class RemoveFriendPayload(Change, frozen=True):
    pass


class CreateUserData(Shape, frozen=True):
    create_user: CreateUserPayload | None


class AddFriendData(Shape, frozen=True):
    add_friend: AddFriendPayload | None


class RemoveFriendData(Shape, frozen=True):
    remove_friend: RemoveFriendPayload | None


class UserWithCount(Shape, frozen=True):
    id: str
    first_name: str
    last_name: str
    friend_count: int


class UserWithFriends(UserWithCount, frozen=True):
    friends: People


class FriendsData(Shape, frozen=True):
    user: UserWithFriends | None


class AreFriendsData(Shape, frozen=True):
    are_friends: bool | None


class MutualFriendsData(Shape, frozen=True):
    mutual_friends: list[Person] | None


class RecommendationsData(Shape, frozen=True):
    recommendations: list[Recommendation] | None


class UsersData(Shape, frozen=True):
    users: People | None


class SearchUsersData(Shape, frozen=True):
    search_users: People | None


class NewUserData(Shape, frozen=True):
    user: UserWithFriends | None
    recommendations: list[Recommendation] | None


class PairData(Shape, frozen=True):
    are_friends: bool | None
    mutual_friends: list[Person] | None
    one: UserWithCount | None
    other: UserWithCount | None


class JoinData(Shape, frozen=True):
    user: Id | None


class FaultExtensions(msgspec.Struct, frozen=True):
    code: str = "(none)"


class Fault(msgspec.Struct, frozen=True):
    """An entry of `errors`."""

    message: str
    extensions: FaultExtensions = FaultExtensions()


class Extensions(msgspec.Struct, frozen=True):
    bookmark: str = ""


class Body(msgspec.Struct, Generic[Data], frozen=True):
    """The body of an answer."""

    data: Data | None = None
    errors: list[Fault] = []
    extensions: Extensions = Extensions()


@dataclass(frozen=True, slots=True)
class Operation(Generic[Data]):
    """A document and the shape of its data."""

    name: str
    document: str
    answer: msgspec.json.Decoder[Body[Data]]


CREATE_USER: Final = Operation(
    "createUser",
    """mutation ($input: CreateUserInput!) {
    createUser(input: $input) { user { id firstName lastName version } version bookmark } }""",
    msgspec.json.Decoder(Body[CreateUserData]),
)
ADD_FRIEND: Final = Operation(
    "addFriend",
    """mutation ($input: AddFriendInput!) {
    addFriend(input: $input) { friendship { id since users { id firstName } } version bookmark } }""",
    msgspec.json.Decoder(Body[AddFriendData]),
)
REMOVE_FRIEND: Final = Operation(
    "removeFriend",
    "mutation ($input: RemoveFriendInput!) { removeFriend(input: $input) { version bookmark } }",
    msgspec.json.Decoder(Body[RemoveFriendData]),
)
FRIENDS: Final = Operation(
    "friends",
    """query ($id: ID!, $first: Int!, $after: String) { user(id: $id) { id firstName lastName friendCount
    friends(first: $first, after: $after) { edges { node { id firstName } } pageInfo { hasNextPage endCursor } } } }""",
    msgspec.json.Decoder(Body[FriendsData]),
)
ARE_FRIENDS: Final = Operation(
    "areFriends",
    "query ($userId: ID!, $friendId: ID!) { areFriends(userId: $userId, friendId: $friendId) }",
    msgspec.json.Decoder(Body[AreFriendsData]),
)
MUTUAL_FRIENDS: Final = Operation(
    "mutualFriends",
    """query ($userId: ID!, $friendId: ID!) {
    mutualFriends(userId: $userId, friendId: $friendId) { id firstName } }""",
    msgspec.json.Decoder(Body[MutualFriendsData]),
)
RECOMMENDATIONS: Final = Operation(
    "recommendations",
    """query ($id: ID!, $first: Int!) { recommendations(userId: $id, first: $first) {
    user { id firstName } mutualFriendCount mutualFriends { id } } }""",
    msgspec.json.Decoder(Body[RecommendationsData]),
)
USERS: Final = Operation(
    "users",
    """query ($first: Int!, $after: String) { users(first: $first, after: $after) {
    edges { node { id firstName } } pageInfo { hasNextPage endCursor } } }""",
    msgspec.json.Decoder(Body[UsersData]),
)
SEARCH_USERS: Final = Operation(
    "searchUsers",
    """query ($text: String!, $first: Int!, $after: String) { searchUsers(text: $text, first: $first, after: $after) {
    edges { node { id firstName } } pageInfo { hasNextPage endCursor } } }""",
    msgspec.json.Decoder(Body[SearchUsersData]),
)
NEW_USER: Final = Operation(
    "a new user",
    """query ($id: ID!) { user(id: $id) { id firstName lastName friendCount
    friends(first: 10) { edges { node { id firstName } } pageInfo { hasNextPage endCursor } } }
    recommendations(userId: $id) { user { id firstName } mutualFriendCount mutualFriends { id } } }""",
    msgspec.json.Decoder(Body[NewUserData]),
)
PAIR: Final = Operation(
    "a changed pair",
    """query ($userId: ID!, $friendId: ID!) { areFriends(userId: $userId, friendId: $friendId)
    mutualFriends(userId: $userId, friendId: $friendId) { id firstName }
    one: user(id: $userId) { id firstName lastName friendCount }
    other: user(id: $friendId) { id firstName lastName friendCount } }""",
    msgspec.json.Decoder(Body[PairData]),
)
JOIN: Final = Operation(
    "join bookmarks", "query ($id: ID!) { user(id: $id) { id } }", msgspec.json.Decoder(Body[JoinData])
)

"""The adapters of MongoDB pass the contracts of the read side's ports."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eventkernel.adapters.mongodb.checkpoints import MongoCheckpointStore
from eventkernel.adapters.mongodb.connection import Database
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.testing.view_contract import CheckpointStoreContract, ViewContract
from infra.local import MongodbAddress
from subgraphs.friends import projection as friends_projection
from subgraphs.friends.adapters.mongodb import MongoFriendView
from subgraphs.friends.domain import Pair
from subgraphs.friends.projection import FriendsDoc, FriendshipDoc
from subgraphs.users import projection as users_projection
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.domain import stream_of
from subgraphs.users.projection import UserDoc
from tests.contract.test_friends_view import FriendViewContract
from tests.contract.test_users_view import LOG, UserViewContract
from tests.support.doors import Door
from tests.support.feeding import FRIENDS, USERS
from tests.support.mongodb_views import DRIVERS, MongoDoors, MongoUnderTest, Writes, database_of


@pytest.fixture(params=DRIVERS)
async def database(
    mongodb_server: MongodbAddress, engine_name: str, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    async with database_of(mongodb_server.url, engine_name, request.param) as database:
        yield database


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch, database: Database) -> Writes:
    return Writes(monkeypatch, database)


class DoorsInMongo(MongoUnderTest[MongoDoors]):
    def stream(self, number: int) -> str:
        return f"door-{number}"

    def doc(self, number: int, version: int) -> Door:
        return (f"Tür {number}", ("red", "blue")[:version], version)


class TestMongoView(ViewContract[Door]):
    @pytest.fixture
    async def views(self, database: Database, writes: Writes) -> AsyncIterator[DoorsInMongo]:
        views = DoorsInMongo(database, MongoDoors, 1, writes)
        yield views
        await views.aclose()


class UsersInMongo(MongoUnderTest[MongoUserView]):
    def stream(self, number: int) -> str:
        return stream_of(str(number))

    def doc(self, number: int, version: int) -> UserDoc:
        time_us = 1_700_000_000_000_000 + version
        return UserDoc(str(number), version, f"Jörg {version}", "Müller", f"jörg{number}", 1_600_000, time_us)


class TestMongoUserViewAsAView(ViewContract[UserDoc]):
    @pytest.fixture
    async def views(self, database: Database, writes: Writes) -> AsyncIterator[UsersInMongo]:
        views = UsersInMongo(database, MongoUserView, users_projection.projection.shape, writes)
        yield views
        await views.aclose()


class FriendshipsInMongo(MongoUnderTest[MongoFriendView]):
    def stream(self, number: int) -> str:
        return f"friendship-a~b{number}"

    def doc(self, number: int, version: int) -> FriendsDoc:
        begun = version - (version - 1) % 2
        return FriendshipDoc(Pair("a", f"b{number}"), version, begun, begun, ended=version % 2 == 0)


class TestMongoFriendViewAsAView(ViewContract[FriendsDoc]):
    @pytest.fixture
    async def views(self, database: Database, writes: Writes) -> AsyncIterator[FriendshipsInMongo]:
        views = FriendshipsInMongo(database, MongoFriendView, friends_projection.projection.shape, writes)
        yield views
        await views.aclose()


class TestMongoUserView(UserViewContract):
    @pytest.fixture
    async def build(self, database: Database) -> AsyncIterator[MongoUserView]:
        view = await MongoView.open(database, "users", MongoUserView, shape=1, logs=[LOG])
        yield await view.create()
        await view.aclose()


class TestMongoUserViewWhereEveryBeginningIsCommon(TestMongoUserView):
    @pytest.fixture(autouse=True)
    def common(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(MongoUserView, "many", 1)


class TestMongoFriendView(FriendViewContract):
    @pytest.fixture
    async def build(self, database: Database) -> AsyncIterator[MongoFriendView]:
        view = await MongoView.open(database, "friends", MongoFriendView, shape=1, logs=[USERS, FRIENDS])
        yield await view.create()
        await view.aclose()


class CheckpointsInMongo:
    def __init__(self, database: Database, writes: Writes) -> None:
        self._database = database
        self._writes = writes

    async def open(self) -> MongoCheckpointStore:
        return await MongoCheckpointStore.open(self._database)

    async def stop_writes(self) -> None:
        self._writes.stopped = True

    async def resume_writes(self) -> None:
        self._writes.resume()


class TestMongoCheckpointStore(CheckpointStoreContract):
    @pytest.fixture
    def checkpoints(self, database: Database, writes: Writes) -> CheckpointsInMongo:
        return CheckpointsInMongo(database, writes)

"""Real servers for tests: the ones named in the environment, or own ones for the length of the session.

    async def test_something(kafka_server: KafkaAddress, engine_name: str) -> None: ...

The first test that asks for a server starts it, whichever worker it runs in; all workers use the same one. A process
beside the session stops them when the session has ended, in whatever way. Where Java or another program is missing the
tests skip and say so; in CI that fails. Tests that break servers start their own with `infra.local`.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from infra.local import (
    KafkaAddress,
    MissingTool,
    MongodbAddress,
    Neo4jAddress,
    S3Address,
    Server,
    kafka,
    mongodb,
    neo4j,
    s3,
    shared,
)
from infra.local.environment import given_kafka, given_mongodb, given_neo4j, given_s3

A = TypeVar("A")

_SECONDS = 400
"""For a test that may have to start servers first, on a machine that has other things to do."""
_FIXTURES = {"kafka_server", "mongodb_server", "neo4j_server", "s3_server"}
_REPOSITORY = Path(__file__).parents[2]
_keepers: list[subprocess.Popen[bytes]] = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and not _FIXTURES.isdisjoint(item.fixturenames):
            item.add_marker("engines")
        if isinstance(item, pytest.Function) and "mongodb_server" in item.fixturenames:
            # PyMongo 4.20 forgets a socket whose connecting is cancelled; Python closes it a moment later.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
        if item.get_closest_marker("engines") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture(scope="session")
def engines_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session's folder for servers, the same in all workers; what runs in it ends with the session."""
    in_worker = hasattr(request.config, "workerinput")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if in_worker else base) / "engines"
    try:
        folder.mkdir()
    except FileExistsError:
        return folder
    session = os.getppid() if in_worker else os.getpid()
    keeper = [sys.executable, "-m", "infra.local", "down", "--data", str(folder), "--after", str(session)]
    with (folder / "keeper.log").open("wb") as log:
        _keepers.append(subprocess.Popen(keeper, cwd=_REPOSITORY, stdout=log, stderr=log, start_new_session=True))
    return folder


@pytest.fixture(scope="session")
def kafka_server(request: pytest.FixtureRequest) -> KafkaAddress:
    """One broker."""
    return given_kafka() or _own(request, "kafka", partial(kafka, short_lived=True))


@pytest.fixture(scope="session")
def mongodb_server(request: pytest.FixtureRequest) -> MongodbAddress:
    """A replica set of one."""
    return given_mongodb() or _own(request, "mongodb", mongodb)


@pytest.fixture(scope="session")
def neo4j_server(request: pytest.FixtureRequest) -> Neo4jAddress:
    """Neo4j's community edition, which has one database: what a test makes there bears the test's own name."""
    return given_neo4j() or _own(request, "neo4j", partial(neo4j, short_lived=True))


@pytest.fixture(scope="session")
def s3_server(request: pytest.FixtureRequest) -> S3Address:
    """A bucket: what a test puts there has the test's own prefix."""
    return given_s3() or _own(request, "s3", s3)


@pytest.fixture
def engine_name() -> str:
    """A name for a test's topics, databases or builds that no other test has."""
    return f"test_{secrets.token_hex(6)}"


def _own(request: pytest.FixtureRequest, name: str, server: Callable[[Path], Server[A]]) -> A:
    folder: Path = request.getfixturevalue("engines_folder")
    try:
        return shared(folder / name, server)
    except MissingTool as missing:
        pytest.skip(str(missing))

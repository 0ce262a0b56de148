"""G8: a server that hangs or dies: commands are `Unavailable` in bounded time, and go on by themselves afterwards."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias
from unittest.mock import patch

import pytest

from eventgraph.running.logs import log_to_stderr
from eventkernel.adapters.kafka.event_store import PATIENCE_SECONDS
from eventkernel.errors import Unavailable
from eventkernel.testing.event_store_contract import put
from eventkernel.writing.store import Commit
from infra.local import KafkaAddress, MissingTool, MongodbAddress, Server, kafka, mongodb
from tests.support.kafka_store import KafkaLogOnServers, effects, patiently

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240)]

AnyServer: TypeAlias = Server[KafkaAddress] | Server[MongodbAddress]
Trouble: TypeAlias = Callable[[AnyServer], AbstractContextManager[None]]
BOUND = PATIENCE_SECONDS + 5


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Server[KafkaAddress], Server[MongodbAddress]]]:
    """A broker and a MongoDB-wire server that may be paused and killed."""
    folder = tmp_path_factory.mktemp("own")
    try:
        broker, database = kafka(folder / "kafka"), mongodb(folder / "mongodb")
    except MissingTool as missing:
        pytest.skip(str(missing))
    with broker, database:
        yield broker, database


@pytest.fixture
async def servers(
    own: tuple[Server[KafkaAddress], Server[MongodbAddress]], engine_name: str
) -> AsyncGenerator[KafkaLogOnServers]:
    broker, database = own
    log = KafkaLogOnServers(broker.address.bootstrap, database.address.url, engine_name, patience=2.0)
    yield log
    await log.aclose()


@contextmanager
def hanging(server: AnyServer) -> Generator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def dead(server: AnyServer) -> Generator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@pytest.mark.parametrize("trouble", [hanging, dead])
@pytest.mark.parametrize("which", [0, 1], ids=["kafka", "mongodb"])
async def test_a_lost_server_is_told_in_bounded_time_and_work_goes_on_by_itself(
    own: tuple[Server[KafkaAddress], Server[MongodbAddress]], servers: KafkaLogOnServers, which: int, trouble: Trouble
) -> None:
    store = await servers.open()
    await put(store, "door-0", "before", command="before", claims={"key:0"})
    loop = asyncio.get_running_loop()
    with trouble(own[which]):
        started = loop.time()
        sent = [put(store, f"door-{number}", "a", command=f"c{number}") for number in range(1, 9)]
        outcomes = await asyncio.gather(*sent, store.find_claim("key:0"), return_exceptions=True)
        assert loop.time() - started < BOUND
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes[:8])
        if which:  # it is asked of the ledger
            assert isinstance(outcomes[8], Unavailable)
    commits = await asyncio.gather(
        *(patiently(put, store, f"door-{number}", "a", command=f"c{number}") for number in range(1, 9))
    )
    assert [commit.version for commit in commits] == [1] * 8
    found = {effect.command: effect for effect in await patiently(effects, store.reader)}
    assert found.keys() == {"before", *(f"c{number}" for number in range(1, 9))}


async def test_a_broker_that_is_away_is_told_once_for_each_thing_that_fails_however_often_it_is_tried(
    own: tuple[Server[KafkaAddress], Server[MongodbAddress]],
    servers: KafkaLogOnServers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client's library tells of each attempt at a connection: that is set in the logging of whoever runs this."""
    store = await servers.open()
    await put(store, "door-0", "a", command="before")
    library = logging.getLogger("aiokafka")
    level = library.level
    with patch("logging.basicConfig"), patch("structlog.configure"):
        log_to_stderr("info")
    try:
        with caplog.at_level(logging.INFO), dead(own[0]):
            for number in range(12):
                with pytest.raises(Unavailable):
                    await put(store, "door-0", "b", after=1, command=f"c{number}")
        told = Counter(f"{record.name}: {record.getMessage()}" for record in caplog.records)
        assert [line for line in told if line.startswith("aiokafka")] == []
        failing = Counter(line.partition(" failed and is being tried again")[0] for line in told.elements())
        assert max(failing.values(), default=0) <= 1, told
    finally:
        library.setLevel(level)
    await patiently(put, store, "door-0", "b", after=1, command="c0")


async def test_what_was_sent_while_a_server_hung_is_in_effect_once(
    own: tuple[Server[KafkaAddress], Server[MongodbAddress]], servers: KafkaLogOnServers
) -> None:
    """G1, G4: commands are under way when both servers hang, one after the other, and are sent again until answered."""
    store, other = await servers.another(), await servers.another()

    async def client(number: int) -> list[Commit]:
        made: list[Commit] = []
        for version in range(6):
            replica = (store, other)[(number + version) % 2]
            made.append(
                await patiently(put, replica, f"door-{number}", "a", after=version, command=f"{number} {version}")
            )
        return made

    clients = [asyncio.create_task(client(number)) for number in range(12)]
    for server in own:
        await asyncio.sleep(0.3)
        with hanging(server):
            await asyncio.sleep(4)
    commits = [commit for made in await asyncio.gather(*clients) for commit in made]
    found = {effect.command: effect for effect in await patiently(effects, store.reader)}
    assert len(found) == len(commits) == 72
    assert all(found[commit.command_id].first == commit.version for commit in commits)

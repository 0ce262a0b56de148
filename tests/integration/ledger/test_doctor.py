"""What `kith doctor --distributed` says of a ledger while commands go on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr

from eventgraph.operating.engines_doctor import EnginesExamination
from eventgraph.operating.findings import Finding
from eventgraph.running.engines import Engines, Work
from eventgraph.running.settings import EngineSettings
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.events import Partition
from eventkernel.testing.event_store_contract import put
from kithgraph.system import SOCIAL_NETWORK
from tests.integration.ledger.test_gaps import intrude, waits
from tests.support.kafka_log import delete_topic
from tests.support.kafka_store import KEY, ONE_BROKER, KafkaLogOnServers, until

pytestmark = pytest.mark.engines


async def test_commands_while_it_looks_are_no_loss_and_a_stream_that_waits_is_named(
    servers: KafkaLogOnServers,
) -> None:
    settings = EngineSettings(
        name=servers.name,
        kafka_bootstrap=servers.connection.bootstrap_servers,
        mongodb_url=SecretStr(servers.mongo_url),
    )
    database = servers.mongo.database(f"{servers.name}_users")
    topic = f"{servers.name}.users"
    async with await KafkaEventStore.open(
        servers.connection, database, name="users", key=KEY, clock=servers.clock, topic=topic, settings=ONE_BROKER
    ) as store:

        async def examined(ends: dict[Partition, int]) -> Sequence[Finding]:
            engines = Engines(SOCIAL_NETWORK, settings, Work.LOOKING, servers.clock, AsyncExitStack())
            examination = EnginesExamination(SOCIAL_NETWORK, settings, engines)
            examination._ends |= ends
            examination._logs["users"] = store.reader
            await examination.of_ledger("users")
            return examination.found

        before = dict(await store.head())
        await put(store, "door-1", "a")

        async def swept() -> bool:
            documents = store._documents
            assert documents is not None
            position = (await documents.checkpoint()).position
            return position.covers(await store.head())

        await until(swept)
        assert await examined(before) == []
        await intrude(store, "door-1", 9)
        await waits(store, "door-1")
        (found,) = await examined(before)
        assert "door-1 waits behind a gap" in found.what
        assert found.do.startswith("kith parked resume door-1 --log users")
    await delete_topic(servers.connection, topic)
    await database.client.drop_database(database.name)

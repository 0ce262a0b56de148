"""What operators' commands say of a distributed system that is not there, not made yet, or in part away."""

from __future__ import annotations

import json

import pytest

from eventkernel.adapters.mongodb.connection import MongoConnection, MongoSettings
from tests.e2e.test_social_network import CREATE, create
from tests.support.distributed import Engines, distributed_kith
from tests.support.kith import run_kith

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.engines]

USER = "query ($id: ID!) { user(id: $id) { firstName } }"
NOWHERE = "127.0.0.1:1"


async def test_where_nothing_was_made_commands_say_so_and_make_nothing(engines: Engines) -> None:
    for command in ("rebuild", "parked list"):  # had the first made the topics, the second would find them
        finished = await run_kith(*command.split(), "--distributed", environment=engines.environment)
        assert finished.code == 1
        assert finished.errors.count("\n") == 1
        assert f"topic {engines.name}.users: it does not exist yet" in finished.errors


async def test_a_rebuild_needs_no_running_process_and_a_broker_that_is_away_is_no_log_that_was_cut(
    engines: Engines,
) -> None:
    async with distributed_kith(engines):
        pass
    rebuilt = await run_kith("rebuild", "--json", "--distributed", environment=engines.environment)
    assert rebuilt.code == 0, rebuilt.errors
    away = {**engines.environment, "KITH_KAFKA_BOOTSTRAP": NOWHERE}
    finished = await run_kith("doctor", "--json", "--distributed", environment=away)
    assert finished.code == 1
    assert finished.errors == ""
    found = json.loads(finished.output)
    assert all("KafkaConnectionError" in one["what"] for one in found), found


async def test_a_database_that_is_dropped_under_a_running_subgraph_comes_back_by_itself(engines: Engines) -> None:
    """Seen to fail where a projector only ever asks which build is live: none is, and nobody fills one."""
    async with distributed_kith(engines) as system, MongoConnection(MongoSettings(engines.mongodb.url)) as connection:
        user, _ = await create(system)
        await connection.database("admin").client.drop_database(f"{engines.name}_users")
        bookmark = ""
        while not bookmark:  # while ledger and view are being filled, commands are unavailable; each waits for itself
            created = await system.ask(CREATE, {"input": {"firstName": "Late", "lastName": "Comer"}})
            assert created.codes in ([], ["UNAVAILABLE"])
            bookmark = "" if created.codes else created.bookmark
        assert (await system.ask(USER, {"id": user}, bookmark=bookmark)).data["user"] == {"firstName": "Ada"}

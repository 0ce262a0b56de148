"""Several processes of everything, on real Kafka, MongoDB and Neo4j: they share the work, die, come, and hang."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from eventgraph.running.claims_keys import drawn
from eventgraph.running.engines import kafka_connection, topic_settings
from eventgraph.running.settings import EngineSettings
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.mongodb.connection import MongoConnection, MongoSettings
from eventkernel.clock import SystemClock
from eventkernel.events import EncodedEvent, Record
from infra.local import kafka, mongodb, neo4j
from infra.patience import seconds
from kithgraph.system import SOCIAL_NETWORK
from tests.e2e.test_social_network import ADD, CREATE, DELETE, RECOMMENDATIONS, UPDATE, befriend, create, network
from tests.support.distributed import SUBGRAPHS, Engines, distributed_kith, part, router
from tests.support.kith import Json, RunningKith, run_kith

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.engines]

USER = "query ($id: ID!) { user(id: $id) { firstName version } }"
FRIENDS = "query ($id: ID!) { user(id: $id) { friends(first: 10) { edges { node { id } } } } }"


@asynccontextmanager
async def replicas(
    engines: Engines, count: int
) -> AsyncGenerator[tuple[Sequence[RunningKith], Sequence[dict[str, RunningKith]]]]:
    """So many routers, each over a replica of its own of every subgraph; and those replicas."""
    async with AsyncExitStack() as stack:

        async def one() -> tuple[RunningKith, dict[str, RunningKith]]:
            started = await asyncio.gather(
                *(stack.enter_async_context(part(engines, "serve", name)) for name in SUBGRAPHS)
            )
            parts = dict(zip(SUBGRAPHS, started, strict=True))
            return await stack.enter_async_context(router(parts)), parts

        systems = [await one() for _ in range(count)]
        yield [system for system, _ in systems], [parts for _, parts in systems]


async def kith(engines: Engines, *arguments: str, code: int = 0) -> str:
    """What an operator's command prints, beside the processes that run."""
    finished = await run_kith(*arguments, "--distributed", environment=engines.environment)
    assert finished.code == code, finished.errors + finished.output
    return finished.output


async def test_a_bookmark_holds_in_every_replica_while_partitions_move(engines: Engines) -> None:
    """Seen to fail with the wait for the bookmark left out of the gate: the other replica does not know the user."""
    async with replicas(engines, 2) as (routers, _):

        async def write_here_read_there(turn: int) -> None:
            here, there = routers[turn % 2], routers[(turn + 1) % 2]
            user, bookmark = await create(here, f"Person{turn}")
            found = await there.ask(USER, {"id": user}, bookmark=bookmark)
            assert found.data["user"] == {"firstName": f"Person{turn}", "version": 1}
            friend, _ = await create(there, f"Friend{turn}")
            bookmark = await befriend(there, user, friend, bookmark)
            friends = await here.ask(FRIENDS, {"id": user}, bookmark=bookmark)
            assert friends.data["user"]["friends"] == {"edges": [{"node": {"id": friend}}]}
            again = await here.ask(ADD, {"input": {"userId": user, "friendId": friend}}, bookmark=bookmark)
            assert again.codes == ["ALREADY_EXISTS"]

        async def come_and_go() -> None:
            for name in SUBGRAPHS:
                async with part(engines, "project", name) as member:
                    assert await member.stop() == 0

        moving = asyncio.create_task(come_and_go())
        turns = 0
        while not moving.done() or turns < 20:
            await asyncio.gather(*(write_here_read_there(turns + at) for at in range(4)))
            turns += 4
        await moving


async def test_a_replica_that_is_killed_is_not_missed(engines: Engines) -> None:
    async with replicas(engines, 2) as (routers, parts):
        options = ["--people", "30", "--friends-per-person", "4", "--requests", "90", "--concurrency", "6"]
        endpoint = f"{routers[0].origin}/graphql"
        loading = asyncio.create_task(run_kith("load", *options, "--endpoint", endpoint, "--json", seconds=110))
        await create(routers[1])
        await asyncio.gather(*(parts[1][name].kill() for name in SUBGRAPHS))
        finished = await loading
        assert finished.code == 0, finished.output + finished.errors
        assert json.loads(finished.output)["firstDifferences"] == []
        down = await routers[1].ask(CREATE, {"input": {"firstName": "Nobody", "lastName": "There"}})
        assert down.codes == ["SUBREQUEST_FAILED"]


async def test_views_can_be_kept_apart_from_those_who_answer(engines: Engines) -> None:
    async with AsyncExitStack() as keepers, distributed_apart(engines, keepers) as (system, keeping):
        ids, bookmark = await network(system, 4, [(1, 2), (2, 3), (1, 4)])
        answer = await system.ask(RECOMMENDATIONS, {"id": ids[0]}, bookmark=bookmark)
        assert [one["user"]["id"] for one in answer.data["recommendations"]] == [ids[2]]

        await keeping["users"].kill()
        late, bookmark = await create(system, "Late")
        asked = {"bookmark-timeout": "0.5"}
        assert (await system.ask(USER, {"id": late}, bookmark=bookmark, headers=asked)).codes == ["OUT_OF_DATE"]
        await keepers.enter_async_context(part(engines, "project", "users"))
        assert (await system.ask(USER, {"id": late}, bookmark=bookmark, headers={"bookmark-timeout": "30"})).data


@asynccontextmanager
async def distributed_apart(
    engines: Engines, keepers: AsyncExitStack
) -> AsyncGenerator[tuple[RunningKith, dict[str, RunningKith]]]:
    """A system whose subgraphs only answer, and the processes that keep their views."""
    async with AsyncExitStack() as stack:
        serving = [
            asyncio.create_task(stack.enter_async_context(part(engines, "serve", name, "--no-project")))
            for name in SUBGRAPHS
        ]
        parts: dict[str, RunningKith] = dict(zip(SUBGRAPHS, await asyncio.gather(*serving), strict=True))
        keeping: dict[str, RunningKith] = {
            name: await keepers.enter_async_context(part(engines, "project", name)) for name in SUBGRAPHS
        }
        yield await stack.enter_async_context(router(parts)), keeping


async def test_the_operators_commands(engines: Engines, tmp_path: Path) -> None:
    async with distributed_kith(engines) as system:
        ids, bookmark = await network(system, 3, [(1, 2), (2, 3)])
        deleted = await system.ask(DELETE, {"input": {"id": ids[2]}}, bookmark=bookmark)
        bookmark = deleted.bookmark
        before = await system.ask(FRIENDS, {"id": ids[1]}, bookmark=bookmark)

        events = [json.loads(line) for line in (await kith(engines, "events", "--log", "users")).splitlines()]
        assert sorted(event["type"] for event in events) == ["users.UserCreated"] * 3 + ["users.UserDeleted"]
        rebuilt = json.loads(await kith(engines, "rebuild", "--json"))
        assert [one["view"] for one in rebuilt] == list(SUBGRAPHS)
        assert (await system.ask(FRIENDS, {"id": ids[1]}, bookmark=bookmark)).data == before.data
        assert all(one["differing"] == 0 for one in json.loads(await kith(engines, "what-if", "--json")))
        assert await kith(engines, "parked", "list") == "Nothing waits.\n"
        assert await kith(engines, "doctor") == "Nothing is wrong.\n"

        copy, keys = tmp_path / "copy.jsonl", tmp_path / "copy.keys"
        await kith(engines, "export", str(copy), "--keys", str(keys))
    imported = await run_kith("import", str(copy), "--keys", str(keys), "--data", str(tmp_path / "data"))
    assert imported.code == 0, imported.errors
    await the_same_after_migrating(engines, tmp_path / "data", ids, before.data)


async def the_same_after_migrating(engines: Engines, data: Path, ids: Sequence[str], friends: Json) -> None:
    moved = Engines(engines.kafka, engines.mongodb, engines.neo4j, f"{engines.name}_moved", keys="")
    environment = {**moved.environment, "KITH_CLAIMS_KEYS_FILE": str(data.with_name("moved.keys"))}
    del environment["KITH_CLAIMS_KEYS"]
    migrated = await run_kith("migrate", "--data", str(data), environment=environment)
    assert migrated.code == 0, migrated.errors
    assert migrated.output.startswith("users: 4 records\n")
    again = await run_kith("migrate", "--data", str(data), environment=environment)
    assert again.code == 1
    assert "expected an empty topic" in again.errors
    kept = Engines(moved.kafka, moved.mongodb, moved.neo4j, moved.name, keys=data.with_name("moved.keys").read_text())
    async with distributed_kith(kept) as system:
        assert (await system.ask(FRIENDS, {"id": ids[1]})).data == friends
        assert (await system.ask(USER, {"id": ids[2]})).data == {"user": None}


async def test_a_poison_record_parks_its_stream_only(engines: Engines) -> None:
    """Seen to fail with parking left out of the fold: everybody's reads end in OUT_OF_DATE."""
    async with distributed_kith(engines) as system:
        user, _ = await create(system, "Ada")
        stream = f"user-{user}"
        settings = EngineSettings(
            name=engines.name,
            kafka_bootstrap=engines.kafka.bootstrap,
            kafka_partitions=3,
            kafka_replicas=1,
            kafka_in_sync_replicas=1,
        )
        async with (
            MongoConnection(MongoSettings(engines.mongodb.url)) as mongo,
            await KafkaEventStore.open(
                kafka_connection(settings),
                mongo.database(f"{engines.name}_users"),
                name="users",
                key=engines.claims_keys["users"],
                clock=SystemClock(),
                topic=f"{engines.name}.users",
                settings=topic_settings(settings),
            ) as store,
        ):
            poison = [EncodedEvent("users.Unheard", 1, b"{}")]
            await store.append(stream, poison, expected_version=1, command_id="poison", fingerprint="poison")
        other, bookmark = await create(system, "Grace")
        assert (await system.ask(USER, {"id": other}, bookmark=bookmark)).data["user"]["firstName"] == "Grace"
        assert (await befriend(system, user, other, bookmark)) != ""
        listed = json.loads(await kith(engines, "parked", "list", "--view", "users", "--json"))
        assert [(one["stream"], one["version"]) for one in listed] == [(stream, 2)]
        assert "is parked" in await kith(engines, "doctor", code=1)
        skip = ["parked", "skip", stream, "--view", "users", "--reason", "written by a test"]
        assert await kith(engines, *skip, "--json") == "[]\n"
        assert await kith(engines, "doctor") == "Nothing is wrong.\n"


async def test_a_stream_behind_a_gap_is_refused_and_named_until_it_is_told_to_go_on(engines: Engines) -> None:
    async with distributed_kith(engines) as system:
        user, _ = await create(system, "Ada")
        stream, renaming = f"user-{user}", {"input": {"id": user, "firstName": "Admiral"}}
        settings = EngineSettings(name=engines.name, kafka_bootstrap=engines.kafka.bootstrap)
        connection, topic = kafka_connection(settings), f"{engines.name}.users"
        async with (
            await KafkaLog.open(connection, topic) as log,
            Publisher(connection, topic, partitions=3) as publisher,
        ):
            foreign = Record(
                id=f"{stream}@3",
                type="users.UserRenamed",
                time_us=1,
                log=log.log,
                partition=0,
                offset=0,
                stream=stream,
                version=3,
                data=b"{}",
                command_id="foreign",
                generation=1,
                first_version=3,
                commit_size=1,
                fingerprint="f",
            )
            await publisher.publish(log.partition_of(stream), [foreign])
        while True:  # the sweeper meets it in a moment
            examined = await run_kith("doctor", "--distributed", environment=engines.environment, seconds=seconds(60))
            if "waits behind a gap" in examined.output:
                break
        assert (await system.ask(UPDATE, renaming)).codes == ["UNAVAILABLE"]
        other, bookmark = await create(system, "Grace")
        assert (await system.ask(USER, {"id": other}, bookmark=bookmark)).data["user"]["firstName"] == "Grace"
        resume = ["parked", "resume", stream, "--log", "users", "--reason", "written by a test"]
        assert await kith(engines, *resume) == f"The stream {stream} goes on.\n"
        renamed = await system.ask(UPDATE, renaming)
        assert renamed.codes == []
        bookmark = renamed.data["updateUser"]["bookmark"]
        async with asyncio.timeout(seconds(60)):  # the view looks at what waits once a second
            while True:
                shown = await system.ask(USER, {"id": user}, bookmark=bookmark)
                if shown.codes != ["OUT_OF_DATE"]:
                    break
        assert shown.data["user"]["firstName"] == "Admiral"
        assert await kith(engines, "doctor") == "Nothing is wrong.\n"


async def test_a_database_that_hangs_is_unavailable_in_bounded_time_and_work_goes_on_by_itself(
    engines: Engines, tmp_path: Path
) -> None:
    with mongodb(tmp_path / "mongodb") as own:
        hanging = Engines(engines.kafka, own.address, engines.neo4j, f"{engines.name}_hanging")
        async with distributed_kith(hanging) as system:
            user, bookmark = await create(system)
            for process in own.processes:
                process.pause()
            try:
                async with asyncio.timeout(seconds(45)):
                    refused = await system.ask(CREATE, {"input": {"firstName": "Grace", "lastName": "Hopper"}})
                assert refused.codes[0] in {"UNAVAILABLE", "SUBREQUEST_TIMEOUT"}
            finally:
                for process in own.processes:
                    process.resume()
            async with asyncio.timeout(seconds(45)):
                while (await system.ask(USER, {"id": user}, bookmark=bookmark)).codes:
                    pass  # each takes as long as its own deadlines let it
                while (await system.ask(CREATE, {"input": {"firstName": "Grace", "lastName": "Hopper"}})).codes:
                    pass


async def test_a_service_refuses_a_topic_of_another_size(engines: Engines) -> None:
    async with part(engines, "serve", "users"):
        more = {**engines.environment, "KITH_KAFKA_PARTITIONS": "4"}
        refused = await run_kith("serve", "users", "--port", "0", environment=more)
        assert refused.code == 1
        assert f"{engines.name}.users: partitions: expected 4, found 3" in refused.errors
        assert refused.errors.count("\n") == 1
        other = {**engines.environment, "KITH_CLAIMS_KEYS": drawn(SOCIAL_NETWORK)}
        refused = await run_kith("serve", "users", "--port", "0", environment=other)
        assert refused.code == 1
        assert "claims key" in refused.errors


async def test_every_engine_with_tls_and_passwords(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("kafka", "mongodb", "neo4j")]
    with (
        kafka(folders[0], secure=True, short_lived=True) as log,
        mongodb(folders[1], secure=True) as documents,
        neo4j(folders[2], secure=True, short_lived=True) as graph,
    ):
        engines = Engines(log.address, documents.address, graph.address, "secured")
        login, authority = log.address.login, graph.address.authority
        assert login is not None
        assert log.address.secured_bootstrap is not None
        assert authority is not None
        secured = {
            "KITH_KAFKA_BOOTSTRAP": log.address.secured_bootstrap,
            "KITH_KAFKA_SECURITY": "SASL_SSL",
            "KITH_KAFKA_USER": login.user,
            "KITH_KAFKA_PASSWORD": login.password,
            "KITH_KAFKA_CA": str(login.authority),
            "KITH_NEO4J_CA": str(authority),
        }
        async with distributed_kith(dataclasses.replace(engines, more=secured)) as system:
            ids, bookmark = await network(system, 3, [(1, 2), (2, 3)])
            answer = await system.ask(RECOMMENDATIONS, {"id": ids[0]}, bookmark=bookmark)
            assert [one["user"]["id"] for one in answer.data["recommendations"]] == [ids[2]]
        wrong = {**engines.environment, **secured, "KITH_KAFKA_PASSWORD": "not this one"}
        told = await run_kith("doctor", "--distributed", environment=wrong, seconds=120)
        assert told.code == 1
        assert "not this one" not in told.output + told.errors


async def test_the_router_tells_a_mutations_story_with_what_each_subgraphs_process_knows(engines: Engines) -> None:
    async with distributed_kith(engines) as system:
        answer = await system.ask(
            CREATE, {"input": {"firstName": "Ada", "lastName": "Lovelace", "idempotencyKey": "k"}}
        )
        correlation = answer.body["extensions"]["correlation"]
        views = set(SUBGRAPHS)

        async def story(**asked: str) -> Json:
            response = await system.client.get(f"{system.origin}/console/api/story", params=asked)
            assert response.status_code == 200, response.text
            return response.json()

        def shown(found: Json) -> dict[str, Json]:
            events = [event for commit in found.get("commits", []) for event in commit["events"]]
            return {one["reader"]: one for event in events for one in event.get("outcomes", []) if "atUs" in one}

        async with asyncio.timeout(seconds(60)):
            while views - shown(found := await story(correlation=correlation)).keys():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert [one["kind"] for one in found["requests"]] == ["mutation"]
        assert found["requests"][0]["parts"][0]["seen"] == 1
        assert all(shown(found)[view]["exact"] for view in views)
        assert (await story(key="k"))["commits"] == found["commits"]
        page = await system.client.get(f"{system.origin}/console/stories", headers={"accept": "text/html"})
        assert (page.status_code, "stories.js" in page.text) == (200, True)
        assert 'data-page="console/stories"' in (await system.client.get(f"{system.origin}/")).text

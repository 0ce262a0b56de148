"""Routers that take one another's place while they serve."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from graphrouter import GraphQLAnswer, GraphQLRequest, GraphRouter, RouterOptions
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.request import AnswerPart, StreamInterrupted, StreamItem
from graphrouter.server import reloading
from graphrouter.server.reloading import NotUsable, ReloadingApp, Source
from graphrouter.subgraph_health import SubgraphHealth
from graphrouter.subgraph_sdl import SubgraphUnavailable
from graphrouter.transport.inprocess import Lifespan
from infra.patience import seconds
from tests.support.tiny_subgraph import TinySubgraph
from tests.support.websockets import connected


class Router:
    """Answers with its name, when it is let; notes what happens to it."""

    def __init__(self, name: str, schema: str = "") -> None:
        self.name = name
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.entered = asyncio.Event()
        self.closed = asyncio.Event()
        self.started = False
        self.mutations_end = asyncio.Event()
        self.mutations_end.set()
        self.composed_from: Mapping[str, str] = {"a": schema} if schema else {}
        self.schema = schema
        self.prepared: list[tuple[str, str | None]] = []

    async def start(self) -> None:
        self.started = True

    async def aclose(self) -> None:
        self.closed.set()

    async def settled(self) -> None:
        await self.mutations_end.wait()

    async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
        self.entered.set()
        await self.go_on.wait()
        assert not self.closed.is_set()
        return GraphQLAnswer({"name": self.name}, [], {})

    async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
        yield await self.answer(request)
        await self.closed.wait()
        raise StreamInterrupted

    async def health(self) -> Mapping[str, SubgraphHealth]:
        return {}

    async def schemas(self) -> Mapping[str, str]:
        return {"a": self.schema}

    def most_used(self, count: int) -> list[tuple[str, str | None]]:
        return [(f"{{ {self.name} }}", None)] * min(count, 2)

    async def prepare(self, operations: Iterable[tuple[str, str | None]]) -> int:
        self.prepared += operations
        return 1

    def statistics(self) -> Mapping[str, object]:
        return {"name": self.name}


def put(file: Path, text: str) -> None:
    """Writes it in one step, as editors and ConfigMaps do."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


class World:
    """The next source to be read, and a client."""

    def __init__(self, first: Source) -> None:
        self.next: Callable[[], Source] = lambda: first
        self.app = ReloadingApp(first, self.read, look_seconds=0.005)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://localhost")

    def read(self) -> Source:
        return self.next()

    async def ask(self) -> str:
        response = await self.client.post("/graphql", json={"query": "{ name }"})
        body = response.json()
        return str(body["data"]["name"] if "data" in body else body["errors"][0]["message"])

    async def told(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get("/health/ready")).json()
        return found

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(seconds(10)):
            while True:
                told = await self.told()
                if condition(told):
                    return told
                await asyncio.sleep(0.001)

    async def reload(self, following: Callable[[], Source]) -> None:
        self.next = following
        self.app.reload()

    async def generation(self, number: int) -> None:
        await self.until(lambda told: told["configuration"]["generation"] >= number)


def source_of(*routers: Router, **more: Any) -> Source:
    """Gives these routers one after the other."""
    left = list(routers)

    async def make() -> Router:
        return left.pop(0)

    return Source(RouterOptions(), make, **more)


@asynccontextmanager
async def serving(first: Source) -> AsyncGenerator[World]:
    world = World(first)
    lifespan = Lifespan(world.app)
    async with asyncio.timeout(seconds(20)):
        await lifespan.start()
        try:
            yield world
        finally:
            await lifespan.stop()
            await world.client.aclose()


async def test_what_runs_goes_on_and_what_comes_goes_to_the_new_one() -> None:
    one, two = Router("one"), Router("two")
    one.go_on.clear()
    async with serving(source_of(one)) as world:
        running = asyncio.create_task(world.ask())
        await one.entered.wait()
        await world.reload(lambda: source_of(two))
        await world.generation(2)
        assert await world.ask() == "two"
        assert (one.closed.is_set(), world.app.statistics()) == (False, {"name": "two"})
        one.go_on.set()
        assert await running == "one"
        await one.closed.wait()
        assert not two.closed.is_set()
    assert two.closed.is_set()


async def test_subscriptions_end_with_the_former_router_without_being_complete() -> None:
    one, two = Router("one"), Router("two")
    async with serving(source_of(one)) as world:
        listening = asyncio.create_task(
            world.client.post("/graphql", json={"query": "{ name }"}, headers={"accept": "text/event-stream"})
        )
        await one.entered.wait()
        await world.reload(lambda: source_of(two))
        text = (await listening).text
        assert one.closed.is_set()
        assert '"one"' in text
        assert "event: complete" not in text


async def test_an_answer_in_parts_comes_to_its_end_at_the_former_router() -> None:
    arrived = asyncio.Event()

    class InParts(Router):
        async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
            yield AnswerPart(True, await self.answer(GraphQLRequest("{ name }")))
            await arrived.wait()
            assert not self.closed.is_set()
            yield AnswerPart(False)

    one = InParts("one")
    async with serving(source_of(one)) as world:
        asking = asyncio.create_task(
            world.client.post("/graphql", json={"query": "{ name }"}, headers={"accept": "text/event-stream"})
        )
        await one.entered.wait()
        await world.reload(lambda: source_of(Router("two")))
        await world.generation(2)
        assert await world.ask() == "two"
        arrived.set()
        assert (await asking).text.endswith('{"hasNext":false}\n\nevent: complete\ndata:\n\n')
        await one.closed.wait()


async def test_the_former_router_is_open_until_its_mutations_without_a_client_have_ended() -> None:
    one, two = Router("one"), Router("two")
    one.mutations_end.clear()
    async with serving(source_of(one)) as world:
        await world.reload(lambda: source_of(two))
        await world.generation(2)
        assert await world.ask() == "two"
        assert not one.closed.is_set()
        one.mutations_end.set()
        await one.closed.wait()


async def test_the_new_router_plans_what_the_former_was_asked_for_before_it_serves() -> None:
    one, two, three = Router("one"), Router("two"), Router("three")
    async with serving(source_of(one)) as world:
        await world.reload(lambda: source_of(two))
        await world.generation(2)
        await world.reload(lambda: source_of(three, prepared=0))
        await world.generation(3)
    assert (one.prepared, two.prepared, three.prepared) == ([], [("{ one }", None)] * 2, [])


async def test_a_router_whose_planning_takes_too_long_serves_all_the_same() -> None:
    class Slow(Router):
        async def prepare(self, operations: Iterable[tuple[str, str | None]]) -> int:
            await asyncio.Event().wait()
            return 0

    async with serving(source_of(Router("one"))) as world:
        await world.reload(lambda: source_of(Slow("two"), prepared_seconds=0.01))
        await world.generation(2)
        assert await world.ask() == "two"


async def test_what_is_refused_changes_nothing_and_is_told_until_something_good_comes() -> None:
    def unreadable() -> Source:
        raise NotUsable("router.yaml:1: nonsense\nrouter.yaml:2: more of it")

    async def unmakeable() -> Router:
        raise RuntimeError("x" * 1000)

    async with serving(source_of(Router("one"))) as world:
        assert "refused" not in (await world.told())["configuration"]
        await world.reload(unreadable)
        told = await world.until(lambda told: "refused" in told["configuration"])
        assert (told["status"], told["configuration"]["refused"]) == ("ready", "router.yaml:1: nonsense")
        assert (told["configuration"]["generation"], await world.ask()) == (1, "one")
        await world.reload(lambda: Source(RouterOptions(), unmakeable))
        told = await world.until(lambda told: "xxx" in told["configuration"].get("refused", ""))
        assert len(told["configuration"]["refused"]) <= 200
        await world.reload(lambda: source_of(Router("two")))
        await world.generation(2)
        assert ("refused" in (await world.told())["configuration"], await world.ask()) == (False, "two")


async def test_a_router_that_does_not_start_is_closed_and_refused() -> None:
    class Broken(Router):
        async def start(self) -> None:
            raise NotUsable("it does not start")

    broken = Broken("two")
    async with serving(source_of(Router("one"))) as world:
        await world.reload(lambda: source_of(broken))
        await world.until(lambda told: told["configuration"].get("refused") == "it does not start")
        assert (broken.closed.is_set(), await world.ask()) == (True, "one")


async def test_options_of_the_app_change_with_the_router() -> None:
    options = RouterOptions(playground=False, hosts=("a.example",), cors_origins=("https://a.example",))
    async with serving(source_of(Router("one"))) as world:
        before = await world.client.get("/", headers={"accept": "text/html"})
        await world.reload(lambda: replace(source_of(Router("two")), options=options))
        await world.generation(2)
        after = await world.client.get("/", headers={"accept": "text/html"})
        foreign = await world.client.get("/health/live", headers={"host": "b.example"})
        own = await world.client.get("/health/live", headers={"host": "a.example", "origin": "https://a.example"})
    assert (before.status_code, after.status_code, foreign.status_code, own.status_code) == (200, 404, 421, 200)
    assert own.headers["access-control-allow-origin"] == "https://a.example"


async def test_a_changed_file_is_a_reload_and_an_unchanged_one_is_none(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("1")
    reads: list[str] = []

    def read() -> Source:
        reads.append(file.read_text())
        return source_of(Router(file.read_text()), files=frozenset({file, other}))

    async with serving(source_of(Router("1"), files=frozenset({file}))) as world:
        world.next = read
        put(file, "2")
        await world.generation(2)
        put(other, "a file that was not there")
        await world.generation(3)
        other.unlink()
        await world.generation(4)
        world.app.reload()
        await world.generation(5)
    assert reads == ["2"] * 4


async def test_what_was_refused_is_tried_again_when_a_file_that_it_named_is_there(tmp_path: Path) -> None:
    absent = tmp_path / "absent"

    def read() -> Source:
        if not absent.exists():
            raise NotUsable("cannot read absent", frozenset({absent}))
        return source_of(Router("two"))

    async with serving(source_of(Router("one"))) as world:
        await world.reload(read)
        await world.until(lambda told: "refused" in told["configuration"])
        put(absent, "")
        await world.generation(2)


async def test_a_file_that_is_being_written_is_read_when_it_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_text("")
    looks = 0
    looks_before_reading: list[int] = []
    look = reloading._stamps_of

    def looked(files: Collection[Path]) -> Any:
        nonlocal looks
        if file.stat().st_size:
            looks += 1
            if looks == 2:
                file.write_text("half and the rest")
        return look(files)

    def read() -> Source:
        looks_before_reading.append(looks)
        return source_of(Router(file.read_text()), files=frozenset({file}))

    async with serving(source_of(Router("one"), files=frozenset({file}))) as world:
        monkeypatch.setattr(reloading, "_stamps_of", looked)
        world.next = read
        put(file, "half")
        await world.generation(2)
        assert await world.ask() == "half and the rest"
    assert looks_before_reading[0] > 4  # half, the rest, the rest twice, and once more as what is read


async def test_without_subgraphs_it_is_not_ready_until_they_are_there() -> None:
    there = asyncio.Event()

    async def make() -> Router:
        if not there.is_set():
            raise SubgraphUnavailable("subgraph a: nobody answers")
        return Router("one")

    source = Source(RouterOptions(), make)
    async with serving(source) as world:
        assert await world.ask() == "subgraph a: nobody answers"
        told = await world.told()
        assert (told["status"], told["reason"]) == ("not ready", "subgraph a: nobody answers")
        there.set()
        await world.until(lambda told: told["status"] == "ready")
        assert await world.ask() == "one"


async def test_a_changed_schema_of_a_subgraph_is_a_reload() -> None:
    one, two = Router("one", "v1"), Router("two", "v2")
    async with serving(source_of(one, poll_seconds=0.001)) as world:
        world.next = lambda: source_of(two, poll_seconds=1000)
        one.schema = "v2"
        await world.generation(2)
        assert await world.ask() == "two"


async def test_a_schema_that_was_refused_is_not_tried_again_until_it_changes() -> None:
    one, reads = Router("one", "v1"), 0
    asked = asyncio.Event()

    def read() -> Source:
        nonlocal reads
        reads += 1
        raise NotUsable(f"attempt {reads}")

    class Asked(Router):
        async def schemas(self) -> Mapping[str, str]:
            asked.set()
            return await super().schemas()

    one = Asked("one", "v1")
    async with serving(source_of(one, poll_seconds=0.001)) as world:
        world.next = read
        one.schema = "bad"
        await world.until(lambda told: told["configuration"].get("refused") == "attempt 1")
        for _ in range(3):
            asked.clear()
            await asked.wait()
        assert reads == 1
        one.schema = "worse"
        await world.until(lambda told: told["configuration"].get("refused") == "attempt 2")


async def test_sighup_is_a_reload() -> None:
    routers = [Router("one"), Router("two")]
    app = ReloadingApp(source_of(routers[0]), lambda: source_of(routers[1]), signals=True)
    lifespan = Lifespan(app)
    async with asyncio.timeout(seconds(20)):
        await lifespan.start()
        os.kill(os.getpid(), signal.SIGHUP)
        await routers[0].closed.wait()
        await lifespan.stop()
    assert routers[1].closed.is_set()


async def test_a_real_router_knows_what_it_was_asked_for_most_and_prepares_it() -> None:
    sdl = "type Query { a: Int b: Int }"
    supergraph = compose([SubgraphSdl("x", "http://x/", sdl)]).supergraph_sdl
    subgraph = TinySubgraph("type Query { a: Int b: Int } type T { id: ID }", {"a": 1, "b": 2}, {"T": lambda _: None})
    async with GraphRouter.from_supergraph(supergraph, {"x": subgraph}) as router:
        for query, times in (("{ a }", 2), ("{ b }", 3), ("{ c }", 9), ("query A { a } query B { b }", 1)):
            for _ in range(times):
                await router.execute(query, operation_name="B" if "B" in query else None)
        assert router.most_used(2) == [("{ b }", None), ("{ a }", None)]
        assert router.most_used(9)[2:] == [("query A { a } query B { b }", "B")]
        async with GraphRouter.from_supergraph(supergraph, {"x": subgraph}) as other:
            assert await other.prepare([*router.most_used(9), ("{ gone }", None)]) == 3
            misses = other.statistics()["plans"]
            await other.execute("{ b }")
            assert other.statistics()["plans"] == misses


async def test_a_websocket_of_a_router_that_is_replaced_is_closed_after_its_last_answer() -> None:
    """Its operation goes on after the answer, as a subscription does, and is ended."""
    one, two = Router("one"), Router("two")
    one.go_on.clear()
    async with serving(source_of(one)) as world:
        async with connected(world.app) as client:
            await client.opened()
            client.subscribe("1", "{ name }")
            await one.entered.wait()
            await world.reload(lambda: source_of(two))
            await world.generation(2)
            assert not one.closed.is_set()
            one.go_on.set()
            assert (await client.of("next"))["payload"]["data"] == {"name": "one"}
            assert await client.closed() == 1012
        await one.closed.wait()
        async with connected(world.app) as client:
            await client.opened()
            client.subscribe("1", "{ name }")
            assert (await client.of("next"))["payload"]["data"] == {"name": "two"}


async def test_metrics_tell_which_configuration_serves_and_that_a_later_one_was_refused() -> None:
    one, two = Router("one"), Router("two")

    def told(world: World) -> dict[str, float]:
        return {
            family.metric.name.removeprefix("graphql.router.configuration."): float(cast("float", family.values[()]))
            for family in world.app.families()
        }

    def refused() -> Source:
        raise ValueError("not a configuration")

    async with serving(source_of(one)) as world:
        await world.generation(1)
        assert told(world) == {"generation": 1, "refused": 0}
        await world.reload(refused)
        await world.until(lambda found: "refused" in found["configuration"])
        assert told(world) == {"generation": 1, "refused": 1}
        await world.reload(lambda: source_of(two))
        await world.generation(2)
        assert told(world) == {"generation": 2, "refused": 0}


async def test_metrics_tell_that_there_is_no_router_yet() -> None:
    app = ReloadingApp(source_of(Router("one")), lambda: source_of(Router("two")))
    assert [family.values for family in app.families()] == [{(): 0}, {(): 0}]

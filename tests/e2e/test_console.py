"""The console of a running system: what its pages ask, what they order, and what nobody else gets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from infra import patience
from tests.e2e.test_operating import create, with_a_parked_stream
from tests.support.distributed import Engines, distributed_kith, part
from tests.support.kith import Json, RunningKith, kith_up, running_kith
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

pytestmark = pytest.mark.asyncio(loop_scope="function")

PAGES = ("status", "console/events", "console/parked", "console/rebuild")


def origin_of(kith: RunningKith) -> str:
    """Where the console is: at the router's, or a process of its own."""
    found = re.search(r"(http://\S+)/(?:graphql|status)$", kith.banner, re.MULTILINE)
    assert found, kith.banner
    return found[1]


async def get(kith: RunningKith, what: str, **asked: str) -> Json:
    response = await kith.client.get(f"{origin_of(kith)}/console/api/{what}", params=asked)
    assert response.status_code == 200, response.text
    return response.json()


async def order(kith: RunningKith, what: str, **body: str) -> httpx.Response:
    return await kith.client.post(f"{origin_of(kith)}/console/api/{what}", json=body)


async def rebuilt(kith: RunningKith, view: str) -> Json:
    """How the rebuild of a view has ended."""
    async with asyncio.timeout(patience.seconds(60)):
        while True:
            (line,) = [one for one in (await get(kith, "rebuilds"))["views"] if one["view"] == view]
            if not line["running"]:
                return line
            await asyncio.sleep(0.02)  # the system needs the processor


APP = "http://app.example"


async def tell_other_sites_nothing(kith: RunningKith, stream: str) -> None:
    """Neither a page that may ask the API, nor one of another port, nor a form, nor a name that leads here."""
    skip = {"view": "users", "stream": stream, "reason": "evil"}
    url = f"{kith.origin}/console/api"
    for origin, site in ((APP, "cross-site"), ("http://127.0.0.1:1", "same-site"), ("null", "cross-site")):
        for sent in ({"origin": origin, "sec-fetch-site": site}, {"origin": origin}):
            answers = [
                await kith.client.post(f"{url}/skip", json=skip, headers=sent),
                await kith.client.get(f"{url}/events?data=1", headers=sent),
            ]
            assert [one.status_code for one in answers] == [403, 403]
    form = await kith.client.post(f"{url}/skip", content=json.dumps(skip), headers={"content-type": "text/plain"})
    rebound = await kith.client.post(f"{url}/skip", json=skip, headers={"host": "evil.example"})
    assert (form.status_code, rebound.status_code) == (415, 421)
    assert (await get(kith, "parked"))["all"] == 1


async def test_what_waits_is_shown_tried_again_skipped_and_rebuilt_by_the_consoles_own_pages(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stream = await with_a_parked_stream(data)
    async with kith_up(data, "--cors-origins", APP) as kith:
        await tell_other_sites_nothing(kith, stream)
        for page in PAGES:
            shown = await kith.client.get(f"{kith.origin}/{page}", headers={"accept": "text/html"})
            assert shown.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
            assert [shown.text.count(f'{other}"') >= 1 for other in PAGES] == [True] * 4
        assert '<a href="status">Console</a>' in (await kith.client.get(f"{kith.origin}/")).text
        home = await kith.client.get(f"{kith.origin}/console")
        assert (home.status_code, home.headers["location"]) == (307, "status")

        (parked,) = (await get(kith, "parked"))["streams"]
        assert (parked["view"], parked["stream"], parked["version"], parked["waiting"]) == ("users", stream, 2, 2)
        waiting = await get(kith, "waiting", view="users", stream=stream)
        assert [one["streamversion"] for one in waiting["events"]] == [2, 3]
        assert "secret" not in json.dumps(waiting)

        again = await order(kith, "retry", view="users", stream=stream)
        assert again.status_code == 200
        assert (await get(kith, "parked"))["all"] == 1
        unsaid = await order(kith, "skip", view="users", stream=stream, reason=" ")
        assert (unsaid.status_code, "reason" in unsaid.json()["error"]) == (400, True)
        for left in (1, 0):
            assert (await order(kith, "skip", view="users", stream=stream, reason="by hand")).status_code == 200
            assert (await get(kith, "parked"))["all"] == left
        nothing = await order(kith, "skip", view="users", stream=stream, reason="by hand")
        assert (nothing.status_code, stream in nothing.json()["error"]) == (404, True)
        assert (await order(kith, "retry", view="posts", stream=stream)).status_code == 404

        before = (data / "views" / "users" / "live").read_text().strip()
        assert (await order(kith, "rebuild", view="users")).status_code == 202
        line = await rebuilt(kith, "users")
        assert (data / "views" / "users" / "live").read_text().strip() == line["live"] == line["outcome"]["build"]
        assert line["live"] != before
        assert (await get(kith, "parked"))["all"] == 1, "a rebuild takes again what was skipped"
        assert (await order(kith, "cancel", view="users")).status_code == 404
        assert (await order(kith, "rebuild", view="friends-endings")).status_code == 400


async def test_events_are_browsed_filtered_counted_and_followed(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        people = [await create(kith, name) for name in ("Ada", "Bob", "Cleo")]
        found = await get(kith, "events")
        assert [one["type"] for one in found["events"]] == ["users.UserCreated"] * 3
        assert found["before"] is None
        assert "Ada" not in json.dumps(found)
        streams = [one["subject"] for one in found["events"]]
        of_one = await get(kith, "events", stream=streams[0], data="1")
        assert [json.loads(one["data"])["first_name"] for one in of_one["events"]] == ["Cleo"]
        assert (await get(kith, "events", log="friends"))["events"] == []
        assert (await get(kith, "events", until="2020-01-01"))["events"] == []
        assert len((await get(kith, "events", since="2020-01-01", type="users.UserCreated"))["events"]) == 3
        then = await get(kith, "events", before=people[1]["bookmark"])
        assert [one["subject"] for one in then["events"]] == streams[1:]
        for wrong in ({"since": "yesterday"}, {"before": "?"}, {"log": "posts"}):
            response = await kith.client.get(f"{kith.origin}/console/api/events", params=wrong)
            assert response.status_code in {400, 404}, response.text

        async with asyncio.timeout(patience.seconds(60)):
            while not any(sample[2] and sample[3] for sample in (await get(kith, "history"))["samples"]):
                await create(kith, "Eve")
        samples = (await get(kith, "history"))["samples"]
        assert [sample[0] for sample in samples] == sorted(sample[0] for sample in samples)

        head = (await get(kith, "events"))["head"]
        url = f"{kith.origin}/console/api/events/follow"
        async with kith.client.stream("GET", url, params={"after": head}) as following:
            lines = following.aiter_lines()
            await create(kith, "Dan")
            assert [one["type"] for one in await anext(told(lines))] == ["users.UserCreated"]
            assert await kith.stop() == 0, "a browser that follows holds up no stop"


async def told(lines: AsyncIterator[str]) -> AsyncIterator[Json]:
    async for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize(
    ("console", "options", "status"), [("off", (), 404), ("auto", ("--allow-hosts", "api.example.com"), 404)]
)
async def test_without_a_console_there_is_the_status_alone(
    tmp_path: Path, console: str, options: tuple[str, ...], status: int
) -> None:
    data, settings = str(tmp_path / "data"), {"KITH_CONSOLE": console}
    async with running_kith("up", "--port", "0", "--data", data, *options, environment=settings) as kith:
        for path in ("console", "console/events", "console/api/session", "console/api/skip"):
            assert (await kith.client.get(f"{kith.origin}/{path}")).status_code == status, path
        shown = await kith.client.get(f"{kith.origin}/status", headers={"accept": "text/html"})
        assert (shown.status_code, "console/events" in shown.text, "charts.js" in shown.text) == (200, False, False)
        assert (await kith.client.get(f"{kith.origin}/console/assets/console.css")).status_code == 200


async def test_a_console_that_only_shows_tells_no_data_and_asks_for_the_scope_of_whoever_looks(tmp_path: Path) -> None:
    key = SigningKey()
    keys = tmp_path / "keys.json"
    keys.write_text(key_set(key.public()))
    issuers = {"issuers": [{"name": ISSUER, "keys": str(keys), "audiences": [AUDIENCE]}]}
    settings = {"KITH_CONSOLE": "read-only", "KITH_AUTHENTICATION": json.dumps(issuers)}
    data = str(tmp_path / "data")
    async with running_kith("up", "--port", "0", "--data", data, environment=settings) as kith:
        ours = bearer(key.token(scope="console"))
        url = f"{kith.origin}/console/api"
        answers = [
            await kith.client.get(f"{url}/events"),
            await kith.client.get(f"{url}/events", headers=bearer(key.token(scope="users:write"))),
            await kith.client.get(f"{url}/events", headers=ours),
            await kith.client.get(f"{url}/events?data=1", headers=ours),
            await kith.client.get(f"{url}/events/follow?data=1", headers=ours),
            await kith.client.post(f"{url}/rebuild", json={"view": "users"}, headers=ours),
        ]
        assert [one.status_code for one in answers] == [401, 403, 200, 403, 403, 403]
        assert (await kith.client.get(f"{url}/session", headers=ours)).json()["acts"] is False


@pytest.mark.engines
async def test_on_the_engines_the_console_is_a_process_of_its_own(engines: Engines) -> None:
    async with distributed_kith(engines) as system, part(engines, "console", "--router-url", system.origin) as kith:
        shown = await kith.client.get(f"{origin_of(kith)}/status", headers={"accept": "text/html"})
        assert f'href="{system.origin}"' in shown.text
        bookmark = [await create(system, name) for name in ("Ada", "Bob", "Cleo")][-1]["bookmark"]
        found = await get(kith, "events", before=bookmark)
        assert {one["type"] for one in found["events"]} == {"users.UserCreated"}
        everybody = await get(kith, "events")
        assert len(everybody["events"]) == 3
        (ada,) = (await get(kith, "events", stream=everybody["events"][2]["subject"], data="1"))["events"]
        assert json.loads(ada["data"])["first_name"] == "Ada"
        url = f"{origin_of(kith)}/console/api/events/follow"
        async with kith.client.stream("GET", url, params={"after": everybody["head"]}) as following:
            await create(system, "Dan")
            assert [one["type"] for one in await anext(told(following.aiter_lines()))] == ["users.UserCreated"]
        skipped = await order(kith, "skip", view="users", stream=ada["subject"], reason="nothing waits")
        assert skipped.status_code == 404
        assert (await order(kith, "rebuild", view="users")).status_code == 202
        line = await rebuilt(kith, "users")
        assert line["outcome"]["build"] == line["live"]
        assert await kith.stop() == 0

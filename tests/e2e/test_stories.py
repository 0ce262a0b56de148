"""What happened to a mutation, told by the running system: by its API, and by the page that the playground leads to."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette

from eventgraph.console.access import Access
from eventgraph.console.mode import Mode
from eventgraph.console.site import stories_console
from eventgraph.running.servers import Servers, listen, origin_of
from graphrouter.server.playground import Playground
from graphrouter.server.servers import Endpoint
from infra import patience
from kithgraph.system import SOCIAL_NETWORK
from tests.e2e.test_operating import CREATE, create, with_a_parked_stream
from tests.e2e.test_playground import ARTIFACTS, clicked, opened
from tests.support.chromium import Page, chromium_page
from tests.support.kith import Json, RunningKith, kith_up, running_kith
from tests.support.stories import told_system

VIEWS = {"users", "friends", "recommendations"}


async def story(kith: RunningKith, **asked: str) -> Json:
    response = await kith.client.get(f"{kith.origin}/console/api/story", params=asked)
    assert response.status_code == 200, response.text
    return response.json()


def outcomes(found: Json) -> dict[str, Json]:
    """By view and process manager, of a story with one event."""
    ((event,),) = [commit["events"] for commit in found["commits"]]
    return {one["reader"]: one for one in event["outcomes"]}


async def told(kith: RunningKith, holds: Callable[[Json], bool], **asked: str) -> Json:
    """The story, as soon as it has come so far."""
    async with asyncio.timeout(patience.seconds(20)):
        while not holds(found := await story(kith, **asked)):  # noqa: ASYNC110  # a page looks again and again, too
            await asyncio.sleep(0.05)
    return found


def every_view_has_shown(found: Json) -> bool:
    return all("atUs" in outcomes(found)[view] for view in VIEWS)


async def test_a_mutation_is_told_by_its_correlation_and_its_key_also_after_a_crash(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with kith_up(data) as kith:
        answer = await kith.ask(CREATE, {"first": "Ada", "name": None, "key": "a-key"})
        correlation = answer.body["extensions"]["correlation"]
        found = await told(kith, every_view_has_shown, correlation=correlation)
        assert [(one["kind"], one["codes"]) for one in found["requests"]] == [("mutation", [])]
        assert all(outcomes(found)[view]["exact"] for view in VIEWS)
        assert "Ada" not in json.dumps(found)
        assert await story(kith, key="a-key") == found
        assert (await story(kith, key="a-key", actor="somebody")).get("commits", []) == []
        await kith.kill()
    async with kith_up(data) as kith:
        after = await told(kith, every_view_has_shown, correlation=correlation)
        assert after.get("requests", []) == []
        assert "Its request is not known" in after["notes"][0]
        assert {view: outcomes(after)[view]["state"] for view in VIEWS} == dict.fromkeys(VIEWS, "shown")
        assert not any(outcomes(after)[view].get("exact") for view in VIEWS)
        assert (await story(kith, key="a-key"))["commits"] == after["commits"]


async def test_a_view_that_waits_says_why_and_a_hostile_question_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stream = await with_a_parked_stream(data)
    log = sqlite3.connect(data / "logs" / "users.sqlite")
    with log:  # they come of nobody's command, so that they have no correlation
        log.execute("UPDATE records SET correlation = 'foreign' WHERE stream = ? AND version > 1", (stream,))
    log.close()
    async with kith_up(data) as kith:
        found = await told(kith, lambda found: len(states(found, "users")) == 2, correlation="foreign")
        assert states(found, "users") == ["parked", "parked"]
        assert "evolving by users.UserRenamed" in json.dumps(found) or "decoding users.UserRenamed" in json.dumps(found)
        for asked, said in HOSTILE:
            refused = await kith.client.get(f"{kith.origin}/console/api/story", params=asked)
            assert (refused.status_code, said in refused.json()["error"]) == (400, True), refused.text
        for name in ("' OR 1=1 --", "<script>alert(1)</script>", "%00", "../../etc/passwd"):
            assert (await story(kith, correlation=name)).get("commits", []) == []
        other = await kith.client.get(
            f"{kith.origin}/console/api/story?correlation=foreign", headers={"origin": "http://evil.example"}
        )
        assert other.status_code == 403


def states(found: Json, view: str) -> list[str]:
    """Of each event in this view."""
    events = [event for commit in found.get("commits", []) for event in commit["events"]]
    return [one["state"] for event in events for one in event.get("outcomes", []) if one["reader"] == view]


HOSTILE: tuple[tuple[dict[str, str], str], ...] = (
    ({}, "found both or neither"),
    ({"correlation": "a", "key": "b"}, "found both or neither"),
    ({"correlation": "x" * 600}, "expected 1 to 512 printable ASCII characters"),
    ({"correlation": "a\nb"}, "expected 1 to 512 printable ASCII characters"),
    ({"key": "a b"}, "expected visible ASCII characters"),
    ({"key": "x" * 200}, "expected 1 to 128 characters"),
    ({"key": "k", "actor": "x" * 300}, "expected at most 256 characters"),
)


async def test_without_a_console_there_are_no_stories_and_nothing_is_kept_for_them(tmp_path: Path) -> None:
    data, settings = str(tmp_path / "data"), {"KITH_CONSOLE": "off"}
    async with running_kith("up", "--port", "0", "--data", data, environment=settings) as kith:
        answer = await kith.ask(CREATE, {"first": "Ada", "name": None, "key": None})
        assert "correlation" not in answer.body["extensions"]
        for path in ("console/stories", "console/api/story?correlation=a"):
            assert (await kith.client.get(f"{kith.origin}/{path}")).status_code == 404
        assert 'data-page=""' in (await kith.client.get(f"{kith.origin}/")).text


# In the browser


@pytest.mark.browser
async def test_the_playground_leads_from_a_mutations_answer_to_its_story(tmp_path: Path) -> None:
    if not Playground(()).has_assets:
        pytest.skip("GraphiQL's files are not there: router/playground/build-assets writes them, with npm")
    async with kith_up(tmp_path / "data") as kith, chromium_page(tmp_path / "profile") as page:
        await opened(page, kith.origin)
        assert await page.evaluate("document.getElementById('story').hidden")
        await clicked(page)
        await page.wait_for("document.getElementById('story').checkVisibility()")
        # The browser's other tab is another target of the protocol.
        await page.evaluate("document.getElementById('story').removeAttribute('target')")
        await page.click("#story")
        await page.wait_for("location.pathname === '/console/stories'")
        await shows_every_view(page)
        text = await page.evaluate("document.getElementById('story').innerText")
        assert "users.UserCreated" in text
        assert "saw all" in text
        assert "Lovelace" not in text
        leads = await page.evaluate("document.querySelector('.commit h2 a').pathname")
        assert leads == "/console/events"
        await keep(page, "story")
        await page.call("Emulation.setDeviceMetricsOverride", width=420, height=800, deviceScaleFactor=1, mobile=False)
        await page.prefer("dark")
        assert await page.evaluate("document.documentElement.scrollWidth <= 420")
        await keep(page, "story-420-dark")
        assert page.problems == []


@pytest.mark.browser
async def test_a_story_is_asked_for_by_its_form_and_shows_what_others_wrote_as_text(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith, chromium_page(tmp_path / "profile") as page:
        await create(kith, "Ada", key="a-key")
        await page.open(f"{kith.origin}/console/stories")
        await page.wait_for("document.activeElement?.name === 'correlation'")
        await page.click("input[name=key]")
        await page.type("a-key")
        await page.press("Enter", 13)
        await page.click("#asked button")
        await page.wait_for("location.search === '?key=a-key'")
        await shows_every_view(page)
        evil = "<img src=x onerror=alert(1)>"
        await page.open(f"{kith.origin}/console/stories?{urlencode({'correlation': evil})}")
        await page.wait_for("document.getElementById('story').textContent.includes('Nothing is known of it here')")
        assert await page.evaluate("document.querySelectorAll('main img').length") == 0
        assert page.problems == []


@pytest.mark.browser
async def test_a_story_leads_to_no_page_of_events_where_there_is_none(tmp_path: Path) -> None:
    async with (
        told_system(SOCIAL_NETWORK, tmp_path / "data") as system,
        stories_console(system.stories, Access(Mode.ON)) as routes,
        chromium_page(tmp_path / "profile") as page,
    ):
        answer = await system.ask(CREATE, {"first": "Ada", "name": None, "key": None})
        servers, listener = Servers(), listen("127.0.0.1", 0)
        await servers.start([Endpoint(Starlette(routes=[*routes]), listener)])
        try:
            asked = urlencode({"correlation": answer.body["extensions"]["correlation"]})
            await page.open(f"{origin_of(listener)}/console/stories?{asked}")
            await page.wait_for("document.querySelector('.commit h2') !== null")
            assert await page.evaluate("document.querySelectorAll('.commit h2 a').length") == 0
            assert page.problems == []
        finally:
            await servers.shut_down()


async def shows_every_view(page: Page) -> None:
    """Of the first event each view with the moment at which it has shown it."""
    shown = "[...document.querySelectorAll('.event:first-child .outcome[data-state=shown] .state')]"
    await page.wait_for(f"{shown}.filter((one) => / ms$| s$/.test(one.textContent)).length >= 3")


async def keep(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / f"console-{name}.png").write_bytes(await page.screenshot())

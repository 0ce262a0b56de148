"""The console's pages in a real Chromium: what they look like, what a click does, what a stranger's page cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.test_operating import create, put_on_log, with_a_parked_stream
from tests.support.chromium import Page, chromium_page
from tests.support.kith import RunningKith, kith_up

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PAGES = ("status", "console/events", "console/parked", "console/rebuild")

READY = {
    "status": "document.querySelector('#details td')",
    "console/events": "document.querySelector('#events tbody tr')",
    "console/parked": "document.querySelector('.card')",
    "console/rebuild": "document.querySelectorAll('.card').length === 3",
}

# The texts whose contrast with what is behind them is below WCAG's 4.5. A translucent colour lies over the next one.
TOO_PALE = """(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const over = ([r, g, b, a = 1], under) => [r, g, b].map((part, at) => part * a + under[at] * (1 - a));
  const back = (element) => {
    if (!element) return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
    const colour = parse(getComputedStyle(element).backgroundColor);
    return colour[3] === 0 ? back(element.parentElement) : over(colour, back(element.parentElement));
  };
  const light = (colour) => {
    const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = colour.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const texts = [...document.body.querySelectorAll("*")].filter((element) =>
    element.checkVisibility() && !element.disabled &&
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()));
  return texts
    .map((element) => [element, back(element), parse(getComputedStyle(element).color)])
    .map(([element, behind, colour]) =>
      [element.textContent.trim().slice(0, 40), ratio(light(over(colour, behind)), light(behind))])
    .filter(([, found]) => found < 4.5);
})()"""


OTHER = "user-00000000-0000-7000-8000-000000000001"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parked(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[tuple[RunningKith, str]]:
    """A system with a stream that waits in the view of users, which no test changes, and another one."""
    data = tmp_path_factory.mktemp("console") / "data"
    stream = await with_a_parked_stream(data)
    for version in (1, 2, 3):
        put_on_log(data, OTHER, version, "users.UserRenamed")
    async with kith_up(data) as kith:
        yield kith, stream


@pytest_asyncio.fixture(loop_scope="module")
async def page(tmp_path: Path) -> AsyncGenerator[Page]:
    async with chromium_page(tmp_path / "profile") as page:
        yield page


async def seen(page: Page, width: int, theme: str) -> None:
    await page.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
    )
    await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])


async def test_every_page_fits_a_phone_and_can_be_read_in_light_and_in_dark(
    page: Page, parked: tuple[RunningKith, str]
) -> None:
    kith, _ = parked
    backs: set[str] = set()
    for width, theme in ((1200, "light"), (1200, "dark"), (420, "light"), (420, "dark")):
        await seen(page, width, theme)
        for name in PAGES:
            await page.open(f"{kith.origin}/{name}")
            await page.wait_for(f"location.pathname === '/{name}' && document.readyState === 'complete'")
            await page.wait_for(READY[name])
            if name == "console/parked":
                await page.evaluate("document.querySelector('.open-skip').click()")
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            assert await page.evaluate(TOO_PALE) == [], (name, theme)
            here = await page.evaluate("document.querySelector('[aria-current=page]').getBoundingClientRect().right")
            assert here <= width, "the bar shows where one is"
            backs.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(backs) == 2
    assert page.problems == []
    foreign = [url for url in page.requested if not url.startswith((kith.origin, "data:"))]
    assert foreign == []


async def write_while_something_changes(page: Page, kith: RunningKith, stream: str, card: str) -> None:
    """What somebody has begun to write is not taken away by what becomes of another stream."""
    opens = f"document.querySelector(\"[data-stream='{stream}'] .open-skip\").click()"
    await page.evaluate(opens)
    await page.wait_for("document.activeElement.name === 'reason'")
    await page.type("half")
    skip = {"view": "users", "stream": OTHER, "reason": "by somebody else", "version": 1}
    assert (await kith.client.post(f"{kith.origin}/console/api/skip", json=skip)).status_code == 200
    looks = "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/api/parked')).length"
    before = await page.evaluate(looks)
    await page.wait_for(f"{looks} > {before} + 1")
    assert await page.evaluate("document.activeElement.value") == "half"
    await page.evaluate(opens)
    await page.wait_for(f"document.querySelector(\"{card}\")?.textContent.includes('from version 2 on')")


async def test_what_waits_is_tried_again_and_skipped_by_clicks_and_a_view_is_rebuilt(
    page: Page, parked: tuple[RunningKith, str]
) -> None:
    kith, stream = parked
    card = f"[data-view=users][data-stream='{OTHER}']"
    await seen(page, 420, "light")
    await page.open(f"{kith.origin}/status")
    await page.wait_for("document.querySelectorAll('#charts svg').length > 0")
    await page.click("nav a[href$='console/parked']")
    await page.click(f"{card} button.retry")
    await page.wait_for(f"document.getElementById('said').textContent.includes('{OTHER} in users still waits')")
    await write_while_something_changes(page, kith, stream, card)
    for then in ("from version 3 on", "goes on"):
        await page.click(f"{card} .open-skip")
        await page.wait_for("document.activeElement.name === 'reason'")
        await page.type("by hand")
        await page.click(f"{card} .skip button")
        await page.wait_for(f"document.getElementById('said').textContent.includes('{then}')")
    assert await page.evaluate(f'document.querySelector("{card}")') is None
    await page.click("nav a[href$='console/rebuild']")
    await page.click("[data-view=friends] button.rebuild")
    await page.wait_for("document.querySelector('[data-view=friends] .good.outcome')")
    assert page.problems == []


async def test_events_are_followed_and_their_data_is_shown_where_somebody_asks(
    page: Page, parked: tuple[RunningKith, str]
) -> None:
    kith, stream = parked
    await seen(page, 1200, "dark")
    await page.open(f"{kith.origin}/console/events?type=users.UserCreated")
    await page.wait_for("document.querySelector('#events tbody tr')")
    await page.click("#events tbody tr:last-child button")
    await page.wait_for(f"document.querySelector('.details')?.textContent.includes('{stream}')")
    assert "Ada" not in await page.evaluate("document.body.textContent")
    await page.click("#with-data input")
    await page.click("#follow")
    await page.wait_for("document.getElementById('follow').dataset.live === ''")
    await create(kith, "<img src=x onerror=alert(1)>")
    await page.wait_for("document.querySelector('#events tbody tr.fresh')")
    await page.click("#events tbody tr.fresh button")
    await page.wait_for("document.querySelector('.details pre')?.textContent.includes('<img src=x onerror=alert(1)>')")
    assert await page.evaluate("document.querySelectorAll('img').length") == 0
    await page.click("#events tbody tr.fresh .stream a")
    await page.wait_for("document.querySelectorAll('#events tbody tr').length === 1")
    assert page.problems == []


STRANGER = """<!doctype html><title>stranger</title><script>
  const skip = JSON.stringify({{ view: "users", stream: "{stream}", reason: "evil" }});
  const url = "{origin}/console/api/";
  const sent = [
    fetch(url + "skip", {{ method: "POST", mode: "no-cors", body: skip }}),
    fetch(url + "skip", {{ method: "POST", body: skip, headers: {{ "content-type": "application/json" }} }}),
    fetch(url + "skip", {{ method: "POST", mode: "no-cors", body: new Blob([skip], {{ type: "text/plain" }}) }}),
    fetch(url + "events?data=1").then((answer) => answer.text()).then((text) => {{ document.title = "read " + text; }}),
  ];
  Promise.allSettled(sent).then((all) => {{
    window.ended = all.map((one) => one.status + (one.value?.type ?? "")).join(" ");
  }});
</script>"""


async def test_a_page_that_somebody_visits_skips_and_reads_nothing(page: Page, parked: tuple[RunningKith, str]) -> None:
    kith, stream = parked
    body = STRANGER.format(stream=stream, origin=kith.origin).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        for host in ("localhost", "127.0.0.1"):  # another site, and another port of the same
            await page.open(f"http://{host}:{server.sockets[0].getsockname()[1]}/")
            ended = await page.wait_for(f"location.hostname === '{host}' && window.ended")
            assert ended == "fulfilledopaque rejected fulfilledopaque rejected"
            assert await page.evaluate("document.title") == "stranger"
    waiting = (await kith.client.get(f"{kith.origin}/console/api/parked")).json()["streams"]
    assert [one["waiting"] for one in waiting if one["stream"] == stream] == [2]


HOLD = """(() => {
  const real = window.fetch;
  window.fetch = async (url, options) => {
    const answer = await real(url, options);
    if (!url.includes("type=users.UserCreated")) return answer;
    await new Promise((release) => { window.release = release; });
    const told = await answer.json();
    return { ok: true, json: async () => { setTimeout(() => { window.delivered = true; }); return told; } };
  };
})()"""
"""From now on answers about users that were created wait until they are released."""


def asked_by(type_: str, stream: str) -> str:
    """Shows the events that these filters let through."""
    return f"""(() => {{
      const form = document.querySelector("#filter");
      form.elements.type.value = "{type_}";
      form.elements.stream.value = "{stream}";
      form.requestSubmit();
    }})()"""


async def test_of_two_filters_in_a_row_the_last_one_is_shown_also_if_its_answer_is_the_first(
    page: Page, parked: tuple[RunningKith, str]
) -> None:
    kith, _ = parked
    await page.open(f"{kith.origin}/console/events")
    await page.wait_for(
        "document.querySelector('#events tbody tr') && document.querySelector('#filter').elements.type.length > 1"
    )
    await page.evaluate(HOLD)
    await page.evaluate(asked_by("users.UserCreated", ""))
    await page.wait_for("window.release !== undefined")
    await page.evaluate(asked_by("", OTHER))
    shown = "[...document.querySelectorAll('#events tbody tr .stream')].map((cell) => cell.textContent)"
    await page.wait_for(f"location.search === '?stream={OTHER}' && {shown}.length === 3")
    await page.evaluate("window.release()")
    await page.wait_for("window.delivered")
    assert await page.evaluate(shown) == [OTHER] * 3


async def test_integers_of_an_events_data_are_shown_as_they_are_written(
    page: Page, parked: tuple[RunningKith, str]
) -> None:
    kith, _ = parked
    await page.open(f"{kith.origin}/console/events")
    await page.wait_for("document.querySelector('#events tbody tr')")
    await page.evaluate(
        """(() => {
          const real = window.fetch;
          window.fetch = async (url, options) => {
            const told = await (await real(url, options)).json();
            for (const event of told.events) event.data = '{"balance":9007199254740993,"rate":1.10}';
            return { ok: true, json: async () => { setTimeout(() => { window.delivered = true; }); return told; } };
          };
          document.querySelector("#filter").requestSubmit();
        })()"""
    )
    await page.wait_for("window.delivered")
    await page.click("#events tbody tr .type button")
    await page.wait_for("document.querySelector('#events tr.details pre')")
    text = await page.evaluate("document.querySelector('#events tr.details pre').textContent")
    assert text.split() == ["{", '"balance":', "9007199254740993,", '"rate":', "1.10", "}"]


async def test_who_waits_for_something_on_a_page_goes_on_waiting_on_the_next_one(
    page: Page, parked: tuple[RunningKith, str]
) -> None:
    kith, _ = parked
    await page.open(f"{kith.origin}/console/events")
    await page.wait_for("document.querySelector('#events tbody tr')")
    await page.evaluate("window.before = true; setTimeout(() => location.reload(), 100); null")
    await page.wait_for("!window.before && document.querySelector('#events tbody tr')")

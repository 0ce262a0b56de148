"""A real Chromium for tests, driven by the Chrome DevTools Protocol over a websocket.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from infra.patience import seconds

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,800",
    "--remote-debugging-port=0",
)


_ANOTHER_PAGE: Final = ("navigated", "context was destroyed", "Cannot find context", "Promise was collected")


class PageChanged(AssertionError):
    """The tab has gone to another page while it was asked."""


class Page:
    """One tab. `requested` are the URLs that it asked for, `problems` what its console said at level error."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.requested: list[str] = []
        self.problems: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def listen(self) -> None:
        async for message in self._socket:
            entry = json.loads(message.data)
            if "id" in entry:
                answer = self._answers.pop(entry["id"])
                if not answer.cancelled():
                    answer.set_result(entry)
            elif entry["method"] == "Network.requestWillBeSent":
                self.requested.append(entry["params"]["request"]["url"])
            elif entry["method"] == "Log.entryAdded" and entry["params"]["entry"]["level"] == "error":
                self.problems.append(entry["params"]["entry"]["text"])
            elif entry["method"] == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(entry["params"]["exceptionDetails"]))

    async def call(self, method: str, *, waits: float = 0, **parameters: Any) -> Any:
        """The answer to a method, which may wait in the page for so many seconds."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(self._answers[number], waits + seconds(30))
        if "error" in answer and any(word in answer["error"]["message"] for word in _ANOTHER_PAGE):
            raise PageChanged(answer["error"])
        assert "error" not in answer, answer["error"]
        return answer["result"]

    async def open(self, url: str) -> None:
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def evaluate(self, expression: str, *, waits: float = 0) -> Any:
        result = await self.call(
            "Runtime.evaluate", waits=waits, expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def wait_for(self, expression: str) -> Any:
        """The expression's value as soon as it is true, looked at all the time; after 20 s of a quiet machine a
        failure shows it."""
        limit = seconds(20)
        while True:
            try:
                return await self._found(expression, limit)
            except PageChanged:  # between two pages: the next one is looked at, as long
                await asyncio.sleep(0)

    async def _found(self, expression: str, limit: float) -> Any:
        found = await self.evaluate(
            f"""new Promise((resolve) => {{
                const end = performance.now() + {limit * 1000};
                const look = () => {{
                    const found = (() => {{ try {{ return {expression}; }} catch {{ return null; }} }})();
                    if (found || performance.now() > end) resolve(found instanceof Node || (found || null));
                    else setTimeout(look, 20);
                }};
                look();
            }})""",
            waits=limit,
        )
        assert found, f"waited in vain for {expression}; the console says {self.problems}"
        return found

    async def type(self, text: str) -> None:
        for character in text:
            await self.call("Input.dispatchKeyEvent", type="keyDown", key=character, text=character)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=character)

    async def press(self, key: str, code: int, *, control: bool = False) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=f"Key{key.upper()}" if len(key) == 1 else key,
                windowsVirtualKeyCode=code,
                modifiers=2 if control else 0,
            )

    async def click(self, selector: str) -> None:
        x, y = await self.wait_for(
            f"(r => r && [r.x + r.width / 2, r.y + r.height / 2])"
            f"(document.querySelector({json.dumps(selector)})?.getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def prefer(self, scheme: str) -> None:
        """The system's theme, `dark` or `light`, as the page is told of it."""
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def screenshot(self) -> bytes:
        """What the tab shows, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])


@contextlib.asynccontextmanager
async def chromium_page(profile: Path) -> AsyncGenerator[Page]:
    """A tab of a new browser with an empty profile; skips the test by name where no Chromium is installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *_FLAGS, f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    try:
        port = await asyncio.wait_for(_port(process), seconds(30))
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                target = next(one for one in await response.json() if one["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                yield page
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
    finally:
        process.terminate()
        await process.communicate()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    async for line in process.stderr:
        if line.startswith(b"DevTools listening on ws://"):
            return int(line.rpartition(b":")[2].partition(b"/")[0])
    raise AssertionError("Chromium ended before it listened")

"""The frontend at `/app` in real Chromiums: two people in two windows, and a system that is killed under them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.chromium import Page, chromium_page
from tests.support.kith import RunningKith, running_kith
from tests.support.proxy import Proxy

DIST = Path(__file__).parents[2] / "examples" / "web" / "dist"
ARTIFACTS = Path(__file__).parents[1] / ".artifacts"

CREATE = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }"
ADD = "mutation ($input: AddFriendInput!) { addFriend(input: $input) { friendship { since } } }"
ARE_FRIENDS = "query ($one: ID!, $other: ID!) { areFriends(userId: $one, friendId: $other) }"

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@asynccontextmanager
async def serving(data: Path) -> AsyncGenerator[RunningKith]:
    async with running_kith("up", "--port", "0", "--data", str(data), environment=with_the_page()) as kith:
        yield kith


def with_the_page() -> Mapping[str, str]:
    """The environment in which it is served; skips the test by name where it is not built."""
    if not (DIST / "index.html").is_file():
        pytest.skip("the frontend is not built: `make web` builds it, with npm")
    return {"KITH_WEB": str(DIST)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kith(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[RunningKith]:
    async with serving(tmp_path_factory.mktemp("web") / "data") as running:
        yield running


class Network:
    """What happens without a browser."""

    def __init__(self, kith: RunningKith) -> None:
        self.kith = kith
        self.bookmark = ""

    async def ask(self, query: str, variables: Mapping[str, Any]) -> Any:
        answer = await self.kith.ask(query, dict(variables), bookmark=self.bookmark or None)
        self.bookmark = answer.bookmark
        return answer.data

    async def user(self, name: str) -> str:
        created = await self.ask(CREATE, {"input": {"firstName": name, "lastName": "Other"}})
        user: str = created["createUser"]["user"]["id"]
        return user

    async def befriend(self, one: str, other: str) -> None:
        await self.ask(ADD, {"input": {"userId": one, "friendId": other}})

    async def are_friends(self, one: str, other: str, after: Window | None = None) -> bool:
        """With everything in it that a window has seen."""
        if after is not None:
            self.bookmark = await after.bookmark()
        return bool((await self.ask(ARE_FRIENDS, {"one": one, "other": other}))["areFriends"])


class Window:
    """The frontend in a browser, used by its keyboard: where the mouse points may move when something comes in."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin

    async def open(self, user: str = "") -> None:
        await self.page.open(f"{self.origin}/app/{f'people/{user}' if user else ''}")
        await self.page.wait_for("document.querySelector('main .card')")

    async def join(self, first: str, last: str) -> str:
        """Fills the form in, going on with Tab; gives the id that they have then."""
        await self.focus("[name=firstName]")
        await self.page.type(first)
        await self.page.press("Tab", 9)
        await self.page.type(last)
        await self.enter()
        user = await self.page.wait_for("location.pathname.match(/^.app.people.(.+)$/)?.[1]")
        await self.page.wait_for("document.querySelector('.profile')")
        return str(user)

    async def focus(self, selector: str) -> None:
        found = there(selector)
        await self.page.wait_for(
            f"{found} && !{found}.disabled && ({found}.focus(), document.activeElement === {found})"
        )

    async def enter(self) -> None:
        for kind, text in (("keyDown", "\r"), ("keyUp", "")):
            more: dict[str, Any] = {"text": text} if text else {}
            await self.page.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, **more
            )

    async def push(self, selector: str) -> None:
        await self.focus(selector)
        await self.enter()

    async def search(self, text: str) -> None:
        await self.focus("[type=search]")
        await self.page.type(text)

    async def shows(self, selector: str, text: str = "") -> None:
        """Returns when it is there, with this text in it."""
        found = there(selector)
        await self.page.wait_for(f"{found}?.textContent.includes({json.dumps(text)})")

    async def lacks(self, selector: str) -> None:
        await self.page.wait_for(f"!{there(selector)}")

    async def hold(self, operation: str) -> None:
        """Requests of this operation wait, before the network sees them, until `release`."""
        await self.page.evaluate(
            f"""{{
                const send = window.fetch;
                let go;
                const released = new Promise((resolve) => {{ go = resolve; }});
                window.release = go;
                window.fetch = async (url, options) => {{
                    if (JSON.parse(options.body).operationName === {json.dumps(operation)}) await released;
                    return send(url, options);
                }};
            }}"""
        )

    async def release(self) -> None:
        await self.page.evaluate("void window.release()")

    async def watch(self, never: str) -> None:
        """From now on it is noticed where this expression is true for a moment; `noticed` tells."""
        await self.page.evaluate(
            f"""{{
                window.noticed = false;
                const look = () => {{ window.noticed ||= Boolean({never}); }};
                new MutationObserver(look).observe(document, {{ childList: true, subtree: true }});
            }}"""
        )

    async def noticed(self) -> bool:
        return bool(await self.page.evaluate("window.noticed"))

    async def bookmark(self) -> str:
        """Of what it has seen."""
        return str(await self.page.evaluate("sessionStorage.getItem('bookmark')"))


@asynccontextmanager
async def window(profile: Path, origin: str) -> AsyncGenerator[Window]:
    async with chromium_page(profile) as page:
        yield Window(page, origin)


def keep(name: str, image: bytes) -> None:
    """For people to look at."""
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / name).write_bytes(image)


def friend(user: str) -> str:
    return f"[aria-labelledby=friends] [data-person='{user}']"


def recommended(user: str) -> str:
    return f"[aria-labelledby=recommendations] [data-person='{user}']"


def found(user: str) -> str:
    return f"[aria-labelledby=search] [data-person='{user}']"


def there(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"


def button(person: str) -> str:
    return f"{person} button"


async def test_two_people_in_two_windows_see_each_others_changes(kith: RunningKith, tmp_path: Path) -> None:
    async with window(tmp_path / "one", kith.origin) as hers, window(tmp_path / "other", kith.origin) as theirs:
        assert kith.line("app") == f"{kith.origin}/app/"
        await hers.open()
        ada = await hers.join("Ada", "Lovelace")
        await theirs.open()
        grace = await theirs.join("Grace", "Hopper")
        for one in (hers, theirs):
            await one.page.evaluate("window.loadedOnce = true")

        await hers.search("hop gra")
        await hers.push(button(found(grace)))
        await hers.shows(f"{friend(grace)}[aria-busy=false]", "Grace Hopper")
        await theirs.shows(friend(ada), "Ada Lovelace")
        await theirs.shows(f"[data-node='{ada}']", "Ada")

        await theirs.push(".profile button")
        await theirs.focus("[name=firstName]")
        await theirs.page.press("a", 65, control=True)
        await theirs.page.type("Admiral")
        await theirs.enter()
        await hers.shows(friend(grace), "Admiral Hopper")
        await hers.shows(f"[data-node='{grace}']", "Admiral")

        network = Network(kith)
        alan = await network.user("Alan")
        await network.befriend(alan, grace)
        await hers.shows(recommended(alan), "Knows Admiral")
        await theirs.shows(friend(alan))
        keep("web.png", await hers.page.screenshot())

        await theirs.push(button(friend(ada)))
        await hers.lacks(friend(grace))
        await hers.lacks(recommended(alan))
        for one in (hers, theirs):
            assert await one.page.evaluate("window.loadedOnce")
            assert one.page.problems == []
            foreign = [url for url in one.page.requested if not url.startswith((kith.origin, "data:"))]
            assert foreign == []

        await hers.open(ada)  # as somebody does who has the link
        await hers.shows(".profile", "Ada Lovelace")


async def test_a_change_shows_before_its_answer_and_stays_after_it(kith: RunningKith, tmp_path: Path) -> None:
    async with window(tmp_path / "profile", kith.origin) as hers:
        network = Network(kith)
        ada, bob, cy = [await network.user(name) for name in ("Ada", "Bob", "Cy")]
        await network.befriend(ada, bob)
        await network.befriend(bob, cy)
        await hers.open(ada)
        await hers.shows(recommended(cy), "Knows Bob")

        await hers.hold("AddFriend")
        await hers.push(button(recommended(cy)))
        await hers.shows(f"{friend(cy)}[aria-busy=true]")
        await hers.shows(f"[data-node='{cy}'][data-pending=true]")
        await hers.shows(".profile", "2 friends")
        await hers.lacks(recommended(cy))
        assert not await network.are_friends(ada, cy)
        await hers.watch(f"!{there(friend(cy))}")
        await hers.release()
        await hers.shows(f"{friend(cy)}[aria-busy=false]")
        assert await network.are_friends(ada, cy, after=hers)
        assert not await hers.noticed()
        assert hers.page.problems == []


async def test_what_others_do_meanwhile_does_not_take_a_change_back(kith: RunningKith, tmp_path: Path) -> None:
    async with window(tmp_path / "profile", kith.origin) as hers:
        network = Network(kith)
        ada, bob, cy = [await network.user(name) for name in ("Ada", "Bob", "Cy")]
        await network.befriend(ada, bob)
        await hers.open(ada)
        await hers.shows(f"{friend(bob)}[aria-busy=false]")

        await hers.hold("RemoveFriend")
        await hers.push(button(friend(bob)))
        await hers.lacks(friend(bob))
        await hers.watch(there(friend(bob)))
        before = await hers.bookmark()
        await network.befriend(ada, cy)
        await hers.page.wait_for(f"sessionStorage.getItem('bookmark') !== {json.dumps(before)}")  # it was told
        assert await network.are_friends(ada, bob)
        await hers.release()
        await hers.shows(friend(cy), "Cy")
        await hers.shows(".profile", "1 friend")
        assert not await network.are_friends(ada, bob, after=hers)
        assert not await hers.noticed()
        assert hers.page.problems == []


async def test_a_refusal_is_told_in_words_and_what_is_so_is_shown(kith: RunningKith, tmp_path: Path) -> None:
    async with window(tmp_path / "profile", kith.origin) as hers:
        network = Network(kith)
        ada, bob = [await network.user(name) for name in ("Ada", "Ruth")]
        await hers.open(ada)
        await hers.search("ruth")
        await hers.hold("AddFriend")
        await hers.push(button(found(bob)))
        await hers.shows(f"{friend(bob)}[aria-busy=true]")
        await network.befriend(bob, ada)
        await hers.release()
        await hers.shows("main > .network > [role=alert]", "friends already")
        await hers.shows(f"{friend(bob)}[aria-busy=false]")


async def test_a_page_goes_on_where_it_was_after_the_system_was_killed(tmp_path: Path) -> None:
    proxy = Proxy()
    async with proxy.listening() as url, window(tmp_path / "profile", url.removesuffix("/graphql")) as hers:
        async with serving(tmp_path / "data") as kith:
            proxy.behind = kith.origin
            network = Network(kith)
            ada, bob, cy = [await network.user(name) for name in ("Ada", "Bob", "Cy")]
            await network.befriend(ada, bob)
            await hers.open(ada)
            await hers.shows(friend(bob))
            await hers.shows(".connection[data-live=true]")
            proxy.behind = ""
            await kith.kill()
            proxy.cut()
        await hers.shows(".connection[data-live=false]")
        await hers.push(button(friend(bob)))
        await hers.lacks(friend(bob))

        async with serving(tmp_path / "data") as kith:
            network.kith = kith
            await network.befriend(ada, cy)  # while the page is away: only from where it was it can be told
            assert await network.are_friends(ada, bob)
            proxy.behind = kith.origin
            await hers.shows(friend(cy))
            await hers.shows(".connection[data-live=true]")
            await hers.page.wait_for("!document.querySelector('[aria-busy=true]')")
            await hers.shows(".profile", "1 friend")
            assert not await network.are_friends(ada, bob, after=hers)

            # It follows what comes after that, too.
            dan = await network.user("Dan")
            await network.befriend(cy, dan)
            await hers.shows(recommended(dan), "Knows Cy")


async def test_a_page_of_data_that_are_gone_begins_anew(tmp_path: Path) -> None:
    proxy = Proxy()
    async with proxy.listening() as url, window(tmp_path / "profile", url.removesuffix("/graphql")) as hers:
        for folder in ("before", "after"):
            async with serving(tmp_path / folder) as kith:
                proxy.behind = kith.origin
                await hers.open()
                user = await hers.join("Ada", folder)
                await hers.shows(".profile", f"Ada {folder}")
                assert await Network(kith).ask("query ($id: ID!) { user(id: $id) { lastName } }", {"id": user}) == {
                    "user": {"lastName": folder}
                }
                proxy.behind = ""


async def test_the_page_is_for_the_hosts_that_the_api_is_for(kith: RunningKith) -> None:
    for host, status in (("localhost", 200), ("evil.example", 421)):
        assert (await kith.client.get(f"{kith.origin}/app/", headers={"host": host})).status_code == status


async def test_a_router_of_its_own_serves_the_page_too() -> None:
    async with running_kith("serve", "router", "--port", "0", environment=with_the_page()) as router:
        assert (await router.client.get(router.line("app"))).text == (DIST / "index.html").read_text()


async def test_everything_fits_a_telephone_in_light_and_in_dark(kith: RunningKith, tmp_path: Path) -> None:
    async with window(tmp_path / "profile", kith.origin) as hers:
        network, page = Network(kith), hers.page
        ada, bob, cy = [await network.user(name) for name in ("Ada", "Bob" * 30, "Cy")]
        await network.befriend(ada, bob)
        await network.befriend(bob, cy)
        await page.call("Emulation.setDeviceMetricsOverride", width=420, height=900, deviceScaleFactor=1, mobile=True)
        await hers.open()
        await hers.shows("[aria-labelledby=known] li")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 420
        await hers.open(ada)
        await hers.shows(recommended(cy))
        assert await page.evaluate("document.documentElement.scrollWidth") <= 420
        for scheme in ("light", "dark"):
            await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            shade = "getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/g).map(Number)[0] > 128"
            assert await page.evaluate(shade) == (scheme == "light")
            keep(f"web-telephone-{scheme}.png", await page.screenshot())

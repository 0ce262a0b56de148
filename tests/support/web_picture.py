"""The picture of the frontend in the README: `make web`, then `python -m tests.support.web_picture` takes it anew.

A real Chromium takes it of a running system in which a dozen people know one another.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from tests.support.chromium import chromium_page
from tests.support.kith import RunningKith, running_kith

WEB: Final = Path(__file__).parents[2] / "examples" / "web"
PICTURE: Final = WEB / "screenshot.png"

PEOPLE: Final = """
Ada Lovelace, Grace Hopper, Alan Turing, Margaret Hamilton, Katherine Johnson, Barbara Liskov, Tony Hoare,
Donald Knuth, Frances Allen, Edsger Dijkstra, Radia Perlman, Leslie Lamport, Hedy Lamarr
"""
FRIENDS: Final = """
Ada Grace, Ada Alan, Ada Margaret, Ada Katherine, Ada Barbara, Grace Alan, Alan Margaret, Alan Katherine, Tony Alan,
Tony Barbara, Donald Grace, Donald Alan, Frances Grace, Frances Katherine, Edsger Alan, Radia Barbara, Leslie Barbara,
Hedy Margaret
"""


def pairs(text: str) -> list[tuple[str, str]]:
    return [(first, second) for first, second in (entry.split() for entry in text.split(","))]


async def take(kith: RunningKith, folder: Path) -> bytes:
    """Ada's page, as PNG."""
    ids: dict[str, str] = {}
    bookmark: str | None = None
    for first, last in pairs(PEOPLE):
        created = await kith.ask(
            "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }",
            {"input": {"firstName": first, "lastName": last, "username": last.lower()}},
        )
        ids[first], bookmark = created.data["createUser"]["user"]["id"], created.bookmark
    for one, other in pairs(FRIENDS):
        added = await kith.ask(
            "mutation ($input: AddFriendInput!) { addFriend(input: $input) { friendship { since } } }",
            {"input": {"userId": ids[one], "friendId": ids[other]}},
            bookmark=bookmark,
        )
        bookmark = added.bookmark
    async with chromium_page(folder / "profile") as page:
        await page.call("Emulation.setDeviceMetricsOverride", width=1100, height=750, deviceScaleFactor=1, mobile=False)
        await page.call("Emulation.setScrollbarsHidden", hidden=True)
        await page.prefer("light")
        await page.open(f"{kith.origin}/app/people/{ids['Ada']}")
        await page.wait_for("document.querySelectorAll('[aria-labelledby=recommendations] [data-person]').length === 7")
        await page.wait_for("document.querySelectorAll('[data-node]').length === 13")
        await page.wait_for("document.body.textContent.includes('Live')")
        return await page.screenshot()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = {"KITH_WEB": str(WEB / "dist")}
        async with running_kith("up", "--port", "0", "--data", f"{folder}/data", environment=settings) as kith:
            PICTURE.write_bytes(await take(kith, Path(folder)))


if __name__ == "__main__":
    asyncio.run(main())

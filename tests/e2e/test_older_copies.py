"""A log that was put back to an older copy, under views and process managers that have read more of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

from tests.support.kith import Json, RunningKith, kith_up, run_kith

CREATE = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } bookmark } }"
USERS = "{ users(first: 100) { edges { node { firstName } } } }"


async def create(kith: RunningKith, *names: str) -> str:
    """Gives the last one's bookmark."""
    bookmark = ""
    for name in names:
        answer = await kith.ask(CREATE, {"input": {"firstName": name, "lastName": "x"}}, bookmark=bookmark)
        bookmark = answer.data["createUser"]["bookmark"]
    return bookmark


async def names(kith: RunningKith, bookmark: str = "") -> set[str]:
    answer = await kith.ask(USERS, bookmark=bookmark)
    return {edge["node"]["firstName"] for edge in answer.data["users"]["edges"]}


async def findings(data: Path) -> list[Json]:
    found = await run_kith("doctor", "--data", str(data), "--json")
    result: list[Json] = json.loads(found.output)
    return result


async def with_an_older_log(tmp_path: Path, *grown: str) -> Path:
    """Views and process managers have read five users; the log has the first three and then others."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    async with kith_up(data) as kith:
        await names(kith, await create(kith, "a1", "a2", "a3"))
        assert await kith.stop() == 0
    shutil.copytree(data / "logs", copy)
    async with kith_up(data) as kith:
        await names(kith, await create(kith, "lost1", "lost2"))
        assert await kith.stop() == 0
    shutil.rmtree(data / "logs")
    shutil.copytree(copy, data / "logs")
    if grown:  # beside other views, so that these here learn nothing of it
        shutil.move(data / "views", tmp_path / "views")
        async with kith_up(data) as kith:
            await create(kith, *grown)
            assert await kith.stop() == 0
        shutil.rmtree(data / "views")
        shutil.move(tmp_path / "views", data / "views")
    return data


async def test_views_of_a_lost_history_are_filled_anew_and_kept_aside_and_the_doctor_tells(tmp_path: Path) -> None:
    data = await with_an_older_log(tmp_path, "new1", "new2", "new3")
    before = [one for one in await findings(data) if one["severity"] == "error"]
    assert {one["where"] for one in before} == {"views/users", "views/friends", "views/recommendations"}
    assert all("another history" in one["what"] for one in before)
    async with kith_up(data) as kith:
        bookmark = await create(kith, "new4")
        assert await names(kith, bookmark) == {"a1", "a2", "a3", "new1", "new2", "new3", "new4"}
        assert await kith.stop() == 0
    after = [one for one in await findings(data) if one["severity"] == "error"]
    assert all("kept in" in one["what"] for one in after), after
    for view in ("users", "friends", "recommendations"):
        (kept,) = (data / "views" / view / "aside").glob("*.sqlite")
        assert sqlite3.connect(kept).execute("PRAGMA quick_check").fetchone() == ("ok",)
        shutil.rmtree(data / "views" / view / "aside")
    assert [one for one in await findings(data) if one["severity"] == "error"] == []


async def test_views_that_are_past_their_logs_end_are_filled_anew(tmp_path: Path) -> None:
    data = await with_an_older_log(tmp_path)
    async with kith_up(data) as kith:
        assert await names(kith) == {"a1", "a2", "a3"}
        assert await names(kith, await create(kith, "new1")) == {"a1", "a2", "a3", "new1"}
        assert await kith.stop() == 0

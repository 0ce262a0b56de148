"""Logs that are not what they were: put back to an older copy under views that have read more of it, or damaged."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

from infra.patience import seconds
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


async def is_ready(kith: RunningKith, subgraph: str) -> bool:
    health = await kith.client.get(f"{kith.origin}/health/ready")
    return bool(health.json()["subgraphs"][subgraph]["ready"])


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


async def test_a_log_that_is_damaged_in_the_middle_is_told_of_and_its_other_streams_go_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with kith_up(data) as kith:
        await create(kith, *(f"a{number}" for number in range(8)))
        assert await kith.stop() == 0
    log = sqlite3.connect(data / "logs" / "users.sqlite", isolation_level=None)
    ((stream,),) = log.execute("SELECT stream FROM records WHERE offset = 4")
    log.execute("UPDATE records SET data = replace(data, 'a3', 'b3') WHERE offset = 4")
    log.close()
    (told,) = [one for one in await findings(data) if one["severity"] == "error"]
    assert "1 records are damaged, the first at offset 4" in told["what"]
    assert stream in told["what"]
    assert "the system starts" in told["why"]
    shutil.rmtree(data / "views")  # views that were made before have what was written
    async with kith_up(data) as kith:
        assert await names(kith, await create(kith, "new")) == {"new", *(f"a{n}" for n in range(8) if n != 3)}
        update = "mutation ($input: UpdateUserInput!) { updateUser(input: $input) { version } }"
        refused = await kith.ask(update, {"input": {"id": stream.removeprefix("user-"), "lastName": "y"}})
        assert refused.codes == ["INTERNAL"], "of the log nobody is told more; the operator is"
        async with asyncio.timeout(seconds(60)):
            while await is_ready(kith, "users"):  # noqa: ASYNC110  # health has no event to wait for
                await asyncio.sleep(0.1)
        status = (await kith.client.get(f"{kith.origin}/status.json")).json()
        told = {one["name"]: one["damage"] for one in status["subgraphs"]}
        assert f"version 1 of the stream '{stream}' is damaged" in told["users"][0]
        running = [one for one in await findings(data) if one["severity"] == "error"]
        assert any("a log that it reads is damaged" in one["what"] for one in running)
        assert any(f"the stream {stream} is parked" in one["what"] for one in running)
        assert await kith.stop() == 0

"""No friendship with a deleted user stays, whatever comes first and whatever dies in between."""

from __future__ import annotations

import asyncio
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from eventgraph.console.status import StatusSource
from eventgraph.running.control_app import control_app
from eventkernel.errors import Unavailable
from eventkernel.events import Position
from eventkernel.reacting.reaction import Patience
from eventkernel.retrying import Backoff
from kithgraph.system import SOCIAL_NETWORK
from subgraphs.friends.domain import Pair
from tests.support.social import ADD, Social, opened


async def life_of(social: Social, one: str, other: str) -> list[str]:
    records = await social.friends_log.read_stream(Pair.of(one, other).stream)
    return [record.type.removeprefix("friends.Friend") for record in records]


def forget_checkpoints(folder: Path) -> None:
    for file in folder.glob("processes.sqlite*"):
        file.unlink()


DEEDS = ("add", "delete a", "delete b")


@pytest.mark.parametrize("order", [*permutations(DEEDS), ("add", "delete a"), ("delete a", "add")])
async def test_deletions_and_a_friendship_meet_in_every_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    async with opened(tmp_path) as social:
        await social.create("a", "b", "c")
        await social.add_unchecked("a", "c")
        for deed in order:
            await (social.add_unchecked("a", "b") if deed == "add" else social.delete(deed[-1]))
        async with social.working():
            await social.settled()
        assert await social.friends_view.live().standing("a") == []
        assert await life_of(social, "a", "b") == ["Added", "Removed"]
        assert await life_of(social, "a", "c") == ["Added", "Removed"]


@pytest.mark.parametrize("order", [("add", "delete b"), ("delete b", "add")])
async def test_each_event_meets_a_process_manager_at_work(tmp_path: Path, order: tuple[str, str]) -> None:
    async with opened(tmp_path) as social, social.working():
        await social.create("a", "b")
        for deed in order:
            await (social.add_unchecked("a", "b") if deed == "add" else social.delete("b"))
            await social.settled()
        assert await life_of(social, "a", "b") == ["Added", "Removed"]


async def test_a_process_manager_that_has_forgotten_everything_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as social, social.working():
        await social.create("a", "b", "c")
        await social.add("a", "b")
        await social.add("a", "c")
        await social.remove("a", "c")
        await social.delete("a")
        await social.settled()
    heads: list[Position] = []
    for _ in range(3):
        forget_checkpoints(tmp_path)
        async with opened(tmp_path) as social, social.working():
            await social.settled()
            assert [await life_of(social, "a", other) for other in "bc"] == [["Added", "Removed"]] * 2
            heads.append(await social.friends_log.head())
    assert heads[0] == heads[1] == heads[2], "what is refused the first time is remembered"


@pytest.mark.parametrize("dies_at", [0, 1, 3])
async def test_a_process_manager_that_dies_in_the_middle_finishes_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    friends = ["b", "c", "d", "e", "f"]
    async with opened(tmp_path) as social:
        await social.create("a", *friends)
        for friend in friends:
            await social.add_unchecked("a", friend)
        await social.delete("a")
        dying = asyncio.Event()
        append = social.friends_log.append
        appended = 0

        async def append_some(*args: Any, **more: Any) -> Any:
            nonlocal appended
            if appended == dies_at:
                dying.set()
                await asyncio.Event().wait()
            appended += 1
            return await append(*args, **more)

        monkeypatch.setattr(social.friends_log, "append", append_some)
        async with social.working():
            await dying.wait()
    async with opened(tmp_path) as social, social.working():
        await social.settled()
        for friend in friends:
            assert await life_of(social, "a", friend) == ["Added", "Removed"]


async def test_a_process_manager_that_dies_before_its_checkpoint_repeats_itself_without_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as social:
        await social.create("a", "b")
        await social.add_unchecked("a", "b")
        await social.delete("a")
        saving = asyncio.Event()

        async def never(*args: Any, **more: Any) -> None:
            saving.set()
            raise Unavailable("nothing is written any more")

        monkeypatch.setattr("eventkernel.adapters.sqlite.checkpoints.SqliteCheckpointStore.save", never)
        async with social.working():
            await saving.wait()
        head = await social.friends_log.head()
    monkeypatch.undo()
    async with opened(tmp_path) as social, social.working():
        await social.settled()
        assert await life_of(social, "a", "b") == ["Added", "Removed"]
        assert (await social.friends_log.head()).covers(head)


async def test_whoever_is_added_while_they_are_deleted_is_nobodys_friend_in_the_end(tmp_path: Path) -> None:
    others = [f"x{number:02}" for number in range(20)]
    async with opened(tmp_path) as social, social.working():
        await social.create("a", *others)
        await social.settled()

        async def add(other: str) -> None:
            await social.friends.ask(ADD, {"input": {"userId": "a", "friendId": other}}, bookmark="")

        await asyncio.gather(*map(add, others[:10]), social.delete("a"), *map(add, others[10:]))
        await social.settled()
        assert await social.friends_view.live().standing("a") == []
        for other in others:
            assert await life_of(social, "a", other) in ([], ["Added", "Removed"])


async def test_a_reaction_that_is_set_aside_is_told_by_the_health_and_done_when_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defective(*_: object) -> None:
        raise ValueError("a defect")

    async with opened(tmp_path) as social:
        await social.create("a", "b")
        await social.add_unchecked("a", "b")
        monkeypatch.setattr(social.endings, "_patience", Patience(Backoff(0, 0), attempts=2, again_after=0))
        monkeypatch.setattr(social.endings, "_react", defective)
        async with social.working():
            await social.delete("a")
            await social.settled()
            health = (await social.friends.http.get("/health/ready")).json()
            assert health == {
                "status": "ready",
                "reasons": [],
                "warnings": ["2 reactions of the process manager friends-endings are set aside"],
            }
            assert await life_of(social, "a", "b") == ["Added"]
            subgraphs = list(social.subgraphs.values())
            control = control_app(StatusSource(SOCIAL_NETWORK, "a folder", subgraphs), subgraphs)
            order = {"view": "friends-endings", "stream": "user-a", "reason": "settled by hand"}
            async with AsyncClient(transport=ASGITransport(control), base_url="http://control") as operator:
                assert (await operator.post("/skip", json=order)).json() == {}
                assert (await operator.post("/retry", json=order)).status_code == 409, "it waits no more"
            monkeypatch.undo()
            await social.endings.try_again()
            await social.settled()
            assert await life_of(social, "a", "b") == ["Added", "Removed"]
            assert (await social.friends.http.get("/health/ready")).json()["warnings"] == []

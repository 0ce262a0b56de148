"""Who needs the same thing waits for his turn, who needs another one does not."""

from __future__ import annotations

import asyncio

from eventkernel.turns import Turns
from infra.patience import seconds


async def test_nobody_has_a_name_at_the_same_time_as_another() -> None:
    turns, held, most = Turns(), dict[str, int](), 0
    names = ["a", "b", "c", "d"]

    async def take(number: int) -> None:
        nonlocal most
        mine = {names[number % 4], names[(number * 3 + 1) % 4]}
        async with turns.of(mine):
            for name in mine:
                held[name] = held.get(name, 0) + 1
                most = max(most, held[name])
            await asyncio.sleep(0)
            for name in mine:
                held[name] -= 1

    async with asyncio.timeout(seconds(5)):  # nobody waits in a circle
        await asyncio.gather(*(take(number) for number in range(200)))
    assert most == 1
    assert turns._turns == {}


async def test_different_names_do_not_wait_for_each_other() -> None:
    turns = Turns()
    async with turns.of(["a"]), turns.of(["b"]):
        pass


async def test_who_gives_up_waiting_leaves_no_trace() -> None:
    turns = Turns()

    async def wait() -> None:
        async with turns.of(["a", "b"]):
            raise AssertionError("it was not his turn")

    async with turns.of(["b"]):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        async with asyncio.timeout(1), turns.of(["a"]):
            pass
    assert turns._turns == {}

"""Tasks that need the same key wait for one another, others do not."""

from __future__ import annotations

import asyncio

from eventkernel.keyed_locks import KeyedLocks
from infra.patience import seconds


async def test_no_two_tasks_hold_a_key_at_the_same_time() -> None:
    locks, held, most = KeyedLocks(), dict[str, int](), 0
    names = ["a", "b", "c", "d"]

    async def take(number: int) -> None:
        nonlocal most
        mine = {names[number % 4], names[(number * 3 + 1) % 4]}
        async with locks.hold(mine):
            for name in mine:
                held[name] = held.get(name, 0) + 1
                most = max(most, held[name])
            await asyncio.sleep(0)
            for name in mine:
                held[name] -= 1

    async with asyncio.timeout(seconds(5)):  # no deadlock
        await asyncio.gather(*(take(number) for number in range(200)))
    assert most == 1
    assert locks._entries == {}


async def test_different_keys_do_not_wait_for_each_other() -> None:
    locks = KeyedLocks()
    async with locks.hold(["a"]), locks.hold(["b"]):
        pass


async def test_a_task_that_gives_up_waiting_leaves_no_trace() -> None:
    locks = KeyedLocks()

    async def wait() -> None:
        async with locks.hold(["a", "b"]):
            raise AssertionError("the other key is held")

    async with locks.hold(["b"]):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        async with asyncio.timeout(seconds(5)), locks.hold(["a"]):
            pass
    assert locks._entries == {}

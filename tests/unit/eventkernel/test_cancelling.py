"""Whose cancellation it is, and waits between attempts that do not fall together."""

from __future__ import annotations

import asyncio
from itertools import islice

import pytest

from eventkernel.cancelling import CancelledFromInside, uninterrupted, unless
from eventkernel.retrying import Backoff, Troubles


async def cancelled_by_others() -> None:
    inner = asyncio.create_task(asyncio.sleep(10))
    inner.cancel()
    await inner


async def test_a_cancellation_from_inside_is_a_failure() -> None:
    with pytest.raises(CancelledFromInside):
        await uninterrupted(cancelled_by_others())


async def test_ones_own_cancellation_stays_one() -> None:
    task = asyncio.create_task(uninterrupted(asyncio.sleep(10)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()


async def test_a_time_out_around_it_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await uninterrupted(asyncio.sleep(10))


async def test_work_that_is_cancelled_from_inside_is_told() -> None:
    with pytest.raises(CancelledFromInside):
        await unless(asyncio.sleep(10), cancelled_by_others())


async def test_what_is_cancelled_from_inside_is_tried_again_with_waits() -> None:
    troubles, attempts = Troubles(Backoff(0, 0)), 0

    async def attempt() -> int:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            await cancelled_by_others()
        return attempts

    assert await troubles.until_done("it", attempt, on=Exception) == 3


def test_waits_double_up_to_a_limit_and_chance_takes_up_to_half() -> None:
    runs = [list(islice(Backoff(1, 8).delays(), 6)) for _ in range(50)]
    for run in runs:
        for delay, most in zip(run, (1, 2, 4, 8, 8, 8), strict=True):
            assert most / 2 <= delay <= most
    assert len({run[0] for run in runs}) > 1

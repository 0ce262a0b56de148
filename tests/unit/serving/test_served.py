"""Workers beside the requests."""

from __future__ import annotations

import asyncio

import pytest

from eventgraph.serving.served import running


class Working:
    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.ended = False

    async def run(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


class Failing:
    async def run(self) -> None:
        raise LookupError("a defect")


async def test_workers_run_as_long_as_the_block() -> None:
    workers = [Working(), Working()]
    async with running(workers):
        for worker in workers:
            await worker.began.wait()
        assert not any(worker.ended for worker in workers)
    assert all(worker.ended for worker in workers)


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    worker = Working()

    async def block() -> None:
        async with running([worker]):
            await worker.began.wait()
            raise LookupError("a defect of the block")

    with pytest.raises(LookupError, match="a defect of the block"):
        await block()
    assert worker.ended


async def test_a_worker_that_fails_ends_the_block_and_the_others() -> None:
    worker = Working()
    with pytest.raises(ExceptionGroup) as caught:
        async with running([worker, Failing()]):
            await asyncio.Event().wait()
    assert caught.group_contains(LookupError)
    assert worker.ended

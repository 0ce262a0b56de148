"""A batcher answers each asker, in batches as large as the load makes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from eventkernel.adapters.sqlite.batcher import Batcher
from eventkernel.errors import Unavailable


class Doubling:
    """Doubles numbers, refuses negative ones, breaks at a thousand; can be held up. Keeps the batches that it got."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.busy = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def __call__(self, numbers: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(numbers))
        self.threads.add(threading.current_thread().name)
        self.busy.set()
        self.free.wait()
        if 1_000 in numbers:
            raise ZeroDivisionError("broken")
        return [2 * number if number >= 0 else ValueError(str(number)) for number in numbers]


@pytest.fixture
def doubling() -> Doubling:
    return Doubling()


@pytest.fixture
async def batcher(doubling: Doubling) -> AsyncIterator[Batcher[int, int]]:
    batcher = Batcher[int, int]("doubling", doubling, patience=10, largest_batch=8)
    yield batcher
    doubling.free.set()
    await batcher.aclose()


async def test_what_is_asked_in_one_turn_of_the_loop_is_one_batch(
    batcher: Batcher[int, int], doubling: Doubling
) -> None:
    assert await asyncio.gather(*(batcher.ask(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert doubling.batches == [[0, 1, 2, 3, 4]]
    assert doubling.threads == {"doubling 0"}


async def test_what_arrives_meanwhile_is_the_next_batch_up_to_its_limit(
    batcher: Batcher[int, int], doubling: Doubling
) -> None:
    doubling.free.clear()
    answers = [batcher.ask(0)]
    await asyncio.to_thread(doubling.busy.wait)
    for number in range(1, 21):
        answers.append(batcher.ask(number))
        await asyncio.sleep(0)
    doubling.free.set()
    assert await asyncio.gather(*answers) == [2 * number for number in range(21)]
    assert [len(batch) for batch in doubling.batches] == [1, 8, 8, 4]


async def test_what_is_asked_in_one_turn_is_divided_where_it_is_more_than_a_batch_takes(
    batcher: Batcher[int, int], doubling: Doubling
) -> None:
    assert await asyncio.gather(*(batcher.ask(number) for number in range(20))) == [2 * n for n in range(20)]
    assert doubling.batches == [list(range(8)), list(range(8, 16)), list(range(16, 20))]


async def test_a_slow_batch_holds_up_nobody_where_another_thread_is_free() -> None:
    waiting, free = threading.Event(), threading.Event()

    def answer(numbers: Sequence[int]) -> Sequence[int]:
        if 0 in numbers:
            waiting.set()
            free.wait()
        return numbers

    batcher = Batcher[int, int]("two", answer, patience=10, threads=2)
    slow = batcher.ask(0)
    await asyncio.to_thread(waiting.wait)
    assert await batcher.ask(1) == 1
    assert not slow.done()
    free.set()
    await batcher.aclose()
    assert await slow == 0


async def test_a_refusal_is_its_askers_alone(batcher: Batcher[int, int]) -> None:
    answers = await asyncio.gather(batcher.ask(1), batcher.ask(-1), batcher.ask(2), return_exceptions=True)
    assert [answers[0], type(answers[1]), answers[2]] == [2, ValueError, 4]


async def test_a_broken_batch_is_everybodys_and_the_thread_goes_on(batcher: Batcher[int, int]) -> None:
    answers = await asyncio.gather(batcher.ask(1), batcher.ask(1_000), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 2
    assert await batcher.ask(1) == 2


async def test_who_waits_too_long_is_told_and_the_thread_goes_on(doubling: Doubling) -> None:
    batcher = Batcher[int, int]("doubling", doubling, patience=0.01)
    doubling.free.clear()
    with pytest.raises(Unavailable, match=r"doubling gave no answer within 0\.01 seconds"):
        await batcher.ask(1)
    doubling.free.set()
    await batcher.aclose()
    assert doubling.batches == [[1]]


async def test_an_asker_that_goes_away_disturbs_nobody(batcher: Batcher[int, int]) -> None:
    leaving, staying = batcher.ask(1), batcher.ask(2)
    leaving.cancel()
    assert await staying == 4


async def test_what_happens_afterwards_happens_before_askers_go_on(doubling: Doubling) -> None:
    order: list[str] = []
    batcher = Batcher[int, int]("doubling", doubling, patience=10, afterwards=lambda: order.append("afterwards"))

    async def ask() -> None:
        await batcher.ask(1)
        order.append("asker")

    await asyncio.gather(ask(), ask())
    await batcher.aclose()
    assert order == ["afterwards", "asker", "asker"]


async def test_closing_twice_is_closing_and_nothing_is_asked_after_it(batcher: Batcher[int, int]) -> None:
    last = batcher.ask(1)
    await asyncio.gather(batcher.aclose(), batcher.aclose())
    assert await last == 2
    with pytest.raises(Unavailable, match="doubling is closed"):
        batcher.ask(1)

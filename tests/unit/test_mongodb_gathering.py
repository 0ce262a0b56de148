"""Questions that come together are asked together, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from eventkernel.adapters.mongodb.gathering import Gathered
from eventkernel.errors import Unavailable


class Server:
    """Answers n with 2 n, when it is let."""

    def __init__(self) -> None:
        self.asked: list[Sequence[int]] = []
        self.let = asyncio.Event()

    async def __call__(self, questions: Sequence[int]) -> Sequence[int]:
        self.asked.append(list(questions))
        await self.let.wait()
        if 13 in questions:
            raise Unavailable("no luck")
        return [2 * question for question in questions]


async def test_what_is_asked_while_others_are_answered_goes_out_together() -> None:
    server = Server()
    gathered = Gathered(server, most=5)
    tasks = [asyncio.create_task(gathered(1))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(gathered(number)) for number in range(2, 12)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    server.let.set()
    assert await asyncio.gather(*tasks) == [2 * number for number in range(1, 12)]
    assert server.asked[0] == [1]
    assert max(len(group) for group in server.asked) == 5
    assert len(server.asked) <= 4


async def test_an_error_is_told_to_everybody_who_asked_with_it() -> None:
    server = Server()
    server.let.set()
    gathered = Gathered(server)
    found = await asyncio.gather(gathered(12), gathered(13), return_exceptions=True)
    assert [type(answer) for answer in found] == [Unavailable, Unavailable]
    assert found[0] is not found[1]
    assert await gathered(14) == 28


async def test_who_has_gone_is_not_asked_for() -> None:
    server = Server()
    gathered = Gathered(server)
    for number in range(2):  # as many as are under way at once
        task = asyncio.create_task(gathered(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.add_done_callback(lambda done: done.exception())
    impatient = asyncio.create_task(gathered(7))
    patient = asyncio.create_task(gathered(8))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    server.let.set()
    assert await patient == 16
    assert [7] not in server.asked
    assert server.asked[-1] == [8]

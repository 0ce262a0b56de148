"""What `/metrics` tells of views and process managers that cannot be asked."""

from __future__ import annotations

from inspect import isawaitable
from typing import Any, cast

import pytest

from eventgraph.running.metrics import sources_of
from eventgraph.running.servers import Servers
from eventgraph.serving.served import ServedSubgraph
from eventkernel.errors import CorruptData, KernelError, Unavailable


class Failing:
    """A view whose state cannot be read."""

    def __init__(self, error: KernelError) -> None:
        self._error = error

    async def status(self) -> object:
        raise self._error


@pytest.mark.parametrize("error", [Unavailable("no answer"), CorruptData("doors: malformed")])
async def test_one_subgraph_whose_readers_cannot_be_asked_takes_no_other_metrics_with_it(error: KernelError) -> None:
    subgraph = ServedSubgraph("doors", cast("Any", None), "", cast("Any", Failing(error)), cast("Any", None))
    readers = sources_of(Servers(), [subgraph])[-1]()
    assert isawaitable(readers)
    assert [(found.metric.name, found.values) for found in await readers] == [
        ("eventgraph.status.readable", {("doors",): 0})
    ]

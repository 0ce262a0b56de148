"""One running system per test module and mode: the scenarios run in-process, behind HTTP ports, and on the engines."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.distributed import Engines, distributed_kith
from tests.support.kith import RunningKith, kith_up

MODES = {"in-process": (), "http": ("--http",)}


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[*MODES, pytest.param("distributed", marks=pytest.mark.engines)],
)
async def kith(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningKith]:
    """A system with data of its own; tests of one module share it and use users of their own."""
    if request.param == "distributed":
        async with distributed_kith(_engines(request)) as running:
            yield running
        return
    folder = tmp_path_factory.mktemp(request.param)
    async with kith_up(folder / "data", *MODES[request.param]) as running:
        yield running


@pytest.fixture
def engines(request: pytest.FixtureRequest) -> Engines:
    """The real servers, with names of the test's own."""
    return _engines(request)


def _engines(request: pytest.FixtureRequest) -> Engines:
    return Engines(
        kafka=request.getfixturevalue("kafka_server"),
        mongodb=request.getfixturevalue("mongodb_server"),
        neo4j=request.getfixturevalue("neo4j_server"),
        name=f"test_{secrets.token_hex(6)}",
    )

"""One running bank per test module and mode: in-process, behind HTTP ports, and on the engines."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bank.system import BANK
from tests.support.bank import Bank
from tests.support.distributed import Engines, distributed_kith
from tests.support.kith import RunningKith, kith_up

MODES = {"in-process": (), "http": ("--http",)}


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[*MODES, pytest.param("distributed", marks=pytest.mark.engines)]
)
async def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningKith]:
    if request.param == "distributed":
        async with distributed_kith(engines_of(request)) as running:
            yield running
        return
    folder = tmp_path_factory.mktemp(request.param)
    async with kith_up(folder / "data", *MODES[request.param], system="bank") as running:
        yield running


@pytest.fixture
def engines(request: pytest.FixtureRequest) -> Engines:
    """The real servers, with names of the test's own."""
    return engines_of(request)


def engines_of(request: pytest.FixtureRequest) -> Engines:
    return Engines(
        kafka=request.getfixturevalue("kafka_server"),
        mongodb=request.getfixturevalue("mongodb_server"),
        neo4j=None,
        name=f"test_{secrets.token_hex(6)}",
        system=BANK,
    )


@pytest.fixture
def bank(system: RunningKith) -> Bank:
    return Bank(system)


@pytest.fixture
def owner() -> str:
    """Of the test's own: tests of one module share a bank."""
    return f"o{secrets.token_hex(6)}"

"""One running system per test module and mode: the scenarios run in-process and behind real HTTP ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.kith import RunningKith, kith_up

MODES = {"in-process": (), "http": ("--http",)}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=MODES)
async def kith(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningKith]:
    """A system with data of its own; tests of one module share it and use users of their own."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    async with kith_up(folder / "data", *MODES[request.param]) as running:
        yield running

"""Every audit of GraphQL over HTTP passes, for the router and for each subgraph, against a running system.

https://github.com/graphql/graphql-http#audits
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.kith import kith_up
from tests.support.npm import Absent, npm_packages

SHIPPED = Path(__file__).parent / "graphql_http"
AUDITS = 61

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]


async def audited(folder: Path, url: str) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec("node", "audit.js", url, cwd=folder, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    results: list[dict[str, Any]] = json.loads(printed)
    return results


async def test_router_and_subgraphs_pass_every_audit_of_graphql_over_http(tmp_path: Path) -> None:
    try:
        packages = npm_packages("graphql-http", SHIPPED, "audit.js")
    except Absent as absent:
        pytest.skip(str(absent))
    async with kith_up(tmp_path / "data", "--http") as running:
        urls = re.findall(r"http://\S+/graphql", running.banner)
        assert len(urls) == 4
        for url in urls:
            results = await audited(packages, url)
            assert [result for result in results if result["status"] != "ok"] == []
            assert len(results) == AUDITS

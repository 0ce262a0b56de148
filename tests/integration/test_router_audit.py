"""Every case of the federation audit through the whole router, its subgraphs in-process and behind HTTP."""

from __future__ import annotations

import pytest

from tests.support.federation_audit import audit_module, suite_names
from tests.support.router_audit import TRANSPORTS, Transport, failures


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", suite_names() or ["federation-audit"])
async def test_every_case_of_the_audit_passes(name: str, transport: Transport) -> None:
    failed = await failures(audit_module("audit.cases").load_suite(name), transport)
    assert not failed, "\n".join(problem for found in failed.values() for problem in found)

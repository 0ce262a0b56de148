"""Specs for deciders, process managers and projections, which need nothing else, and contract suites: what every
adapter of a port has to pass. The suites need pytest."""

import sys

if (pytest := sys.modules.get("pytest")) is not None:
    # So that a contract that is broken shows the values, as any test does.
    pytest.register_assert_rewrite(
        "eventkernel.testing.event_store_contract",
        "eventkernel.testing.view_contract",
        "eventkernel.testing.document_view_contract",
    )

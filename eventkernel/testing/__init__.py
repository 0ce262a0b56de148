"""Contract suites: what every adapter of a port has to pass. They need pytest."""

import pytest

# So that a contract that is broken shows the values, as any test does.
pytest.register_assert_rewrite(
    "eventkernel.testing.event_store_contract",
    "eventkernel.testing.view_contract",
    "eventkernel.testing.document_view_contract",
)

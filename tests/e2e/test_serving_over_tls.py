"""A process of the distributed mode over TLS, which lets in who shows a certificate, and tells what it cannot use."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import trustme

from infra.patience import seconds
from tests.support.kith import run_kith, running_kith


async def test_a_process_serves_over_tls_those_who_show_a_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    authority.issue_cert("somebody.example").configure_cert(context)
    files = {"KITH_TLS_CERTIFICATE": str(tmp_path / "server.pem"), "KITH_TLS_CLIENT_CA": str(tmp_path / "ca.pem")}
    async with (
        running_kith("serve", "router", "--port", "0", environment=files) as running,
        httpx.AsyncClient(verify=context, timeout=seconds(30)) as client,
    ):
        assert running.origin.startswith("https://127.0.0.1:")
        answer = await client.post(f"{running.origin}/graphql", json={"query": "{ __typename }"})
        assert answer.json() == {"data": {"__typename": "Query"}}
        assert await running.stop() == 0


async def test_a_certificate_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    for files, message in (
        ({"KITH_TLS_CERTIFICATE": str(tmp_path / "none.pem")}, "cannot read none.pem"),
        ({"KITH_TLS_CLIENT_CA": str(tmp_path / "ca.pem")}, "expected tls_certificate beside them"),
    ):
        finished = await run_kith("serve", "router", "--port", "0", environment=files)
        assert finished.code != 0
        assert message in " ".join(finished.errors.replace("│", " ").split())

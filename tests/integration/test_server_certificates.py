"""A server over TLS: who is let in by a certificate, and what a change of its files changes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from structlog.testing import capture_logs

from eventgraph.errors import StartError
from eventgraph.running.certificates import CertificateFiles, Certificates
from eventgraph.running.servers import Servers, listen, origin_of
from eventgraph.running.settings import ServeSettings, loaded
from graphrouter import GraphRouter
from graphrouter.configuration import load
from graphrouter.server.servers import Endpoint
from graphrouter.transport import SubgraphRequest, SubgraphUnreachable
from graphrouter.transport.http import HttpTransport
from infra.patience import seconds
from kithgraph.system import SOCIAL_NETWORK
from tests.support.tiny_subgraph import users_subgraph

QUERY = b'{"query": "{ me { name } }"}'


class Folder:
    """Files of an authority and of certificates that it has made."""

    def __init__(self, path: Path, authority: trustme.CA | None = None) -> None:
        self.path = path
        self.authority = authority or trustme.CA()
        self.authority.cert_pem.write_to_path(path / "ca.pem")

    def issue(self, name: str, *identities: str, not_after: datetime | None = None) -> None:
        made = self.authority.issue_cert(*(identities or ("127.0.0.1",)), not_after=not_after)
        made.private_key_pem.write_to_path(self.path / f"{name}.key")
        for number, pem in enumerate(made.cert_chain_pems):
            pem.write_to_path(self.path / f"{name}.pem", append=bool(number))

    def files(self, *, clients: bool = True) -> CertificateFiles:
        ca = self.path / "ca.pem" if clients else None
        return CertificateFiles(self.path / "server.pem", self.path / "server.key", ca)

    def context(self, shown: str | None = "router") -> ssl.SSLContext:
        """A client's."""
        context = ssl.create_default_context(cafile=self.path / "ca.pem")
        if shown is not None:
            context.load_cert_chain(self.path / f"{shown}.pem", self.path / f"{shown}.key")
        return context


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.issue("server")
    made.issue("router", "router.example")
    return made


@asynccontextmanager
async def serving(certificates: Certificates) -> AsyncGenerator[str]:
    listener = listen("127.0.0.1", 0)
    servers = Servers()
    try:
        await servers.start([Endpoint(users_subgraph(), listener, tls=certificates.context)])
        yield f"{origin_of(listener, certificates)}/graphql"
    finally:
        await servers.shut_down()


async def ask(url: str, context: ssl.SSLContext | None) -> bool:
    """Whether there is an answer, over a new connection."""
    transport = HttpTransport(url, tls=context)
    deadline = asyncio.get_running_loop().time() + seconds(10)
    try:
        return (await transport.send(SubgraphRequest(QUERY, deadline=deadline))).status == 200
    except SubgraphUnreachable:
        return False
    finally:
        await transport.aclose()


async def test_only_who_shows_a_certificate_of_the_authority_is_let_in(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Folder(tmp_path / "other")
    other.issue("router", "router.example")
    stranger = ssl.create_default_context(cafile=folder.path / "ca.pem")
    stranger.load_cert_chain(other.path / "router.pem", other.path / "router.key")
    async with serving(Certificates(folder.files())) as url:
        assert url.startswith("https://127.0.0.1:")
        assert await ask(url, folder.context())
        assert not await ask(url, folder.context(shown=None))
        assert not await ask(url, stranger)
        assert not await ask(url.replace("https", "http"), None)
    async with serving(Certificates(folder.files(clients=False))) as url:
        assert await ask(url, folder.context(shown=None))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder.issue("server", "elsewhere.example"), "IP address mismatch"),
        (lambda folder: folder.issue("server", not_after=datetime(2020, 1, 1, tzinfo=UTC)), "certificate has expired"),
    ],
)
async def test_the_log_says_what_is_wrong_with_a_subgraphs_certificate(
    folder: Folder, make: Callable[[Folder], None], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    make(folder)
    async with serving(Certificates(folder.files())) as url:
        assert not await ask(url, folder.context())
    assert reason in caplog.text


async def test_the_log_says_that_a_subgraph_does_not_take_the_routers_certificate(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.issue("router", "router.example", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    async with serving(Certificates(folder.files())) as url:
        assert not await ask(url, folder.context())
        assert "failed: " in caplog.text


async def test_a_renewed_certificate_and_another_authority_hold_for_new_connections(
    folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "next").mkdir()
    following = Folder(tmp_path / "next")
    following.issue("router", "router.example")
    certificates = Certificates(folder.files())
    async with serving(certificates) as url:
        former = folder.context()
        assert await ask(url, former)
        Folder(folder.path, following.authority).issue("server")
        certificates.refresh()
        assert await ask(url, following.context())
        assert not await ask(url, former)
        # Whose authority is taken away is not let in either, though the client trusts the server.
        mixed = ssl.create_default_context(cafile=following.path / "ca.pem")
        mixed.load_cert_chain(folder.path / "router.pem", folder.path / "router.key")
        assert not await ask(url, mixed)


async def test_no_session_is_resumed_in_which_no_certificate_was_shown(folder: Folder) -> None:
    def connect(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
        with (
            socket.create_connection((address.hostname or "", address.port or 0), timeout=seconds(10)) as plain,
            context.wrap_socket(plain, server_hostname=address.hostname, session=session) as secured,
        ):
            return secured.session, secured.session_reused

    async with serving(Certificates(folder.files())) as url:
        address, context = urlsplit(url), folder.context()
        session, _ = await asyncio.to_thread(connect, None)
        assert (await asyncio.to_thread(connect, session))[1] is False
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # where a server keeps sessions
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(connect, None)


async def test_files_that_cannot_be_used_change_nothing(folder: Folder) -> None:
    certificates = Certificates(folder.files())
    with capture_logs() as logs:
        certificates.refresh()
        assert logs == []
        (folder.path / "server.key").write_text("half of")
        certificates.refresh()
        certificates.refresh()
        (folder.path / "ca.pem").unlink()
        certificates.refresh()
    assert [(one["log_level"], one["reason"].partition(",")[0]) for one in logs] == [
        ("error", "expected a certificate and its own key in PEM"),
        ("error", "expected a certificate and its own key in PEM"),
    ]
    async with serving(certificates) as url:
        # The client's own context was made of files that are gone by now.
        context = ssl.create_default_context()
        folder.authority.configure_trust(context)
        context.load_cert_chain(folder.path / "router.pem", folder.path / "router.key")
        assert await ask(url, context)


async def test_files_are_looked_at_while_the_server_runs(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = asyncio.Event()
    certificates = Certificates(folder.files())
    loop = asyncio.get_running_loop()
    monkeypatch.setattr("eventgraph.running.certificates._LOOK_SECONDS", 0.001)
    monkeypatch.setattr(certificates, "refresh", lambda: loop.call_soon_threadsafe(looked.set))
    async with certificates.watched(), asyncio.timeout(seconds(10)):
        await looked.wait()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: (path / "server.pem").unlink(), "cannot read server.pem or server.key: No such file"),
        (lambda path: (path / "server.pem").write_text("x"), "found none in server.pem and server.key"),
        (lambda path: (path / "server.key").write_bytes((path / "router.key").read_bytes()), "its own key"),
        (lambda path: (path / "ca.pem").unlink(), "cannot read ca.pem: No such file"),
        (lambda path: (path / "ca.pem").write_text("x"), "found none that can be read in ca.pem"),
    ],
)
def test_at_the_start_it_is_told_which_file_cannot_be_used(
    folder: Folder, change: Callable[[Path], object], message: str
) -> None:
    change(folder.path)
    with pytest.raises(StartError, match=message):
        Certificates(folder.files())


def test_the_settings_name_the_files(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(SOCIAL_NETWORK, ServeSettings).certificates() is None
    monkeypatch.setenv("KITH_TLS_KEY", str(folder.path / "server.key"))
    with pytest.raises(StartError, match="expected tls_certificate beside them"):
        loaded(SOCIAL_NETWORK, ServeSettings)
    monkeypatch.setenv("KITH_TLS_CERTIFICATE", str(folder.path / "server.pem"))
    monkeypatch.setenv("KITH_TLS_CLIENT_CA", str(folder.path / "ca.pem"))
    made = loaded(SOCIAL_NETWORK, ServeSettings).certificates()
    assert made is not None
    assert made.context.verify_mode is ssl.CERT_REQUIRED


async def test_a_router_shows_the_certificate_that_its_configuration_names(folder: Folder) -> None:
    file = folder.path / "router.yaml"
    file.write_text("all_subgraphs: {tls: {ca: ca.pem, certificate: router.pem, key: router.key}}")
    configured = load(file, (), {})
    assert {one.name for one in configured.files} == {"router.yaml", "ca.pem", "router.pem", "router.key"}
    async with serving(Certificates(folder.files())) as url, AsyncExitStack() as stack:
        router = await GraphRouter.compose({"users": url}, configured.configuration.options())
        await stack.enter_async_context(router)
        assert (await router.execute("{ me { name } }")).data == {"me": {"name": "Ada"}}
        assert (await router.health())["users"].ready

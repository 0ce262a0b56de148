"""The keys of an issuer rotate while tokens come, and nobody can make them be asked for too often."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from graphrouter import Authentication, Issuer
from graphrouter.authentication.tokens import Tokens
from graphrouter.request import RequestRefused
from graphrouter.transport.port import SubgraphRequest, SubgraphResponse, SubgraphUnreachable
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

URL = "https://issuer.example/keys"
OLD, NEW = SigningKey("old"), SigningKey("new")


class Server:
    """Stands at the URL of the keys."""

    def __init__(self, text: str, status: int = 200) -> None:
        self.text, self.status, self.asked = text, status, 0
        self.reachable = True
        self.was_asked = asyncio.Event()
        self.hold: asyncio.Event | None = None

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        assert request.get == URL
        self.asked += 1
        self.was_asked.set()
        if self.hold is not None:
            await self.hold.wait()
        if not self.reachable:
            raise SubgraphUnreachable("the subgraph could not be reached")
        return SubgraphResponse(self.status, {}, self.text.encode())


def known_by(server: Server, **times: float) -> Tokens:
    tokens = Tokens(Authentication((Issuer(ISSUER, URL, (AUDIENCE,)),), **times))  # type: ignore[arg-type]
    (_, keys), *_ = tokens._issuers.values()
    keys._transport = server  # type: ignore[assignment]
    return tokens


async def code_of(tokens: Tokens, key: SigningKey) -> str:
    """The code of the refusal; an empty text for a caller."""
    try:
        assert await tokens.caller(bearer(key.token())) is not None
    except RequestRefused as refused:
        return str(refused.errors[0]["extensions"]["code"])
    return ""


async def test_keys_are_asked_for_when_the_first_token_comes_and_kept() -> None:
    server = Server(key_set(OLD.public()))
    tokens = known_by(server)
    assert await tokens.caller({}) is None
    assert server.asked == 0
    assert [await code_of(tokens, OLD) for _ in range(5)] == [""] * 5
    assert server.asked == 1


async def test_requests_that_come_together_ask_once() -> None:
    server = Server(key_set(OLD.public()))
    server.hold = asyncio.Event()
    tokens = known_by(server)
    asking = [asyncio.create_task(code_of(tokens, OLD)) for _ in range(20)]
    await server.was_asked.wait()
    server.hold.set()
    assert await asyncio.gather(*asking) == [""] * 20
    assert server.asked == 1


async def test_a_new_key_is_found_and_an_old_one_is_gone_with_it() -> None:
    server = Server(key_set(OLD.public()))
    tokens = known_by(server, unknown_key=0)
    assert await code_of(tokens, OLD) == ""
    server.text = key_set(NEW.public())
    assert await code_of(tokens, NEW) == ""
    assert await code_of(tokens, OLD) == "UNAUTHENTICATED"


async def test_tokens_of_unknown_keys_do_not_make_the_issuer_be_asked_again_and_again() -> None:
    server = Server(key_set(OLD.public()))
    tokens = known_by(server, unknown_key=10**6)
    assert await code_of(tokens, OLD) == ""
    assert [await code_of(tokens, SigningKey(f"k{n}")) for n in range(5)] == ["UNAUTHENTICATED"] * 5
    assert server.asked == 1


async def test_keys_that_have_become_old_are_asked_for_while_they_are_used() -> None:
    server = Server(key_set(OLD.public()))
    tokens = known_by(server, refresh=0, unknown_key=0)
    assert await code_of(tokens, OLD) == ""
    server.text, server.hold = key_set(NEW.public()), asyncio.Event()
    assert await code_of(tokens, OLD) == ""
    server.hold.set()
    (_, keys), *_ = tokens._issuers.values()
    assert keys._reading is not None
    await keys._reading
    assert await code_of(tokens, OLD) == "UNAUTHENTICATED"


@pytest.mark.parametrize("fault", ["unreachable", "status", "text"])
async def test_keys_that_cannot_be_read_again_stay_for_as_long_as_they_are_trusted(fault: str) -> None:
    server = Server(key_set(OLD.public()))
    tokens = known_by(server, refresh=0, unknown_key=0)
    assert await code_of(tokens, OLD) == ""
    server.reachable = fault != "unreachable"
    server.status = 500 if fault == "status" else 200
    server.text = "no keys" if fault == "text" else server.text
    assert await code_of(tokens, NEW) == "UNAUTHENTICATED"
    assert await code_of(tokens, OLD) == ""
    (_, keys), *_ = tokens._issuers.values()
    keys._settings = Authentication(keys._settings.issuers, refresh=0, unknown_key=0, trust=0)
    assert await code_of(tokens, OLD) == "AUTHENTICATION_UNAVAILABLE"


async def test_without_keys_it_is_said_that_they_cannot_be_read_and_they_are_not_asked_for_at_each_token() -> None:
    server = Server("", status=503)
    tokens = known_by(server, unknown_key=10**6)
    assert [await code_of(tokens, OLD) for _ in range(5)] == ["AUTHENTICATION_UNAVAILABLE"] * 5
    assert server.asked == 1


async def test_keys_in_a_file_rotate_with_it(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(key_set(OLD.public()))
    tokens = Tokens(Authentication((Issuer(ISSUER, os.fspath(file), (AUDIENCE,)),), unknown_key=0))
    assert await code_of(tokens, OLD) == ""
    file.write_text(key_set(NEW.public()))
    assert await code_of(tokens, NEW) == ""
    file.write_text("x" * (256 * 1024 + 1))
    assert await code_of(tokens, OLD) == "UNAUTHENTICATED"
    assert await code_of(tokens, NEW) == ""
    await tokens.aclose()


async def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    tokens = Tokens(Authentication((Issuer(ISSUER, os.fspath(tmp_path / "no.json"), (AUDIENCE,)),)))
    assert await code_of(tokens, OLD) == "AUTHENTICATION_UNAVAILABLE"


async def test_keys_come_over_http_from_a_loopback_address() -> None:
    body = key_set(OLD.public()).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GET /keys HTTP/1.1\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        tokens = Tokens(Authentication((Issuer(ISSUER, f"http://127.0.0.1:{port}/keys", (AUDIENCE,)),)))
        assert await code_of(tokens, OLD) == ""
        await tokens.aclose()

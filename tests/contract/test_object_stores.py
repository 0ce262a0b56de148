"""Every object store keeps the port's promises: a folder, and a bucket of a real server that speaks S3."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventkernel.adapters.objects.folder import FolderStore
from eventkernel.adapters.objects.s3 import S3ObjectStore, S3Settings
from eventkernel.archiving.objects import ObjectStore
from eventkernel.errors import CorruptData, Unavailable
from infra.local import S3Address
from tests.support.raw_server import raw_server

KEY, SECRET = "AKIAEXAMPLE", "a-secret-of-the-test"


def bucket(server: S3Address, prefix: str) -> S3ObjectStore:
    keys = {"access_key": server.access_key, "secret_key": server.secret_key}
    return S3ObjectStore(
        S3Settings(server.bucket, prefix, endpoint=server.endpoint, region=server.region, patience=30, **keys)
    )


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.engines)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "not there yet" / "archive")
    return bucket(request.getfixturevalue("s3_server"), f"test {secrets.token_hex(6)}/é%41#")


async def names(store: ObjectStore, level: str = "") -> list[str]:
    return sorted([name async for name in store.names(level)])


async def test_what_was_put_is_got_and_listed(store: ObjectStore) -> None:
    assert await names(store) == []
    assert await store.get("a/b/c.txt", 10) is None
    assert await store.put("a/b/c.txt", b"content")
    assert await store.put("a/bb.txt", b"")
    assert await store.get("a/b/c.txt", 7) == b"content"
    assert await store.get("a/bb.txt", 7) == b""
    assert await names(store) == ["a/b/c.txt", "a/bb.txt"]
    assert await names(store, "a/b") == ["a/b/c.txt"]
    assert await names(store, "nothing") == []


async def test_an_object_is_written_once(store: ObjectStore) -> None:
    assert await store.put("a/b", b"first")
    assert await store.put("a/b", b"first")  # as when the answer was lost, and the request is repeated
    assert not await store.put("a/b", b"other")
    assert not await store.put("a/b", b"longer than the first")
    assert await store.get("a/b", 100) == b"first"


async def test_of_many_that_write_one_name_at_once_one_wins(store: ObjectStore) -> None:
    contents = [secrets.token_bytes(50_000) for _ in range(8)]
    won = await asyncio.gather(*(store.put("a", content) for content in contents))
    assert won.count(True) == 1
    assert await store.get("a", 50_000) == contents[won.index(True)]
    assert await names(store) == ["a"]


async def test_a_large_object_is_kept_whole_and_one_that_is_too_large_is_not_read(store: ObjectStore) -> None:
    content = secrets.token_bytes(12_000_000)
    assert await store.put("large", content)
    assert await store.get("large", len(content)) == content
    with pytest.raises(CorruptData, match="large: expected at most 11999999 bytes"):
        await store.get("large", len(content) - 1)


async def test_more_objects_than_one_page_of_a_listing_are_all_listed(store: ObjectStore) -> None:
    for hundred in range(0, 1_100, 100):
        await asyncio.gather(*(store.put(f"m/{number:05d}", b"x") for number in range(hundred, hundred + 100)))
    assert await names(store, "m") == [f"m/{number:05d}" for number in range(1_100)]


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = FolderStore(tmp_path / "file")
    with pytest.raises(Unavailable, match="Not a directory"):
        await store.put("a/b", b"content")


async def test_a_draft_that_a_crash_left_in_a_folder_is_no_object(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    (tmp_path / ".draft-0123").write_bytes(b"cut o")
    await store.put("a", b"content")
    assert await names(store) == ["a"]


@pytest.mark.engines
@pytest.mark.parametrize("wrong", ["secret_key", "access_key", "bucket"])
async def test_who_may_not_use_a_bucket_is_told_so_without_the_keys(s3_server: S3Address, wrong: str) -> None:
    given = {"access_key": s3_server.access_key, "secret_key": s3_server.secret_key, "bucket": s3_server.bucket}
    given[wrong] = f"not-{given[wrong][:8]}"
    store = S3ObjectStore(
        S3Settings(
            given["bucket"],
            endpoint=s3_server.endpoint,
            region=s3_server.region,
            access_key=given["access_key"],
            secret_key=given["secret_key"],
        )
    )
    for asked in (store.put("a", b"x"), store.get("a", 10), names(store)):
        with pytest.raises(Unavailable) as refused:
            await asked
        assert any(status in str(refused.value) for status in ("403", "404"))
        assert given["secret_key"] not in str(refused.value)
        assert given["access_key"] not in str(refused.value)


@pytest.mark.engines
async def test_without_keys_in_the_settings_a_bucket_is_used_with_those_of_awss_own_variables(
    s3_server: S3Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = S3Settings(s3_server.bucket, f"test {secrets.token_hex(6)}", endpoint=s3_server.endpoint)
    monkeypatch.setenv("AWS_REGION", s3_server.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    store = S3ObjectStore(settings)
    assert await store.put("a", b"content")
    assert await bucket(s3_server, settings.prefix).get("a", 7) == b"content"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with pytest.raises(Unavailable, match="403"):
        await S3ObjectStore(settings).get("a", 7)
    assert await bucket(s3_server, settings.prefix).get("a", 7) == b"content"  # a key in the settings comes first


FULL = b"<Error><Code>XMinioStorageFull</Code><Key>AKIAEXAMPLE</Key></Error>"


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        ("403 Forbidden", b"<Error><Code>QuotaExceeded</Code></Error>", "403 Forbidden, QuotaExceeded"),
        ("507 Insufficient Storage", FULL, "507 Insufficient Storage, XMinioStorageFull"),
        ("400 Bad Request", b"not XML " + KEY.encode(), "400 Bad Request"),
    ],
)
async def test_what_a_server_refuses_is_told_by_its_code_alone(status: str, body: bytes, told: str) -> None:
    async with raw_server() as server:
        server.closing = True  # a client would keep the connection
        server.answer = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        with pytest.raises(Unavailable) as refused:
            await hopeless(server.port).put("a", b"content")
    assert str(refused.value).endswith(f"a cannot be written: {told}")


EXISTS = b"HTTP/1.1 412 Precondition Failed\r\ncontent-length: 0\r\n\r\n"
MISSING = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
CREATED = b'HTTP/1.1 200 OK\r\nETag: "1"\r\ncontent-length: 0\r\n\r\n'


class InTurn:
    """Gives each request the next one of some answers."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = iter(answers)

    def __iter__(self) -> Iterator[bytes]:
        yield next(self._answers)


async def test_an_object_that_another_writer_has_begun_and_not_finished_is_written() -> None:
    async with raw_server() as server:
        server.answer = InTurn(EXISTS, MISSING, CREATED)
        assert await store_of(server.port, patience=60).put("a", b"content")
    assert [head.split()[0] for head in server.heads] == [b"PUT", b"HEAD", b"PUT"]


async def test_an_object_that_exists_and_cannot_be_found_is_unavailable_in_the_end() -> None:
    async with raw_server() as server:
        server.answer = InTurn(*([EXISTS, MISSING] * 10))
        with pytest.raises(Unavailable, match="a cannot be written: it exists for the server, and cannot be found"):
            await hopeless(server.port).put("a", b"content")


async def test_a_server_that_does_not_answer_is_unavailable_in_the_end() -> None:
    async with raw_server() as server:
        server.answer = b""
        with pytest.raises(Unavailable, match="HTTP error"):
            await hopeless(server.port).get("a", 10)


async def test_an_archive_whose_server_is_away_is_unavailable() -> None:
    for asked in (hopeless(1).get("a", 10), hopeless(1).put("a", b""), names(hopeless(1))):
        with pytest.raises(Unavailable, match="HTTP error"):
            await asked


def hopeless(port: int) -> S3ObjectStore:
    return store_of(port, patience=0.3)


def store_of(port: int, *, patience: float) -> S3ObjectStore:
    keys = {"access_key": KEY, "secret_key": SECRET}
    return S3ObjectStore(
        S3Settings("bucket", endpoint=f"http://127.0.0.1:{port}", region="us-east-1", patience=patience, **keys)
    )


def test_settings_are_shown_without_their_keys() -> None:
    settings = S3Settings("bucket", access_key=KEY, secret_key=SECRET, session_token="a-token")
    assert not any(secret in repr(settings) for secret in (KEY, SECRET, "a-token"))

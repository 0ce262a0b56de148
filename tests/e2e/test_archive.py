"""Archive a running system, destroy everything, restore: it is the same system, as an operator does it."""

from __future__ import annotations

import asyncio
import json
import resource
import secrets
import shutil
import signal
import stat
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.local import S3Address
from infra.patience import seconds
from tests.e2e.test_operating import BEFRIEND, CREATE, create, exported, tables
from tests.support.distributed import Engines, distributed_kith
from tests.support.kith import COMMAND, Finished, Json, RunningKith, clean_environment, kith_up, run_kith
from tests.support.raw_server import raw_server

NOTHING: Mapping[str, str] = {}
ALL = """query ($ada: ID!) {
  users(first: 50) { edges { node { id firstName username createdAt version } } }
  user(id: $ada) { friends { edges { node { firstName } since } } }
  recommendations(userId: $ada, first: 10) { user { firstName } mutualFriendCount } }"""


class Place:
    """Where an archive is, and the settings by which it is reached."""

    def __init__(self, name: str, environment: Mapping[str, str] = NOTHING) -> None:
        self.name = name
        self.environment = environment

    async def archive(self, command: str, *options: str, more: Mapping[str, str] = NOTHING) -> Finished:
        environment = {"KITH_ARCHIVE": self.name, **self.environment, **more}
        return await run_kith("archive", command, *options, seconds=100, environment=environment)

    async def done(self, command: str, *options: str, more: Mapping[str, str] = NOTHING) -> str:
        finished = await self.archive(command, *options, more=more)
        assert (finished.code, finished.errors) == (0, ""), finished
        return finished.output


def bucket(server: S3Address) -> Place:
    environment = {
        "KITH_ARCHIVE_S3_ENDPOINT": server.endpoint,
        "KITH_ARCHIVE_S3_REGION": server.region,
        "KITH_ARCHIVE_S3_ACCESS_KEY": server.access_key,
        "KITH_ARCHIVE_S3_SECRET_KEY": server.secret_key,
    }
    return Place(f"s3://{server.bucket}/{secrets.token_hex(6)}", environment)


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.engines)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place(str(tmp_path / "archive"))
    return bucket(request.getfixturevalue("s3_server"))


async def populate(kith: RunningKith) -> Json:
    """Some people and friendships; Ada's payload, and the bookmark of all."""
    people = [await create(kith, name, name.lower(), f"key-of-{name}") for name in ("Ada", "Bob", "Cid", "Eve")]
    ids = [one["user"]["id"] for one in people]
    for one, other in ((0, 1), (1, 2)):
        last = await kith.ask(BEFRIEND, {"one": ids[one], "other": ids[other]})
    await kith.ask("mutation ($id: ID!) { deleteUser(input: {id: $id}) { bookmark } }", {"id": ids[3]})
    return people[0], last.data["addFriend"]["bookmark"]


async def seen(kith: RunningKith, ada: Json, bookmark: str | None) -> Json:
    return (await kith.ask(ALL, {"ada": ada["user"]["id"]}, bookmark=bookmark)).data


async def check_same_system(kith: RunningKith, ada: Json, before: Json, bookmark: str | None) -> None:
    """Views, claims and idempotency keys are as they were."""
    async with asyncio.timeout(seconds(60)):
        while (await seen(kith, ada, bookmark)) != before:  # noqa: ASYNC110 -- without a bookmark a view may be behind
            await asyncio.sleep(0.1)
    again = await create(kith, "Ada", "ada", "key-of-Ada")
    assert (again["user"], again["version"]) == (ada["user"], ada["version"])
    assert (await kith.ask(CREATE, {"first": "Another", "name": "bob"})).codes == ["USERNAME_TAKEN"]
    assert (await create(kith, "Another", "eve"))["version"] == 1


async def test_a_system_that_was_destroyed_is_restored_from_its_archive(place: Place, tmp_path: Path) -> None:
    data, keys = tmp_path / "data", tmp_path / "claims.keys"
    async with kith_up(data) as kith:
        ada, bookmark = await populate(kith)
        first = await place.done("run", "--data", str(data))
        assert "5 records" in first
        await create(kith, "Fay", "fay")
        await place.done("run", "--data", str(data))
        assert "claims key is in" in await place.done("keys", str(keys), "--data", str(data))
        before = await seen(kith, ada, bookmark)
    wanted = tables(data)
    export, _ = await exported(data, tmp_path)
    shutil.rmtree(data)
    assert (await place.done("verify")).count("records") == 2
    restored = await place.done("restore", "--keys", str(keys), "--data", str(data))
    assert restored.splitlines()[0].endswith(": 6 records")
    assert tables(data) == wanted
    (tmp_path / "again").mkdir()
    again, _ = await exported(data, tmp_path / "again")
    assert again.read_bytes().splitlines()[:-1] == export.read_bytes().splitlines()[:-1]
    async with kith_up(data) as kith:
        await check_same_system(kith, ada, before, bookmark)
        assert "7 records" in await place.done("run", "--data", str(data))  # the restored log goes on in its archive
    assert "error" not in await place.done("verify")


async def test_claims_keys_and_secrets_are_never_in_an_archive_nor_in_what_is_said(
    s3_server: S3Address, tmp_path: Path
) -> None:
    place, data, keys = bucket(s3_server), tmp_path / "data", tmp_path / "claims.keys"
    async with kith_up(data) as kith:
        await create(kith, "Ada", "a-name-that-is-claimed")
    said = await place.done("run", "--data", str(data)) + await place.done("keys", str(keys), "--data", str(data))
    copy = Place(str(tmp_path / "copy"))
    await copy.done("run", "--data", str(data))
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    wrong = await place.archive("run", "--data", str(data), more={"KITH_ARCHIVE_S3_SECRET_KEY": "a-wrong-secret"})
    assert (wrong.code, len(wrong.errors.splitlines())) == (1, 1)
    assert "403 Forbidden" in wrong.errors
    half = await place.archive("run", more={"KITH_ARCHIVE_S3_ACCESS_KEY": "", "KITH_SECRETS": str(tmp_path)})
    told = said + wrong.errors + half.errors + half.output
    hidden = [*json.loads(keys.read_text()).values(), s3_server.secret_key, "a-wrong-secret"]
    assert not any(secret in told for secret in hidden)
    objects = [file.read_bytes() for file in (tmp_path / "copy").rglob("*") if file.is_file()]
    assert not any(key.encode() in content for key in hidden[:2] for content in objects)


@asynccontextmanager
async def following(place: Place, data: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "archive", "run", "--follow", "--every", "0.1", "--data", str(data),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**clean_environment(), "KITH_ARCHIVE": place.name, **place.environment},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(stream: asyncio.StreamReader | None, text: str) -> None:
    assert stream is not None
    async with asyncio.timeout(seconds(60)):
        while text not in (line := (await stream.readline()).decode()):
            assert line, f"it ended before it said {text!r}"


async def test_a_follower_archives_what_comes_until_ctrl_c(place: Place, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with kith_up(data) as kith, following(place, data) as process:
        await until(process.stdout, "manifest 0")
        for count, name in enumerate(("Ada", "Bob"), 1):
            await create(kith, name)
            await until(process.stdout, f": {count} records")
            await until(process.stdout, f"manifest {count}")
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.communicate(), seconds(60)) == (b"", b"")
        assert process.returncode == 0


async def test_a_follower_bears_with_a_store_that_is_away_for_a_time(tmp_path: Path) -> None:
    data, archive = tmp_path / "data", tmp_path / "archive"
    async with kith_up(data) as kith:
        await create(kith, "Ada")
    archive.write_bytes(b"a file, where there will be a folder")
    async with following(Place(str(archive)), data) as process:
        await until(process.stderr, f"the folder {archive}")
        archive.unlink()
        await until(process.stdout, "manifest 0")


async def test_a_data_folder_put_back_to_an_older_copy_is_refused(tmp_path: Path) -> None:
    place, data = Place(str(tmp_path / "archive")), tmp_path / "data"
    async with kith_up(data) as kith:
        await create(kith, "Ada")
    shutil.copytree(data, tmp_path / "older", ignore=shutil.ignore_patterns("control.sock"))
    async with kith_up(data) as kith:
        await create(kith, "Bob")
    await place.done("run", "--data", str(data))
    cut = await place.archive("run", "--data", str(tmp_path / "older"))
    assert (cut.code, len(cut.errors.splitlines())) == (1, 1)
    assert "the log ends at 2, and its reader is at 3" in cut.errors


async def test_what_cannot_be_restored_is_named_and_leaves_no_folder(tmp_path: Path) -> None:
    place, data, keys = Place(str(tmp_path / "archive")), tmp_path / "data", tmp_path / "keys"
    async with kith_up(data) as kith:
        await create(kith, "Ada")
        await create(kith, "Bob")
    await place.done("run", "--data", str(data))
    await place.done("keys", str(keys), "--data", str(data))

    async def refused(*options: str) -> str:
        finished = await place.archive("restore", "--keys", str(keys), "--data", str(tmp_path / "copy"), *options)
        assert (finished.code, len(finished.errors.splitlines())) == (1, 1), finished
        assert not (tmp_path / "copy").exists()
        return finished.errors

    assert "expected an archive" in await refused("--archive", str(tmp_path / "nowhere"))
    assert "expected a folder or s3://BUCKET/PREFIX" in await refused("--archive", "gs://user:password@bucket/x")
    assert "password" not in await refused("--archive", "s3://user:password@bucket/x")
    (segment,) = (tmp_path / "archive" / "segments").glob("users.*/00000/*")
    content = segment.read_bytes()
    segment.write_bytes(content[:-1] + b"!")
    assert segment.name in await refused()
    assert (await place.archive("verify")).output.startswith("error: segments/users.")
    segment.write_bytes(content)
    secret = json.loads(keys.read_text())
    first, second = secret
    keys.write_text(json.dumps({first: secret[second], second: secret[first]}))
    assert f"the log {first} is that of another log" in await refused()
    keys.write_text(json.dumps({first: secret[first]}))
    assert f"the claims key of the log {second} is not" in await refused()
    keys.write_text(json.dumps({log.split(".")[0]: key for log, key in secret.items()}))  # as `kith claims-keys` names
    await place.done("restore", "--keys", str(keys), "--data", str(tmp_path / "copy"))
    full = await place.archive("restore", "--keys", str(keys), "--data", str(data))
    assert "is not empty" in full.errors


async def test_a_full_disk_is_told_and_leaves_an_archive_that_goes_on(tmp_path: Path) -> None:
    place, data = Place(str(tmp_path / "archive")), tmp_path / "data"
    async with kith_up(data) as kith:
        await asyncio.gather(*(create(kith, f"Ada {number}") for number in range(60)))
        process = await asyncio.create_subprocess_exec(
            COMMAND, "archive", "run", "--archive", place.name, "--data", str(data),
            stderr=asyncio.subprocess.PIPE, env=clean_environment(),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000)),
        )  # fmt: skip
        _, errors = await asyncio.wait_for(process.communicate(), seconds(60))
        assert (process.returncode, errors.decode().count("\n")) == (1, 1)
        assert "cannot be written: File too large" in errors.decode()
        assert "60 records" in await place.done("run", "--data", str(data))
    assert (await place.done("verify")).count("error") == 0


async def test_a_bucket_that_refuses_is_told_with_the_servers_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with kith_up(data) as kith:
        await create(kith, "Ada")
    async with raw_server() as server:
        server.closing = True
        body = b"<Error><Code>QuotaExceeded</Code></Error>"
        server.answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        address = S3Address(f"http://127.0.0.1:{server.port}", "us-east-1", "full", "key", "secret-of-it")
        finished = await bucket(address).archive("run", "--data", str(data))
    assert finished.code == 1
    assert finished.errors.count("\n") == 1
    assert "403 Forbidden, QuotaExceeded" in finished.errors


async def test_logs_on_kafka_are_archived_while_they_are_written_and_restored_under_new_ids(
    engines: Engines, s3_server: S3Address, tmp_path: Path
) -> None:
    place, environment = bucket(s3_server), dict(engines.environment)
    keys = tmp_path / "claims.keys"
    keys.write_text(environment["KITH_CLAIMS_KEYS"])
    async with distributed_kith(engines) as kith:
        ada, bookmark = await populate(kith)
        await place.done("run", "--distributed", more=environment)
        await create(kith, "Fay", "fay")
        said = await place.done("run", "--distributed", more=environment)
        before = await seen(kith, ada, bookmark)
    assert "error" not in await place.done("verify")
    written = await place.done("keys", str(tmp_path / "by-id.keys"), "--distributed", more=environment)
    assert [line.split(":")[0] for line in written.splitlines()] == [
        line.split(":")[0] for line in said.splitlines()[:2]
    ]

    other = Engines(engines.kafka, engines.mongodb, engines.neo4j, f"test_{secrets.token_hex(6)}", keys=engines.keys)
    await place.done("restore", "--keys", str(keys), "--distributed", more=other.environment)
    async with distributed_kith(other) as kith:
        await check_same_system(kith, ada, before, None)
        from_before = await kith.ask(ALL, {"ada": ada["user"]["id"]}, bookmark=bookmark)
        assert set(from_before.codes) == {"INVALID_INPUT"}
    replaced = await place.archive("run", "--distributed", more=other.environment)
    assert "the log was replaced; archive it in another place" in replaced.errors

    data = tmp_path / "data"
    await place.done("restore", "--keys", str(tmp_path / "by-id.keys"), "--data", str(data))
    for_folder = await run_kith("events", "--data", str(data))
    for_engines = await run_kith("events", "--distributed", environment=environment)
    assert sorted(_ids(for_folder)) == sorted(_ids(for_engines)) != []


def _ids(events: Finished) -> list[str]:
    assert events.code == 0, events.errors
    return [json.loads(line)["id"] for line in events.output.splitlines()]

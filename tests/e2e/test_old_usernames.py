"""Usernames of 0.1.0, which looked at nothing but case: they are kept, keep others off, and are told to operators.

The folder was made by `python -m tests.e2e.test_old_usernames` in a checkout of 0.1.0; it is never made again.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from infra.local import KafkaAddress, MongodbAddress, Neo4jAddress
from tests.support.distributed import Engines, distributed_kith
from tests.support.kith import RunningKith, kith_up, run_kith

FOLDER = Path(__file__).parents[1] / "fixtures" / "usernames-0.1.0"

CREATE = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id username } version } }"
UPDATE = "mutation ($input: UpdateUserInput!) { updateUser(input: $input) { user { username } } }"
OF_BEFORE = {"plain": "paypal", "joined": "Anna\u034f", "cyrillic": "\u0410nna", "marked": "a\u034fda"}
"""By idempotency key. The second and the third look alike."""


def person(key: str, username: str) -> Mapping[str, str]:
    return {"firstName": "Person", "lastName": key, "username": username, "idempotencyKey": key}


async def look_alikes_are_kept_and_taken(kith: RunningKith) -> None:
    ids: dict[str, str] = {}
    for key, username in OF_BEFORE.items():
        answer = (await kith.ask(CREATE, {"input": person(key, username)})).data["createUser"]
        assert (answer["user"]["username"], answer["version"]) == (username, 1)
        ids[key] = answer["user"]["id"]
    for username in ("anna", "PaypaI", "Ada"):
        assert (await kith.ask(CREATE, {"input": person(f"new-{username}", username)})).codes == ["USERNAME_TAKEN"]
    unfit = await kith.ask(CREATE, {"input": person("new", "Bob\u034f")})
    assert unfit.codes == ["INVALID_INPUT"]
    changed = await kith.ask(UPDATE, {"input": {"id": ids["cyrillic"], "firstName": "Anna", "username": "\u0410nna"}})
    assert changed.data["updateUser"]["user"]["username"] == "\u0410nna"
    assert (await kith.ask(CREATE, {"input": person("new-bob", "bob")})).codes == []


async def test_embedded(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(FOLDER, data)
    async with kith_up(data) as kith:
        await look_alikes_are_kept_and_taken(kith)
        told = await run_kith("doctor", "--data", str(data))
        assert "usernames that look alike" in told.output
        assert await kith.stop() == 0


async def test_on_the_engines(
    kafka_server: KafkaAddress,
    mongodb_server: MongodbAddress,
    neo4j_server: Neo4jAddress,
    engine_name: str,
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    shutil.copytree(FOLDER, data)
    keys = tmp_path / "claims.keys"
    engines = Engines(kafka_server, mongodb_server, neo4j_server, engine_name, keys="")
    environment = {**engines.environment, "KITH_CLAIMS_KEYS_FILE": str(keys)}
    del environment["KITH_CLAIMS_KEYS"]
    migrated = await run_kith("migrate", "--data", str(data), environment=environment)
    assert migrated.code == 0, migrated.errors
    engines = replace(engines, keys=keys.read_text())
    async with distributed_kith(engines) as kith:
        await look_alikes_are_kept_and_taken(kith)
        told = await run_kith("doctor", "--distributed", environment=engines.environment)
        assert "usernames that look alike" in told.output


async def make() -> None:
    async with kith_up(FOLDER) as kith:
        for key, username in OF_BEFORE.items():
            assert (await kith.ask(CREATE, {"input": person(key, username)})).codes == []
        assert await kith.stop() == 0
    (FOLDER / "lock").unlink(missing_ok=True)


if __name__ == "__main__":
    asyncio.run(make())

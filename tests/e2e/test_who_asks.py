"""Tokens say who asks, the log says who did it, and one changes oneself only: as processes, in every mode."""

from __future__ import annotations

import base64
import dataclasses
import json
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.test_social_network import ADD, CREATE, UPDATE
from tests.support.distributed import SUBGRAPHS, Engines, part, router
from tests.support.kith import Answer, RunningKith, run_kith, running_kith
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

pytestmark = pytest.mark.asyncio(loop_scope="function")

KEY: Final = SigningKey()
ACTOR_KEYS: Final = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
HISTORY: Final = "query ($id: ID!) { user(id: $id) { history { edges { node { type actor } } } } }"


def authentication(keys: str) -> str:
    return json.dumps({"issuers": [{"name": ISSUER, "keys": keys, "audiences": [AUDIENCE]}]})


def by(subject: str, scope: str = "") -> Mapping[str, str]:
    return bearer(KEY.token(subject, scope=scope))


OFFICE: Final = by("office", "users:write")


async def tell_who_asks(running: RunningKith) -> None:
    """The scenario that every mode goes through."""
    created: list[Answer] = []
    for name in ("Ada", "Eve"):
        given = {"input": {"firstName": name, "lastName": "L", "idempotencyKey": name}}
        created.append(await running.ask(CREATE, given, headers=OFFICE))
    ada, eve = (answer.data["createUser"]["user"]["id"] for answer in created)
    change = {"input": {"id": ada, "firstName": "Mallory"}}
    assert (await running.ask(UPDATE, change)).codes == ["FORBIDDEN"]
    assert (await running.ask(UPDATE, change, headers=by(eve))).codes == ["FORBIDDEN"]
    assert (await running.ask(UPDATE, change, headers={"actor": ada})).codes == ["FORBIDDEN"]
    wrong = await running.ask(UPDATE, change, headers=bearer(SigningKey().token(ada)))
    assert (wrong.status, wrong.codes) == (401, ["UNAUTHENTICATED"])
    renamed = await running.ask(UPDATE, {"input": {"id": ada, "firstName": "Augusta"}}, headers=by(ada))
    last = renamed.data["updateUser"]["bookmark"]
    me = await running.ask("{ me { id firstName } }", bookmark=last, headers=by(ada))
    assert me.data["me"] == {"id": ada, "firstName": "Augusta"}
    assert (await running.ask("{ me { id } }", bookmark=last)).data["me"] is None
    found = await running.ask(HISTORY, {"id": ada}, bookmark=last)
    events = [edge["node"] for edge in found.data["user"]["history"]["edges"]]
    assert events == [{"type": "users.UserCreated", "actor": "office"}, {"type": "users.UserUpdated", "actor": ada}]
    pair = {"input": {"userId": ada, "friendId": eve}}
    last = renamed.bookmark
    assert (await running.ask(ADD, pair, bookmark=created[1].bookmark, headers=OFFICE)).codes == ["FORBIDDEN"]
    both = await running.ask("{ users { edges { node { id } } } }", bookmark=last)
    added = await running.ask(ADD, pair, bookmark=both.bookmark, headers=by(eve))
    assert {user["id"] for user in added.data["addFriend"]["friendship"]["users"]} == {ada, eve}


@pytest.fixture(params=["in-process", "http"])
async def embedded(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[RunningKith]:
    file = tmp_path / "keys.json"
    file.write_text(key_set(KEY.public()))
    arguments: Sequence[str] = ["--http"] if request.param == "http" else []
    environment = {"KITH_AUTHENTICATION": authentication(str(file))}
    data = str(tmp_path / "data")
    async with running_kith("up", "--port", "0", "--data", data, *arguments, environment=environment) as running:
        yield running


async def test_in_one_process_it_is_known_who_asks(embedded: RunningKith) -> None:
    await tell_who_asks(embedded)


@pytest.mark.engines
async def test_on_engines_it_is_known_who_asks(engines: Engines) -> None:
    """Subgraphs believe the router alone: a header of somebody else's is refused."""
    known = dataclasses.replace(engines, more={"KITH_ACTOR_KEYS": ACTOR_KEYS})
    told = {"KITH_ACTOR_KEYS": ACTOR_KEYS, "KITH_AUTHENTICATION": authentication(key_set(KEY.public()))}
    async with AsyncExitStack() as stack:
        parts = {name: await stack.enter_async_context(part(known, "serve", name)) for name in SUBGRAPHS}
        running = await stack.enter_async_context(router(parts, more=told))
        await tell_who_asks(running)
        forged = await parts["users"].ask("{ users { edges { node { id } } } }", headers={"actor": "office"})
        assert (forged.status, forged.codes) == (401, ["UNAUTHENTICATED"])


ANYWHERE: Final = ("--host", "0.0.0.0", "--port", "0")  # noqa: S104 - that is what is tested


async def test_another_host_than_loopback_needs_to_be_meant(tmp_path: Path) -> None:
    for arguments in (("up", "--data", str(tmp_path / "data")), ("serve", "router")):
        finished = await run_kith(*arguments, *ANYWHERE)
        assert finished.code != 0
        assert "KITH_AUTHENTICATION" in finished.errors
        assert "KITH_ALLOW_ANONYMOUS" in finished.errors
    assert not (tmp_path / "data").exists()


async def test_where_it_is_meant_the_start_says_so(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    meant = {"KITH_ALLOW_ANONYMOUS": "true"}
    async with running_kith("up", *ANYWHERE, "--data", data, environment=meant) as running:
        assert "Nobody has to prove who they are" in running.banner
    known = {"KITH_AUTHENTICATION": authentication(key_set(KEY.public()))}
    async with running_kith("up", *ANYWHERE, "--data", data, environment=known) as running:
        assert "Nobody has to prove" not in running.banner


async def test_a_router_that_knows_who_asks_has_to_be_able_to_tell(tmp_path: Path) -> None:
    environment = {"KITH_AUTHENTICATION": authentication(key_set(KEY.public()))}
    finished = await run_kith("serve", "router", "--port", "0", environment=environment)
    assert finished.code != 0
    assert "actor_keys" in finished.errors


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("KITH_AUTHENTICATION", "{", "dictionary"),
        ("KITH_AUTHENTICATION", '{"issuers": []}', "at least one issuer"),
        ("KITH_AUTHENTICATION", '{"issuers": [{"name": "i", "keys": "k", "audiences": []}]}', "at least one audience"),
        ("KITH_AUTHENTICATION", authentication('{"keys": 1}'), "JSON Web Key Set"),
        ("KITH_ACTOR_KEYS", "c2VjcmV0", "actor keys"),
    ],
)
async def test_a_setting_that_proves_nothing_is_refused(tmp_path: Path, name: str, value: str, told: str) -> None:
    command = ("serve", "router") if name == "KITH_ACTOR_KEYS" else ("up", "--data", str(tmp_path / "data"))
    finished = await run_kith(*command, "--port", "0", environment={name: value})
    assert finished.code != 0
    assert told in finished.errors
    assert "Traceback" not in finished.errors
    assert name != "KITH_ACTOR_KEYS" or value not in finished.errors

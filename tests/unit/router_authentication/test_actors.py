"""Subgraphs believe who asks where a router has signed it for now, and nobody else's word."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter import Authentication, GraphRouter, Issuer, RouterOptions
from graphrouter.http.actors import Actor, ActorKeys, NotAnActor
from tests.support.tiny_subgraph import users_subgraph
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

KEY, OTHER = b"k" * 32, b"o" * 32
NAMES = st.text(string.ascii_letters + string.digits + "|:-._ ", min_size=1, max_size=256)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


def written(content: object, key: bytes = KEY) -> str:
    """A value that is signed, whatever it says."""
    signed = "v1." + base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
    mac = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@given(NAMES, st.frozensets(st.text(min_size=1, max_size=20), max_size=5))
def test_what_a_router_has_signed_is_read_as_it_was(name: str, scopes: frozenset[str]) -> None:
    actor = Actor(name, scopes)
    value = ActorKeys([KEY]).sign(actor, 60)
    assert ActorKeys([KEY]).read_actor(value) == actor
    assert value.isascii()
    assert value.isprintable()


def test_no_two_values_are_the_same() -> None:
    keys = ActorKeys([KEY])
    assert keys.sign(Actor("ada"), 60) != keys.sign(Actor("ada"), 60)


@given(st.data())
def test_no_changed_value_is_believed(data: st.DataObject) -> None:
    value = ActorKeys([KEY]).sign(Actor("ada", frozenset({"read"})), 60)
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_.=").filter(lambda c: c != value[at]))
    with pytest.raises(NotAnActor):
        ActorKeys([KEY]).read_actor(value[:at] + other + value[at + 1 :])


@pytest.mark.parametrize(
    "value",
    [
        "ada",
        "v1.e30.e30",
        ".",
        "v1..",
        "é.é.é",
        "x" * 20_000,
        ActorKeys([OTHER]).sign(Actor("ada"), 60),
        written(["ada", [], "r", 2**62]),
        written(["ada", [], "r", -1]),
        written(["", [], "r", 1_000_060]),
        written(["a\nb", [], "r", 1_000_060]),
        written(["a" * 257, [], "r", 1_000_060]),
        written(["ada", "all", "r", 1_000_060]),
        written({"actor": "ada"}),
        written(["ada", [], "r", 1_000_060]).replace("v1.", "v2.", 1),
    ],
)
def test_whatever_else_stands_there_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(NotAnActor) as refused:
        ActorKeys([KEY], Clock()).read_actor(value)
    assert value not in str(refused.value) or len(value) < 3


def test_a_value_is_worth_nothing_after_its_time() -> None:
    clock = Clock()
    keys = ActorKeys([KEY], clock)
    value = keys.sign(Actor("ada"), 60)
    clock.seconds += 60
    assert keys.read_actor(value).name == "ada"
    clock.seconds += 2
    with pytest.raises(NotAnActor, match="of now"):
        keys.read_actor(value)
    clock.seconds -= 2_000
    with pytest.raises(NotAnActor, match="of now"):
        keys.read_actor(value)


def test_keys_change_one_after_the_other() -> None:
    before, both, after = ActorKeys([KEY]), ActorKeys([OTHER, KEY]), ActorKeys([OTHER])
    assert both.read_actor(before.sign(Actor("ada"), 60)).name == "ada"
    assert after.read_actor(both.sign(Actor("ada"), 60)).name == "ada"
    with pytest.raises(NotAnActor):
        before.read_actor(both.sign(Actor("ada"), 60))


@pytest.mark.parametrize("text", ["", ",", "short", "é", "?" * 64, f"{'A' * 43},short"])
def test_a_text_that_is_no_keys_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="actor keys") as refused:
        ActorKeys.read(text)
    assert text not in str(refused.value) or len(text) < 3


def test_keys_are_read_from_text() -> None:
    text = ", ".join(base64.urlsafe_b64encode(key).decode() for key in (OTHER, KEY))
    assert ActorKeys.read(text).read_actor(ActorKeys([KEY]).sign(Actor("ada"), 60)).name == "ada"


SIGNING = SigningKey()
PROVEN = Authentication((Issuer(ISSUER, key_set(SIGNING.public()), (AUDIENCE,)),))


async def asked(headers: dict[str, str], **options: Any) -> list[str | None]:
    """The header `Actor` of each request that the subgraph got."""
    subgraph = users_subgraph()
    async with await GraphRouter.compose({"users": subgraph}, RouterOptions(**options)) as router:
        subgraph.headers.clear()
        await router.execute("{ me { name } }", headers=headers)
        return [found.get("actor") for found in subgraph.headers]


async def test_a_router_tells_its_subgraphs_who_asks() -> None:
    keys = ActorKeys([KEY])
    (value,) = await asked(bearer(SIGNING.token("ada", scope="a b")), authentication=PROVEN, actor_keys=keys)
    assert value is not None
    assert keys.read_actor(value) == Actor("ada", frozenset({"a", "b"}))


async def test_nobody_is_told_where_nobody_is_known_or_without_a_key() -> None:
    assert await asked({}, authentication=PROVEN, actor_keys=ActorKeys([KEY])) == [None]
    assert await asked(bearer(SIGNING.token("ada")), authentication=PROVEN) == [None]
    assert await asked({"actor": "root"}) == [None]


async def test_a_clients_own_word_goes_no_further_even_where_the_header_is_forwarded() -> None:
    options: dict[str, Any] = {"authentication": PROVEN, "actor_keys": ActorKeys([KEY])}
    forwarding = {**options, "forwarded_headers": frozenset({"actor"})}
    assert await asked({"actor": ActorKeys([KEY]).sign(Actor("root"), 60)}, **forwarding) == [None]
    extension = {**options, "forwarded_extensions": {"x": "actor"}}
    assert await asked({}, **extension) == [None]

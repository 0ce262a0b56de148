"""A token proves who asks where its issuer signed it, for this audience, now; whatever else it is proves nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from graphrouter import Authentication, Caller, Issuer
from graphrouter.authentication.tokens import Tokens
from graphrouter.request import RequestRefused
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

KEY = SigningKey()
RSA = SigningKey("rsa", rsa_bits=2048)
SHORT = SigningKey("short", rsa_bits=1024)
STRANGER = SigningKey()
KEYS = key_set(KEY.public(), RSA.public(), SHORT.public())


def issuer(**more: object) -> Issuer:
    return Issuer(**{"name": ISSUER, "keys": KEYS, "audiences": (AUDIENCE,), **more})  # type: ignore[arg-type]


def tokens(**more: object) -> Tokens:
    return Tokens(Authentication((issuer(),), **more))  # type: ignore[arg-type]


async def refusal_of(headers: Mapping[str, str], known: Tokens | None = None) -> str:
    with pytest.raises(RequestRefused) as refused:
        await (known or tokens()).caller(headers)
    (error,) = refused.value.errors
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    return error["message"]


def written(header: Mapping[str, object] | bytes, claims: object, signature: bytes = b"x") -> str:
    """A token of these parts, whatever they are."""
    texts = [header if isinstance(header, bytes) else json.dumps(header).encode(), json.dumps(claims).encode()]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*texts, signature))


@pytest.mark.parametrize("key", [KEY, RSA], ids=["ES256", "RS256"])
async def test_a_token_says_who_asks_and_what_it_allows(key: SigningKey) -> None:
    caller = await tokens().caller(bearer(key.token("ada", scope="users:read users:write")))
    assert caller is not None
    assert (caller.actor, caller.scopes) == ("ada", frozenset({"users:read", "users:write"}))
    assert caller.claims["iss"] == ISSUER


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, set[str]()),
        ({"scope": ""}, set[str]()),
        ({"scp": ["a", "b"]}, {"a", "b"}),
        ({"scp": "a b"}, {"a", "b"}),
        ({"scope": "a", "scp": ["b", 1, ["c"]]}, {"a", "b"}),
        ({"scope": {"a": True}}, set[str]()),
    ],
)
async def test_scopes_are_read_as_issuers_write_them(claims: dict[str, Any], scopes: set[str]) -> None:
    caller = await tokens().caller(bearer(KEY.token(**claims)))
    assert caller is not None
    assert caller.scopes == scopes


async def test_a_request_without_a_token_is_nobodys_unless_one_is_required() -> None:
    assert await tokens().caller({}) is None
    assert "found none" in await refusal_of({}, tokens(required=True))


NOW = time.time()
WRONG: Mapping[str, tuple[Callable[[], str], str]] = {
    "expired": (lambda: KEY.token(exp=NOW - 3600), "expired"),
    "not yet valid": (lambda: KEY.token(nbf=NOW + 3600), "not valid yet"),
    "issued in the future": (lambda: KEY.token(iat=NOW + 3600), "not valid yet"),
    "for others": (lambda: KEY.token(aud="another"), "another audience"),
    "for nobody": (lambda: KEY.token(aud=None), "lacks a claim"),
    "for ever": (lambda: KEY.token(exp=None), "lacks a claim"),
    "of another issuer": (lambda: KEY.token(iss="https://evil.example"), "issuer that is not known"),
    "of no issuer": (lambda: KEY.token(iss=None), "issuer that is not known"),
    "of several issuers": (lambda: written({"alg": "ES256", "kid": "k1"}, {"iss": [ISSUER]}), "issuer that is not"),
    "of nobody": (lambda: KEY.token(None), "lacks a claim"),
    "of an empty subject": (lambda: KEY.token(""), "names nobody"),
    "of a long subject": (lambda: KEY.token("x" * 257), "at most 256"),
    "of a subject with a line break": (lambda: KEY.token("a\nb"), "printable ASCII"),
    "signed by a stranger": (STRANGER.token, "signature"),
    "signed by an unknown key": (lambda: SigningKey("k9").token(), "key that its issuer does not have"),
    "signed by a short key": (SHORT.token, "key that its issuer does not have"),
    "signed by a key of another kind": (lambda: KEY.token(header={"kid": "rsa"}), "key that its issuer does not have"),
    "with a critical header": (lambda: KEY.token(header={"crit": ["exp"], "exp": 1}), "not understood|malformed"),
    "with a key's name that is none": (lambda: written({"alg": "ES256", "kid": 1}, {"iss": ISSUER}), "."),
    "cut off": (lambda: KEY.token()[:-8], "signature|malformed"),
    "changed": (lambda: _changed(KEY.token()), "signature"),
    "without a signature": (lambda: ".".join([*KEY.token().split(".")[:2], ""]), "signature|malformed"),
    "two parts": (lambda: "a.b", "malformed"),
    "not JSON": (lambda: written(b"{", {}), "malformed"),
    "a list": (lambda: written({"alg": "ES256"}, []), "malformed"),
    "nested deeply": (lambda: written(b"[" * 4000, {}), "malformed"),
    "an endless time": (lambda: KEY.token(exp=float("inf")), "."),
    "too long": (lambda: KEY.token(more="x" * 8192), "at most 8192 characters"),
    "not ASCII": (lambda: "é.é.é", "malformed"),
}


def _changed(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return ".".join([header, written({}, {**claims, "sub": "root"}).split(".")[1], signature])


@pytest.mark.parametrize("kind", WRONG)
async def test_a_token_that_is_wrong_is_refused(kind: str) -> None:
    make, told = WRONG[kind]
    token = make()
    message = await refusal_of(bearer(token))
    assert re.search(told, message), message
    assert token not in message
    assert len(message) <= 200


@pytest.mark.parametrize("scheme", ["Basic YWRhOng=", "Bearer", "Bearer ", "ey", ""])
async def test_another_scheme_than_bearer_is_refused_and_not_taken_for_nobody(scheme: str) -> None:
    assert "Bearer" in await refusal_of({"authorization": scheme})


async def test_no_algorithm_is_none() -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": time.time() + 3600}
    for name in ("none", "None", "NONE", ""):
        token = written({"alg": name, "kid": "k1"}, claims, b"")
        assert "algorithm" in await refusal_of(bearer(token)) or name == ""


async def test_a_public_key_is_no_secret_to_sign_with() -> None:
    public = RSA.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "root", "exp": time.time() + 3600}
    unsigned = written({"alg": "HS256", "kid": "rsa"}, claims).rsplit(".", 1)[0]
    signature = hmac.new(public, unsigned.encode(), hashlib.sha256).digest()
    token = f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert "algorithm" in await refusal_of(bearer(token))


async def test_an_issuers_tokens_are_signed_by_the_algorithms_that_are_pinned_for_it() -> None:
    known = Tokens(Authentication((issuer(algorithms=("RS256",)),)))
    assert await known.caller(bearer(RSA.token())) is not None
    assert "algorithm" in await refusal_of(bearer(KEY.token()), known)


async def test_a_key_of_one_algorithm_signs_by_no_other() -> None:
    known = Tokens(Authentication((issuer(keys=key_set(RSA.public(alg="PS256"))),)))
    assert "key that its issuer does not have" in await refusal_of(bearer(RSA.token()), known)


@pytest.mark.parametrize("more", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": "verify"}, {"kty": "oct"}])
async def test_a_key_for_something_else_signs_nothing(more: dict[str, object]) -> None:
    known = Tokens(Authentication((issuer(keys=key_set(KEY.public(**more))),)))
    assert "key that its issuer does not have" in await refusal_of(bearer(KEY.token()), known)


async def test_a_token_that_names_no_key_is_tried_with_those_that_fit() -> None:
    nameless, other = SigningKey(None), SigningKey("k2")
    known = Tokens(Authentication((issuer(keys=key_set(other.public(), nameless.public(), RSA.public())),)))
    assert await known.caller(bearer(nameless.token())) is not None


async def test_clocks_may_differ_by_the_leeway() -> None:
    late = KEY.token(exp=time.time() - 600)
    assert await tokens(leeway=3600).caller(bearer(late)) is not None
    assert "expired" in await refusal_of(bearer(late), tokens(leeway=0))


async def test_subjects_of_two_issuers_are_two_actors() -> None:
    second = SigningKey("k2")
    known = Tokens(
        Authentication(
            (
                issuer(actor_prefix="a:"),
                issuer(name="https://second.example", keys=key_set(second.public()), actor_prefix="b:"),
            )
        )
    )
    first = await known.caller(bearer(KEY.token("ada")))
    other = await known.caller(bearer(second.token("ada", iss="https://second.example")))
    assert isinstance(first, Caller)
    assert isinstance(other, Caller)
    assert (first.actor, other.actor) == ("a:ada", "b:ada")
    borrowed = second.token("ada")
    assert "key that its issuer does not have" in await refusal_of(bearer(borrowed), known)


async def test_the_claim_that_names_the_actor_can_be_another_one() -> None:
    known = Tokens(Authentication((issuer(actor_claim="uid"),)))
    caller = await known.caller(bearer(KEY.token("ada", uid="u-17")))
    assert caller is not None
    assert caller.actor == "u-17"
    assert "lacks a claim" in await refusal_of(bearer(KEY.token("ada")), known)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"algorithms": ("none",)}, "expected algorithms"),
        ({"algorithms": ("HS256",)}, "expected algorithms"),
        ({"algorithms": ()}, "at least one algorithm"),
        ({"audiences": ()}, "at least one audience"),
        ({"audiences": ("",)}, "at least one audience"),
        ({"keys": " "}, "where its keys are"),
        ({"keys": "http://issuer.example/jwks"}, "https URL"),
        ({"actor_prefix": "é"}, "printable ASCII"),
    ],
)
def test_an_issuer_that_proves_nothing_is_refused(more: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        issuer(**more)


@pytest.mark.parametrize("prefixes", [("", ""), ("", "b:"), ("a", "ab")])
def test_issuers_whose_actors_could_be_the_same_are_refused(prefixes: tuple[str, str]) -> None:
    first, second = prefixes
    with pytest.raises(ValueError, match="actor prefix"):
        Authentication((issuer(actor_prefix=first), issuer(name="second", actor_prefix=second)))


@pytest.mark.parametrize("text", ["{", '{"keys": 1}', '{"no": []}', json.dumps({"keys": [{}] * 101})])
def test_a_text_that_is_no_set_of_keys_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Tokens(Authentication((issuer(keys=f" {text}" if text == "[]" else text),)))


async def test_no_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for make, _ in WRONG.values():
        await refusal_of(bearer(make()))
    assert ISSUER not in caplog.text
    assert "ey" not in caplog.text.replace("key", "")

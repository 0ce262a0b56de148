"""From a request's `Authorization` header to who asks. https://www.rfc-editor.org/rfc/rfc6750

The order of the checks: size, form, issuer, algorithm, key, signature, times, audience, actor. Nothing of a token is
believed before its signature is verified, except which issuer and which key to verify it with. A refusal says which
check failed and repeats nothing of the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import jwt
from jwt import PyJWK
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from graphrouter.authentication.caller import Caller
from graphrouter.authentication.issuers import Authentication, Issuer
from graphrouter.authentication.keys import IssuerKeys, NoKeys
from graphrouter.request import RequestRefused, error_object

UNAUTHENTICATED: Final = "UNAUTHENTICATED"
UNAVAILABLE: Final = "AUTHENTICATION_UNAVAILABLE"

_MAX_TOKEN: Final = 8_192
"""Characters of a token."""
_MAX_ACTOR: Final = 256
_MAX_SCOPES: Final = 1_000
_MAX_TRIED: Final = 4
"""Keys that a token without a key's name is tried with: each costs a signature's check."""

_WRONG: Final[tuple[tuple[type[PyJWTError], str], ...]] = (
    (ExpiredSignatureError, "the token has expired"),
    (ImmatureSignatureError, "the token is not valid yet"),
    (InvalidAudienceError, "the token is meant for another audience"),
    (InvalidSignatureError, "the token's signature is not its issuer's"),
    (MissingRequiredClaimError, "the token lacks a claim: expected iss, aud, exp and its subject"),
)


class Tokens:
    """Says who asks, by the tokens of the issuers that are known."""

    def __init__(self, settings: Authentication) -> None:
        self._settings = settings
        self._issuers = {issuer.name: (issuer, IssuerKeys(issuer, settings)) for issuer in settings.issuers}

    async def caller(self, headers: Mapping[str, str]) -> Caller | None:
        """Who asks, by headers with names in lower case; None for a request without a token.

        Raises:
            RequestRefused: UNAUTHENTICATED for a token that proves nothing, or none where one is required;
                AUTHENTICATION_UNAVAILABLE where an issuer's keys cannot be read.
        """
        token = _bearer(headers.get("authorization"))
        if token is None:
            if self._settings.required:
                raise _refusal("expected a token in the header Authorization, found none")
            return None
        header, claims = _parts(token)
        issuer, keys = self._issuer(claims.get("iss"))
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in issuer.algorithms:
            raise _refusal("the token is signed by an algorithm that its issuer does not use here")
        if "crit" in header or not isinstance(key_id, str | None):
            raise _refusal("the token has a header that is not understood")
        try:
            found = await keys.for_token(key_id, algorithm)
        except NoKeys as error:
            raise RequestRefused(error_object(str(error), UNAVAILABLE)) from error
        if not found:
            raise _refusal("the token is signed by a key that its issuer does not have")
        claims = self._verified(token, found[:_MAX_TRIED], issuer, algorithm)
        return _caller(issuer, claims, float(claims["exp"]) + self._settings.leeway)

    async def aclose(self) -> None:
        for _, keys in self._issuers.values():
            await keys.aclose()

    def _issuer(self, name: object) -> tuple[Issuer, IssuerKeys]:
        found = self._issuers.get(name) if isinstance(name, str) else None
        if found is None:
            raise _refusal("the token is of an issuer that is not known here")
        return found

    def _verified(self, token: str, keys: list[PyJWK], issuer: Issuer, algorithm: str) -> dict[str, Any]:
        failure = "the token is malformed"
        for key in keys:
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    audience=issuer.audiences,
                    issuer=issuer.name,
                    leeway=self._settings.leeway,
                    options={"require": ["exp", "iss", "aud", issuer.actor_claim]},
                )
            except InvalidSignatureError:
                failure = "the token's signature is not its issuer's"
            except PyJWTError as error:
                raise _refusal(next((told for kind, told in _WRONG if isinstance(error, kind)), failure)) from None
            except (ValueError, TypeError, OverflowError, RecursionError):
                raise _refusal(failure) from None
        raise _refusal(failure)


def _refusal(message: str) -> RequestRefused:
    return RequestRefused(error_object(message, UNAUTHENTICATED))


def _bearer(value: str | None) -> str | None:
    """The token of the header; None without the header."""
    if value is None:
        return None
    scheme, _, token = value.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise _refusal("expected the header Authorization to be Bearer and a token, found another scheme")
    if len(token) > _MAX_TOKEN:
        raise _refusal(f"expected a token of at most {_MAX_TOKEN} characters, found a longer one")
    if not token.isascii():
        raise _refusal("the token is malformed")
    return token


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A token's header and claims, not verified."""
    try:
        decoded = jwt.decode_complete(token, options={"verify_signature": False})
    except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise _refusal("the token is malformed") from None
    return decoded["header"], decoded["payload"]


def _caller(issuer: Issuer, claims: dict[str, Any], expires: float) -> Caller:
    subject = claims.get(issuer.actor_claim)
    if not isinstance(subject, str) or not subject:
        raise _refusal("the token names nobody")
    actor = f"{issuer.actor_prefix}{subject}"
    if len(actor) > _MAX_ACTOR or not (actor.isascii() and actor.isprintable()):
        raise _refusal(f"expected a subject of at most {_MAX_ACTOR} printable ASCII characters, found another one")
    return Caller(actor, _scopes(claims), claims, expires)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """What the token allows: `scope`, or `scp`, as some issuers write it.

    https://www.rfc-editor.org/rfc/rfc8693#section-4.2
    """
    found: set[str] = set()
    for given in (claims.get("scope"), claims.get("scp")):
        if isinstance(given, str):
            found.update(given.split())
        elif isinstance(given, list):
            found.update(one for one in cast("list[object]", given) if isinstance(one, str))
    return frozenset(sorted(found)[:_MAX_SCOPES])

"""Who asks, as a router tells its subgraphs: the header `Actor`, signed by a key that only they have.

The value is `v1.`, the JSON list `[actor, scopes, request, until]` in base64url, a dot, and the HMAC-SHA-256 of all
before the dot. `until` is a moment in seconds since 1970 after which the value is worth nothing: somebody who saw it
cannot use it for long. `request` names the request, so that no two values are the same.

A subgraph believes nobody else: a header without a signature, or with one that does not fit, is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

HEADER: Final = "actor"
KEY_BYTES: Final = 32
LONGEST_SECONDS: Final = 900.0
"""How far ahead the end of a value may lie."""
ACTOR_LIMIT: Final = 256
_VALUE_LIMIT: Final = 16_384
_VERSION: Final = "v1"


class NotAnActor(ValueError):
    """No router of these keys has signed the value for now; the message says why, and repeats nothing."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, by an opaque id, and what they are allowed."""

    name: str
    scopes: frozenset[str] = frozenset()


class ActorKeys:
    """Signs with the first of its keys, and accepts what any of them has signed, so that keys can be changed.

    `now` gives the seconds since 1970.
    """

    def __init__(self, keys: Sequence[bytes], now: Callable[[], float] = time.time) -> None:
        """Raises ValueError where there is no key, or one is too short."""
        if not keys or any(len(key) < KEY_BYTES for key in keys):
            raise ValueError(f"actor keys: expected keys of at least {KEY_BYTES} bytes, found a shorter one or none")
        self._keys = tuple(keys)
        self._now = now

    @classmethod
    def drawn(cls) -> ActorKeys:
        """A key for one process."""
        return cls([secrets.token_bytes(KEY_BYTES)])

    @classmethod
    def read(cls, text: str) -> ActorKeys:
        """Keys in base64url, separated by commas; ValueError where they are none, which repeats nothing of them."""
        try:
            keys = [_decoded(part.strip()) for part in text.split(",") if part.strip()]
        except ValueError:
            raise ValueError(
                "actor keys: expected keys in base64url, separated by commas, found something else"
            ) from None
        return cls(keys)

    def sign(self, actor: Actor, seconds: float) -> str:
        """The header's value for one request that takes at most so long."""
        until = int(self._now() + min(seconds, LONGEST_SECONDS - 60)) + 1
        content = [actor.name, sorted(actor.scopes), secrets.token_hex(8), until]
        signed = f"{_VERSION}.{_encoded(msgspec.json.encode(content))}"
        return f"{signed}.{_encoded(_mac(self._keys[0], signed))}"

    def read_actor(self, value: str) -> Actor:
        """Raises NotAnActor."""
        if len(value) > _VALUE_LIMIT:
            raise NotAnActor(f"expected at most {_VALUE_LIMIT} characters, found more")
        signed, dot, mac = value.rpartition(".")
        if not dot or not signed.startswith(f"{_VERSION}.") or not value.isascii():
            raise NotAnActor("expected a value that a router has signed, found another text")
        given = mac.encode()
        # Compared in constant time: how long it takes tells nothing of the right one.
        if not any(hmac.compare_digest(_encoded(_mac(key, signed)).encode(), given) for key in self._keys):
            raise NotAnActor("expected a value that a router of these keys has signed, found another signature")
        name, scopes, _, until = _content(signed)
        now = self._now()
        if not now <= until <= now + LONGEST_SECONDS:
            raise NotAnActor("expected a value of now, found one of another time")
        return Actor(name, frozenset(scopes))


def _content(signed: str) -> tuple[str, list[str], str, int]:
    try:
        found = msgspec.json.decode(_decoded(signed.partition(".")[2]), type=tuple[str, list[str], str, int])
    except (ValueError, msgspec.DecodeError) as error:
        raise NotAnActor("expected an actor, scopes, a request and a time, found something else") from error
    name = found[0]
    if not name or len(name) > ACTOR_LIMIT or not (name.isascii() and name.isprintable()):
        raise NotAnActor(f"expected an actor of at most {ACTOR_LIMIT} printable ASCII characters, found another one")
    return found


def _mac(key: bytes, signed: str) -> bytes:
    return hmac.new(key, signed.encode(), hashlib.sha256).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)

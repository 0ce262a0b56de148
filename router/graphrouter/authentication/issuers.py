"""What is accepted as a proof of who asks: issuers of tokens, their keys, audiences and algorithms."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from graphrouter.http.hosts import is_loopback

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""All of them verify with a public key. `none` verifies nothing; with `HS256` whoever can check a token can make one.
https://www.rfc-editor.org/rfc/rfc8725#section-3.1"""

DEFAULT_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
_ACTOR_PREFIX_LIMIT: Final = 64


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer of tokens.

    `name` is the claim `iss`. `keys` is where its JSON Web Key Set is: a URL (https, or http at a loopback address), a
    file, or the text of the set itself. A token has to be meant for one of `audiences`. The actor is `actor_prefix`
    followed by the claim `actor_claim`; where there are several issuers, each has a prefix of its own, because the
    subjects of two issuers may be equal.
    """

    name: str
    keys: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    """The algorithms of signatures that are accepted."""
    actor_prefix: str = ""
    actor_claim: str = "sub"

    def __post_init__(self) -> None:
        """Raises ValueError where a token of this issuer could not be checked, or would prove nothing."""
        if not self.name or not self.keys.strip():
            raise ValueError(f"issuer {self.name[:100]!r}: expected a name and where its keys are, found none")
        if not self.audiences or not all(self.audiences):
            raise ValueError(f"issuer {self.name[:100]!r}: expected at least one audience, found none")
        if unknown := sorted({*self.algorithms} - ALGORITHMS):
            allowed = ", ".join(sorted(ALGORITHMS))
            raise ValueError(f"issuer {self.name[:100]!r}: expected algorithms of {allowed}, found {unknown[0][:20]!r}")
        if not self.algorithms:
            raise ValueError(f"issuer {self.name[:100]!r}: expected at least one algorithm, found none")
        prefix = self.actor_prefix
        if len(prefix) > _ACTOR_PREFIX_LIMIT or not (prefix.isascii() and prefix.isprintable()):
            expected = f"expected an actor prefix of at most {_ACTOR_PREFIX_LIMIT} printable ASCII characters"
            raise ValueError(f"issuer {self.name[:100]!r}: {expected}")
        if self.keys.lstrip().startswith("{"):
            from graphrouter.authentication.key_set import read_keys  # noqa: PLC0415 - of the extra `jwt`

            read_keys(self.keys.encode())
        if self.keys.startswith("http://") and not is_loopback(urlsplit(self.keys).hostname or ""):
            raise ValueError(f"issuer {self.name[:100]!r}: expected its keys at an https URL, found an http URL")


@dataclass(frozen=True, slots=True)
class Authentication:
    """How callers prove who they are: by a token in `Authorization: Bearer …`.

    A wrong token is always refused. A request without one is executed for nobody in particular, unless `required`.
    Times are in seconds: `leeway` for clocks that differ; keys are asked for again when they are older than `refresh`,
    at most once in `unknown_key` for a key that is not among them, and not trusted any longer than `trust` without an
    answer.
    """

    issuers: tuple[Issuer, ...]
    """Whose tokens are accepted."""
    required: bool = False
    leeway: float = 30.0
    refresh: float = 300.0
    unknown_key: float = 30.0
    trust: float = 3600.0
    fetch_timeout: float = 5.0
    """How long an issuer may take to answer with its keys."""

    def __post_init__(self) -> None:
        """Raises ValueError where issuers cannot be told apart, or a time is none."""
        if not self.issuers:
            raise ValueError("authentication: expected at least one issuer, found none")
        names = [issuer.name for issuer in self.issuers]
        if len(set(names)) < len(names):
            raise ValueError("authentication: expected issuers of different names, found one twice")
        prefixes = sorted(issuer.actor_prefix for issuer in self.issuers)
        for shorter, longer in itertools.pairwise(prefixes):
            if longer.startswith(shorter):
                expected = "expected an actor prefix for each issuer that no other one's begins with"
                raise ValueError(f"authentication: {expected}, found {shorter[:100]!r} and {longer[:100]!r}")
        for name in ("leeway", "refresh", "unknown_key", "trust", "fetch_timeout"):
            value: float = getattr(self, name)
            if not 0 <= value <= 10**8:
                raise ValueError(f"authentication: {name}: expected seconds from 0 on, found {value}")

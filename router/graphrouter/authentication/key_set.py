"""A JSON Web Key Set's text: the public keys in it that verify signatures. https://www.rfc-editor.org/rfc/rfc7517"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

_MAX_KEYS: Final = 100
_LEAST_RSA_BITS: Final = 2048
"""https://www.rfc-editor.org/rfc/rfc7518#section-3.3"""

_KINDS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", frozenset[str]())),
    "ES256": ("EC", frozenset({"P-256"})),
    "ES384": ("EC", frozenset({"P-384"})),
    "ES512": ("EC", frozenset({"P-521"})),
    "EdDSA": ("OKP", frozenset({"Ed25519", "Ed448"})),
}
"""For each algorithm the type and the curves of its keys."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of a set: what it is called, and what it may be used for (None: any algorithm of its kind)."""

    id: str | None
    kind: str
    curve: str | None
    algorithm: str | None
    text: Mapping[str, Any]

    def fits(self, algorithm: str) -> bool:
        kind, curves = _KINDS[algorithm]
        if self.kind != kind or (curves and self.curve not in curves):
            return False
        return self.algorithm is None or self.algorithm == algorithm


def read_keys(text: bytes) -> tuple[PublicKey, ...]:
    """The keys of a set that verify signatures. Keys for something else, or of another kind, are passed over.

    Raises:
        ValueError: the text is no JSON Web Key Set.
    """
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("expected a JSON Web Key Set, found a text that is not JSON") from error
    listed = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    entries = cast("list[object]", listed) if isinstance(listed, list) else None
    if entries is None:
        raise ValueError("expected a JSON Web Key Set, found JSON without a list of keys")
    if len(entries) > _MAX_KEYS:
        raise ValueError(f"expected at most {_MAX_KEYS} keys, found {len(entries)}")
    return tuple(key for entry in entries if (key := _key(entry)) is not None)


def _key(entry: object) -> PublicKey | None:
    if not isinstance(entry, dict):
        return None
    fields = cast("dict[str, Any]", entry)
    kind, curve, algorithm = fields.get("kty"), fields.get("crv"), fields.get("alg")
    operations = fields.get("key_ops", ["verify"])
    if fields.get("use", "sig") != "sig" or not (isinstance(operations, list) and "verify" in operations):
        return None
    fitting = [name for name, (own, curves) in _KINDS.items() if own == kind and (not curves or curve in curves)]
    if not fitting or (algorithm is not None and algorithm not in fitting):
        return None
    public = {name: value for name, value in fields.items() if name in {"kty", "crv", "n", "e", "x", "y"}}
    try:
        made = PyJWK(public, algorithm or fitting[0])
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(made.key, RSAPublicKey) and made.key.key_size < _LEAST_RSA_BITS:
        return None
    key_id = fields.get("kid")
    return PublicKey(key_id if isinstance(key_id, str) else None, str(kind), curve, algorithm, public)

"""An issuer of JSON Web Tokens: keys that are drawn here, their set as text, and what it signs."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.warnings import InsecureKeyLengthWarning

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "kithgraph"


class SigningKey:
    """A key pair; ES256, or RS256 where asked for."""

    def __init__(self, key_id: str | None = "k1", *, rsa_bits: int = 0) -> None:
        self.id = key_id
        self.algorithm = "RS256" if rsa_bits else "ES256"
        self.private: Any = (
            rsa.generate_private_key(65537, rsa_bits) if rsa_bits else ec.generate_private_key(ec.SECP256R1())
        )

    def public(self, **more: object) -> dict[str, object]:
        """The public half as a JSON Web Key."""
        writer = RSAAlgorithm if self.algorithm == "RS256" else ECAlgorithm
        key: dict[str, object] = json.loads(writer.to_jwk(self.private.public_key()))
        return {**key, **({} if self.id is None else {"kid": self.id}), **more}

    def token(
        self, subject: str | None = "ada", *, header: Mapping[str, object] | None = None, **claims: object
    ) -> str:
        """A token that is valid for an hour; a claim that is None is left out."""
        content = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": time.time() + 3600, **claims}
        given = {name: value for name, value in content.items() if value is not None}
        headers = {**({} if self.id is None else {"kid": self.id}), **(header or {})}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)  # some keys are short on purpose
            return jwt.encode(given, self.private, self.algorithm, headers)


def key_set(*keys: Mapping[str, object]) -> str:
    return json.dumps({"keys": keys})


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}

"""Claims and tags on the log: who looks at a log sees that a name was taken, and never which.

A claim (`shelf:17`) is kept as an HMAC with a key that belongs to one log, and so is a tag (`owner:17`). The key is
drawn when the log is made and lives outside of it; its fingerprint stands on the log, so that another key is noticed
before it does harm.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from eventkernel.errors import CannotOpen

_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ClaimsKey:
    """The secret of one log's claims: 32 bytes."""

    secret: bytes = field(repr=False)

    @classmethod
    def draw(cls) -> ClaimsKey:
        return cls(secrets.token_bytes(_BYTES))

    @classmethod
    def from_text(cls, text: str) -> ClaimsKey:
        """
        Raises:
            CannotOpen: the text is not 64 hexadecimal digits; it is not repeated in the message.
        """
        try:
            secret = bytes.fromhex(text.strip())
        except ValueError:
            secret = b""
        if len(secret) != _BYTES:
            raise CannotOpen(f"a claims key is {2 * _BYTES} hexadecimal digits, found something else")
        return cls(secret)

    def to_text(self) -> str:
        return self.secret.hex()

    @property
    def fingerprint(self) -> str:
        """Tells keys apart and gives nothing of them away: 64 hexadecimal digits."""
        return hashlib.sha256(b"eventkernel claims key\n" + self.secret).hexdigest()

    def seal(self, claim: str) -> str:
        """The claim as the log has it: 64 hexadecimal digits (HMAC-SHA256)."""
        # surrogatepass: a text that no append takes as a claim can be looked up all the same, and is nobody's.
        return hmac.digest(self.secret, claim.encode("utf-8", "surrogatepass"), "sha256").hex()

    def seal_tag(self, tag: str) -> str:
        """The tag as the log has it; another text than the seal of a claim that reads the same."""
        return self.seal(f"tag\n{tag}")

    def seal_all(self, claims: Iterable[str]) -> Mapping[str, str]:
        """The claims by their seals."""
        return {self.seal(claim): claim for claim in claims}

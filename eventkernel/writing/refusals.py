"""Refusals that bind: what is remembered of one, so that its command has one answer for ever.

A refusal leaves no trace by itself. Then an attempt at a command may be refused while an earlier one hangs, and the
command takes effect when that one comes back and the rule says yes. And a caller that branches on the refusal may get
another answer when it asks again. If a caller wants one answer for ever, the refusal is a commit: a record of the log
with the command's id and without a version. It is decided by the same rule as every commit, one for each id: an attempt
that comes later finds it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import msgspec

from eventkernel.errors import CorruptData, Refusal, RefusalT, kinds_of

_LONGEST: Final = 1_000
"""Characters of a message that are kept."""

_binding: ContextVar[bool] = ContextVar("binding", default=False)


class Refused(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered: the code, the message, and what else callers look at; nothing personal, as in any error."""

    code: str
    message: str
    details: Mapping[str, str | int] = {}

    @classmethod
    def of(cls, refusal: Refusal) -> Refused:
        """What is remembered of a refusal."""
        details = {name: getattr(refusal, name) for name in refusal.remembered}
        return cls(refusal.code, str(refusal)[:_LONGEST], details)

    def refusal(self) -> Refusal:
        """The refusal again: of the class that has its code, with its message and details."""
        refusal = self.refusal_as(Refusal)
        if refusal is None:  # its class is not there any more
            refusal = self._made(Refusal)
            for name, value in (("code", self.code), ("remembered", tuple(self.details))):
                setattr(refusal, name, value)
        return refusal

    def refusal_as(self, kind: type[RefusalT]) -> RefusalT | None:
        """The refusal again, of this class or of one that derives from it; None where none of them has its code."""
        return next((self._made(derived) for derived in kinds_of(kind) if derived.code == self.code), None)

    def _made(self, kind: type[RefusalT]) -> RefusalT:
        refusal = kind.__new__(kind)
        Exception.__init__(refusal, self.message)
        for name, value in self.details.items():
            setattr(refusal, name, value)
        return refusal

    def encoded(self) -> bytes:
        """As it stands in a record's data."""
        return _encode(self)

    @classmethod
    def decoded(cls, data: bytes | str) -> Refused:
        """
        Raises:
            CorruptData: these are no refusal's data.
        """
        try:
            return _decode(data)
        except msgspec.MsgspecError as error:
            raise CorruptData(f"a refusal: {error}") from None


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Refused).decode


@contextmanager
def binding_refusals() -> Generator[None]:
    """Inside, and in tasks that are made inside, every command's refusal binds."""
    token = _binding.set(True)
    try:
        yield
    finally:
        _binding.reset(token)


def refusals_bind() -> bool:
    """Whether this is inside of `binding_refusals`."""
    return _binding.get()

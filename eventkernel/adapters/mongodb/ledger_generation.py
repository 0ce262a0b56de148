"""A generation of a ledger: which documents count, and the errors of whoever works with another one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eventkernel.adapters.mongodb.connection import Document
from eventkernel.errors import Unavailable

GENERATION: Final = "generation"
"""The id of the document that says which generation it is."""


class LedgerChanged(Unavailable):
    """The ledger is not the one that was opened: wiped, restored, or of another generation by now."""


class LogCut(LedgerChanged):
    """A commit stands on the log where another one stood, or before the end that the log had: it was cut."""

    def __init__(self, message: str, partition: int = 0, offset: int = 0) -> None:
        super().__init__(message)
        self.partition = partition
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Generation:
    """Which documents count. They are complete when it is open."""

    log: str
    number: int
    collection: str
    open: bool = False
    copying: bool = False
    """The log itself is being filled with the records of another one."""
    restoring: str = ""
    """The collection of an earlier generation, whose commits have to be on the log before this one is filled from it.
    """
    fences: tuple[int, ...] = ()
    """While it is being filled, by whoever comes: where its fences stand, by partition."""

    @staticmethod
    def next(log: str, number: int, *, copying: bool = False, restoring: str = "") -> Generation:
        """Not open yet; its collection has a name that none had before."""
        return Generation(log, number, f"{number}.{secrets.token_hex(4)}", copying=copying, restoring=restoring)

    def before(self) -> Generation:
        """The one that this is restored from; its collection's name begins with its number."""
        return Generation(self.log, int(self.restoring.partition(".")[0]), self.restoring, open=True)

    def opened(self) -> Generation:
        return Generation(self.log, self.number, self.collection, open=True)


def generation_of(document: Mapping[str, Any]) -> Generation:
    return Generation(
        document["log"],
        document["number"],
        document["collection"],
        document["open"],
        document.get("copying", False),
        document.get("restoring") or "",
        tuple(document.get("fences") or ()),
    )


def generation_fields(generation: Generation) -> Document:
    return {
        "log": generation.log,
        "number": generation.number,
        "collection": generation.collection,
        "open": generation.open,
        "copying": generation.copying,
        # None is found where there is no such field, too.
        "restoring": generation.restoring or None,
        "fences": list(generation.fences) or None,
    }

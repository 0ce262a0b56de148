"""Documents that several streams feed: each stream keeps a part of its own, and a document is composed of its parts.

    def accounts(part: AccountPart | TransferPart) -> Collection[str]:
        return (part.account,) if isinstance(part, AccountPart) else (part.source, part.target)

    def statement(account: str, parts: Mapping[str, AccountPart | TransferPart]) -> Statement | None: ...

    STATEMENTS = Composition(accounts, statement)

A projection may rely on the order within a stream and on no other: streams of one log stand in different partitions,
logs are read side by side, a parked stream comes late, and a rebuild reads in another order again. So an event never
changes what another stream's events have made. It changes its own stream's part, by `Projection.evolve`, and that is
the same whatever comes in between. The document is a pure function of the parts, which come in the order of their
streams' names. So it is the same, too: as the fold of both logs one after the other, as after a rebuild, and as of
then, where its parts are those of then.

A part says which documents it belongs to, several or none, and may belong to others after its next event. It may come
before the part that a reader would call the document itself: `compose` then says None, or what can be said already.
What would need an order between streams (who was first) is no document: one stream has to decide that, by a command.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eventkernel.errors import CorruptData
from eventkernel.events import RecordedEvent, log_name
from eventkernel.reading.views import Doc

Whole = TypeVar("Whole")
Evolve = Callable[[Doc | None, RecordedEvent], Doc]


@dataclass(frozen=True)
class Composition(Generic[Doc, Whole]):
    """`keys` gives the documents that a part belongs to; `compose` makes one of its key and its parts by stream, at
    least one; None: there is no such document (yet, or any more)."""

    keys: Callable[[Doc], Collection[str]]
    compose: Callable[[str, Mapping[str, Doc]], Whole | None]

    def one(self, key: str, parts: Mapping[str, Doc]) -> Whole | None:
        """The document with this key, out of parts by stream; those that belong to others are left out."""
        mine = {stream: parts[stream] for stream in sorted(parts) if key in self.keys(parts[stream])}
        return self.compose(key, mine) if mine else None

    def all(self, parts: Mapping[str, Doc]) -> Mapping[str, Whole]:
        """Every document that there is, by key, in the order of the keys."""
        feeding: dict[str, dict[str, Doc]] = {}
        for stream in sorted(parts):
            for key in self.keys(parts[stream]):
                feeding.setdefault(key, {})[stream] = parts[stream]
        composed = {key: self.compose(key, feeding[key]) for key in sorted(feeding)}
        return {key: whole for key, whole in composed.items() if whole is not None}


@dataclass(frozen=True)
class Streams(Generic[Doc]):
    """The streams of one kind: those of a log whose names begin with a prefix, and what their events mean."""

    log: str
    prefix: str
    evolve: Evolve[Doc]


def by_kind(*kinds: Streams[Any]) -> Evolve[Any]:
    """A projection's `evolve` for streams of several kinds, each with documents of its own type: no `evolve` meets
    those of another kind. What is of no kind is `CorruptData`, and parks.

    Raises:
        TypeError: a stream might be of two kinds. A view knows its documents by their streams, in all logs.
    """
    _check(kinds)

    def evolve(doc: Any, recorded: RecordedEvent) -> Any:
        log = log_name(recorded.record.log)
        for kind in kinds:
            if recorded.stream.startswith(kind.prefix) and log == kind.log:
                return kind.evolve(doc, recorded)
        raise CorruptData(f"{recorded.stream[:200]} of the log {log} is a stream of no kind that this view is made of")

    return evolve


def _check(kinds: Sequence[Streams[Any]]) -> None:
    for number, one in enumerate(kinds):
        for other in kinds[:number]:
            if one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix):
                found = f"{other.log}/{other.prefix}… and {one.log}/{one.prefix}…"
                raise TypeError(f"expected prefixes of which none begins with another, in whichever log, found {found}")

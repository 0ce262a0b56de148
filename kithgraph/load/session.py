"""One client of the system: it asks one thing at a time and carries the bookmark of each answer on to the next.

So what a session has written or seen it must go on seeing; its `coverage` says what that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Generic

from kithgraph.load import operations
from kithgraph.load.client import Answer, Client, NoAnswer, WrongAnswer
from kithgraph.load.compare import Mismatch
from kithgraph.load.differences import Difference, Differences
from kithgraph.load.history import Coverage, History
from kithgraph.load.measure import Part
from kithgraph.load.operations import Data, Operation


@dataclass(slots=True)
class Shared:
    """What the sessions of a run have in common."""

    client: Client
    history: History
    differences: Differences
    run: str
    """A word that is in the names and keys of this run alone."""
    numbers: count[int] = field(default_factory=count)
    changes: count[int] = field(default_factory=lambda: count(1))

    def key(self) -> str:
        """A new idempotency key."""
        return f"{self.run}-{next(self.numbers)}"


@dataclass(frozen=True, slots=True)
class Question(Generic[Data]):
    """An operation with its variables, and why it is asked."""

    part: Part
    operation: Operation[Data]
    variables: Mapping[str, object]


class Session:
    """See the module."""

    def __init__(self, shared: Shared) -> None:
        self.bookmark = ""
        self.history = shared.history
        self.coverage = Coverage(shared.history)
        self._shared = shared

    def key(self) -> str:
        """A new idempotency key."""
        return self._shared.key()

    def change(self) -> int:
        """Count a change that was made; which one of the run it is, from 1 on."""
        return next(self._shared.changes)

    def settle(self, bookmark: str) -> None:
        """Take on the bookmark that all sessions' bookmarks were joined to."""
        self.bookmark = bookmark
        self.coverage.settle()

    async def join(self, person: str, bookmark: str) -> bool:
        """Have the system join another bookmark with this session's own; whether it did.

        One travels as header, one as extension of the same request. To a client bookmarks are opaque.
        """
        question = Question(Part.SETTLED, operations.JOIN, {"id": person})
        answer = await self.ask(question, another_bookmark=bookmark)
        return answer is not None and (not answer.codes or self.tell(question, [Mismatch("an answer", answer.codes)]))

    async def ask(self, question: Question[Data], *, another_bookmark: str = "") -> Answer[Data] | None:
        """An answer, whose bookmark the session takes on; None where there was none, which is told as a difference."""
        try:
            answer = await self._shared.client.ask(
                question.operation,
                question.variables,
                part=question.part,
                bookmark=self.bookmark,
                another_bookmark=another_bookmark,
            )
        except (NoAnswer, WrongAnswer) as error:
            self.tell(question, [Mismatch(error.expected, error.found)])
            return None
        self.bookmark = answer.bookmark or self.bookmark
        return answer

    def tell(self, question: Question[Data], mismatches: Iterable[Mismatch]) -> bool:
        """Record what is not as it must be; whether all is."""
        right = True
        for mismatch in mismatches:
            right = False
            self._shared.differences.add(
                Difference(
                    question.part, question.operation.name, question.variables, mismatch.expected, mismatch.found
                )
            )
        return right

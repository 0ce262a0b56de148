"""Checks of a decider without a store: given events, when a command, then events or a refusal.

    def test_a_closed_door_opens():
        DeciderSpec(decider).given(Hung(), Closed()).when(Open()).then(Opened())
        DeciderSpec(decider).given(Hung()).when(Open()).refused(AlreadyOpen, "is open already")

Whatever does not hold raises `AssertionError`: any test runner will do, or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from eventkernel.decider import Command, Decider, Event, State
from eventkernel.errors import Refusal
from eventkernel.writing.aggregates import Aggregate


@dataclass(frozen=True)
class DeciderSpec(Generic[State, Command, Event]):
    """A decider, and what has happened to its aggregate so far. `of` has the claims, too."""

    decider: Decider[State, Command, Event]
    claims: Callable[[State], frozenset[str]] | None = None
    events: tuple[Event, ...] = ()

    @classmethod
    def of(cls, aggregate: Aggregate[State, Command, Event]) -> DeciderSpec[State, Command, Event]:
        return DeciderSpec(aggregate.decider, aggregate.claims)

    def given(self, *events: Event) -> DeciderSpec[State, Command, Event]:
        """The same, and these have happened, too."""
        return DeciderSpec(self.decider, self.claims, (*self.events, *events))

    def when(self, command: Command) -> Decided[State, Command, Event]:
        return Decided(self, command)

    @property
    def state(self) -> State:
        return self.decider.fold(self.events)

    def claiming(self, *claims: str) -> None:
        """The stream holds these claims, and no others."""
        held = frozenset[str]() if self.claims is None else self.claims(self.state)
        assert held == frozenset(claims), f"expected the claims {sorted(claims)}, found {sorted(held)}"


@dataclass(frozen=True)
class Decided(Generic[State, Command, Event]):
    """A command to an aggregate; what it leads to is asked last."""

    spec: DeciderSpec[State, Command, Event]
    command: Command

    def then(self, *expected: Event) -> DeciderSpec[State, Command, Event]:
        """It leads to these events, and to the same ones when it is decided again. Gives what has happened then."""
        found = self._events()
        assert found == expected, f"{self.command}: expected {_list(expected)}, found {_list(found)}"
        again = self._events()
        assert again == found, f"{self.command}: first decided {_list(found)}, then {_list(again)}"
        return self.spec.given(*found)

    def refused(self, kind: type[Refusal] = Refusal, message: str = "") -> None:
        """It is refused like this; `message` is a regular expression that is found in the refusal's message."""
        refusal, found = self._refusal()
        if refusal is None:
            raise AssertionError(f"{self.command}: expected {kind.__name__}, found {_list(found)}")
        said = f"{type(refusal).__name__}: {refusal}"
        assert isinstance(refusal, kind), f"{self.command}: expected {kind.__name__}, found {said}"
        assert re.search(message, str(refusal)), f"{self.command}: expected {message!r}, found {said}"

    def _refusal(self) -> tuple[Refusal | None, tuple[Event, ...]]:
        try:
            return None, self._events()
        except Refusal as refusal:
            return refusal, ()

    def _events(self) -> tuple[Event, ...]:
        return tuple(self.spec.decider.decide(self.command, self.spec.state))


def _list(events: tuple[object, ...]) -> str:
    return ", ".join(map(repr, events)) or "no event"

"""The decider: an aggregate's rules as three pure functions (https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")


@dataclass(frozen=True)
class Decider(Generic[State, Command, Event]):
    """`decide` gives a command's events or raises a `Refusal`; `evolve` gives the state after an event.

    No clock, no randomness and no ids are drawn inside: they come with the command.
    """

    initial: Callable[[], State]
    decide: Callable[[Command, State], Sequence[Event]]
    evolve: Callable[[State, Event], State]

    def fold(self, events: Iterable[Event]) -> State:
        """The state after these events, from the initial one."""
        state = self.initial()
        for event in events:
            state = self.evolve(state, event)
        return state

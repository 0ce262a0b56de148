"""The way of every mutation: an idempotency key, one command, a payload out of its stream."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import strawberry

from eventgraph.serving import inputs
from eventgraph.serving.federation import field
from eventgraph.serving.request import Request
from eventkernel.decider import Command, Event, State
from eventkernel.errors import NotFound, VersionConflict
from eventkernel.events import STREAM_RESUMED, Record, RecordedEvent
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.commands import CommandHandler, Outcome, command_id, fingerprint
from eventkernel.writing.decisions import DecisionHandler
from eventkernel.writing.store import EventStore

Doc = TypeVar("Doc")

_KEY: Final = (
    "Names this change. A repetition with the same key has no further effect and gets the same answer, "
    f"also a refusal. 1 to {inputs.KEY_LIMIT} visible ASCII characters; without one, the server draws a key."
)


@strawberry.input
class KeyedInput:
    """What the inputs of all mutations share."""

    idempotency_key: str | None = strawberry.field(default=strawberry.UNSET, description=_KEY)


@strawberry.input
class VersionedInput:
    """What the inputs of mutations share that may be based on a version."""

    expected_version: int | None = strawberry.field(
        default=strawberry.UNSET,
        description="The version that this change is based on, so that it does not overwrite another one unseen; "
        "VERSION_CONFLICT if the current version is another one.",
    )
    idempotency_key: str | None = strawberry.field(default=strawberry.UNSET, description=_KEY)


@dataclass(frozen=True, slots=True)
class Done:
    """What a command has done, the first time or now: the same for every repetition, but for the bookmark."""

    stream: str
    version: int
    bookmark: str
    idempotency_key: str
    outcome: Outcome

    def fold(self, evolve: Callable[[Doc | None, RecordedEvent], Doc]) -> Doc:
        """The stream's document at `version`, by the `evolve` that the handler answers with."""
        return self.outcome.folded(evolve)


@strawberry.type
class Payload:
    """What the payloads of all mutations share. `item` is the word for what was changed."""

    done: strawberry.Private[Done]

    @field("The {item}'s version after this change.")
    def version(self) -> int:
        return self.done.version

    @field("Send it with a later request, and the answer will show this change.")
    def bookmark(self) -> str:
        return self.done.bookmark

    @field("The idempotency key of the request, or the one that the server has drawn.")
    def idempotency_key(self) -> str:
        return self.done.idempotency_key


class Mutations(Generic[State, Command, Event]):
    """Runs the commands of one aggregate for requests."""

    def __init__(self, handler: CommandHandler[State, Command, Event] | DecisionHandler[State, Command, Event]) -> None:
        self._handler = handler

    @property
    def store(self) -> EventStore:
        return self._handler.store

    async def recorded(self, stream: str, up_to: int, after: int = 0) -> Sequence[RecordedEvent]:
        """A stream's events behind a version and up to another one, oldest first."""
        records = await self._handler.store.read_stream(stream, up_to, after)
        return [self.decoded(record) for record in records if record.type != STREAM_RESUMED]

    def decoded(self, record: Record) -> RecordedEvent:
        return self._handler.codec.recorded(record)

    async def knows(self, request: Request[Any, Any], key: str | None) -> bool:
        """Whether this caller's command with this key was run before."""
        key = inputs.given(key)
        return key is not None and await self.store.find_command(command_id(request.caller, key)) is not None

    async def run(
        self,
        request: Request[Any, Any],
        command: Command,
        *,
        stream: str,
        mutation: str,
        content: Mapping[str, object],
        key: str | None,
        expected_version: int | None = None,
    ) -> Done:
        """Run a command on a stream, or find what it has done.

        `content` is the mutation's checked input without its idempotency key and without anything that the server
        draws: with the mutation's name it is what a repetition must be equal in.
        """
        key = inputs.given(key)
        binding = key is not None  # nobody can repeat what the server has drawn a key for
        key = secrets.token_urlsafe(16) if key is None else inputs.idempotency_key(key)
        expected_version = inputs.expected_version(expected_version)
        # The key is not on the log; inside of the fingerprint it keeps anybody from guessing names with its help.
        canonical = {**content, "expectedVersion": expected_version, "idempotencyKey": key}
        try:
            outcome = await self._handler.execute(
                stream,
                command,
                command_id=command_id(request.caller, key),
                fingerprint=fingerprint(mutation, canonical),
                expected_version=expected_version,
                metadata=request.metadata,
                binding=binding,
            )
        except VersionConflict as conflict:
            if conflict.actual == 0:
                raise NotFound(f"{stream}: there is nothing of this id") from conflict
            raise
        request.wrote(Bookmark.of_commit(outcome.commit))
        return Done(
            stream=outcome.commit.stream,
            version=outcome.commit.version,
            bookmark=request.encoded_bookmark(),
            idempotency_key=key,
            outcome=outcome,
        )

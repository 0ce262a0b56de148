"""A fourth subgraph with a log of its own, and the system of the social network's three and this one: `library`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import strawberry
from msgspec import Struct
from strawberry.types import Info

from eventgraph import Api, Subgraph, System, documents
from eventgraph.serving.federation import FederatedSchema, Representation, field, key_of
from eventgraph.serving.mutations import KeyedInput, Mutations, Payload
from eventgraph.serving.request import Request
from eventkernel.decider import Decider
from eventkernel.events import DomainEvent, RecordedEvent
from eventkernel.reading.documents import DocumentQuestions, Documents, DocumentView, Index
from eventkernel.reading.views import Projection
from eventkernel.writing.aggregates import Aggregate
from subgraphs.friends.subgraph import FRIENDS
from subgraphs.recommendations.subgraph import RECOMMENDATIONS
from subgraphs.users.subgraph import USERS


class NoteWritten(DomainEvent, frozen=True, tag="notes.NoteWritten"):
    """Somebody has written something down."""

    author: str
    text: str


class NoteDoc(Struct, frozen=True):
    id: str
    author: str
    text: str


@dataclass(frozen=True)
class WriteNote:
    author: str
    text: str


DECIDER: Final[Decider[bool, WriteNote, NoteWritten]] = Decider(
    initial=lambda: False,
    decide=lambda command, written: () if written else (NoteWritten(command.author, command.text),),
    evolve=lambda _written, _event: True,
)


def evolve(doc: NoteDoc | None, recorded: RecordedEvent) -> NoteDoc:
    match recorded.event:
        case NoteWritten(author=author, text=text) if doc is None:
            return NoteDoc(NOTE.id_of(recorded.stream), author, text)
        case _:
            raise TypeError(f"{recorded.stream}: {recorded.record.type}")


NOTE: Final = Aggregate("note", "note-", DECIDER, (NoteWritten,), answer=evolve)
BY_AUTHOR: Final = Index[NoteDoc]("author", by=lambda note: note.author)
NOTES_KEPT: Final = Documents[NoteDoc](
    NoteDoc,
    indexes=(BY_AUTHOR,),
    key_of=lambda stream: stream.removeprefix("note-"),
    stream_of=lambda key: f"note-{key}",
)
NotesInfo = Info[Request[DocumentQuestions[NoteDoc], Mutations[bool, WriteNote, NoteWritten]], None]


@strawberry.federation.type(keys=["id"])
class User:
    id: strawberry.ID

    @field("What the user has written down.")
    async def notes(self, info: NotesInfo) -> list[str]:
        view = await info.context.view()
        return [found.doc.text for found in await view.page(BY_AUTHOR, where=(str(self.id),), limit=100)]

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], _info: Info[Any, None]
    ) -> Sequence[User | None]:
        return [User(id=strawberry.ID(key_of(one))) for one in representations]


@strawberry.input
class WriteNoteInput(KeyedInput):
    id: strawberry.ID
    author: strawberry.ID
    text: str


@strawberry.type
class WriteNotePayload(Payload):
    author: User


@strawberry.type
class Query:
    @field("How many notes there are.")
    async def note_count(self, info: NotesInfo) -> int:
        return await (await info.context.view()).count()


@strawberry.type
class Mutation:
    @field("Write something down.")
    async def write_note(
        self, info: NotesInfo, given: Annotated[WriteNoteInput, strawberry.argument(name="input")]
    ) -> WriteNotePayload | None:
        done = await info.context.writes.run(
            info.context,
            WriteNote(given.author, given.text),
            stream=NOTE.stream(given.id),
            mutation="writeNote",
            content={"id": given.id, "author": given.author, "text": given.text},
            key=given.idempotency_key,
        )
        return WriteNotePayload(done=done, author=User(id=given.author))


def _api() -> Api[DocumentView[NoteDoc]]:
    schema = FederatedSchema(query=Query, mutation=Mutation, types=[User])
    return Api(schema, lambda ports: Mutations(ports.commands(NOTE)))


NOTES: Final[Subgraph[DocumentView[NoteDoc]]] = Subgraph(
    name="notes",
    aggregates=(NOTE,),
    projection=Projection(name="notes", shape=1, evolve=evolve),
    view=documents(NOTES_KEPT),
    api=_api,
)

LIBRARY: Final = System(
    name="library",
    title="Library",
    about="A social network whose users write notes.",
    subgraphs=(USERS, FRIENDS, RECOMMENDATIONS, NOTES),
    distribution="kithgraph",
)

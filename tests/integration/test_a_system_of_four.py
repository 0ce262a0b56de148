"""A system that somebody else declares, of the social network's subgraphs and one of their own: nothing knows three."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Struct

from eventgraph import Subgraph, System, documents
from eventgraph.console.status import StatusSource
from eventgraph.errors import StartError
from eventgraph.operating.doctor import examine
from eventgraph.operating.event_log import print_events
from eventgraph.operating.installation import FolderInstallation
from eventgraph.operating.log_export import export
from eventgraph.operating.log_import import import_
from eventgraph.operating.rebuilding import rebuild
from eventgraph.operating.what_if import tell, what_if
from eventgraph.running.data_folder import DataFolder
from eventgraph.running.embedded import opened
from eventgraph.running.routing import started_router
from eventgraph.running.settings import Settings, loaded
from eventgraph.serving.served import running
from eventkernel.clock import SystemClock
from eventkernel.events import Position, RecordedEvent
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.documents import Documents, Index
from kithgraph.system import SOCIAL_NETWORK
from tests.support.notes import LIBRARY, NOTE, NOTES, NoteDoc, NoteWritten

BEFORE = Path(__file__).parents[1] / "fixtures" / "data-folders" / "0.1.0"

WRITE = """mutation ($input: WriteNoteInput!) { writeNote(input: $input) {
  bookmark author { notes firstName friendCount recommendations(first: 1) { mutualFriendCount } } } }"""
CREATE = """mutation { createUser(input: {firstName: "Ada", lastName: "Lovelace"}) { user { id } } }"""
USER = "query ($id: ID!) { user(id: $id) { notes firstName friendCount } noteCount }"


@dataclasses.dataclass
class Running:
    """A system in this process, asked through its router."""

    client: httpx.AsyncClient
    status: StatusSource

    async def ask(self, query: str, bookmark: str = "", **variables: Any) -> dict[str, Any]:
        body = {"query": query, "variables": variables, "extensions": {"bookmark": bookmark}}
        answer: dict[str, Any] = (
            await self.client.post("/graphql", json=body, headers={"bookmark-timeout": "30"})
        ).json()
        return answer


@asynccontextmanager
async def at_work(system: System, path: Path) -> AsyncGenerator[Running]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(DataFolder.open(path, system))
        subgraphs = await stack.enter_async_context(opened(system, folder, SystemClock()))
        for subgraph in subgraphs:
            await stack.enter_async_context(running(subgraph.workers))
        sources = {subgraph.name: subgraph.app for subgraph in subgraphs}
        router = await started_router(sources, loaded(system, Settings), system)
        app = router.app()
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://four") as client,
        ):
            yield Running(client, StatusSource(system, str(path), subgraphs, router.statistics))


async def written(library: Running, note_id: str = "1") -> tuple[str, str]:
    """A user's id, and the bookmark behind which they have a note."""
    created = await library.ask(CREATE)
    user = created["data"]["createUser"]["user"]["id"]
    note = {"id": note_id, "author": user, "text": "hello"}
    answer = await library.ask(WRITE, created["extensions"]["bookmark"], input=note)
    assert answer["data"]["writeNote"]["author"] == {
        "notes": ["hello"],
        "firstName": "Ada",
        "friendCount": 0,
        "recommendations": [],
    }
    bookmark: str = answer["extensions"]["bookmark"]
    return user, bookmark


async def test_the_bookmark_of_a_fourth_log_goes_through_all_four_and_comes_back(tmp_path: Path) -> None:
    async with at_work(LIBRARY, tmp_path / "data") as library:
        user, bookmark = await written(library)
        answer = await library.ask(USER, bookmark, id=user)
        assert answer["data"] == {
            "user": {"notes": ["hello"], "firstName": "Ada", "friendCount": 0},
            "noteCount": 1,
        }
        alone = await library.ask("query ($id: ID!) { user(id: $id) { firstName } }", bookmark, id=user)
        sent = Bookmark.decode(bookmark).position
        assert "notes" in {one.log.split(".")[0] for one in sent}
        assert Bookmark.decode(alone["extensions"]["bookmark"]).position.covers(sent)


async def test_a_bookmark_that_no_subgraph_of_the_four_can_know_is_refused(tmp_path: Path) -> None:
    async with at_work(LIBRARY, tmp_path / "data") as library:
        elsewhere = Bookmark(Position.of("letters.1", 0, 1)).encode()
        (error,) = (await library.ask("{ noteCount }", elsewhere))["errors"]
        assert error["extensions"]["code"] == "INVALID_INPUT"
        assert "expected one of the logs friends, notes, users, found 'letters'" in error["message"]


async def test_every_operators_command_sees_the_fourth(tmp_path: Path) -> None:
    path = tmp_path / "data"
    async with at_work(LIBRARY, path) as library:
        await written(library)
        status = await library.status.status()
        assert [one.name for one in status.subgraphs] == ["users", "friends", "recommendations", "notes"]
    installation = FolderInstallation(LIBRARY, path)
    assert await examine(LIBRARY, path) == []
    printed = io.BytesIO()
    await print_events(installation, None, printed)
    types = [msgspec.json.decode(line)["type"] for line in printed.getvalue().splitlines()]
    assert types == ["users.UserCreated", "notes.NoteWritten"]
    compared = await what_if(installation, [], values=False)
    assert [(one.view, one.same) for one in compared] == [(name, True) for name in LIBRARY.names]
    await asyncio.to_thread(export, installation, str(tmp_path / "all.jsonl"), tmp_path / "all.keys")
    records = import_(LIBRARY, str(tmp_path / "all.jsonl"), tmp_path / "all.keys", tmp_path / "again")
    assert {log.split(".")[0]: count for log, count in records.items()} == {"users": 1, "friends": 0, "notes": 1}
    (path / "logs" / "notes.sqlite").unlink()
    found = await examine(LIBRARY, path)
    assert next(one.where for one in found if one.severity == "error") == "logs/notes.sqlite"


def test_the_fourth_view_is_filled_again_by_command(tmp_path: Path) -> None:
    built = rebuild(FolderInstallation(LIBRARY, prepared(tmp_path, LIBRARY)), ["notes"])
    assert [one.view for one in built] == ["notes"]
    with pytest.raises(StartError, match="there is no view 'letters', only users, friends, recommendations, notes"):
        rebuild(FolderInstallation(LIBRARY, prepared(tmp_path, LIBRARY)), ["letters"])


def prepared(tmp_path: Path, system: System) -> Path:
    path = tmp_path / "data"
    DataFolder.open(path, system)._lock.close()
    return path


async def test_a_subgraph_joins_a_system_that_has_data(tmp_path: Path) -> None:
    """Of 0.1.0, when there were three: what is new begins empty, what was there is there."""
    path = tmp_path / "data"
    shutil.copytree(BEFORE, path)
    larger = dataclasses.replace(LIBRARY, installation="kithgraph")
    told = [one for one in await examine(larger, path) if one.where == "logs/notes.sqlite"]
    assert [(one.severity, one.do) for one in told] == [("notice", "nothing: the next start makes it")]
    async with at_work(larger, path) as library:
        found = await library.ask("{ users(first: 1) { edges { node { firstName notes } } } noteCount }")
        assert found["data"]["noteCount"] == 0
        assert found["data"]["users"]["edges"][0]["node"]["notes"] == []
        await written(library)


@pytest.mark.parametrize("log", LIBRARY.logs)
async def test_a_log_that_is_lost_is_not_made_anew_beside_what_was_made_from_it(tmp_path: Path, log: str) -> None:
    path = tmp_path / "data"
    async with at_work(LIBRARY, path) as library:
        await written(library)
    (path / "logs" / f"{log}.sqlite").unlink()
    with pytest.raises(StartError, match=rf"the log .*/logs/{log}\.sqlite is gone, and what was made from it is there"):
        DataFolder.open(path, LIBRARY)
    assert not (path / "logs" / f"{log}.sqlite").exists()


@pytest.mark.parametrize("log", LIBRARY.logs)
async def test_a_log_that_was_copied_without_what_was_written_ahead_is_not_made_anew(tmp_path: Path, log: str) -> None:
    copy = tmp_path / "copy"
    async with at_work(LIBRARY, tmp_path / "data") as library:
        await written(library)
        shutil.copytree(tmp_path / "data", copy, ignore=shutil.ignore_patterns(f"{log}.sqlite-wal", "*-shm"))
    with pytest.raises(StartError, match=rf"the log .*/logs/{log}\.sqlite is empty, .*: bring the log, with the -wal"):
        DataFolder.open(copy, LIBRARY)


async def test_a_folder_of_another_system_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data"
    async with at_work(LIBRARY, path):
        pass
    with pytest.raises(
        StartError, match=r"of another system than Kithgraph: it has a log notes, and no kithgraph\.json"
    ):
        DataFolder.open(path, SOCIAL_NETWORK)
    assert not (path / "kithgraph.json").exists()


class _OtherNote(Struct, frozen=True):
    """A note of a release that counts a text in place of keeping it."""

    id: str
    author: str
    length: int


def _other_notes(kept: Documents[_OtherNote], evolve: Callable[[Any, RecordedEvent], _OtherNote]) -> System:
    """The system of four in a release whose notes have other fields."""
    notes: Subgraph[Any] = NOTES
    projection = dataclasses.replace(notes.projection, evolve=evolve)
    return _with(dataclasses.replace(notes, projection=projection, view=documents(kept)))


def _with(notes: Subgraph[Any]) -> System:
    return dataclasses.replace(LIBRARY, subgraphs=(*LIBRARY.subgraphs[:-1], notes))


async def test_what_if_compares_the_fields_that_both_have_and_tells_those_that_come_and_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with at_work(LIBRARY, tmp_path / "data") as library:
        user, _ = await written(library)
        await written(library, "2")

    def evolve(_: object, recorded: RecordedEvent) -> _OtherNote:
        event = recorded.event
        assert isinstance(event, NoteWritten)
        author = event.author.upper() if event.author == user else event.author
        return _OtherNote(NOTE.id_of(recorded.stream), author, len(event.text))

    by_length = Index[_OtherNote]("length", by=lambda note: note.length)
    kept = Documents[_OtherNote](_OtherNote, indexes=(by_length,), key_of=NOTE.id_of, stream_of=NOTE.stream)
    changed = _other_notes(kept, evolve)
    (found,) = await what_if(FolderInstallation(changed, tmp_path / "data"), ["notes"], values=True)
    assert (found.documents, found.came, found.went, found.same) == (2, ["length"], ["text"], False)
    assert (found.differing, found.fields) == (1, {"author": 1})
    assert [(one.field, one.live, one.would_be) for one in found.differences] == [
        ("author", repr(user), repr(user.upper()))
    ]
    tell([found])
    assert "notes: the field length would come\nnotes: the field text would go\n" in capsys.readouterr().out


async def test_what_if_compares_documents_whose_indexes_alone_are_others(tmp_path: Path) -> None:
    async with at_work(LIBRARY, tmp_path / "data") as library:
        await written(library)
    kept = Documents[NoteDoc](NoteDoc, indexes=(), key_of=NOTE.id_of, stream_of=NOTE.stream)
    without = _with(dataclasses.replace(NOTES, view=documents(kept)))
    (found,) = await what_if(FolderInstallation(without, tmp_path / "data"), ["notes"], values=False)
    assert (found.documents, found.same) == (1, True)


async def test_what_if_refuses_tables_that_hold_no_declared_documents(tmp_path: Path) -> None:
    async with at_work(LIBRARY, tmp_path / "data") as library:
        await written(library)
    (live,) = (tmp_path / "data" / "views" / "notes").glob("b-*.sqlite")
    (other,) = (tmp_path / "data" / "views" / "users").glob("b-*.sqlite")
    live.write_bytes(other.read_bytes())
    with pytest.raises(StartError, match="its tables are not this release's"):
        await what_if(FolderInstallation(LIBRARY, tmp_path / "data"), ["notes"], values=False)

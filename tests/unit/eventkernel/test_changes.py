"""What a save hands to a view's own hook: changes from what is stored, and rows by the statements that write them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from eventkernel.events import Record
from eventkernel.reading.changes import StoredVersions, rows_by_write, unseen
from eventkernel.reading.folding import ParkedStreams, fold
from eventkernel.reading.views import Change, State
from eventkernel.testing.view_contract import record
from eventkernel.writing.store import Batch
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened


def at(version: int) -> State[str]:
    return State(version, version, "a log", 0, version, f"at {version}")


def change(stream: str, *versions: int, before: int | None = None) -> Change[str]:
    return Change(stream, tuple(map(at, versions)), None if before is None else at(before))


def test_rows_are_gathered_by_the_statements_that_write_them_in_the_order_of_these() -> None:
    def rows_of(one: Change[str]) -> Iterator[tuple[str, str]]:
        yield "now", f"{one.stream} {one.states[-1].doc}"
        for state in one.history[:-1]:
            yield "past", f"{one.stream} {state.doc}"

    changes = [change("a", 1, 2), change("b", 4, before=3)]
    rows = rows_by_write(("past", "now", "never"), changes, rows_of)
    assert list(rows.items()) == [("past", ["a at 1", "b at 3"]), ("now", ["a at 2", "b at 4"]), ("never", [])]


def test_a_row_that_names_no_statement_is_a_defect() -> None:
    with pytest.raises(KeyError, match="then"):
        rows_by_write(("now",), [change("a", 1)], lambda _: [("then", "a row")])


def test_what_a_change_says_of_what_is_stored_is_believed_where_that_was_loaded_or_saved_here() -> None:
    stored = StoredVersions()
    changes = [change("old", 3, before=2), change("new", 1)]
    assert stored.unsure(changes) == ["old", "new"], "nothing was loaded"
    stored.loaded(["old", "new"], {"old": at(2)})
    assert stored.unsure(changes) == []
    assert stored.unsure([change("old", 3), change("old", 2, before=1), change("new", 2, before=1)]) == [
        "old",
        "old",
        "new",
    ], "they begin elsewhere"
    stored.saved(changes)
    assert stored.unsure(changes) == ["old", "new"]
    assert stored.unsure([change("old", 4, before=3), change("new", 2, before=1)]) == []
    stored.loaded(["new"], {"new": at(1)})
    assert stored.unsure([change("old", 4, before=3)]) == ["old"], "it was not asked for last"


def test_states_that_are_stored_are_left_out_of_changes_which_begin_behind_them() -> None:
    changes = [
        change("known", 2, 3, before=1),
        change("untold", 2, 3),
        change("repeated", 1, 2, 3, before=None),
        change("all seen", 1, 2),
        change("gone", 2, before=1),
    ]
    unsure = ["untold", "repeated", "all seen", "gone"]
    assert unseen(changes, unsure, {"untold": at(1), "repeated": at(2), "all seen": at(2)}) == [
        change("known", 2, 3, before=1),
        change("untold", 2, 3, before=1),
        change("repeated", 3, before=2),
        change("gone", 2),
    ]


def test_a_fold_says_of_each_stream_what_was_stored_before() -> None:
    def recorded(stream: str, version: int, event: Hung | Opened) -> Record:
        encoded = CODEC.encode(event, stream)
        return replace(record(stream, version), log="doors.0123abcd", type=encoded.type, data=encoded.data)

    was: State[Door] = State(1, 1, "doors.0123abcd", 0, 1, ("oak", (), 0))
    records = [recorded("old", 2, Opened()), recorded("new", 1, Hung("elm")), recorded("old", 3, Opened())]
    batch = Batch("doors.0123abcd", 0, records, 99, 0)
    outcome = fold(DOORS, {"doors.0123abcd": CODEC}, [batch], {"old": was, "other": was}, ParkedStreams())
    found = {one.stream: (one.before, [state.version for state in one.states]) for one in outcome.changes}
    assert found == {"old": (was, [2, 3]), "new": (None, [1])}

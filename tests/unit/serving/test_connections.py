"""Pages and cursors."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass

import pytest
from strawberry import UNSET

from eventgraph.serving.connections import PageInfo, after_key, asked, cursor
from eventkernel.errors import InvalidInput
from eventkernel.reading.documents import Placed


@dataclass
class LetterEdge:
    node: str
    cursor: str


@dataclass
class LetterConnection:
    edges: list[LetterEdge]
    page_info: PageInfo


def cut(found: str, first: int, after: str | None = None) -> tuple[str, bool, bool, str | None, str | None]:
    made = asked("letters", first, after).page(found, key=str)
    info = made.info
    return "".join(made.nodes), info.has_next_page, info.has_previous_page, info.start_cursor, info.end_cursor


def test_a_page_is_followed_by_another_if_one_more_was_found() -> None:
    assert cut("abc", 2) == ("ab", True, False, cursor("letters", "a"), cursor("letters", "b"))
    assert cut("ab", 2) == ("ab", False, False, cursor("letters", "a"), cursor("letters", "b"))


def test_a_page_behind_a_cursor_has_one_before() -> None:
    assert cut("c", 2, after=cursor("letters", "b"))[2] is True


def test_an_empty_page_has_no_cursors() -> None:
    assert cut("", 2) == ("", False, False, None, None)
    assert cut("a", 0) == ("", True, False, None, None)


def test_a_page_is_asked_for_with_one_more_than_it_has() -> None:
    wanted = asked("letters", 2, cursor("letters", "b"))
    assert (wanted.size, wanted.limit, wanted.behind) == (2, 3, "b")
    assert asked("letters", 2, UNSET).behind is None


def test_a_page_becomes_a_connection_of_the_nodes_that_are_made_of_what_was_found() -> None:
    wanted = asked("letters", 2, cursor("letters", "0"))
    made = wanted.connection(
        LetterConnection, LetterEdge, "abc", key=str, node=lambda letter: None if letter == "a" else letter.upper()
    )
    assert made.edges == [LetterEdge("B", cursor("letters", "b"))]
    assert made.page_info == PageInfo(
        has_next_page=True,
        has_previous_page=True,
        start_cursor=cursor("letters", "a"),
        end_cursor=cursor("letters", "b"),
    )


def test_documents_have_their_places_as_cursors() -> None:
    found = [Placed("2x ", "ex"), Placed("2y ", "why")]
    made = asked("letters", 2, None).of_documents(LetterConnection, LetterEdge, found, str.upper)
    assert made.edges == [LetterEdge("EX", cursor("letters", "2x ")), LetterEdge("WHY", cursor("letters", "2y "))]
    assert not made.page_info.has_next_page


@pytest.mark.parametrize("key", ["u1", "a:b", "ü", "01890a5d-ac96-774b-bcce-b302099a8057", "2a\u200bb!P 0x"])
def test_a_cursor_is_read_back(key: str) -> None:
    assert after_key("letters", cursor("letters", key)) == key


def test_no_cursor_is_no_key() -> None:
    assert after_key("letters", None) is None
    assert after_key("letters", UNSET) is None


def test_an_empty_cursor_which_generated_clients_send_asks_for_the_first_page() -> None:
    assert after_key("letters", "") is None
    assert cut("ab", 2, after="")[2] is False


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "%%%",
        "x" * 1025,
        cursor("letters", "a") + "=",
        cursor("letters", "a") + "A",
        cursor("numbers", "a"),
        cursor("letters", ""),
        cursor("letters", "a\x00"),
        cursor("letters", "a\nb"),
        urlsafe_b64encode(b"2:letters:a").decode().rstrip("="),
        urlsafe_b64encode(b"1:letters:\xff").decode().rstrip("="),
        "MTpsZXR0ZXJzOm\u00e4",
    ],
)
def test_what_is_no_cursor_of_this_order_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="after: expected a cursor"):
        after_key("letters", text)

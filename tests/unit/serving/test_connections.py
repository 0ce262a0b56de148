"""Pages and cursors."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from strawberry import UNSET

from eventgraph.serving.connections import after_key, cursor, page
from eventkernel.errors import InvalidInput


def cut(found: str, first: int, after: str | None = None) -> tuple[str, bool, bool, str | None, str | None]:
    made = page(found, first=first, after=after, order="letters", key=str)
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

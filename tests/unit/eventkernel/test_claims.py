"""Claims are sealed with a key that says who it is and not what it is."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from eventkernel.errors import CannotOpen
from eventkernel.writing.claims import ClaimsKey

KEY = ClaimsKey(bytes(range(32)))


def test_a_seal_is_the_hmac_of_the_claim() -> None:
    assert KEY.seal("username:zoë") == hmac.new(bytes(range(32)), "username:zoë".encode(), hashlib.sha256).hexdigest()
    assert KEY.seal_all(["a", "b"]) == {KEY.seal("a"): "a", KEY.seal("b"): "b"}


def test_a_tag_is_sealed_otherwise_than_a_claim_of_the_same_text() -> None:
    assert KEY.seal_tag("owner:17") == hmac.new(bytes(range(32)), b"tag\nowner:17", hashlib.sha256).hexdigest()


def test_text_that_no_utf_8_has_is_sealed_as_it_is() -> None:
    assert KEY.seal("\ud800") == hmac.new(bytes(range(32)), b"\xed\xa0\x80", hashlib.sha256).hexdigest()


def test_the_fingerprint_is_what_the_page_on_events_says() -> None:
    assert KEY.fingerprint == hashlib.sha256(b"eventkernel claims key\n" + bytes(range(32))).hexdigest()


def test_a_key_comes_back_from_its_text_and_is_not_shown() -> None:
    drawn = ClaimsKey.draw()
    assert ClaimsKey.from_text(drawn.to_text() + "\n") == drawn
    assert drawn != ClaimsKey.draw()
    assert drawn.to_text() not in repr(drawn)
    assert repr(drawn.secret) not in repr(drawn)


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31, "00" * 33, "0x" + "00" * 31])
def test_a_text_that_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(CannotOpen, match="64 hexadecimal digits") as caught:
        ClaimsKey.from_text(text)
    assert not text or text not in str(caught.value)

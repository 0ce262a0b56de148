"""Which texts an append may have: the look that tells most of them at once takes nothing that the rule refuses."""

from __future__ import annotations

from typing import Any

import pytest

from eventkernel.errors import InvalidInput
from eventkernel.events import NO_METADATA, Metadata
from eventkernel.writing.appending import LONGEST_METADATA, LONGEST_NAME, Append, checked

PLAIN: dict[str, Any] = {"stream": "s", "command_id": "c", "fingerprint": "f", "metadata": NO_METADATA}


def append(**texts: Any) -> Append:
    return Append(events=(), expected_version=0, claims=None, **PLAIN | texts)


@pytest.mark.parametrize("name", ["stream", "command_id", "fingerprint"])
def test_every_name_has_to_be_printable_and_of_a_length(name: str) -> None:
    for text in ("x" * LONGEST_NAME, "a b", "a\u00a0\u200dé"):
        asked = append(**{name: text})
        assert checked(asked) is asked
    for text in ("", "x" * (LONGEST_NAME + 1), "a\nb", "\uffff"):
        with pytest.raises(InvalidInput, match=name.replace("_", " ")):
            checked(append(**{name: text}))


def test_all_metadata_together_may_be_longer_than_one() -> None:
    long = "x" * LONGEST_METADATA
    asked = append(metadata=Metadata(actor=long, correlation=long, tracestate=""))
    assert checked(asked) is asked
    for text in (long + "x", "a\x00"):
        with pytest.raises(InvalidInput, match="causation"):
            checked(append(metadata=Metadata(actor="a", causation=text)))

"""The ids of users."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from unittest.mock import patch

import uuid6
from hypothesis import given, settings
from hypothesis import strategies as st

from subgraphs.users.schema import new_user_id

NANOSECONDS = st.lists(st.integers(0, 2**62), min_size=2, max_size=50)


@settings(deadline=None)
@given(NANOSECONDS)
def test_ids_grow_strictly_within_a_process_whatever_the_clock_does(times: Sequence[int]) -> None:
    with patch("time.time_ns", side_effect=times), patch.object(uuid6, "_last_v7_timestamp", None):
        ids = [new_user_id() for _ in times]
    assert all(before < after for before, after in pairwise(ids))
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", i) for i in ids)

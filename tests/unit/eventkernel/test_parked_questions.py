"""What MongoDB is asked about parked records can be answered by their index alone, however many are parked."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock, patch

import pytest

from eventkernel.adapters.mongodb.progress import ParkedRecords


@pytest.mark.parametrize("streams", [1, 2, 120])
async def test_every_question_ends_with_the_first_record_in_the_order_of_the_index(streams: int) -> None:
    """The index is (reader, stream, version): equal in the first two, in the order of the third, and no more than one.
    https://www.mongodb.com/docs/manual/tutorial/sort-results-with-indexes/"""
    asked: list[list[dict[str, Any]]] = []

    async def recorded(_collection: object, pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
        unions = [stage["$unionWith"]["pipeline"] for stage in pipeline if "$unionWith" in stage]
        asked.extend([[stage for stage in pipeline if "$unionWith" not in stage], *unions])
        assert len(pipeline) < 100
        return []

    with patch("eventkernel.adapters.mongodb.progress.aggregated", recorded):
        await ParkedRecords(MagicMock(), "view").first_of([f"door-{number}" for number in range(streams)])
    assert len(asked) == 2 * streams, "what waits first, and what was skipped last"
    for match, sort, limit in asked:
        assert match["$match"]["reader"] == "view"
        assert isinstance(match["$match"]["stream"], str)
        assert match["$match"].keys() <= {"reader", "stream", "version", "skipped"}
        assert list(sort["$sort"]) == ["version"]
        assert limit == {"$limit": 1}

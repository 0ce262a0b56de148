"""Settings of Neo4j that cannot be right are refused by name, and nothing that is secret is ever told."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventkernel.adapters.neo4j.connection import Neo4jConnection, Neo4jSettings
from eventkernel.errors import CannotOpen, Unavailable


@pytest.mark.parametrize(
    "url",
    [
        "",
        "graph.example",
        "http://graph.example",
        "bolt://",
        "bolt+ssc://graph.example",
        "bolt://me:s3cret@graph.example",
    ],
)
def test_a_url_that_is_none_of_ours_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(CannotOpen, match="the URL of Neo4j: expected one of bolt://host") as refused:
        Neo4jConnection(Neo4jSettings(url, "me", "s3cret"))
    assert "s3cret" not in str(refused.value)


def test_an_authority_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match=r"authority .*none\.pem cannot be used: No such file"):
        Neo4jConnection(Neo4jSettings("bolt://graph.example", authority=tmp_path / "none.pem"))
    (tmp_path / "broken.pem").write_text("no certificate")
    with pytest.raises(CannotOpen, match=r"authority .*broken\.pem cannot be used"):
        Neo4jConnection(Neo4jSettings("bolt+s://graph.example", authority=tmp_path / "broken.pem"))


def test_settings_do_not_show_the_password() -> None:
    assert "s3cret" not in repr(Neo4jSettings("bolt://graph.example", "me", "s3cret"))


async def test_a_server_that_is_not_there_is_unavailable_in_bounded_time() -> None:
    settings = Neo4jSettings("bolt://127.0.0.1:1", "me", "s3cret", patience=5.0)
    async with Neo4jConnection(settings) as connection:
        with pytest.raises(Unavailable) as away:
            await connection.ping()
    assert "s3cret" not in str(away.value)

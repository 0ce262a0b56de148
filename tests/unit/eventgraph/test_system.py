"""A declaration says itself what does not fit together, and everything that has a name follows from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from eventgraph import Subgraph, System
from eventgraph.ports import Adapters
from eventgraph.running.settings import EngineSettings, Settings, load, loaded, subgraph_urls
from eventgraph.serving.wiring import served
from eventkernel.adapters.memory_documents import memory_documents
from eventkernel.adapters.memory_views import MemoryView
from eventkernel.errors import UnknownEventType
from eventkernel.reading.views import Projection
from eventkernel.writing.codec import Unread
from kithgraph.system import SOCIAL_NETWORK
from subgraphs.friends.endings import ENDINGS
from subgraphs.friends.subgraph import FRIENDS
from subgraphs.recommendations.subgraph import RECOMMENDATIONS
from subgraphs.users.domain import UserDeleted
from subgraphs.users.subgraph import USER, USERS
from tests.support.doors import Hung
from tests.support.notes import LIBRARY, NOTES, NOTES_KEPT
from tests.support.scripted_log import ScriptedLog


def named(subgraph: Subgraph[Any], name: str) -> Subgraph[Any]:
    projection = Projection(name=name, shape=1, evolve=subgraph.projection.evolve)
    return dataclasses.replace(subgraph, name=name, projection=projection)


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: named(NOTES, "Notes"), "a subgraph's name is"),
        (
            lambda: dataclasses.replace(NOTES, name="letters"),
            "letters: expected a projection of this name, found 'notes'",
        ),
        (lambda: dataclasses.replace(FRIENDS, reads={"friends": ()}), "`reads` is for the logs of others"),
        (lambda: dataclasses.replace(NOTES, aggregates=()), "notes: expected an aggregate, found none"),
        (lambda: dataclasses.replace(FRIENDS, aggregates=()), "friends: expected an aggregate, found none"),
        (lambda: dataclasses.replace(USERS, aggregates=(USER, USER)), "the name 'user'"),
        (lambda: System("Kith", "Kith", (USERS,)), "a system's name is"),
        (lambda: System("kith", "Kith", ()), "kith: expected a subgraph, found none"),
        (lambda: System("kith", "Kith", (USERS, USERS)), "the name 'users' is taken already"),
        (lambda: System("kith", "Kith", (named(NOTES, "router"),)), "the name 'router' is taken already"),
        (lambda: System("kith", "Kith", (FRIENDS,)), "friends: reads the log 'users', which no subgraph of kith owns"),
        (
            lambda: System(
                "kith", "Kith", (*SOCIAL_NETWORK.subgraphs, dataclasses.replace(NOTES, reads={"recommendations": ()}))
            ),
            "notes: reads the log 'recommendations', which no subgraph of kith owns",
        ),
        (
            lambda: System("kith", "Kith", (USERS, RECOMMENDATIONS)),
            "recommendations: reads the log 'friends', which no subgraph of kith owns",
        ),
        (
            lambda: System("kith", "Kith", (USERS, dataclasses.replace(FRIENDS, processes=(ENDINGS, ENDINGS)))),
            "the name 'friends-endings' is taken already",
        ),
    ],
)
def test_what_does_not_fit_together_is_told_when_it_is_declared(
    declare: Callable[[], object], told: str | None
) -> None:
    if told is None:
        declare()
        return
    with pytest.raises(TypeError, match=told):
        declare()


def test_what_follows_from_a_declaration() -> None:
    assert SOCIAL_NETWORK.names == ("users", "friends", "recommendations")
    assert SOCIAL_NETWORK.logs == ("users", "friends")
    assert SOCIAL_NETWORK.ports == {"router": 9000, "users": 9001, "friends": 9002, "recommendations": 9003}
    assert LIBRARY.logs == ("users", "friends", "notes")
    assert LIBRARY.urls["notes"] == "http://127.0.0.1:9004/graphql"
    assert list(RECOMMENDATIONS.codecs) == ["users", "friends"]
    assert list(FRIENDS.codecs) == ["users", "friends"]
    assert (SOCIAL_NETWORK.mark, LIBRARY.mark) == ("kithgraph", "library")


def test_settings_are_named_after_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBRARY_PORT", "7000")
    monkeypatch.setenv("KITH_PORT", "8000")
    monkeypatch.setenv("LIBRARY_NOTES_URL", "http://notes.example/")
    assert loaded(LIBRARY, Settings).port == 7000
    assert loaded(SOCIAL_NETWORK, Settings).port == 8000
    assert loaded(LIBRARY, EngineSettings).name == "library"
    assert loaded(SOCIAL_NETWORK, EngineSettings).name == "kithgraph"
    assert subgraph_urls(LIBRARY)["notes"] == "http://notes.example/"
    assert list(subgraph_urls(SOCIAL_NETWORK)) == ["users", "friends", "recommendations"]


def test_there_are_ports_for_all_subgraphs_behind_the_routers() -> None:
    assert load(LIBRARY, port=65_531).port == 65_531
    with pytest.raises(Exception, match=r"less than or equal to 65531, .*found 65532"):
        load(LIBRARY, port=65_532)
    assert load(SOCIAL_NETWORK, port=65_532).port == 65_532


def test_a_log_is_written_exactly_by_its_owner() -> None:
    log = ScriptedLog("notes.1")
    adapters = Adapters(MemoryView("notes", memory_documents(NOTES_KEPT)), {"notes": log})
    with pytest.raises(TypeError, match="notes: expected its own log to be written"):
        served(NOTES, adapters)


def test_of_the_logs_of_others_a_subgraph_reads_the_types_that_it_declares_and_skips_the_rest() -> None:
    reader = dataclasses.replace(NOTES, reads={"users": (UserDeleted,)})
    known, own = reader.codecs["users"], reader.codecs["notes"]
    log = ScriptedLog("doors.1")
    log.put("door-1", 1, Hung(name="oak"))
    (other,) = log.partitions[0]
    assert (known.knows("users.UserDeleted"), known.knows("users.UserCreated")) == (True, False)
    assert isinstance(known.decode(other), Unread)
    with pytest.raises(UnknownEventType):
        own.decode(other)

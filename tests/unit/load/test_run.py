"""Whole runs against an endpoint that is right, and against one that lies in one thing."""

from __future__ import annotations

import dataclasses
import random
import re
from collections import Counter
from collections.abc import Callable

import pytest
from starlette.responses import Response

from kithgraph.load import network
from kithgraph.load.measure import Part
from kithgraph.load.network import Kind, Name, Network
from kithgraph.load.run import Outcome, run
from tests.support.kith import run_kith
from tests.unit.load.endpoint import FakeKith, Json, Lie, serving


class Silent:
    def begin(self, title: str, total: int) -> None:
        pass

    def step(self) -> None:
        pass


async def load(kith: FakeKith, wanted: Network | None = None) -> Outcome:
    async with serving(kith) as endpoint:
        return await run(wanted or crowd(), endpoint, draw=random.Random(3), watcher=Silent(), pause=0)


def crowd(seed: int = 3) -> Network:
    """Small enough for a test, with a pair that makes friends, parts and makes friends again at the end."""
    wanted = network.free(random.Random(seed), people=10, friends_per_person=3, requests=60, concurrency=8)
    ends = [
        network.Phase(kind, [network.Wish(kind, one, other)])
        for kind, one, other in [
            (Kind.ADD_FRIEND, 0, 1),
            (Kind.REMOVE_FRIEND, 0, 1),
            (Kind.REMOVE_FRIEND, 1, 0),
            (Kind.ADD_FRIEND, 1, 0),
            (Kind.ADD_FRIEND, 1, 1),
        ]
    ]
    return ascii_only(dataclasses.replace(wanted, phases=[*wanted.phases, *ends]))


def ascii_only(wanted: Network) -> Network:
    names = [Name(f"Person{number}", "Lovelace") for number in range(len(wanted.names))]
    return dataclasses.replace(wanted, names=names)


def hand_made() -> Network:
    return network.small(random.Random(3))


def adding(*pairs: tuple[int, int], people: int) -> Network:
    phase = network.Phase("adding", [network.Wish(Kind.ADD_FRIEND, *pair) for pair in pairs])
    return Network("adding", [Name(f"Person{number}", "Lovelace") for number in range(people)], [phase], [], 16)


@pytest.mark.parametrize("seed", range(5))
async def test_a_right_endpoint_that_is_as_late_as_bookmarks_allow_has_no_difference(seed: int) -> None:
    outcome = await load(FakeKith(seed), crowd(seed))
    assert outcome.differences.kept == []
    assert outcome.differences.count == 0


async def test_of_many_that_add_the_same_pair_at_once_one_succeeds_and_the_others_are_predicted_refusals() -> None:
    outcome = await load(FakeKith(), adding(*[(0, 1), (1, 0), (2, 1), (2, 2)] * 30, people=5))
    assert outcome.differences.kept == []
    assert outcome.figures.of(Part.LOAD, "addFriend").codes == {"ALREADY_EXISTS": 88, "INVALID_INPUT": 30}


async def test_every_request_of_a_preset_is_sent_and_counted() -> None:
    for wanted in (hand_made(), ascii_only(network.serial(random.Random(3)))):
        outcome = await load(FakeKith(), wanted)
        assert outcome.differences.kept == []
        assert outcome.figures.requests(Part.LOAD) == wanted.requests


async def test_another_run_against_the_same_system_is_right_too() -> None:
    kith = FakeKith()
    assert (await load(kith)).differences.kept == []
    assert (await load(kith)).differences.kept == []


def html(status: int) -> Response:
    return Response("<html>", status, media_type="text/html")


def unavailable() -> Response:
    body = '{"data": null, "errors": [{"message": "later", "extensions": {"code": "UNAVAILABLE"}}]}'
    return Response(body, media_type="application/graphql-response+json")


async def test_what_has_no_answer_is_sent_again_with_the_same_key_and_counted() -> None:
    kith = FakeKith()
    kith.failures = [html(502), html(502), unavailable()]
    outcome = await load(kith, hand_made())
    assert outcome.differences.kept == []
    assert outcome.figures.retries == {"HTTP 502 text/html": 2, "UNAVAILABLE": 1}
    assert sum(kind == "person" for kind, *_ in kith.log) == 6


async def test_an_answer_whose_errors_left_nulls_is_sent_again_like_one_without_data() -> None:
    """A subgraph that did not reach the bookmark leaves null for its fields, and the rest of the data is there."""
    kith = FakeKith()
    late = {"message": "later", "path": ["user"], "extensions": {"code": "OUT_OF_DATE"}}
    partial = {"user": {"id": "user000000", "firstName": "P", "lastName": "L", "version": 1, "friendCount": None}}
    once = [{"data": {**partial, "recommendations": []}, "errors": [late], "extensions": {"bookmark": "1"}}]

    def leave_nulls(field: str, body: dict[str, Json]) -> None:
        if field == "user" and "recommendations" in body["data"] and once:
            body.clear()
            body.update(once.pop())

    kith.lie = leave_nulls
    outcome = await load(kith, hand_made())
    assert once == []
    assert outcome.differences.kept == []
    assert outcome.figures.retries == {"OUT_OF_DATE": 1}


async def test_an_error_that_never_ends_is_a_difference() -> None:
    kith = FakeKith()
    kith.failures = [unavailable() for _ in range(8)]
    outcome = await load(kith, hand_made())
    assert outcome.differences.count == 1
    assert outcome.differences.kept[0].found == ["UNAVAILABLE"]


async def test_no_answer_at_all_is_a_difference_and_the_rest_goes_on() -> None:
    kith = FakeKith()
    kith.failures = [html(502) for _ in range(8)]
    outcome = await load(kith, hand_made())
    assert outcome.differences.count == 1
    assert outcome.differences.kept[0].found == "HTTP 502 text/html, 8 times"


def in_data(field: str, change: Callable[[Json], object]) -> Lie:
    """Change this field's value wherever it has one."""

    def lie(_field: str, body: dict[str, Json]) -> None:
        if body.get("data") and body["data"].get(field):
            change(body["data"][field])

    return lie


def instead(field: str, value: Json) -> Lie:
    def lie(_field: str, body: dict[str, Json]) -> None:
        if body.get("data") and field in body["data"]:
            body["data"][field] = value

    return lie


def refuse(field: str, code: str) -> Lie:
    def lie(_field: str, body: dict[str, Json]) -> None:
        if body.get("data") and field in body["data"]:
            body.update(data=None, errors=[{"message": "no", "extensions": {"code": code}}])

    return lie


def accept(field: str, code: str) -> Lie:
    """Turn a refusal into an acceptance that was seen before."""
    seen: list[Json] = []

    def lie(_field: str, body: dict[str, Json]) -> None:
        if body.get("data") and body["data"].get(field):
            seen[:] = [body["data"]]
        elif seen and code in str(body.get("errors")):
            del body["errors"]
            body["data"] = seen[0]

    return lie


LIES: dict[str, Lie] = {
    "a name of another": in_data("createUser", lambda it: it["user"].update(firstName="Nobody")),
    "a version of a new user": in_data("createUser", lambda it: it["user"].update(version=2)),
    "a user who is refused": refuse("createUser", "INTERNAL"),
    "a friendship with others": in_data("addFriend", lambda it: it["friendship"]["users"].pop()),
    "a friendship at a wrong version": in_data("addFriend", lambda it: it.update(version=it["version"] + 2)),
    "a friendship from before": in_data("addFriend", lambda it: it["friendship"].update(since="2020-01-01T00:00:00Z")),
    "a friendship with another id": in_data("addFriend", lambda it: it["friendship"].update(id=f"x{it['version']}")),
    "a friendship that is refused": refuse("addFriend", "ALREADY_EXISTS"),
    "a friendship that is made twice": accept("addFriend", "ALREADY_EXISTS"),
    "a friendship with oneself": accept("addFriend", "INVALID_INPUT"),
    "an end that is refused": refuse("removeFriend", "NOT_FOUND"),
    "an end that is made twice": accept("removeFriend", "NOT_FOUND"),
    "one friend too many in the number": in_data("user", lambda it: it.update(friendCount=it["friendCount"] + 1)),
    "a friend who is missing": in_data("user", lambda it: it["friends"]["edges"] and it["friends"]["edges"].pop()),
    "friends in another order": in_data("user", lambda it: it["friends"]["edges"].reverse()),
    "a friend twice": in_data("user", lambda it: it["friends"]["edges"].extend(it["friends"]["edges"][:1])),
    "a next page that is not there": in_data("user", lambda it: it["friends"]["pageInfo"].update(hasNextPage=True)),
    "a user who is not there": instead("user", None),
    "a user's other name": in_data("user", lambda it: it.update(lastName="Nobody")),
    "friends who are none": instead("areFriends", True),
    "no friends who are some": instead("areFriends", False),
    "a mutual friend who is missing": in_data("mutualFriends", lambda it: it.pop()),
    "no mutual friends at all": instead("mutualFriends", None),
    "a mutual friend by another name": in_data("mutualFriends", lambda it: it[0].update(firstName="Nobody")),
    "a recommendation that is missing": in_data("recommendations", lambda it: it.pop(0)),
    "recommendations in another order": in_data("recommendations", lambda it: it.reverse()),
    "a recommendation of too many": in_data("recommendations", lambda it: it[0].update(mutualFriendCount=99)),
    "a recommendation without its reason": in_data("recommendations", lambda it: it[0]["mutualFriends"].pop()),
    "a recommendation by another name": in_data("recommendations", lambda it: it[0]["user"].update(firstName="No")),
    "costs that are none": refuse("recommendations", "TOO_COSTLY"),
    "a user missing in the list": in_data("users", lambda it: it["edges"].pop(0)),
    "a user missing in a search": in_data("searchUsers", lambda it: it["edges"] and it["edges"].pop(0)),
    "a field that is missing": in_data("searchUsers", lambda it: it.pop("pageInfo")),
    "no bookmark": lambda _field, body: body.update(extensions={}),
    "another bookmark": lambda _field, body: body.update(extensions={"bookmark": "7"}),
    "neither data nor errors": lambda field, body: field == "users" and body.pop("data"),
}  # fmt: skip


@pytest.mark.parametrize("what", LIES)
async def test_a_lie_is_a_difference(what: str) -> None:
    outcome = await load(FakeKith(lie=LIES[what]))
    assert outcome.differences.count > 0


async def test_one_lie_among_thousands_of_right_answers_is_one_difference() -> None:
    told = Counter[str]()

    def lie(_field: str, body: dict[str, Json]) -> None:
        if body.get("data") and body["data"].get("mutualFriends"):
            told["mutualFriends"] += 1
            if told["mutualFriends"] == 9:
                body["data"]["mutualFriends"].pop()

    wanted = ascii_only(network.serial(random.Random(3)))
    outcome = await load(FakeKith(lie=lie), wanted)
    assert outcome.differences.count == 1
    assert "mutualFriends" in str(outcome.differences.kept[0].expected)


@pytest.mark.parametrize("faculty", ["believes_bookmarks", "remembers_keys"])
async def test_a_system_that_does_not_keep_its_promises_is_found_out(faculty: str) -> None:
    kith = FakeKith()
    setattr(kith, faculty, False)
    outcome = await load(kith)
    assert outcome.differences.count > 0


async def test_a_system_that_does_not_join_bookmarks_is_found_out() -> None:
    pairs = [(one, other) for one in range(12) for other in range(one)]

    async def differences(seed: int, *, joins: bool) -> int:
        kith = FakeKith(seed)
        kith.lazy, kith.joins_bookmarks = True, joins
        return (await load(kith, adding(*pairs, people=12))).differences.count

    assert await differences(0, joins=True) == 0
    # Where the session that writes last is the one whose own bookmark is kept, nothing is amiss.
    assert any([await differences(seed, joins=False) for seed in range(5)])


async def test_the_command_ends_with_0_where_every_answer_is_right() -> None:
    async with serving(FakeKith()) as endpoint:
        finished = await run_kith("load", "small", "--endpoint", endpoint)
    assert finished.code == 0, finished.output + finished.errors
    assert "every answer is what the model says" in finished.output
    assert finished.errors == ""


async def test_the_command_ends_with_1_and_a_readable_report_where_one_answer_is_wrong() -> None:
    lie = in_data("recommendations", lambda it: it[0].update(mutualFriendCount=99))
    async with serving(FakeKith(lie=lie)) as endpoint:
        finished = await run_kith("load", "small", "--endpoint", endpoint)
    assert finished.code == 1
    report = re.sub(r"\s+", " ", finished.output)
    assert re.search(r"difference 1 [\w ]+: recommendations", report), report
    assert re.search(r'variables \{"id":"user\d+"', report), report
    assert re.search(r'expected \{"recommendations":\[\["user\d+",[12],', report), report
    assert re.search(r'found \{"recommendations":\[\["user\d+",99,', report), report
    assert re.search(r"\d+ differences from the model", report), report


async def test_at_most_20_differences_are_shown_and_all_counted() -> None:
    outcome = await load(FakeKith(lie=LIES["a user's other name"]))
    assert len(outcome.differences.kept) == 20
    assert outcome.differences.count > 20


async def test_where_nothing_answers_the_command_says_so_in_one_line() -> None:
    finished = await run_kith("load", "small", "--endpoint", "http://127.0.0.1:9/graphql")
    assert finished.code == 1
    assert finished.output == ""
    assert len(finished.errors.splitlines()) == 1
    assert "http://127.0.0.1:9/graphql" in finished.errors

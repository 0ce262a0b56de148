"""What happened to a mutation, told of whole systems: by its correlation, or by its idempotency key."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bank.system import BANK
from eventgraph.stories.story import EventLine, Story
from eventkernel.errors import InvalidInput
from kithgraph.system import SOCIAL_NETWORK
from shop.system import SHOP
from tests.support.bank import OVER, Bank
from tests.support.stories import is_over, outcomes, told_system

CREATE = """mutation Create($input: CreateUserInput!) { createUser(input: $input) { user { id username } bookmark } }"""
USERS = "query Everybody { users(first: 5) { edges { node { firstName friendCount } } } }"


def named(first: str = "Ada", **more: str) -> dict[str, dict[str, str]]:
    return {"input": {"firstName": first, "lastName": "Lovelace", **more}}


async def test_a_mutation_is_told_with_its_request_its_event_and_the_moment_of_each_view(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system:
        answer = await system.ask(CREATE, named())
        correlation = answer.body["extensions"]["correlation"]
        story = await system.told(correlation, is_over)

    (request,) = story.requests
    assert (request.kind, request.name, request.codes) == ("mutation", "Create", ())
    assert [(part.subgraph, part.seen, part.of) for part in request.parts] == [("users", 1, 1)]
    (commit,) = story.commits
    assert (commit.log, commit.by, commit.because, commit.refusal) == ("users", "", "", None)
    (event,) = commit.events
    assert (event.type, event.version) == ("users.UserCreated", 1)
    views = {outcome.reader: outcome for outcome in event.outcomes if outcome.kind == "view"}
    assert views.keys() == {"users", "friends", "recommendations"}
    for outcome in views.values():
        assert outcome.at_us is not None
        assert outcome.exact
    assert story.correlation == correlation
    assert story.notes == ()


async def test_no_data_of_an_event_is_told(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system:
        answer = await system.ask(CREATE, named("Augusta", username="augusta"))
        story = await system.told(answer.body["extensions"]["correlation"], is_over)

    told = msgspec.json.encode(story).lower()
    assert b"augusta" not in told
    assert b"lovelace" not in told


async def test_a_query_tells_which_of_its_parts_have_seen_the_events(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path, idle=["friends"]) as system:
        first = await system.ask(CREATE, named())
        bookmark = first.data["createUser"]["bookmark"]
        await system.told(first.body["extensions"]["correlation"], users_have_shown)
        await system.ask(USERS, bookmark=bookmark, headers={"correlation-id": "look", "bookmark-timeout": "0.1"})
        await system.ask(USERS)
        story = await system.stories.of_correlation(first.body["extensions"]["correlation"])

    looked, plain = story.later
    assert [looked.name, plain.name] == ["Everybody", "Everybody"]
    assert [(part.subgraph, part.seen, part.of) for part in looked.parts if part.subgraph == "users"] == [
        ("users", 1, 1)
    ]
    assert looked.codes, "the friends' view does not get there"
    waiting = {outcome.reader: outcome.state for outcome in outcomes(story.commits) if outcome.kind == "view"}
    assert waiting["users"] == "shown"
    assert waiting["friends"] in {"waits", "unknown"}


async def test_an_idempotency_key_finds_the_same_story_for_its_caller_only(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system:
        answer = await system.ask(CREATE, named(idempotencyKey="a-key"))
        by_correlation = await system.told(answer.body["extensions"]["correlation"], is_over)
        by_key = await system.stories.of_command("anonymous", "a-key")
        other = await system.stories.of_command("somebody", "a-key")

    assert by_key == by_correlation
    assert other.is_empty


async def test_a_refused_command_is_told_with_its_reason(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system:
        await system.ask(CREATE, named(username="ada"))
        refused = await system.ask(CREATE, named("Other", username="ada", idempotencyKey="again"))
        by_correlation = await system.stories.of_correlation(refused.body["extensions"]["correlation"])
        by_key = await system.stories.of_command("anonymous", "again")

    assert by_correlation.requests[0].codes == (refused.codes[0],)
    (commit,) = by_key.commits
    assert commit.refusal is not None
    assert commit.refusal.code == "CLAIM_TAKEN"
    assert commit.events == ()
    assert by_key.commits == by_correlation.commits


async def test_a_refusal_that_is_not_remembered_is_known_by_its_request(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system:
        await system.ask(CREATE, named(username="ada"))
        refused = await system.ask(CREATE, named("Other", username="ada"))
        story = await system.stories.of_correlation(refused.body["extensions"]["correlation"])

    assert story.commits == ()
    assert [request.codes for request in story.requests] == [tuple(refused.codes)]


async def test_a_transfer_is_told_with_its_whole_saga(tmp_path: Path) -> None:
    async with told_system(BANK, tmp_path) as system:
        bank = Bank(system)
        source, target = await bank.account("ada", "100.00 EUR"), await bank.account("bob")
        answer = await bank.ask(
            "mutation ($input: TransferInput!) { transfer(input: $input) { transfer { id } bookmark } }",
            {"input": {"sourceId": source, "targetId": target, "amount": "30.00 EUR"}},
        )
        bank.bookmark = answer.data["transfer"]["bookmark"]  # else the next query may be before the transfer
        assert (await bank.over(answer.data["transfer"]["transfer"]["id"]))[0] in OVER
        story = await system.told(
            answer.body["extensions"]["correlation"],
            lambda story: is_over(story) and any("Completed" in one.type for one in events(story)),
        )

    kinds = [event.type.rpartition(".")[2] for event in events(story)]
    assert kinds[0] == "TransferRequested"
    assert kinds[-1] == "TransferCompleted"
    first, *others = story.commits
    assert (first.by, first.because) == ("", "")
    assert others
    processes = {process.name for subgraph in BANK.subgraphs for process in subgraph.processes}
    known = {event.id for event in events(story)}
    for commit in others:
        assert commit.by in processes
        assert commit.because in known
    reacted = {outcome.reader for outcome in outcomes(story.commits) if outcome.kind == "process"}
    assert reacted <= processes
    assert {commit.by for commit in others} <= reacted


async def test_after_a_restart_the_log_is_told_and_what_only_the_process_knew_is_not(tmp_path: Path) -> None:
    async with told_system(SOCIAL_NETWORK, tmp_path) as system:
        answer = await system.ask(CREATE, named(idempotencyKey="a-key"))
        correlation = answer.body["extensions"]["correlation"]
        before = await system.told(correlation, is_over)
    async with told_system(SOCIAL_NETWORK, tmp_path) as system:
        after = await system.told(correlation, lambda story: all(one.at_us for one in outcomes(story.commits)))
        by_key = await system.stories.of_command("anonymous", "a-key")

    assert after.requests == ()
    assert "Its request is not known" in after.notes[0]
    assert [commit.command_id for commit in after.commits] == [commit.command_id for commit in before.commits]
    for old, new in zip(outcomes(before.commits), outcomes(after.commits), strict=True):
        assert (new.reader, new.state) == (old.reader, "shown")
        assert not new.exact
        assert (new.at_us or 0) >= (old.at_us or 0)
    assert by_key.commits == after.commits


@pytest.mark.parametrize("correlation", ["unknown", "' OR 1=1 --", "<script>alert(1)</script>", "%00", "../../etc"])
async def test_an_unknown_correlation_has_an_empty_story(tmp_path: Path, correlation: str) -> None:
    async with told_system(SHOP, tmp_path) as system:
        story = await system.stories.of_correlation(correlation)

    assert story.is_empty
    assert story.later == ()


@pytest.mark.parametrize("correlation", ["", "x" * 513, "a\nb", "\x00", "ä", "\ud800"])
async def test_what_no_request_can_have_for_a_correlation_is_refused(tmp_path: Path, correlation: str) -> None:
    async with told_system(SHOP, tmp_path) as system:
        with pytest.raises(InvalidInput, match="expected 1 to 512 printable ASCII characters"):
            await system.stories.of_correlation(correlation)


def users_have_shown(story: Story) -> bool:
    return any(outcome.reader == "users" and outcome.state == "shown" for outcome in outcomes(story.commits))


def events(story: Story) -> list[EventLine]:
    return [event for commit in story.commits for event in commit.events]

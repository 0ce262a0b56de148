"""One trace over a change and all that it leads to, in both modes, exported by OTLP and read as a collector would."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.bank import Bank
from tests.support.distributed import Engines, router
from tests.support.kith import RunningKith, run_kith, running_kith
from tests.support.otlp import Received, receiver

USER = '{firstName: "Ada", lastName: "Lovelace", username: "countess"}'
CREATE = f"mutation {{ createUser(input: {USER}) {{ user {{ id }} }} }}"
READ = "{ users { edges { node { id firstName } } } }"
CREATED = [
    "server POST /graphql",
    "  client POST /graphql users",
    "    server POST /graphql users",
    "      producer append users",
    "        consumer process users friends",
    "        consumer process users recommendations",
    "        consumer process users users",
    "  internal graphql.plan",
]
ASKED = [
    "server POST /graphql",
    "  client POST /graphql users",
    "    server POST /graphql users",
    "  internal graphql.plan",
]
TRANSFERRED = """
server POST /graphql
  client POST /graphql transfers
    server POST /graphql transfers
      producer append transfers
        consumer process transfers accounts
        consumer process transfers accounts-transfers
          producer append accounts
            consumer process accounts accounts
            consumer process accounts transfers
            consumer process accounts transfers-steps
              producer append transfers
                consumer process transfers accounts
                consumer process transfers accounts-transfers
                  producer append accounts
                    consumer process accounts accounts
                    consumer process accounts transfers
                    consumer process accounts transfers-steps
                      producer append transfers
                        consumer process transfers accounts
                        consumer process transfers transfers
                consumer process transfers transfers
        consumer process transfers transfers
  internal graphql.plan
""".strip().splitlines()


def tree(spans: Sequence[Received]) -> list[str]:
    """The spans of one trace as lines, each under its parent."""
    below: dict[str, list[Received]] = {}
    for span in spans:
        below.setdefault(span.parent_id, []).append(span)

    def lines(parent: str, depth: int) -> list[str]:
        return [
            line
            for span in sorted(below.get(parent, ()), key=told)
            for line in ("  " * depth + told(span), *lines(span.span_id, depth + 1))
        ]

    return lines("", 0)


def told(span: Received) -> str:
    who = span.attributes.get("messaging.consumer.group.name", span.attributes.get("graphql.subgraph.name", ""))
    return f"{span.kind} {span.name} {who}".rstrip()


def trees(spans: Sequence[Received]) -> list[list[str]]:
    """Those of all traces."""
    traces = dict.fromkeys(span.trace_id for span in spans)
    return [tree([span for span in spans if span.trace_id == trace]) for trace in traces]


def logged(errors: Path, *loggers: str) -> list[dict[str, str]]:
    """The lines of these loggers."""
    lines = [json.loads(line) for line in errors.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("logger") in loggers]


def up(data: Path, **options: Any) -> AbstractAsyncContextManager[RunningKith]:
    """`kith up`, or that of another system."""
    return running_kith("up", "--port", "0", "--data", str(data), **options)


async def test_a_change_and_the_query_that_reads_it_are_a_trace_each(tmp_path: Path) -> None:
    async with receiver() as spans, up(tmp_path / "data", environment=spans.environment()) as running:
        made = await running.ask(CREATE)
        assert "countess" not in str((await running.ask(READ, bookmark=made.bookmark)).data)
        found = await spans.until(lambda found: sorted(trees(found)) == sorted([CREATED, ASKED]))
        assert {span.service for span in found} == {"kith"}
        assert not any(span.failed for span in found)
        for personal in ("Ada", "Lovelace", "countess", made.data["createUser"]["user"]["id"]):
            assert personal not in str(found)
        (root,) = [span for span in found if span.trace_id == found[0].trace_id and not span.parent_id]
        assert root.attributes["graphql.operation.type"] == "mutation"
        assert root.attributes["http.response.status_code"] == 200
        assert await running.stop() == 0


async def test_a_transfer_with_its_process_managers_is_one_trace(tmp_path: Path) -> None:
    """What a process manager's reaction commands belongs to the trace of the change that it reacts to."""
    async with receiver() as spans, up(tmp_path / "data", environment=spans.environment(), system="bank") as running:
        bank = Bank(running)
        source, target = await bank.account("ada", "100.00 EUR"), await bank.account("grace")
        await bank.transfer(source, target, "40.00 EUR")
        await spans.until(lambda found: TRANSFERRED in trees(found))
        assert await running.stop() == 0


async def test_what_is_not_recorded_is_not_exported_and_says_so_on_the_log(tmp_path: Path) -> None:
    async with receiver() as spans:
        environment = spans.environment() | {"OTEL_TRACES_SAMPLER": "always_off"}
        async with up(tmp_path / "data", environment=environment) as running:
            sent = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
            await running.ask(CREATE, headers=sent)
            assert await running.stop() == 0
        assert spans.requests == 0
    printed = await run_kith("events", "--data", str(tmp_path / "data"))
    (traceparent,) = {json.loads(line)["traceparent"] for line in printed.output.splitlines()}
    assert traceparent.endswith("-00")
    assert "a" * 32 not in traceparent, "a stranger does not say which trace it is"


async def test_a_collector_that_fails_is_told_once_and_hinders_nobody(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    async with receiver() as spans:
        spans.status = 400
        environment = spans.environment() | {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
        async with up(tmp_path / "data", environment=environment, errors=errors) as running:
            while spans.requests < 5:
                assert (await running.ask(READ)).data
            spans.status = 200
            while not spans.spans:
                assert (await running.ask(READ)).data
            assert await running.stop() == 0
    lines = [line["event"] for line in logged(errors, "graphrouter.tracing")]
    assert [re.split("[;:]", line)[0] for line in lines] == ["spans are lost", "spans are taken again"]


async def test_lines_of_the_log_have_the_ids_of_their_trace(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    async with receiver() as spans:
        environment = spans.environment() | {"KITH_ACCESS_LOG": "true"}
        async with up(tmp_path / "data", environment=environment, errors=errors) as running:
            await running.ask(READ)
            await spans.until(lambda found: trees(found) == [ASKED])
            assert await running.stop() == 0
        lines = logged(errors, "subgraphs.access", "graphrouter.access")
        assert [line["logger"] for line in lines] == ["subgraphs.access", "graphrouter.access"]
        assert {line["trace_id"] for line in lines} == {spans.spans[0].trace_id}
        served = [span.span_id for span in spans.spans if span.kind == "server"]
        assert sorted(line["span_id"] for line in lines) == sorted(served)
        assert lines[-1]["event"].startswith("POST /graphql 200 ")


async def test_without_an_endpoint_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    environment = {"PYTHONPROFILEIMPORTTIME": "1"}
    async with up(tmp_path / "data", environment=environment, errors=errors) as running:
        await running.ask(CREATE)
        assert await running.stop() == 0
    imported = errors.read_text()
    assert "eventgraph.running.tracing" in imported
    assert "opentelemetry" not in imported


@pytest.mark.engines
@pytest.mark.timeout(600)
async def test_a_trace_goes_through_the_processes_of_the_distributed_mode(engines: Engines) -> None:
    """The record's headers on Kafka carry it to a process that keeps a view and does nothing else."""
    async with receiver() as spans:
        environment = {**engines.environment, **spans.environment()}
        async with (
            running_kith("serve", "users", "--no-project", "--port", "0", environment=environment) as users,
            running_kith("project", "users", "--port", "0", environment=environment),
            router({"users": users}, more=environment) as asked,
        ):
            made = await asked.ask(CREATE)
            assert (await asked.ask(READ, bookmark=made.bookmark)).data
            kept = [line for line in CREATED if "consumer" not in line or line.endswith("users users")]
            # A record may be delivered again, and a span be there twice.
            expected = {frozenset(kept), frozenset(ASKED)}
            found = await spans.until(lambda found: {frozenset(one) for one in trees(found)} == expected)
            assert {(span.service, span.kind) for span in found} == {
                ("kith-router", "server"),
                ("kith-router", "internal"),
                ("kith-router", "client"),
                ("kith-users", "server"),
                ("kith-users", "producer"),
                ("kith-users", "consumer"),
            }

"""Compares the router's answer with that of one schema over the same data."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from traceback import format_exception
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLSchema,
    graphql,
    lexicographic_sort_schema,
    parse,
    print_schema,
    validate,
)

from graphrouter import GraphRouter, RouterOptions
from graphrouter.composition import CompositionError, SubgraphSdl, compose
from graphrouter.planning.check import check
from graphrouter.planning.planner import PlanningError
from graphrouter.planning.render import render
from graphrouter.supergraph import read_supergraph
from graphrouter.transport import SubgraphRequest, SubgraphResponse
from tests.support.federations.data import Data, bind, subgraph_schema
from tests.support.federations.one_schema import one_schema


@dataclass(frozen=True)
class Case:
    """One comparison: subgraphs' documents by name, an operation with variables, the labels that are on."""

    documents: Mapping[str, str]
    query: str
    variables: Mapping[str, Any]
    labels: frozenset[str] = frozenset()
    operation_name: str | None = None
    outage: int = 0
    """Which requests to subgraphs get no answer: none for 0, else about every third, other ones for each number."""

    def __str__(self) -> str:
        documents = "\n".join(f"--- {name}\n{text}" for name, text in self.documents.items())
        return f"{documents}\n--- {json.dumps(dict(self.variables))} {sorted(self.labels)}\n{self.query}"


class UnfitCaseError(Exception):
    """The subgraphs do not compose, or the operation is not valid: there is nothing to compare."""


@dataclass(frozen=True)
class Difference:
    """What is wrong with a case; `kind` says roughly what."""

    kind: str
    text: str


class Served:
    """A subgraph's own schema as a transport."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.outage = 0

    async def start(self) -> None:
        """Nothing to prepare."""

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        if self.outage and zlib.crc32(request.body) % 3 == self.outage - 1:
            return SubgraphResponse(503, {}, b"")
        asked = json.loads(request.body)
        result = await graphql(self._schema, asked["query"], variable_values=asked.get("variables"))
        return SubgraphResponse(200, {}, json.dumps(result.formatted).encode())

    async def aclose(self) -> None:
        """Nothing is open."""


class Federation:
    """A router over subgraphs of random documents, and one schema over the same data."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        try:
            composed = compose([SubgraphSdl(name, f"http://{name}", text) for name, text in documents.items()])
        except CompositionError as error:
            raise UnfitCaseError(str(error)) from error
        self._data = data = Data(documents)
        self._subgraphs = {name: Served(subgraph_schema(text, data, name)) for name, text in documents.items()}
        self._checked: set[tuple[str, str | None, frozenset[str]]] = set()
        self.labels: frozenset[str] = frozenset()
        self.supergraph = read_supergraph(composed.supergraph_sdl)
        self.router = GraphRouter(
            self.supergraph, self._subgraphs, RouterOptions(override_labels=lambda _headers: self.labels)
        )
        self.monolith = bind(one_schema(documents), data, None)
        self.lost = _schema_difference(self.monolith, self.supergraph.api_schema)

    async def difference(self, case: Case) -> Difference | None:
        """What differs; None if nothing does. UnfitCaseError if the operation is not valid."""
        if self.lost:
            return Difference("schema", self.lost)
        document = parse(case.query)
        if problems := validate(self.monolith, document):
            raise UnfitCaseError(str(problems[0]))
        self.labels = case.labels & frozenset(self.supergraph.labels)
        found = self._check_plan(document, case)
        if found is not None:
            return found
        expected = await graphql(
            self.monolith, case.query, variable_values=dict(case.variables), operation_name=case.operation_name
        )
        for subgraph in self._subgraphs.values():
            subgraph.outage = case.outage
        self._data.wrongly_brought.clear()
        answer = (await self.router.execute(case.query, case.variables, case.operation_name)).body()
        found = self._weaker(expected, answer) if case.outage else self._differs(expected, answer)
        if self._data.wrongly_brought:
            found = Difference("brought", "\n".join(self._data.wrongly_brought))
        if found is None:
            return None
        plan = render(self.router.planner.under(self.labels).plan(document, case.operation_name))
        return Difference(found.kind, f"{found.text}\n{plan}")

    @staticmethod
    def _weaker(expected: ExecutionResult, answer: Mapping[str, Any]) -> Difference | None:
        """While some requests are not answered, there may be nulls, each told by an error, and nothing else."""
        data = answer.get("data")
        if not _is_weaker(data, expected.data):
            return Difference("outage", f"expected {expected.data}\nfound {data}")
        if data != expected.data and not _errors(answer):
            return Difference("outage without an error", f"expected {expected.data}\nfound {data}")
        return None

    @staticmethod
    def _differs(expected: ExecutionResult, answer: Mapping[str, Any]) -> Difference | None:
        if answer.get("data") != expected.data:
            theirs = json.dumps(expected.formatted, indent=1)
            return Difference("data", f"expected {theirs}\nfound {json.dumps(answer, indent=1)}")
        told = [error["path"] for error in _errors(answer) if "path" in error]
        shown = [error.path for error in expected.errors or () if _is_shown(expected.data, error.path or [])]
        missed = [path for path in shown if path not in told]
        if missed or (told and not expected.errors and not _of_requirements(answer)):
            return Difference("errors", f"expected {expected.errors}\nfound {_errors(answer)}")
        return None

    def _check_plan(self, document: DocumentNode, case: Case) -> Difference | None:
        key = (case.query, case.operation_name, self.labels)
        if key in self._checked:
            return None
        self._checked.add(key)
        try:
            plan = self.router.planner.under(self.labels).plan(document, case.operation_name)
        except PlanningError as error:
            return Difference("no plan", error.message)
        except Exception as error:  # noqa: BLE001 - a planner that fails has a bug, whichever way it fails
            return Difference(f"crash: {type(error).__name__}", "".join(format_exception(error)))
        problems = check(plan, document, self.supergraph.with_labels(self.labels), case.operation_name)
        return Difference("plan", "\n".join([*problems, render(plan)])) if problems else None

    async def aclose(self) -> None:
        """End the router's threads."""
        await self.router.aclose()


async def difference(case: Case) -> Difference | None:
    """What differs between the federation's answer and the one schema's."""
    around = Federation(case.documents)
    try:
        return await around.difference(case)
    finally:
        await around.aclose()


def _schema_difference(ours: GraphQLSchema, composed: GraphQLSchema) -> str:
    """What one schema has and the other has not, as lines; empty if nothing."""
    one, other = (print_schema(lexicographic_sort_schema(schema)).splitlines() for schema in (ours, composed))
    return "\n".join(unified_diff(one, other, "the documents", "composed", lineterm="", n=1))


def _is_weaker(found: Any, expected: Any) -> bool:
    """Whether one is the other with more nulls."""
    if found is None:
        return True
    if isinstance(found, dict):
        return (
            isinstance(expected, dict)
            and found.keys() == expected.keys()
            and all(_is_weaker(value, expected[key]) for key, value in found.items())
        )
    if isinstance(found, list):
        return isinstance(expected, list) and len(found) == len(expected) and all(map(_is_weaker, found, expected))
    return bool(found == expected)


def _is_shown(data: Any, path: Sequence[str | int]) -> bool:
    """Whether the field itself is null, and not an object around it: of that one, any error says why."""
    for step in path[:-1]:
        if data is None:
            return False
        data = data[step]
    return data is not None


def _errors(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(answer.get("errors") or ())


def _of_requirements(answer: Mapping[str, Any]) -> bool:
    return all(error["path"][-1] not in {"b", "l", "vs"} for error in _errors(answer))

"""Compares the router's answer with that of one schema over the same data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from traceback import format_exception
from typing import Any

from graphql import DocumentNode, GraphQLSchema, build_schema, graphql, parse, print_schema, validate

from graphrouter import GraphRouter, RouterOptions
from graphrouter.composition import CompositionError, SubgraphSdl, compose
from graphrouter.planning.check import check
from graphrouter.planning.planner import PlanningError
from graphrouter.planning.render import render
from graphrouter.supergraph import Supergraph
from graphrouter.transport import SubgraphRequest, SubgraphResponse
from tests.support.federations.data import Data, bind, subgraph_schema


@dataclass(frozen=True)
class Case:
    """One comparison: subgraphs' documents by name, an operation with variables, the labels that are on."""

    documents: Mapping[str, str]
    query: str
    variables: Mapping[str, Any]
    labels: frozenset[str] = frozenset()

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

    async def start(self) -> None:
        """Nothing to prepare."""

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
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
        data = Data(documents)
        transports = {name: Served(subgraph_schema(text, data, name)) for name, text in documents.items()}
        self.labels: frozenset[str] = frozenset()
        self.supergraph = Supergraph.parse(composed.supergraph_sdl)
        self.router = GraphRouter(
            self.supergraph, transports, RouterOptions(override_labels=lambda _headers: self.labels)
        )
        self.monolith = bind(build_schema(print_schema(self.supergraph.api_schema)), data, None)

    async def difference(self, case: Case) -> Difference | None:
        """What differs; None if nothing does. UnfitCaseError if the operation is not valid."""
        document = parse(case.query)
        if problems := validate(self.monolith, document):
            raise UnfitCaseError(str(problems[0]))
        self.labels = case.labels & frozenset(self.supergraph.labels)
        found = self._check_plan(document)
        if found is not None:
            return found
        expected = await graphql(self.monolith, case.query, variable_values=dict(case.variables))
        answer = (await self.router.execute(case.query, case.variables)).body()
        plan = render(self.router.planner.under(self.labels).plan(document))
        if answer.get("data") != expected.data:
            theirs = json.dumps(expected.formatted, indent=1)
            return Difference("data", f"expected {theirs}\nfound {json.dumps(answer, indent=1)}\n{plan}")
        told = [error["path"] for error in _errors(answer) if "path" in error]
        shown = [error.path for error in expected.errors or () if _is_shown(expected.data, error.path or [])]
        missed = [path for path in shown if not any(_near(path, one) for one in told)]
        if missed or (told and not expected.errors and not _of_requirements(answer)):
            return Difference("errors", f"expected {expected.errors}\nfound {_errors(answer)}\n{plan}")
        return None

    def _check_plan(self, document: DocumentNode) -> Difference | None:
        try:
            plan = self.router.planner.under(self.labels).plan(document)
        except PlanningError as error:
            return Difference("no plan", error.message)
        except Exception as error:  # noqa: BLE001 - a planner that fails has a bug, whichever way it fails
            return Difference(f"crash: {type(error).__name__}", "".join(format_exception(error)))
        problems = check(plan, document, self.supergraph.with_labels(self.labels))
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


def _near(one: Any, other: Any) -> bool:
    """Whether one position is at, above or below the other one: which of them is told depends on who finds the null."""
    shared = min(len(one or ()), len(other))
    return list(one or ())[:shared] == list(other)[:shared]

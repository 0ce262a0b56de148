"""Two extensions of a router: subgraphs are told the tenant that they are asked for, clients how long they took."""
# ruff: noqa: ARG001, INP001 - a hook need not use all that it is called with; the example is run from its own folder

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import replace

from graphrouter import GraphQLAnswer, GraphQLRequest, Hooks, RequestRefused, error_object
from graphrouter.transport import SubgraphRequest, SubgraphResponse

TENANTS = {"red-key": "red", "blue-key": "blue"}

tenant: ContextVar[str] = ContextVar("tenant")
started: ContextVar[float] = ContextVar("started")
took: ContextVar[list[dict[str, object]]] = ContextVar("took")


def know_tenant(request: GraphQLRequest) -> None:
    """Refuses a request that has no tenant's key in its header x-api-key."""
    known = TENANTS.get(request.headers.get("x-api-key", ""))
    if known is None:
        raise RequestRefused(error_object("expected a tenant's key in the header x-api-key", "UNKNOWN_TENANT"))
    tenant.set(known)


def name_tenant(subgraph: str, request: SubgraphRequest) -> SubgraphRequest:
    """Tells every subgraph for whom it is asked."""
    return replace(request, headers=(*request.headers, ("x-tenant", tenant.get())))


def begin(request: GraphQLRequest) -> None:
    took.set([])


def start(subgraph: str, request: SubgraphRequest) -> None:
    started.set(time.perf_counter())


def stop(subgraph: str, request: SubgraphRequest, answer: SubgraphResponse) -> None:
    milliseconds = (time.perf_counter() - started.get()) * 1000
    took.get().append({"subgraph": subgraph, "milliseconds": round(milliseconds, 1)})


def tell(request: GraphQLRequest, answer: GraphQLAnswer) -> GraphQLAnswer:
    """Adds which subgraphs were asked for this answer, of which a subscription has many, and how long each took."""
    asked = took.get()
    told = replace(answer, extensions={**answer.extensions, "subgraphs": list(asked)})
    asked.clear()
    return told


TENANT = Hooks(request=(know_tenant,), subgraph_request=(name_tenant,))
TIMES = Hooks(request=(begin,), subgraph_request=(start,), subgraph_answer=(stop,), response=(tell,))
HOOKS = TIMES.then(TENANT)

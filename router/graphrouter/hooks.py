"""Extension points: a function of one's own for each stage of a request, with its exact type.

A hook is a function, async or not, that gives something to take in the place of what it was called with, or None to
leave that as it is. The hooks of a stage are called in their order, each with what the one before it left; those of
answers and responses in reverse, so that the first one of a tuple is the outermost.

    request             before anything is done with it
      (policies)        where the operation meets `@policy`
    plan                the operation is planned and about to be executed
      subgraph_request  each request to a subgraph, before it is joined with equal ones, and tried again
      subgraph_answer   each answer of a subgraph, each message of its streams
    response            each answer, and each message of a subscription, before it is written

What a hook wants to keep for a later stage of the same request it keeps in a `contextvars.ContextVar`. A stage that has
no hooks costs one look at a tuple.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from dataclasses import dataclass, fields
from typing import Protocol, TypeAlias, TypeVar, cast

from graphrouter.authentication.caller import Caller
from graphrouter.authentication.policies import PolicyQuestion
from graphrouter.planning.plan import QueryPlan
from graphrouter.request import GraphQLAnswer, GraphQLRequest
from graphrouter.transport.port import SubgraphRequest, SubgraphResponse

T = TypeVar("T")

MayAwait: TypeAlias = T | Awaitable[T]


@dataclass(frozen=True, slots=True)
class PlannedOperation:
    """What is about to be executed: what the client asked for, who asks, and the plan of what the caller may see."""

    request: GraphQLRequest
    caller: Caller | None
    plan: QueryPlan


class RequestHook(Protocol):
    """Gives another request to execute, or an answer, which ends the request here.

    Raises:
        RequestRefused: the request is not executed; the client gets its errors.
    """

    def __call__(self, request: GraphQLRequest, /) -> MayAwait[GraphQLRequest | GraphQLAnswer | None]: ...


class PlanHook(Protocol):
    """Looks at a plan before it is executed. Plans are shared by all requests: none is changed here.

    Raises:
        RequestRefused: the plan is not executed; the client gets its errors.
    """

    def __call__(self, planned: PlannedOperation, /) -> MayAwait[None]: ...


class SubgraphRequestHook(Protocol):
    """Gives another request to send to the subgraph of this name, or an answer in the subgraph's place.

    Raises:
        TransportError: nothing is sent, and the subgraph counts as one that did not answer.
    """

    def __call__(
        self, subgraph: str, request: SubgraphRequest, /
    ) -> MayAwait[SubgraphRequest | SubgraphResponse | None]: ...


class SubgraphAnswerHook(Protocol):
    """Gives another answer to go on with. `request` is what the subgraph was asked.

    Raises:
        TransportError: the subgraph counts as one that did not answer.
    """

    def __call__(
        self, subgraph: str, request: SubgraphRequest, answer: SubgraphResponse, /
    ) -> MayAwait[SubgraphResponse | None]: ...


class ResponseHook(Protocol):
    """Gives another answer to send. The data of an answer may be shared with other requests: it is for reading only."""

    def __call__(self, request: GraphQLRequest, answer: GraphQLAnswer, /) -> MayAwait[GraphQLAnswer | None]: ...


class Policies(Protocol):
    """Gives the policies that hold. It is asked once for each request that meets any; if it fails, so does the
    request."""

    def __call__(self, question: PolicyQuestion, /) -> MayAwait[Collection[str]]: ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of a router, by their stages."""

    request: tuple[RequestHook, ...] = ()
    policies: Policies | None = None
    """Decides policies, `@policy`; without it, none holds."""
    plan: tuple[PlanHook, ...] = ()
    subgraph_request: tuple[SubgraphRequestHook, ...] = ()
    subgraph_answer: tuple[SubgraphAnswerHook, ...] = ()
    response: tuple[ResponseHook, ...] = ()

    def __post_init__(self) -> None:
        for stage in fields(self):
            given: object = getattr(self, stage.name)
            found = type(given).__name__
            if stage.name == "policies":
                expected, fits = "a function", given is None or callable(given)
            else:
                expected = "a tuple of functions"
                fits = isinstance(given, tuple) and all(map(callable, cast("tuple[object, ...]", given)))
            if not fits:
                raise TypeError(f"hooks.{stage.name}: expected {expected}, found {found}")

    def then(self, inner: Hooks) -> Hooks:
        """These hooks around those of `inner`, whose policies count where both decide them."""
        return Hooks(
            self.request + inner.request,
            inner.policies or self.policies,
            self.plan + inner.plan,
            self.subgraph_request + inner.subgraph_request,
            self.subgraph_answer + inner.subgraph_answer,
            self.response + inner.response,
        )

    @property
    def of_subgraphs(self) -> bool:
        """Whether any is called between the router and a subgraph."""
        return bool(self.subgraph_request or self.subgraph_answer)


def name_of(hook: object) -> str:
    """What a hook is called: its function's name, or its class's."""
    return str(getattr(hook, "__qualname__", type(hook).__qualname__))

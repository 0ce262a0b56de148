"""Calls the hooks of each stage; what goes wrong in one is told by its name, and never taken for an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Final, ParamSpec, TypeVar, cast

from graphrouter.authentication import PolicyQuestion
from graphrouter.hooks import Hooks, PlannedOperation, Policies, name_of
from graphrouter.request import GraphQLAnswer, GraphQLRequest, RequestRefused, error_object
from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphTimedOut, SubgraphTransport, TransportError

P = ParamSpec("P")
T = TypeVar("T")

_RESPONSE_SECONDS: Final = 5.0
"""How long the hooks of a response may take beyond the request's time."""

_log = logging.getLogger("graphrouter.hooks")


class HookFailed(TransportError):
    """A hook has raised, or has given what is not of its type; the log says more."""

    code = "HOOK_FAILED"

    def __init__(self, stage: str, hook: object) -> None:
        super().__init__(f"the hook {name_of(hook)} ({stage}) has failed")
        self.sent = stage != "subgraph_request"


class Answered(Exception):
    """A hook has answered a request."""

    def __init__(self, answer: GraphQLAnswer) -> None:
        super().__init__("a hook has answered the request")
        self.answer = answer


async def on_request(hooks: Hooks, request: GraphQLRequest) -> GraphQLRequest:
    """The request to execute.

    Raises:
        Answered: there is nothing to execute.
        RequestRefused: a hook refuses it.
        HookFailed: a hook has failed.
    """
    for hook in hooks.request:
        given = await _called("request", hook, RequestRefused, request)
        if isinstance(given, GraphQLAnswer):
            _check_codes("request", hook, given.errors)
            raise Answered(given)
        request = _fitting("request", hook, given, GraphQLRequest, request)
    return request


async def on_policies(hook: Policies, question: PolicyQuestion) -> Collection[str]:
    """The policies that hold; HookFailed where the hook has failed."""
    given = await _called("policies", hook, (), question)
    expected = cast("type[Collection[str]]", Collection)
    return _fitting("policies", hook, given, expected, ())


async def on_plan(hooks: Hooks, planned: PlannedOperation) -> None:
    """Raises RequestRefused where a hook refuses the plan, HookFailed where one has failed."""
    for hook in hooks.plan:
        await _called("plan", hook, RequestRefused, planned)


async def on_response(hooks: Hooks, request: GraphQLRequest, answer: GraphQLAnswer, deadline: float) -> GraphQLAnswer:
    """The answer to send, in the request's time or a little more; the failure of a hook that has failed."""
    until = max(deadline, asyncio.get_running_loop().time() + _RESPONSE_SECONDS)
    try:
        async with asyncio.timeout_at(until):
            for hook in reversed(hooks.response):
                given = await _called("response", hook, (), request, answer)
                answer = _fitting("response", hook, given, GraphQLAnswer, answer)
                if given is not None:
                    _check_codes("response", hook, answer.errors)
    except HookFailed as failure:
        return GraphQLAnswer(None, [error_object(str(failure), failure.code)], {})
    except TimeoutError:
        return GraphQLAnswer(None, [error_object("the hooks of the response took too long", "REQUEST_TIMEOUT")], {})
    return answer


class SubgraphHooks:
    """What is called between the router and its subgraphs."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    async def request(self, subgraph: str, request: SubgraphRequest) -> SubgraphRequest | SubgraphResponse:
        """The request to send, or the answer in the subgraph's place; TransportError where there is neither."""
        async with _in_time(request):
            for hook in self._hooks.subgraph_request:
                given = await _called("subgraph_request", hook, TransportError, subgraph, request)
                if isinstance(given, SubgraphResponse):
                    return given
                request = _fitting("subgraph_request", hook, given, SubgraphRequest, request)
        return request

    async def answer(self, subgraph: str, request: SubgraphRequest, answer: SubgraphResponse) -> SubgraphResponse:
        """The answer to go on with; TransportError where there is none."""
        async with _in_time(request):
            for hook in reversed(self._hooks.subgraph_answer):
                given = await _called("subgraph_answer", hook, TransportError, subgraph, request, answer)
                answer = _fitting("subgraph_answer", hook, given, SubgraphResponse, answer)
        return answer


class HookedTransport:
    """A transport with the hooks of its subgraph around each request."""

    def __init__(self, subgraph: str, inner: SubgraphTransport, hooks: SubgraphHooks) -> None:
        self._subgraph = subgraph
        self._inner = inner
        self._hooks = hooks

    async def start(self) -> None:
        await self._inner.start()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        asked = await self._hooks.request(self._subgraph, request)
        if isinstance(asked, SubgraphResponse):
            return await self._hooks.answer(self._subgraph, request, asked)
        return await self._hooks.answer(self._subgraph, asked, await self._inner.send(asked))

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _called(
    stage: str,
    hook: Callable[P, object],
    meant: type[Exception] | tuple[()],
    *args: P.args,
    **kwargs: P.kwargs,
) -> object:
    """What a hook gives. An exception that is `meant` to be raised is; of any other the hook has failed."""
    try:
        given = hook(*args, **kwargs)
        return await cast("Awaitable[object]", given) if isawaitable(given) else given
    except meant as refusal:
        if isinstance(refusal, RequestRefused):
            _check_codes(stage, hook, refusal.errors)
        raise
    except Exception as error:
        _log.exception("the hook %s.%s (%s) has failed", _module_of(hook), name_of(hook), stage)
        raise HookFailed(stage, hook) from error


def _fitting(stage: str, hook: object, given: object, expected: type[T], otherwise: T) -> T:
    """What a hook has given, if it is of its type; for None what it was called with."""
    if given is None:
        return otherwise
    if isinstance(given, expected):
        return given
    found = type(given).__name__
    where = f"{_module_of(hook)}.{name_of(hook)} ({stage})"
    _log.error("the hook %s: expected %s or None, found %s", where, expected.__name__, found)
    raise HookFailed(stage, hook)


def _check_codes(stage: str, hook: object, errors: Sequence[object]) -> None:
    """HookFailed where an error has no code, by which it is logged and counted."""
    for error in errors:
        extensions = cast("dict[str, object]", error).get("extensions") if isinstance(error, dict) else None
        if not isinstance(extensions, dict) or "code" not in extensions:
            where = f"{_module_of(hook)}.{name_of(hook)} ({stage})"
            _log.error("the hook %s: expected extensions.code in each error, found one without", where)
            raise HookFailed(stage, hook)


def _module_of(hook: object) -> str:
    return str(getattr(hook, "__module__", type(hook).__module__))


@asynccontextmanager
async def _in_time(request: SubgraphRequest) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout_at(request.deadline):
            yield
    except TimeoutError as error:
        raise SubgraphTimedOut("a hook did not end in time") from error

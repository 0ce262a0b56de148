"""What the page of stories asks: `story?correlation=…`, or `story?key=…&actor=…`, the actor where callers are known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from eventgraph.serving.inputs import idempotency_key
from eventgraph.serving.request import caller_of
from eventgraph.stories.story import Stories
from eventkernel.errors import InvalidInput

_LONGEST_ACTOR = 256


def story_answer(stories: Stories) -> Callable[[Request], Awaitable[Response]]:
    """
    Raises:
        InvalidInput: what is asked for is no correlation and no idempotency key, or both.
    """

    async def answer(request: Request) -> Response:
        asked = request.query_params
        correlation, key, actor = (asked.get(name, "").strip() for name in ("correlation", "key", "actor"))
        if bool(correlation) == bool(key):
            raise InvalidInput("expected a correlation or an idempotency key, found both or neither")
        if len(actor) > _LONGEST_ACTOR:
            raise InvalidInput(f"actor: expected at most {_LONGEST_ACTOR} characters, found {len(actor)}")
        if key:
            story = await stories.of_command(caller_of(actor or None), idempotency_key(key))
        else:
            story = await stories.of_correlation(correlation)
        return Response(
            msgspec.json.encode(story),
            media_type="application/json",
            headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
        )

    return answer

"""What a request says in its extensions, and what is answered to it: data, errors and a bookmark, or a refusal."""

from __future__ import annotations

from graphql import ExecutionResult

from eventgraph.serving.errors import error_object, error_object_of
from eventgraph.serving.execution import InvalidDocument
from eventgraph.serving.inputs import kind_of
from eventgraph.serving.request import Headers
from eventgraph.serving.turns import Turns
from eventkernel.errors import InvalidInput, OutOfDate, Unavailable
from eventkernel.reading.bookmark import Bookmark
from graphrouter.request import ErrorObject, GraphQLAnswer, GraphQLRequest, RequestRefused


def extension_of(sent: GraphQLRequest, name: str) -> str | None:
    """An entry of the request's extensions."""
    value = sent.extensions.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"extensions.{name}: expected a text, found {kind_of(value)}")
    return value


def bookmark_of(headers: Headers, sent: GraphQLRequest) -> Bookmark:
    """The request's bookmark: the header's and the extension's together."""
    text = extension_of(sent, "bookmark")
    return headers.bookmark if text is None else headers.bookmark.join(Bookmark.decode(text))


def refusal_of(error: Exception) -> GraphQLAnswer:
    """The answer to a request that was not executed, or whose execution raised."""
    match error:
        case RequestRefused():
            return _refused(*error.errors)
        case InvalidDocument():
            return _refused(*map(error_object, error.errors))
        case InvalidInput():
            return _refused(error_object_of(error))
        case OutOfDate() | Unavailable():
            return _refused(error_object_of(error), status=503)
        case _:
            return _refused(error_object_of(error), status=500)


def _refused(*errors: ErrorObject, status: int = 400) -> GraphQLAnswer:
    return GraphQLAnswer(None, list(errors), {}, refused=True, status=status)


async def answer_of(result: ExecutionResult, bookmark: str) -> GraphQLAnswer:
    errors = result.errors or []
    told: list[ErrorObject] = []
    turns = Turns.of_this_loop()
    for error in errors:
        if turns.left <= 0:
            await turns.another()
        turns.spend(1)
        told.append(error_object(error))
    # A request error, such as a variable of another type, is told by the missing path: then there is no data entry.
    refused = bool(errors) and result.data is None and all(error.path is None for error in errors)
    return GraphQLAnswer(result.data, told, {"bookmark": bookmark}, refused=refused)

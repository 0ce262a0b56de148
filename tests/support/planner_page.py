"""The blocks of docs/planner.md that the code writes itself: `python -m tests.support.planner_page` writes them anew.

One query is planned with this repository's own supergraph, and executed by the real subgraphs on a folder with a few
users in it, whose ids are names, so that the page can be read and is the same each time. What goes to the subgraphs and
what comes back is recorded on the way.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Final

from graphql import DocumentNode, parse, validate

from eventgraph.running.data_folder import DataFolder
from eventgraph.running.embedded import opened
from eventgraph.serving.served import running
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import SystemClock
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler
from graphrouter import GraphQLAnswer, GraphRouter
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.planning.check import check
from graphrouter.planning.choose import choose
from graphrouter.planning.fetch_graph import path_text
from graphrouter.planning.plan import EntityFetch, Fetch, QueryPlan
from graphrouter.planning.planner import QueryPlanner
from graphrouter.planning.query_graph import QueryGraph
from graphrouter.planning.selection import Field, Selections
from graphrouter.planning.steps import Step, closure, cost_of
from graphrouter.router import SubgraphSource
from graphrouter.supergraph import read_supergraph
from graphrouter.transport.inprocess import InProcessTransport
from graphrouter.transport.recorded import Exchange, RecordedTransport, RecordingTransport
from kithgraph.system import SOCIAL_NETWORK
from subgraphs.users import domain as users

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "planner.md"

OPERATION: Final = """\
query Suggestions($me: ID!) {
  recommendations(userId: $me, first: 2) {
    user { ...Name friendCount }
    mutualFriendCount
    mutualFriends { ...Name }
  }
}

fragment Name on User { firstName }
"""
VARIABLES: Final = {"me": "ada"}

NAMES: Final = {
    "ada": ("Ada", "Lovelace"),
    "alan": ("Alan", "Turing"),
    "barbara": ("Barbara", "Liskov"),
    "edsger": ("Edsger", "Dijkstra"),
    "grace": ("Grace", "Hopper"),
}
FRIENDS: Final = (("ada", "alan"), ("ada", "grace"), ("alan", "edsger"), ("grace", "edsger"), ("grace", "barbara"))
ADD_FRIEND: Final = "mutation ($input: AddFriendInput!) { addFriend(input: $input) { version } }"

LINK: Final = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])\n'
BOOKSHOP: Final = {
    "catalogue": """\
type Query { book(isbn: ID!): Book }
type Book @key(fields: "isbn") { isbn: ID! title: String! }
""",
    "shop": """\
type Book @key(fields: "isbn") { isbn: ID! price: Int! @shareable }
""",
    "stock": """\
type Book @key(fields: "isbn") { isbn: ID! price: Int! @shareable copies: Int! }
""",
}
BOOK: Final = "query ($isbn: ID!) { book(isbn: $isbn) { title price copies } }\n"

Blocks = Mapping[str, tuple[str, str]]
"""By name: the language of the block, and its text."""


async def blocks() -> Blocks:
    """All blocks of the page."""
    supergraph_sdl = (ROOT / "supergraph.graphql").read_text()
    planner = QueryPlanner(read_supergraph(supergraph_sdl))
    document = _document(planner, OPERATION)
    with tempfile.TemporaryDirectory() as folder:
        answer, exchanges = await _execute(supergraph_sdl, Path(folder))
    without_users = await _execute_without_users(supergraph_sdl, exchanges)
    operation = planner.normalize(document)
    demands = planner.find_paths(operation)
    chosen = choose(demands)
    plan = planner.plan(document)
    stages = planner.explain(document)
    problems = check(plan, document, planner.supergraph, None)
    assert not problems, problems
    return {
        "operation": ("graphql", OPERATION),
        "variables": ("json", json.dumps(VARIABLES)),
        "normalised": ("graphql", stages["normalize"]),
        "query graph": ("mermaid", _graph_picture(planner.query_graph, operation.root_type, operation.selections)),
        "query graph text": ("text", _graph_lines(planner.query_graph)),
        "paths": ("text", stages["paths"]),
        "tree": ("text", _tree(chosen)),
        **_bookshop(),
        "fetch graph": ("text", stages["fetch graph"]),
        "plan picture": ("mermaid", _plan_picture(plan)),
        "plan": ("text", stages["plan"]),
        **_exchange_blocks(exchanges),
        "answer": ("json", _json({"data": answer.data})),
        "answer without users": ("json", _json({"errors": without_users.errors, "data": without_users.data})),
    }


def filled(page: str, found: Blocks) -> str:
    """The page with these blocks between its markers; ValueError if page and blocks do not name the same ones."""
    marker = re.compile(r"(<!-- generated: ([^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
    named = [match[2] for match in marker.finditer(page)]
    if sorted(named) != sorted(found):
        raise ValueError(f"the page has the blocks {sorted(named)}, and generated are {sorted(found)}")

    def block(match: re.Match[str]) -> str:
        language, text = found[match[2]]
        return f"{match[1]}```{language}\n{text.rstrip()}\n```\n{match[3]}"

    return marker.sub(block, page)


def _document(planner: QueryPlanner, text: str) -> DocumentNode:
    document = parse(text)
    errors = validate(planner.supergraph.api_schema, document)
    assert not errors, errors
    return document


# Stages


def _graph_lines(graph: QueryGraph) -> str:
    """The lines of the whole graph that speak of users, as `graphrouter graph` prints them."""
    return "".join(line for line in str(graph).splitlines(keepends=True) if line.startswith(("User/", "User =>")))


def _graph_picture(graph: QueryGraph, root: str, selections: Selections) -> str:
    """The part of the graph that an operation touches: its types where a subgraph gives one of its fields."""
    wanted = dict[str, dict[str, None]]()
    _touch(graph, root, selections, wanted)
    nodes, inside, moves = dict[str, list[str]](), list[str](), list[str]()
    for type_name, fields in wanted.items():
        holders: list[str] = []
        for subgraph in graph.supergraph.types[type_name]:
            keys = {key.text for key in graph.known(type_name, subgraph).keys}
            given = [name for name in (*sorted(keys), *fields) if graph.field(type_name, subgraph, name)]
            leaves = [name for name in given if not graph.is_composite(graph.field_type(type_name, name))]
            if not given:
                continue
            holders.append(subgraph)
            label = "<br/>".join((f"<b>{type_name}</b>", *leaves))
            nodes.setdefault(subgraph, []).append(f'    {subgraph}_{type_name}["{label}"]')
            inside += [
                f"  {subgraph}_{type_name} -->|{name}| {subgraph}_{graph.field_type(type_name, name)}"
                for name in given
                if name not in leaves
            ]
        moves += _move_lines(graph, type_name, holders)
    lines = ["flowchart LR", f"  request((query)) --> {_entered(graph, root, wanted[root])}_{root}"]
    for subgraph, inner in nodes.items():
        lines += [f'  subgraph {subgraph}_all["{subgraph}"]', *inner, "  end"]
    return "\n".join([*lines, *inside, *moves])


def _touch(graph: QueryGraph, type_name: str, selections: Selections, wanted: dict[str, dict[str, None]]) -> None:
    for selection in selections:
        assert isinstance(selection, Field), "the page's operation has no fragments left"
        wanted.setdefault(type_name, {})[selection.name] = None
        if selection.selections:
            _touch(graph, graph.field_type(type_name, selection.name), selection.selections, wanted)


def _entered(graph: QueryGraph, root: str, fields: Iterable[str]) -> str:
    (subgraph,) = {name for field in fields for name in graph.resolvers(root, field)}
    return subgraph


def _move_lines(graph: QueryGraph, type_name: str, holders: Sequence[str]) -> Iterator[str]:
    """Entity moves between the subgraphs; one line with two heads where it goes both ways."""
    keys = {edge.subgraph: edge.key.text for edge in graph.edges(type_name) if edge.key}
    for number, one in enumerate(holders):
        for other in holders[number + 1 :]:
            if one in keys and other in keys:
                yield f"  {one}_{type_name} <-. by {keys[one]} .-> {other}_{type_name}"
            else:
                for source, target in ((one, other), (other, one)):
                    if target in keys:
                        yield f"  {source}_{type_name} -. by {keys[target]} .-> {target}_{type_name}"


def _tree(chosen: Sequence[Step]) -> str:
    """The chosen paths laid over one another, every step once, with its own cost."""
    steps = {step for leaf in chosen for step in closure(leaf)}
    below = dict[Step | None, list[Step]]()
    for step in sorted(steps, key=lambda step: (step.requests, str(step))):
        below.setdefault(step.parent, []).append(step)
    lines = [f"{cost:>5}  {text}" for cost, text in _branch(below, None, 0)]
    total = cost_of(list(chosen), set())
    return "\n".join([*lines, "-----", f"{total:>5}  together"])


def _branch(below: Mapping[Step | None, Sequence[Step]], parent: Step | None, depth: int) -> Iterator[tuple[int, str]]:
    for step in below.get(parent, ()):
        yield step.cost, f"{'  ' * depth}{step.move}@{step.subgraph}"
        yield from _branch(below, step, depth + 1)


def _bookshop() -> Blocks:
    """A supergraph in which one field is to be had from two subgraphs."""
    composed = compose([SubgraphSdl(name=name, url="", sdl=LINK + sdl) for name, sdl in BOOKSHOP.items()])
    planner = QueryPlanner(read_supergraph(composed.supergraph_sdl))
    stages = planner.explain(_document(planner, BOOK))
    schemas = "\n".join(f"# {name}\n{sdl}" for name, sdl in BOOKSHOP.items())
    return {
        "bookshop": ("graphql", schemas),
        "book": ("graphql", BOOK),
        "book paths": ("text", stages["paths"]),
        "book choice": ("text", stages["choice"]),
    }


def _plan_picture(plan: QueryPlan) -> str:
    lines = ["flowchart LR"]
    for fetch in plan.fetches:
        lines.append(f'  {fetch.id}["{fetch.id}: {fetch.subgraph}"]')
        lines += [f'  {before} -->|"{_places(fetch)}"| {fetch.id}' for before in fetch.depends_on]
    return "\n".join(lines)


def _places(fetch: Fetch) -> str:
    assert isinstance(fetch, EntityFetch), "in the page's plan, only entity fetches wait"
    return "<br/>".join(path_text(target.path) for group in fetch.groups for target in group.targets)


# Execution


async def _execute(supergraph_sdl: str, path: Path) -> tuple[GraphQLAnswer, Mapping[str, Exchange]]:
    """The answer, and per subgraph what it was sent and what it said: each is asked once."""
    async with _router(supergraph_sdl, path) as (router, recorders, created):
        bookmark = created
        for user, friend in FRIENDS:
            pair = {"input": {"userId": user, "friendId": friend}}
            added = await router.execute(ADD_FRIEND, pair, headers={"bookmark": bookmark})
            assert not added.errors, added.errors
            bookmark = str((added.extensions or {})["bookmark"])
        for recorder in recorders.values():
            recorder.exchanges.clear()
        answer = await router.execute(OPERATION, VARIABLES, headers={"bookmark": bookmark})
        assert not answer.errors, answer.errors
    exchanges = dict[str, Exchange]()
    for name, recorder in recorders.items():
        (exchanges[name],) = recorder.exchanges
    return answer, exchanges


async def _execute_without_users(supergraph_sdl: str, exchanges: Mapping[str, Exchange]) -> GraphQLAnswer:
    """The others say again what they have said."""
    subgraphs: dict[str, SubgraphSource] = {name: RecordedTransport([one]) for name, one in exchanges.items()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
    async with GraphRouter.from_supergraph(supergraph_sdl, {**subgraphs, "users": nobody}) as router:
        return await router.execute(OPERATION, VARIABLES)


def _exchange_blocks(exchanges: Mapping[str, Exchange]) -> Blocks:
    found = dict[str, tuple[str, str]]()
    for name, exchange in exchanges.items():
        found[f"{name} variables"] = ("json", _json(json.loads(exchange["request"])["variables"]))
        found[f"{name} data"] = ("json", _json({"data": json.loads(exchange["response"])["data"]}))
    return found


@asynccontextmanager
async def _router(
    supergraph_sdl: str, path: Path
) -> AsyncGenerator[tuple[GraphRouter, Mapping[str, RecordingTransport], str]]:
    """A router over the real subgraphs, and a bookmark behind which all users exist."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(DataFolder.open(path, SOCIAL_NETWORK))
        bookmark = await _create_users(folder)
        subgraphs = await stack.enter_async_context(opened(SOCIAL_NETWORK, folder, SystemClock()))
        for subgraph in subgraphs:
            await stack.enter_async_context(running(subgraph.workers))
        recorders = {one.name: RecordingTransport(InProcessTransport(one.app)) for one in subgraphs}
        router = await stack.enter_async_context(GraphRouter.from_supergraph(supergraph_sdl, recorders))
        yield router, recorders, bookmark


async def _create_users(folder: DataFolder) -> str:
    """By the users' own rules, with ids that the API would not give."""
    bookmark = Bookmark()
    store = await SqliteEventStore.open(folder.log("users"), name="users", clock=SystemClock())
    async with aclosing(store):
        codec = Codec((users.UserCreated, users.UserUpdated, users.UserDeleted))
        handler = CommandHandler(store, codec, users.decider, users.claims)
        for user_id, names in NAMES.items():
            command = users.CreateUser(*names)
            stream = users.stream_of(user_id)
            outcome = await handler.execute(stream, command, command_id=user_id, fingerprint=user_id)
            bookmark = bookmark.join(Bookmark.of_commit(outcome.commit))
    return bookmark.encode()


def _json(value: object) -> str:
    """Indented, with what is short on one line."""
    return "\n".join(_json_lines(value, 0))


def _json_lines(value: object, depth: int) -> Iterator[str]:
    short = json.dumps(value, ensure_ascii=False)
    if len(short) < 70 or not isinstance(value, dict | list):
        yield short
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    entries = (
        [(f"{json.dumps(key)}: ", one) for key, one in value.items()]
        if isinstance(value, dict)
        else [("", one) for one in value]
    )
    indent = "  " * (depth + 1)
    yield opening
    for number, (head, one) in enumerate(entries):
        first, *others = _json_lines(one, depth + 1)
        lines = [f"{indent}{head}{first}", *others]
        comma = "," if number + 1 < len(entries) else ""
        yield from (*lines[:-1], f"{lines[-1]}{comma}")
    yield f"{'  ' * depth}{closing}"


def main() -> None:
    """Write the page anew, or with `--print` show the blocks."""
    found = asyncio.run(blocks())
    if "--print" in sys.argv:
        for name, (language, text) in found.items():
            sys.stdout.write(f"## {name} ({language})\n{text.rstrip()}\n\n")
    else:
        PAGE.write_text(filled(PAGE.read_text(), found))


if __name__ == "__main__":
    main()

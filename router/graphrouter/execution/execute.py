"""Runs a plan: each fetch starts as soon as everything that it depends on has arrived.

The plan's graph is walked by counting: a fetch whose last dependency arrives goes on in the same task, and where one
arrival makes several fetches ready, the others get tasks of their own. A fetch that fails leaves an error and no data;
the fetches after it still run, and send only what they can: no object found means no request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeVar

from graphrouter import bookmarks
from graphrouter.execution.background import LARGE_BYTES, LARGE_COUNT, Background
from graphrouter.execution.contexts import entities_request
from graphrouter.execution.entity_errors import MAX_EXPLAINED, Input, positions, tell_entity_errors, tell_unfit
from graphrouter.execution.errors import (
    SUBREQUEST_HTTP_ERROR,
    SUBREQUEST_MALFORMED,
    TOO_MANY_OBJECTS,
    ResponseErrors,
    ResponsePath,
    SubgraphError,
    error_object,
)
from graphrouter.execution.explain import Explanation
from graphrouter.execution.merge import ALL_OBJECTS, JsonObject, copy_tree, count_objects, merge_object, merge_objects
from graphrouter.execution.places import objects_at, positions_at
from graphrouter.execution.prepare import PreparedFetch, PreparedGroup, PreparedPlan, holds
from graphrouter.execution.representations import NOWHERE, Collected, Placement, Representations
from graphrouter.execution.rewrites import rename, rename_path
from graphrouter.execution.sharing import Sharing
from graphrouter.execution.strays import drop_strays
from graphrouter.json_text import Json, NotJson, loads, loads_in_pieces, with_whole_characters
from graphrouter.planning.plan import EntityFetch, Fetch, RootFetch
from graphrouter.transport import (
    SubgraphRequest,
    SubgraphResponse,
    SubgraphTransport,
    TransportError,
)

T = TypeVar("T")

LEAST_OBJECT_BYTES = 3
"""With a comma; until the answers have so many bytes for each object that may be, there is nothing to count."""

_UNCOUNTED_COPIES = 100
"""Up to here, what copies of entities come to is not worth counting."""

_log = logging.getLogger("graphrouter.execution")


_OUTCOME = (
    "; whether the change was made is not known: sending it again with the same idempotency key is safe, "
    "where the subgraph takes one"
)


@dataclass(frozen=True, slots=True)
class SubgraphSettings:
    """What the executor knows of the subgraphs: how to reach them, and how long one request to one may take."""

    transports: Mapping[str, SubgraphTransport]
    object_types: Container[object]
    timeout_seconds: float = 30.0
    timeouts: Mapping[str, float] = field(default_factory=dict[str, float])


class _Malformed(Exception):
    """The subgraph's answer cannot be used; the message says why, the code is for clients."""

    def __init__(self, message: str, code: str = SUBREQUEST_MALFORMED) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Execution:
    """One request being executed: the merged data, the errors, and the bookmark's text, as far as they have got.

    `variables` are those of the client, as JSON values, with the defaults of the operation. `headers` go to every
    subgraph; `deadline` is a moment of the event loop's clock.
    """

    plan: PreparedPlan
    settings: SubgraphSettings
    variables: Mapping[str, object]
    headers: tuple[tuple[str, str], ...]
    deadline: float
    bookmark: str
    errors: ResponseErrors
    max_objects: int = 10**9
    background: Background | None = None
    data: JsonObject = field(default_factory=dict[str, object])
    sharing: Sharing = field(default_factory=Sharing)
    places: dict[int, list[JsonObject] | None] = field(default_factory=dict[int, "list[JsonObject] | None"])
    """The places that were read at, by number, with the objects there where equal ones were made one."""
    is_large: bool = False
    """Whether the data are so many that steps on them are made in the background."""
    landed: Callable[[PreparedFetch], None] | None = None
    """Hears of each fetch that has been made, and merged or told."""
    errors_of: Callable[[PreparedFetch], ResponseErrors] | None = None
    """Where the errors of a fetch are told, if not all in one place."""
    given: tuple[PreparedFetch, SubgraphResponse] | None = None
    """A fetch that has been answered already: a subscription's, whose answer is a message of the subgraph."""
    explanation: Explanation | None = None
    """Hears of each request and its answer."""
    fetched: list[tuple[str, str, Sequence[object]]] | None = None
    """Where the fetches that were answered are kept: subgraph, place, and the bookmarks of the answer."""
    sent: int = 0
    """How many requests to subgraphs were made."""
    _bytes: int = 0
    _objects: int = 0
    """How many objects subgraphs gave, copies included."""

    async def run(self) -> None:
        waits_for = list(self.plan.waits_for)
        first = [number for number, count in enumerate(waits_for) if not count]
        if not first:
            return
        async with asyncio.TaskGroup() as tasks:
            for number in first[1:]:
                tasks.create_task(self._follow(number, waits_for, tasks))
            await self._follow(first[0], waits_for, tasks)

    async def _follow(self, number: int, waits_for: list[int], tasks: asyncio.TaskGroup) -> None:
        """Performs a fetch and what then can start; a method, as a function in `run` would refer to itself, and keep
        the data until the garbage collector comes."""
        following: int | None = number
        while following is not None:
            fetch = self.plan.fetches[following]
            await self._perform(fetch)
            if self.landed is not None:
                self.landed(fetch)
            following = None
            ready: list[int] = []
            for dependent in fetch.dependents:
                waits_for[dependent] -= 1
                if not waits_for[dependent]:
                    ready.append(dependent)
            if ready:
                fetches = [self.plan.fetches[one] for one in ready]
                await self._step(partial(self._share, fetches)) if self.is_large else self._share(fetches)
                following = ready[0]
                for one in ready[1:]:
                    tasks.create_task(self._follow(one, waits_for, tasks))

    def _share(self, ready: list[PreparedFetch]) -> None:
        """Makes equal objects one at the targets of fetches that can start now: outer ones first, inner ones are less.

        Only where nobody has read before: a request under way may know equal objects as two. So may what has been
        given of an answer that comes in parts.
        """
        if self.landed is not None:
            return
        readers = [reader for fetch in ready for reader in fetch.shareable if reader.place not in self.places]
        readers.sort(key=lambda reader: len(reader.path))
        for reader in readers:
            if reader.place not in self.places:
                self.places[reader.place] = reader.share(self.data, self.sharing)

    async def _perform(self, prepared: PreparedFetch) -> None:
        fetch = prepared.fetch
        if not holds(fetch.conditions, self.variables):
            return
        if isinstance(fetch, EntityFetch):
            await self._perform_entities(prepared)
        else:
            await self._perform_root(prepared, fetch)

    async def _perform_root(self, prepared: PreparedFetch, fetch: RootFetch) -> None:
        if fetch.path and not objects_at(self.data, fetch.path):
            return
        try:
            data, raw_errors = await self._ask(prepared, prepared.body(self.variables))
        except (TransportError, _Malformed) as failure:
            sent = isinstance(failure, TransportError) and failure.sent
            changes = self.plan.plan.kind == "mutation" and sent
            self._fail(prepared, failure, self._root_positions(prepared, fetch), _OUTCOME if changes else "")
            return
        take = partial(self._take_root, prepared, fetch, data, raw_errors)
        try:
            await self._step(take) if self.is_large else take()
        except (_Malformed, RecursionError) as failure:
            self._fail(prepared, _unusable(failure), self._root_positions(prepared, fetch))

    def _take_root(
        self, prepared: PreparedFetch, fetch: RootFetch, data: JsonObject | None, raw_errors: Sequence[object]
    ) -> None:
        self._tell_root_errors(prepared, fetch, raw_errors, data or {})
        if data is None:
            for above, _ in islice(positions_at(self.data, fetch.path), MAX_EXPLAINED):
                self._errors(prepared).explain_fields_of(above)
            return
        rename((data,), fetch.renames)
        drop_strays([data], prepared.strays)
        size = 0
        for number, found in enumerate(objects_at(self.data, fetch.path)):
            if number:
                size = size or count_objects(data)
                self._count(size)
            merge_object(found, copy_tree(data) if number else data, self.settings.object_types)

    def _tell_root_errors(
        self, prepared: PreparedFetch, fetch: RootFetch, raw_errors: Sequence[object], data: JsonObject
    ) -> None:
        """An error without a path stands at what did not come beside it."""
        errors = self._errors(prepared)
        for number, raw in enumerate(raw_errors):
            if errors.room <= 0:
                errors.drop(len(raw_errors) - number)
                return
            error = SubgraphError(raw)
            paths: Iterable[ResponsePath]
            if error.path:
                below = rename_path(error.path, prepared.names)
                paths = ([*above, *below] for above, _ in positions_at(self.data, fetch.path))
            else:
                asked = self._root_positions(prepared, fetch)
                paths = (path for path in asked if data.get(str(path[-1])) is None)
            errors.add_at(paths, error.message, error.code, fetch.subgraph, error.extensions)

    def _root_positions(self, prepared: PreparedFetch, fetch: RootFetch) -> Iterator[ResponsePath]:
        for above, _ in positions_at(self.data, fetch.path):
            for key in prepared.root_keys:
                yield [*above, key]

    async def _perform_entities(self, prepared: PreparedFetch) -> None:
        read = partial(self._entities_request, prepared)
        inputs, body = await self._step(read) if self.is_large else read()
        if not body:
            return
        try:
            data, raw_errors = await self._ask(prepared, body)
            take = partial(self._take_entities, prepared, inputs, data, raw_errors)
            await self._step(take) if self.is_large else take()
        except (TransportError, _Malformed, RecursionError) as failure:
            self._fail(prepared, _unusable(failure), positions(self.data, inputs))

    def _entities_request(self, prepared: PreparedFetch) -> tuple[Sequence[Input], bytes]:
        """What the fetch asks for, and its body, which is empty where there is nothing to ask for."""
        if prepared.in_contexts:
            inputs, write = entities_request(prepared, self.data, self.variables)
        else:
            inputs, write = [(group, self._collect(group)) for group in prepared.groups], None
        tell_unfit(self.data, self._errors(prepared), inputs)
        if not any(collected.count for _, collected in inputs):
            return inputs, b""
        if write:
            return inputs, write()
        lists = [group.variable + collected.representations.text + b"]" for group, collected in inputs]
        return inputs, prepared.body(self.variables, lists)

    def _take_entities(
        self, prepared: PreparedFetch, inputs: Sequence[Input], data: JsonObject | None, raw_errors: Sequence[object]
    ) -> None:
        errors = self._errors(prepared)
        tell_entity_errors(self.data, errors, prepared.fetch.subgraph, inputs, raw_errors, data or {})
        for group, collected in inputs:
            entities: Json = data.get(group.group.alias) if data is not None else None
            if entities.__class__ is list and len(entities) == collected.count:
                self._merge_entities(group, collected, entities)
            elif collected.count and not raw_errors:
                misfit = _Malformed("the subgraph's list of entities does not fit the request")
                self._fail(prepared, misfit, positions(self.data, [(group, collected)]))

    def _collect(self, group: PreparedGroup) -> Collected:
        representations = Representations()
        placements: list[Placement] = []
        unfit: dict[int, list[JsonObject]] = {}
        for number, (conditions, reader) in enumerate(group.targets):
            placement = NOWHERE
            if holds(conditions, self.variables):
                known = self.places.setdefault(reader.place, None)
                at_place = known if reader.shareable else None
                without: list[JsonObject] = []
                placement = reader.collect(self.data, at_place, representations, without)
                if without:
                    unfit[number] = without
            placements.append(placement)
        return Collected(representations, placements, unfit)

    def _merge_entities(self, group: PreparedGroup, collected: Collected, entities: list[Json]) -> None:
        """Targets get copies of their own. At a target the nested values are shared where that is right."""
        found = entities
        if not ALL_OBJECTS.issuperset(map(type, entities)):
            found = [entity if entity.__class__ is dict else None for entity in entities]
            entities = [entity for entity in found if entity is not None]
        rename(entities, group.group.renames)
        drop_strays(entities, group.strays)
        if collected.objects == collected.count:  # nothing is merged at two positions
            for placement in collected.placements:
                sources = [found[number] for number in placement.numbers]
                merge_objects(placement.objects, sources, self.settings.object_types)
        else:
            self._merge_copies(group, collected, found)

    def _merge_copies(self, group: PreparedGroup, collected: Collected, found: Sequence[Json]) -> None:
        object_types = self.settings.object_types
        taken: set[int] = set()
        counts = collected.objects > _UNCOUNTED_COPIES
        sizes: dict[int, int] = {}
        for (_, reader), placement in zip(group.targets, collected.placements, strict=True):
            own: dict[int, Json] = {}
            for index, target in zip(placement.numbers, placement.objects, strict=True):
                entity = own.get(index)
                if entity is None or not reader.shareable:
                    entity = found[index]
                    if index in taken:
                        if counts:
                            if index not in sizes:
                                sizes[index] = count_objects(entity)
                            self._count(sizes[index])
                        entity = copy_tree(entity)
                    own[index] = entity
                    taken.add(index)
                if entity is not None:
                    merge_object(target, entity, object_types)

    def _errors(self, prepared: PreparedFetch) -> ResponseErrors:
        return self.errors if self.errors_of is None else self.errors_of(prepared)

    def _fail(
        self,
        prepared: PreparedFetch,
        failure: TransportError | _Malformed,
        paths: Iterable[ResponsePath],
        more: str = "",
    ) -> None:
        service = prepared.fetch.subgraph
        _log.warning("subgraph %s: %s (%s)", service, failure, failure.code)
        if self.explanation is not None:
            self.explanation.failed(prepared.fetch, failure.code)
        self._errors(prepared).add_at(paths, f"{failure}{more}", failure.code, service, {})

    async def _ask(self, prepared: PreparedFetch, body: bytes) -> tuple[JsonObject | None, list[object]]:
        """The `data` and the `errors` of one subgraph request."""
        response = await self._response(prepared, body)
        answer = await self._answer(prepared, response)
        self._join_bookmark(prepared, response, answer)
        data: Json = answer.get("data")
        raw_errors: Json = answer.get("errors")
        return data if data.__class__ is dict else None, raw_errors if raw_errors.__class__ is list else []

    async def _response(self, prepared: PreparedFetch, body: bytes) -> SubgraphResponse:
        if self.given is not None and self.given[0] is prepared:
            return self.given[1]
        return await self._sent(prepared, body)

    async def _sent(self, prepared: PreparedFetch, body: bytes) -> SubgraphResponse:
        fetch = prepared.fetch
        service = fetch.subgraph
        timeout = self.settings.timeouts.get(service, self.settings.timeout_seconds)
        deadline = min(self.deadline, asyncio.get_running_loop().time() + timeout)
        headers = self.headers
        if self.bookmark:
            headers = (*headers, ("bookmark", self.bookmark))
        repeatable = self.plan.plan.kind != "mutation"
        request = SubgraphRequest(body, headers, deadline, repeatable, about=prepared.about)
        self.sent += 1
        transport = self.settings.transports[service]
        if self.explanation is not None:
            return await self.explanation.send(fetch, transport, request)
        return await transport.send(request)

    async def _answer(self, prepared: PreparedFetch, response: SubgraphResponse) -> JsonObject:
        """The answer, read and counted."""
        self._bytes += len(response.body)
        self.is_large = self.is_large or self._bytes > LARGE_BYTES
        answer = await self._step(partial(_read, response)) if self.is_large else _read(response)
        if self._bytes > LEAST_OBJECT_BYTES * self.max_objects:
            counting = partial(_count_new, prepared.fetch, answer.get("data"))
            self._count(await self._step(counting) if self.is_large else counting())
        return answer

    def _count(self, objects: int) -> None:
        self._objects += objects
        self.is_large = self.is_large or self._objects > LARGE_COUNT
        if self._objects > self.max_objects:
            message = f"the answer has at most {self.max_objects} objects, found {self._objects}"
            self._objects -= objects
            raise _Malformed(f"{message}: ask for less", TOO_MANY_OBJECTS)

    async def _step(self, work: Callable[[], T]) -> T:
        """Does a part of the work on large data in the background, one at a time: they change the same data."""
        return work() if self.background is None else await self.background.run(work)

    def _join_bookmark(self, prepared: PreparedFetch, response: SubgraphResponse, answer: JsonObject) -> None:
        service = prepared.fetch.subgraph
        texts: list[Json] = [response.headers.get("bookmark")]
        extensions: Json = answer.get("extensions")
        if extensions.__class__ is dict:
            texts.append(extensions.get("bookmark"))
        if self.explanation is not None:
            self.explanation.answered(prepared.fetch, texts)
        if self.fetched is not None:
            self.fetched.append((service, prepared.place, texts))
        for text in texts:
            if text is None or text == self.bookmark:
                continue
            try:
                self.bookmark = bookmarks.join_texts((self.bookmark, text))
            except (bookmarks.InvalidBookmark, TypeError) as error:
                _log.warning("subgraph %s returned a malformed bookmark: %s", service, error)
                message = "the subgraph returned a malformed bookmark"
                self._errors(prepared).add(error_object(message, SUBREQUEST_MALFORMED, service=service))


def _read(response: SubgraphResponse) -> JsonObject:
    """The answer as a GraphQL response, whatever its status: servers differ there; or the reason why it is none."""
    read = loads_in_pieces if len(response.body) > LARGE_BYTES else loads
    try:
        answer = read(response.body)
    except NotJson as error:
        whole = with_whole_characters(response.body)
        if whole == response.body:
            raise _unreadable(response, "JSON") from error
        try:
            answer = read(whole)
        except NotJson:
            raise _unreadable(response, "JSON") from error
    if answer.__class__ is not dict:
        raise _unreadable(response, "a GraphQL response")
    data, errors = answer.get("data"), answer.get("errors")
    if data.__class__ is not dict and not (data is None and errors.__class__ is list and errors):
        raise _unreadable(response, "a GraphQL response")
    return answer


def _count_new(fetch: Fetch, data: Json) -> int:
    """The objects that an answer adds; entities go into objects that are there."""
    if data.__class__ is not dict:
        return 0
    known = 1
    if isinstance(fetch, EntityFetch):
        known += sum(len(entities) for entities in data.values() if entities.__class__ is list)
    return max(count_objects(data) - known, 0)


def _unusable(failure: Exception) -> TransportError | _Malformed:
    if isinstance(failure, TransportError | _Malformed):
        return failure
    return _Malformed("the subgraph's answer is nested too deeply")


def _unreadable(response: SubgraphResponse, expected: str) -> _Malformed:
    if response.status >= 300:
        return _Malformed(f"the subgraph answered with HTTP status {response.status}", SUBREQUEST_HTTP_ERROR)
    return _Malformed(f"the subgraph's answer is not {expected}")

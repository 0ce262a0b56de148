"""Stage 7 of a query with something deferred: an answer in parts, each as soon as what it is made of has come.

All fetches of the plan run as ever, each as soon as those it waits for have arrived. The first part is shaped when the
fetches are in that are made for no deferred fragment. It notes below which of its objects something is deferred, and
each of these places is a fragment to come: a list of a hundred objects with a deferred fragment has a hundred. They
come when the fetches for the fragment are in, those inside of others after these. The rest of a list is like a fragment
whose place is the list, and which gives items instead of fields.

A null that must not be there takes the fragment with it and nothing else of the response. Errors stand beside what they
explain, also where one of the first fetches has brought them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from graphrouter.execution.deferring import DeferredShape
from graphrouter.execution.errors import ErrorObject, ResponseErrors, error_object
from graphrouter.execution.execute import Execution
from graphrouter.execution.merge import JsonObject
from graphrouter.execution.misfits import Position, ShapeErrors, path_of
from graphrouter.execution.prepare import PreparedFetch
from graphrouter.json_text import Json
from graphrouter.limits import Limits
from graphrouter.options import RouterOptions
from graphrouter.pipeline.answering import Answering
from graphrouter.pipeline.operation import PreparedOperation
from graphrouter.planning.plan import Deferral, Deferrals
from graphrouter.request import AnswerPart, Completed, GraphQLAnswer, Increment, Items, Pending

_log = logging.getLogger("graphrouter.pipeline")

Path = tuple[str | int, ...]


class Delivering:
    """Runs operations with something deferred against the subgraphs."""

    def __init__(self, answering: Answering, options: RouterOptions) -> None:
        self._answering = answering
        self._limits = options.limits
        self._tells_cost = options.expose_cost
        self._metrics = options.metrics

    async def parts(
        self,
        prepared: PreparedOperation,
        labels: Sequence[str | None],
        execution: Execution,
        introspected: Sequence[object],
        extensions: dict[str, object],
    ) -> AsyncGenerator[GraphQLAnswer | AnswerPart, None]:
        """The parts of the answer; the answer itself where nothing of it is to come later."""
        arrivals = _Arrivals(execution, self._limits.errors)
        started = self._answering.watch(execution)
        running = asyncio.create_task(execution.run())
        running.add_done_callback(arrivals.end)
        try:
            await arrivals.until(lambda: arrivals.has(None))
            if arrivals.failed:
                await running
            delivery = _Delivery(self._answering, prepared, labels, execution, arrivals, self._limits)
            delivery.introspected = introspected
            answer = await delivery.first(extensions)
            pending = delivery.announced()
            if not pending:
                extensions.update(await self._ended(prepared, execution))
                self._answering.note(prepared, execution, started, answer.errors)
                yield answer
                return
            errors = [*answer.errors]
            yield AnswerPart(has_next=True, first=answer, pending=pending)
            while delivery.is_pending:
                await arrivals.until(delivery.has_arrived)
                part = await _or_the_end(delivery)
                errors += part.errors
                if not part.has_next:
                    part = replace(part, extensions={**part.extensions, **await self._ended(prepared, execution)})
                    self._answering.note(prepared, execution, started, errors)
                yield part
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _ended(self, prepared: PreparedOperation, execution: Execution) -> dict[str, object]:
        """Counts an operation that has come to its end; what its last part tells besides."""
        if self._metrics is not None:
            self._metrics.fetched(prepared.operation.operation.value, execution.sent)
        told: dict[str, object] = {}
        if self._tells_cost:
            told["cost"] = await self._answering.cost(prepared, execution)
        if execution.explanation is not None:
            told["explain"] = execution.explanation.told(prepared.plan)
        return told


async def _or_the_end(delivery: _Delivery) -> AnswerPart:
    """The next part; what is pending is failed where an unexpected exception has ended the answer."""
    try:
        return await delivery.next_part()
    except Exception:  # noqa: BLE001 - told without detail, as in `Pipeline`
        _log.exception("an operation failed")
        return delivery.failed()


class _Arrivals:
    """Which fetches of an execution are still to come, and what went wrong, by the fragments that they are made for.

    The execution refers to it, and it to nothing that refers to the execution: so the data are gone with the answer,
    and do not wait for the garbage collector.
    """

    def __init__(self, execution: Execution, max_errors: int) -> None:
        self._at_once = execution.errors
        self._max_errors = max_errors
        self._errors: dict[Deferrals, ResponseErrors] = {}
        self._left: Counter[Deferral | None] = Counter(
            deferral for fetch in execution.plan.fetches for deferral in _made_for(fetch)
        )
        self._moved = asyncio.Event()
        self.failed = False
        """Whether the execution came to an end that nobody foresaw."""
        execution.landed = self._landed
        execution.errors_of = self._errors_of

    def has(self, deferral: Deferral | None) -> bool:
        """Whether all is there that is fetched for a deferred fragment, or at once."""
        return self.failed or not self._left[deferral]

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._moved.clear()
            await self._moved.wait()

    def end(self, running: asyncio.Task[None]) -> None:
        if not running.cancelled() and (error := running.exception()) is not None:
            _log.error("the deferred part of an operation failed", exc_info=error)
            self.failed = True
        self._moved.set()

    def errors_for(self, deferral: Deferral) -> Iterator[ErrorObject]:
        """What went wrong in fetches for the fragment, and has not been asked for yet."""
        for deferrals in [one for one in self._errors if deferral in one]:
            yield from self._errors.pop(deferrals).as_list()

    def _landed(self, fetch: PreparedFetch) -> None:
        self._left.subtract(_made_for(fetch))
        self._moved.set()

    def _errors_of(self, fetch: PreparedFetch) -> ResponseErrors:
        deferrals = fetch.fetch.deferrals
        if not deferrals:
            return self._at_once
        return self._errors.setdefault(deferrals, ResponseErrors(self._max_errors))


def _made_for(fetch: PreparedFetch) -> Iterable[Deferral | None]:
    return fetch.fetch.deferrals or (None,)


@dataclass(slots=True)
class _Site:
    """An object of the response whose fields in a set of deferred fragments are to come, or a list with more items.

    It is in what was made `within` another one, if not in the first part.
    """

    deferred: DeferredShape
    data: Any
    position: Position
    path: Path
    within: _Site | None = None
    made: JsonObject | list[Json] | None = None
    is_made: bool = False
    is_sent: bool = False
    errors: list[ErrorObject] = field(default_factory=list["ErrorObject"])
    """Why there is none."""


_NOT_YET = Pending("", [], None)
_FAILED_MESSAGE = "the router failed to execute the operation"

_WAITING, _PENDING, _DONE, _FAILED = range(4)


@dataclass(slots=True)
class _Fragment:
    """A deferred fragment of one object of the response, or the rest of one list."""

    deferral: Deferral
    path: Path
    sites: list[_Site] = field(default_factory=list["_Site"])
    state: int = _WAITING
    pending: Pending = _NOT_YET

    @property
    def first(self) -> int | None:
        """The index of the first item of a rest."""
        return self.sites[0].deferred.first

    @property
    def is_announceable(self) -> bool:
        """Whether the list is there whose rest it is."""
        within = self.sites[0].within
        return self.first is None or within is None or within.is_sent

    def has(self, path: Path) -> bool:
        """Whether a position is in it."""
        if path[: len(self.path)] != self.path:
            return False
        return self.first is None or _is_item_from(self.first, path[len(self.path) :])


def _is_item_from(first: int, below: Path) -> bool:
    index = below[0] if below else None
    return isinstance(index, int) and index >= first


class _Delivery:
    """What of one answer is there, and what is to come."""

    def __init__(
        self,
        answering: Answering,
        prepared: PreparedOperation,
        labels: Sequence[str | None],
        execution: Execution,
        arrivals: _Arrivals,
        limits: Limits,
    ) -> None:
        self._answering = answering
        self._prepared = prepared
        self._labels = labels
        self._execution = execution
        self._arrivals = arrivals
        self._max_objects = limits.objects
        self._max_errors = limits.errors
        self._shape = prepared.in_parts(execution.variables).shape
        self._fragments: dict[tuple[Deferral, Path], _Fragment] = {}
        self._numbers = 0
        self._objects = 0
        self._bookmark = ""
        self._untold: list[ErrorObject] = []
        self.introspected: Sequence[object] = ()

    @property
    def is_pending(self) -> bool:
        return any(one.state == _PENDING for one in self._fragments.values())

    def has_arrived(self) -> bool:
        """Whether one of the pending fragments has all that it is made of."""
        return any(True for _ in self._arrived())

    async def first(self, extensions: dict[str, object]) -> GraphQLAnswer:
        """What is there at once."""
        execution = self._execution
        shape_errors = ShapeErrors(self._max_objects, self.introspected)
        data = await self._answering.shaped(self._shape.at_once, execution, shape_errors)
        self._objects = shape_errors.objects
        if data is not None:
            self._note(shape_errors, data)
        told = self._told(execution.errors.as_list())
        self._untold = [error for error in told if self._is_to_come(data, tuple(error.get("path", ())))]
        if execution.bookmark:
            extensions["bookmark"] = self._bookmark = execution.bookmark
        return GraphQLAnswer(data, [error for error in told if error not in self._untold], extensions)

    async def next_part(self) -> AnswerPart:
        """All that has arrived."""
        incremental: list[Increment | Items] = []
        completed: list[Completed] = []
        for fragment in list(self._arrived()):
            await self._deliver(fragment, incremental, completed)
        pending = self.announced()
        extensions: dict[str, object] = {}
        if self._execution.bookmark != self._bookmark:
            extensions["bookmark"] = self._bookmark = self._execution.bookmark
        return AnswerPart(
            has_next=self.is_pending,
            pending=pending,
            incremental=incremental,
            completed=completed,
            extensions=extensions,
        )

    def failed(self) -> AnswerPart:
        """The last part of an answer that cannot go on."""
        failed = [error_object(_FAILED_MESSAGE, "INTERNAL_ERROR")]
        pending = [one for one in self._fragments.values() if one.state == _PENDING]
        for fragment in pending:
            fragment.state = _FAILED
        return AnswerPart(has_next=False, completed=[Completed(one.pending, failed, one.first) for one in pending])

    def announced(self) -> list[Pending]:
        """The fragments that are to come from now on: all around them have come."""
        found: list[Pending] = []
        for fragment in sorted(self._fragments.values(), key=lambda one: sum(1 for _ in one.deferral.around())):
            if fragment.state != _WAITING or not fragment.is_announceable:
                continue
            around = [self._fragments.get((one, _prefix(fragment.path, one))) for one in fragment.deferral.around()]
            states = {one.state for one in around if one is not None}
            if _FAILED in states:
                fragment.state = _FAILED
            elif states <= {_DONE}:
                if all(site.is_sent for site in fragment.sites):  # all of it belongs to others, too, and has come
                    fragment.state = _DONE
                    continue
                label = self._labels[fragment.deferral.number]
                fragment.state = _PENDING
                fragment.pending = Pending(str(self._numbers), list(fragment.path), label)
                self._numbers += 1
                found.append(fragment.pending)
        return found

    def _arrived(self) -> Iterator[_Fragment]:
        return (one for one in self._fragments.values() if one.state == _PENDING and self._arrivals.has(one.deferral))

    def _note(self, shape_errors: ShapeErrors, made: object, within: _Site | None = None) -> None:
        """What is deferred below something that was made."""
        above, first = (len(within.path), within.deferred.first or 0) if within else (0, 0)
        for number, data, position in shape_errors.deferred:
            path = tuple(path_of(position))
            if shape_errors.failed and not _is_there(made, path[above:], first):
                continue
            site = _Site(self._shape.deferred[number], data, position, path, within)
            for deferral in sorted(site.deferred.deferrals, key=lambda one: one.number):
                key = (deferral, _prefix(path, deferral))
                self._fragments.setdefault(key, _Fragment(*key)).sites.append(site)

    async def _deliver(
        self, fragment: _Fragment, incremental: list[Increment | Items], completed: list[Completed]
    ) -> None:
        if self._arrivals.failed:
            fragment.state = _FAILED
            failed = [error_object(_FAILED_MESSAGE, "INTERNAL_ERROR")]
            completed.append(Completed(fragment.pending, failed, fragment.first))
            return
        self._untold += self._told(list(self._arrivals.errors_for(fragment.deferral)))
        errors = ResponseErrors(self._max_errors)
        for error in self._taken(fragment):
            errors.add(error)
        for site in fragment.sites:
            if not site.is_made:
                await self._make(site, errors)
        told = self._told(errors.as_list())
        lost = [site for site in fragment.sites if site.made is None]
        if lost:
            for site in lost:
                site.errors = site.errors or told
            fragment.state = _FAILED
            completed.append(Completed(fragment.pending, told or lost[0].errors, fragment.first))
            return
        fragment.state = _DONE
        sites = [site for site in fragment.sites if not site.is_sent]
        by_site = _by_site(told, sites or fragment.sites)
        for site in sites:
            site.is_sent = True
            below = list(site.path[len(fragment.path) :])
            made, errors_here = site.made, by_site.get(id(site), [])
            if site.deferred.first is not None:
                items = cast("list[Json]", made)
                incremental.append(Items(fragment.pending, site.deferred.first, items, errors_here))
            else:
                incremental.append(Increment(fragment.pending, below, cast("JsonObject", made), errors_here))
        completed.append(Completed(fragment.pending, []))

    async def _make(self, site: _Site, errors: ResponseErrors) -> None:
        shape_errors = ShapeErrors(self._max_objects, self.introspected)
        shape_errors.objects = self._objects + site.deferred.objects
        make = partial(site.deferred.shape, site.data, site.position, shape_errors)
        site.made = await self._answering.made(make, self._execution, shape_errors, errors)
        site.is_made = True
        if site.made is not None:
            self._objects = shape_errors.objects
            self._note(shape_errors, site.made, site)

    def _taken(self, fragment: _Fragment) -> list[ErrorObject]:
        """The errors that stand in a fragment, and those that stand nowhere; they are told with it."""
        taken: list[ErrorObject] = []
        left: list[ErrorObject] = []
        for error in self._untold:
            path = tuple(error.get("path", ()))
            inside = not path or (fragment.has(path) and not self._is_in_rest(path, fragment))
            (taken if inside else left).append(error)
        self._untold = left
        return taken

    def _is_in_rest(self, path: Path, besides: _Fragment | None = None) -> bool:
        """Whether a position is in the rest of a list that is still to come."""
        return any(
            one.first is not None and one is not besides and one.state < _DONE and one.has(path)
            for one in self._fragments.values()
        )

    def _is_to_come(self, data: JsonObject | None, path: Path) -> bool:
        """Whether what stands at a position is not in the first part, and not null there either. A position comes from
        a subgraph: there may be no such item."""
        found: Json = data
        for step in path:
            if found.__class__ is dict and isinstance(step, str):
                if step not in found:
                    return True
            elif not (found.__class__ is list and isinstance(step, int) and 0 <= step < len(found)):
                return self._is_in_rest(path)
            found = found[step]
        return False

    def _told(self, errors: list[ErrorObject]) -> list[ErrorObject]:
        return self._prepared.told(errors, self._execution.variables)


def _prefix(path: Path, deferral: Deferral) -> Path:
    """The part of a position that leads to the object whose fragment is deferred."""
    keys = 0
    for length, step in enumerate(path):
        if isinstance(step, str):
            if keys == len(deferral.path):
                return path[:length]
            keys += 1
    return path


def _is_there(made: object, path: Path, first: int) -> bool:
    """Whether no null has taken what is at a position with it; of a list, `made` has the items from `first` on."""
    for step in path:
        if made is None:
            return False
        below = step - first if isinstance(step, int) else step
        made, first = cast("dict[str | int, object]", made)[below], 0
    return made is not None


def _by_site(errors: Sequence[ErrorObject], sites: Sequence[_Site]) -> dict[int, list[ErrorObject]]:
    """The errors by the object that each is nearest to."""
    found: dict[int, list[ErrorObject]] = {}
    for error in errors:
        path = tuple(error.get("path", ()))
        around = [site for site in sites if path[: len(site.path)] == site.path]
        nearest = max(around, key=lambda site: len(site.path), default=sites[0])
        found.setdefault(id(nearest), []).append(error)
    return found

"""What has changed in the events, and who can no longer read what.

Records stay, and releases run side by side while a new one is rolled out, or come back after it. So data go in three
ways, and each is a comparison of what may be written with what can be read:

- records of the release are read by today's owner of the log and by today's readers in other subgraphs;
- records of today are read by the owner and the readers as they were released;
- records of today are read by today's readers: what their owner has renamed or left out concerns them, too.

Only the owner has upcasters. One that leads on from the released schema version makes data of another form; whether
these fit is for a test to show, and the change is told as dangerous.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eventgraph.describing.event_schemas import Json
from eventgraph.evolution.changes import Change, Severity
from eventgraph.evolution.description import Description, EventDescription, SubgraphDescription
from eventgraph.evolution.readable import Mismatch, mismatches

_Events = Mapping[str, EventDescription]


def event_changes(released: Description, today: Description) -> Iterator[Change]:
    """What has changed in the events of the logs that are still there."""
    for log, before in released.subgraphs.items():
        now = today.subgraphs.get(log)
        if now is None or not now.aggregates:
            continue
        for tag, event in before.events.items():
            yield from _of_type(f"events/{log}/{tag}", tag, event, now, log, released)
        for tag, event in now.events.items():
            if not any(_find(name, before.events) for name in (tag, *event.old_names)):
                yield Change(
                    "dangerous",
                    "EVENT_TYPE_ADDED",
                    f"events/{log}/{tag}",
                    f"{released.version} does not know it, and would park a stream with it: no way back then",
                    (_released(log, released),),
                )
    for reader, described in today.subgraphs.items():
        for log, reads in described.reads.items():
            if log in released.subgraphs and log in today.subgraphs:
                yield from _of_reader(reader, log, reads, released, today)
    for reader, described in released.subgraphs.items():
        for log, reads in described.reads.items():
            if log in today.subgraphs:
                yield from _of_released_reader(reader, log, reads, released, today)


def _of_type(
    path: str, tag: str, before: EventDescription, now: SubgraphDescription, log: str, released: Description
) -> Iterator[Change]:
    """What has changed in a type of the release, for the owner of its log."""
    known = _find(tag, now.events)
    if known is None:
        message = "records have it, and nothing reads them: their streams are parked and take no commands"
        yield Change("breaking", "EVENT_TYPE_REMOVED", path, message, _parties(log, released.subgraphs[log], tag))
        return
    tag_now, event = known
    owner, owner_before = _parties(log, now, tag_now), (_released(log, released),)
    if tag_now != tag:
        message = f"new records have the type {tag_now}, which {released.version} does not know and would park"
        yield Change("dangerous", "EVENT_TYPE_RENAMED", path, message, owner_before)
    if event.schema_version < before.schema_version:
        message = f"was {before.schema_version} and is {event.schema_version}: records of before pass by the upcasters"
        yield Change("breaking", "EVENT_SCHEMA_VERSION_LOWERED", path, message, owner)
    if any(before.schema_version <= version < event.schema_version for version in event.upcasters):
        message = f"records of {released.version} are read through an upcaster, which this check does not run"
        yield Change("dangerous", "EVENT_UPCAST", path, message, owner)
    else:
        for one in mismatches(before.schema, event.schema):
            yield _unreadable(path, one, f"records of {released.version}", owner)
    gone = before.schema["properties"].keys() - event.schema["properties"].keys()
    for one in mismatches(_written(event), before.schema):
        if one.path not in gone:  # these are told of below
            yield _unreadable(path, one, "records of today", owner_before)
    yield from _fields(path, before, event, owner_before)
    yield from _marks(path, before, event, owner)


def _unreadable(path: str, one: Mismatch, which: str, who: tuple[str, ...]) -> Change:
    kind = "EVENT_FIELD_REQUIRED" if one.missing else "EVENT_FIELD_UNREADABLE"
    return Change("breaking", kind, f"{path}.{one.path}" if one.path else path, f"{which}: {one.reason}", who)


def _fields(path: str, before: EventDescription, now: EventDescription, who: tuple[str, ...]) -> Iterator[Change]:
    had, has = before.schema["properties"], now.schema["properties"]
    for name in had:
        if name not in has:
            required = name in before.schema.get("required", ())
            severity: Severity = "breaking" if required else "dangerous"
            message = "is not written any more: " + ("readers require it" if required else "readers find its default")
            yield Change(severity, "EVENT_FIELD_REMOVED", f"{path}.{name}", message, who)
    for name in has:
        if name not in had:
            yield Change("safe", "EVENT_FIELD_ADDED", f"{path}.{name}", "older readers skip it")


def _marks(path: str, before: EventDescription, now: EventDescription, who: tuple[str, ...]) -> Iterator[Change]:
    for name in now.schema["properties"]:
        if name not in before.schema["properties"]:
            continue
        if (name in now.personal) != (name in before.personal):
            becomes = "is personal: with a cipher it is encrypted, for readers of the topic, too"
            was = "is personal no more: it is written in clear text, and no erasure reaches it"
            told = becomes if name in now.personal else was
            yield Change("dangerous", "EVENT_FIELD_PERSONAL", f"{path}.{name}", told, who)
        if now.tags.get(name) != before.tags.get(name):
            message = (
                f"gives the tag {now.tags.get(name)}, gave {before.tags.get(name)}: records of before have that one"
            )
            yield Change("dangerous", "EVENT_FIELD_TAG", f"{path}.{name}", message, who)


def _of_reader(reader: str, log: str, reads: _Events, released: Description, today: Description) -> Iterator[Change]:
    """What today's reader of another subgraph's log cannot read, of the release and of today."""
    before, now = released.subgraphs[log].events, today.subgraphs[log].events
    for tag, read in reads.items():
        path, who = f"reads/{reader}/{log}/{tag}", _parties(reader, today.subgraphs[reader], tag)
        names = (tag, *read.old_names)
        for name in names:
            if name in before:
                for one in mismatches(before[name].schema, read.schema):
                    yield _unreadable(path, one, f"records of {released.version}", who)
        written = next((known for known in (_find(name, now) for name in names) if known), None)
        if written is None:
            yield Change("breaking", "EVENT_TYPE_UNWRITTEN", path, f"{log} writes no such event", who)
            continue
        tag_now, event = written
        if tag_now not in names:
            message = f"records of today have the type {tag_now}, and are skipped under the old name alone"
            yield Change("breaking", "EVENT_TYPE_UNREAD", path, message, who)
        for one in mismatches(_written(event), read.schema):
            yield _unreadable(path, one, "records of today", who)
        for name in read.schema["properties"]:
            if name not in event.schema["properties"] and name not in read.schema.get("required", ()):
                message = f"{log} does not write it: its default is found"
                yield Change("dangerous", "EVENT_FIELD_UNWRITTEN", f"{path}.{name}", message, who)


def _of_released_reader(
    reader: str, log: str, reads: _Events, released: Description, today: Description
) -> Iterator[Change]:
    """What the release's reader of another subgraph's log cannot read of today's records: what it does not know is
    skipped."""
    who = (_released(reader, released),)
    for tag, read in reads.items():
        known = _find(tag, today.subgraphs[log].events)
        if known is None:
            continue
        tag_now, event = known
        path = f"reads/{reader}/{log}/{tag}"
        if tag_now not in (tag, *read.old_names):
            message = f"new records have the type {tag_now}, which {reader} of {released.version} skips"
            yield Change("dangerous", "EVENT_TYPE_RENAMED", path, message, who)
        for one in mismatches(_written(event), read.schema):
            yield _unreadable(path, one, f"records of today, read by {released.version}", who)


def _find(name: str, events: _Events) -> tuple[str, EventDescription] | None:
    """The type that reads records of this name, with its tag."""
    if name in events:
        return name, events[name]
    return next(((tag, event) for tag, event in events.items() if name in event.old_names), None)


def _written(event: EventDescription) -> Json:
    """The schema of new records: a field with a default is written, too, unless those are left out."""
    if event.omits_defaults:
        return event.schema
    return {**event.schema, "required": list(event.schema["properties"])}


def _parties(name: str, described: SubgraphDescription, tag: str) -> tuple[str, ...]:
    """Who reads a type in a subgraph: its view, its aggregates, its process managers."""
    aggregates = [f"aggregate {one}" for one, found in described.aggregates.items() if tag in found.events]
    processes = [f"process manager {one}" for one, tags in described.processes.items() if tag in tags]
    return (f"view {name}", *aggregates, *processes)


def _released(name: str, released: Description) -> str:
    return f"{name} of {released.version}"


def name_changes(released: Description, today: Description) -> Iterator[Change]:
    """What has changed in the names that stores are found by."""
    if released.installation != today.installation:
        message = (
            f"was {released.installation} and is {today.installation}, which folders, topics and databases are found by"
        )
        yield Change("breaking", "INSTALLATION_CHANGED", "system/installation", message, ("every installation",))
    for name, before in released.subgraphs.items():
        now = today.subgraphs.get(name)
        if now is None:
            message = "its log is not read any more" if before.aggregates else "it answers nothing any more"
            yield Change("breaking", "SUBGRAPH_REMOVED", f"subgraphs/{name}", message, _readers(name, released))
            continue
        if before.aggregates and not now.aggregates:
            message = "its log is not read any more"
            yield Change("breaking", "LOG_REMOVED", f"events/{name}", message, _readers(name, released))
        yield from _in_subgraph(name, before, now)


def _in_subgraph(name: str, before: SubgraphDescription, now: SubgraphDescription) -> Iterator[Change]:
    prefixes = {one.prefix for one in now.aggregates.values()}
    for aggregate, described in before.aggregates.items() if now.aggregates else ():
        if described.prefix not in prefixes:
            message = f"streams that begin with {described.prefix} take no commands any more"
            path = f"subgraphs/{name}/aggregates/{aggregate}"
            yield Change("breaking", "STREAM_PREFIX_REMOVED", path, message, (f"aggregate {aggregate}",))
    for process in before.processes:
        if process not in now.processes:
            message = "what it has begun is not brought to an end; under another name it begins anew"
            path = f"subgraphs/{name}/processes/{process}"
            yield Change("dangerous", "PROCESS_MANAGER_REMOVED", path, message, (f"process manager {process}",))


def _readers(log: str, released: Description) -> tuple[str, ...]:
    readers = [f"view {name}" for name, described in released.subgraphs.items() if log in described.reads]
    return (f"view {log}", *readers)

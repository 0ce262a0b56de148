"""The kernel's own nodes in Neo4j and the Cypher that keeps them: which build is live, how far it is, what is parked.

    (:KernelView {name, identity, live})                            the pointer: the live build's name
    (:KernelBuild {name, view, identity, state, saved_ms, parking}) `filling`, then `live`, then `retired`
    (:KernelCheckpoint {build, log, partition, next_offset, …})     one a partition
    (:KernelParked {build, stream, version, …, record})             one a record

**Locks.** Neo4j's isolation is read committed: a statement that reads and then writes may write what is true no more,
and one that reads may see half of a transaction that is just being applied
(https://neo4j.com/docs/operations-manual/5/database-internals/locks-deadlocks/). What must not happen, does not:

- Whatever changes a build sets a property of its `KernelBuild` first, which takes that node's write lock until all is
  applied. So saves into one build come one after the other, and none can slip past a switch or a drop.
- A checkpoint is read with its lock held (by setting a property to the value that it has: that writes nothing). Locks
  are given back after a transaction has been applied, so a reader of a checkpoint finds all that came before it.
  Saves take these locks last of all, so that nobody waits for one who is still at work.

All locks are taken in one order: view, new build, old build, checkpoints by log and partition.

**Indexes.** Neo4j plans by how much there is when it plans, and where that is nothing, a scan looks as good as a seek:
the plan is then in use while thousands are written. So whatever there are many of says which index it is found by.
"""

from __future__ import annotations

import re
from typing import Final

CONSTRAINTS: Final = (
    "CREATE CONSTRAINT kernel_view IF NOT EXISTS FOR (n:KernelView) REQUIRE (n.name, n.identity) IS UNIQUE",
    "CREATE CONSTRAINT kernel_build IF NOT EXISTS FOR (n:KernelBuild) REQUIRE n.name IS UNIQUE",
    "CREATE CONSTRAINT kernel_checkpoint IF NOT EXISTS FOR (n:KernelCheckpoint)"
    " REQUIRE (n.build, n.log, n.partition) IS UNIQUE",
    "CREATE CONSTRAINT kernel_parked IF NOT EXISTS FOR (n:KernelParked)"
    " REQUIRE (n.build, n.stream, n.version) IS UNIQUE",
)

SHOW: Final = "SHOW CONSTRAINTS YIELD labelsOrTypes, properties"
_CONSTRAINT: Final = re.compile(r"CREATE CONSTRAINT .*?:(\w+).* REQUIRE \(?([^()]*)\)? IS UNIQUE").fullmatch


def constraint_of(statement: str) -> tuple[str, tuple[str, ...]]:
    """The label or type, and the properties that are unique together, of the constraint that a statement makes."""
    found = _CONSTRAINT(statement)
    if found is None:
        raise ValueError(f"no constraint: {statement}")
    return found[1], tuple(key.strip().partition(".")[2] for key in found[2].split(","))


# Of a build. All of these have the parameter `build`.

BEGIN_SAVE: Final = """
MATCH (build:KernelBuild {name: $build})
SET build.saved_ms = timestamp()
WITH build WHERE build.state <> 'retired'
"""
"""Gives no row, so that nothing of what follows is done, where the build is not folded into any more."""

END_SAVE: Final = """
CALL () {
    UNWIND $released AS row
    MATCH (parked:KernelParked {build: $build, stream: row[0]})
    USING INDEX SEEK parked:KernelParked(build, stream, version)
    WHERE parked.version <= row[1]
    DELETE parked
}
CALL () {
    UNWIND $parked AS row
    MERGE (parked:KernelParked {build: $build, stream: row.stream, version: row.version})
    ON CREATE SET parked.log = row.log, parked.partition = row.partition, parked.record = row.record
    SET parked.reason = coalesce(row.reason, parked.reason),
        parked.skipped = row.skipped OR coalesce(parked.skipped, false)
}
CALL () {
    UNWIND $checkpoints AS row
    MERGE (point:KernelCheckpoint {build: $build, log: row[0], partition: row[1]})
    SET point.locked = true
    WITH point, row
    SET point.next_offset = CASE WHEN point.next_offset > row[2] THEN point.next_offset ELSE row[2] END,
        point.generation = CASE WHEN point.generation > row[3] THEN point.generation ELSE row[3] END,
        point.landmark = CASE WHEN row[4] IS NULL OR point.landmark > row[4] THEN point.landmark ELSE row[4] END
}
SET build.parking = coalesce(build.parking, 0) + CASE WHEN size($released) + size($parked) > 0 THEN 1 ELSE 0 END
RETURN build.parking
"""

PARKING: Final = "MATCH (build:KernelBuild {name: $build}) RETURN coalesce(build.parking, 0)"
"""Counts the saves that have parked or released something: while it stays the same, so does what waits."""

LOOK: Final = """
MATCH (build:KernelBuild {name: $build})
CALL () {
    MATCH (point:KernelCheckpoint {build: $build})
    USING INDEX SEEK point:KernelCheckpoint(build, log, partition)
    WHERE point.log IS NOT NULL AND point.partition IS NOT NULL
    WITH point ORDER BY point.log, point.partition
    SET point.locked = true
    WITH point
    RETURN collect([point.log, point.partition, point.next_offset, point.generation, point.landmark]) AS points
}
RETURN build.state, points
"""

PARKED: Final = """
MATCH (parked:KernelParked {build: $build})
USING INDEX SEEK parked:KernelParked(build, stream, version)
WHERE parked.stream IS NOT NULL AND parked.version IS NOT NULL
RETURN parked.record, parked.reason, parked.skipped ORDER BY parked.stream, parked.version
"""

FIRST_PARKED: Final = """
UNWIND $streams AS stream
CALL (stream) {
    MATCH (parked:KernelParked {build: $build, stream: stream})
    USING INDEX SEEK parked:KernelParked(build, stream, version)
    WHERE parked.version IS NOT NULL AND NOT parked.skipped
    WITH parked ORDER BY parked.build, parked.stream, parked.version LIMIT 1
    RETURN collect(parked) AS waiting
}
CALL (stream, waiting) {
    MATCH (parked:KernelParked {build: $build, stream: stream})
    USING INDEX SEEK parked:KernelParked(build, stream, version)
    WHERE parked.version < coalesce(head(waiting).version, 9223372036854775807) AND parked.skipped
    WITH parked ORDER BY parked.build DESC, parked.stream DESC, parked.version DESC LIMIT 1
    RETURN collect(parked) AS marks
}
UNWIND marks + waiting AS parked
RETURN parked.record, parked.reason, parked.skipped
"""
"""What was skipped stands before what waits, so nothing behind the first that waits is looked at: the index has them in
this order."""

PARKED_OF: Final = """
UNWIND $streams AS stream
MATCH (parked:KernelParked {build: $build, stream: stream})
USING INDEX SEEK parked:KernelParked(build, stream, version)
WHERE parked.version IS NOT NULL
RETURN parked.record, parked.reason, parked.skipped ORDER BY parked.stream, parked.version
"""

WAITING: Final = """
MATCH (parked:KernelParked {build: $build})
USING INDEX SEEK parked:KernelParked(build, stream, version)
WHERE parked.stream IS NOT NULL AND parked.version IS NOT NULL
WITH parked WHERE NOT parked.skipped
RETURN DISTINCT parked.stream, parked.log, parked.partition
"""

COUNT_WAITING: Final = """
MATCH (parked:KernelParked {build: $build})
USING INDEX SEEK parked:KernelParked(build, stream, version)
WHERE parked.stream IS NOT NULL AND parked.version IS NOT NULL
WITH parked WHERE NOT parked.skipped
RETURN count(DISTINCT parked.stream), count(*)
"""

# Of a view. `identity` says what fills its builds: releases that differ in it have a live build each, side by side.

LIVE: Final = "MATCH (view:KernelView {name: $view, identity: $identity}) RETURN view.live"

CREATE_BUILD: Final = """
MERGE (build:KernelBuild {name: $build})
ON CREATE SET build.view = $view, build.identity = $identity, build.state = 'filling', build.saved_ms = timestamp()
WITH build
OPTIONAL MATCH (view:KernelView {name: $view, identity: $identity})
RETURN view.live
"""

SWITCH: Final = """
MERGE (view:KernelView {name: $view, identity: $identity})
SET view.locked = true
WITH view
OPTIONAL MATCH (new:KernelBuild {name: $build, view: $view, identity: $identity})
SET new.locked = true
WITH view, new, view.live AS before, new.state AS state
CALL (view, new, before, state) {
    WITH view, new, before WHERE state = 'filling' AND (before = $expected OR before IS NULL AND $expected IS NULL)
    SET view.live = $build, new.state = 'live'
    WITH before
    MATCH (old:KernelBuild {name: before})
    SET old.state = 'retired'
}
RETURN before, state
"""
"""Gives the live build from before and the new one's state from before (null: there is no such build)."""

RETIRE: Final = """
MATCH (build:KernelBuild {name: $build, view: $view})
SET build.locked = true
WITH build, build.state AS state
FOREACH (_ IN CASE WHEN state = 'live' THEN [] ELSE [1] END | SET build.state = 'retired')
RETURN state
"""

LEFTOVERS: Final = """
MATCH (build:KernelBuild {view: $view})
WHERE build.saved_ms < timestamp() - $idle_ms AND (build.state <> 'live' OR build.identity <> $identity)
SET build.locked = true
WITH build WHERE build.saved_ms < timestamp() - $idle_ms
SET build.state = 'retired'
RETURN build.name
"""

# Dropping, in transactions of a bounded size: `most` relationships, then the nodes that had them, until none is left.

WINDOW_NODES: Final = 2_000

DROP_RELATIONSHIPS: Final = """
MATCH (n:{label}) USING INDEX SEEK n:{label}(build, {key}) WHERE n.build = $build AND n.{key} IS NOT NULL
WITH n LIMIT $window
MATCH (n)-[r]-()
WITH DISTINCT r LIMIT $most
DELETE r
RETURN count(*)
"""

DROP_NODES: Final = """
MATCH (n:{label}) USING INDEX SEEK n:{label}(build, {key}) WHERE n.build = $build AND n.{key} IS NOT NULL
WITH n LIMIT $window
DETACH DELETE n
RETURN count(*)
"""

DROP_OWN: Final = """
MATCH (n:{label} {{build: $build}})
WITH n LIMIT $most
DELETE n
RETURN count(*)
"""

FORGET: Final = """
MATCH (build:KernelBuild {name: $build})
DELETE build
WITH 1 AS done
MATCH (view:KernelView {live: $build})
DELETE view
"""

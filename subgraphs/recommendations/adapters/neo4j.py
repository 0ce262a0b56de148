"""The graph of friends in Neo4j: people are nodes, friendships are relationships.

    (:Person:User {build, id, …})-[:FRIEND {build, stream, since_us, since_offset, …}]->(:Person:User …)

Whoever the logs have spoken of is a `Person`, whoever was created and not deleted a `User` too: questions about now see
users only. A friendship that lasts is a `FRIEND`; each one that has ended, from its beginning to its end, is a
`WAS_FRIEND`, and `ENDED_FRIEND` is the tombstone that keeps the stream's version. They point from the lesser id to the
greater, which means nothing.

Neo4j keeps relationships apart by type at whoever has many, and knows how many there are of each, so that the past
costs the present nothing, and what a question costs is known before it is asked.

Here is the graph; `neo4j_questions.py` has what is asked of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from eventkernel.adapters.neo4j.build import Neo4jViewBuild
from eventkernel.adapters.neo4j.connection import Neo4jConnection, Row
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.changes import Rows
from eventkernel.reading.views import Change, State
from subgraphs.recommendations.adapters.neo4j_questions import Neo4jQuestions
from subgraphs.recommendations.events import USER_STREAM_PREFIX
from subgraphs.recommendations.projection import FriendshipDoc, GraphDoc, UserDoc
from subgraphs.recommendations.views import RecommendationQuestions, Recommended, Two

# Rows are lists, and are taken apart first: names, sent with each row, would take longer than what they name.

_WRITE_USERS: Final = """
CALL () {
    UNWIND $people AS row
    MERGE (person:Person {build: $build, id: row[0]})
    WITH person, row[1] AS version, row[2] AS time_us, row[3] AS log, row[4] AS partition, row[5] AS offset,
        row[6] AS created_us, row[7] AS created_offset, row[8] AS deleted_us, row[9] AS deleted_offset
    WHERE coalesce(person.version, 0) < version
    SET person.version = version, person.time_us = time_us,
        person.log = log, person.partition = partition, person.offset = offset,
        person.created_us = created_us, person.created_offset = created_offset,
        person.deleted_us = coalesce(person.deleted_us, deleted_us),
        person.deleted_offset = coalesce(person.deleted_offset, deleted_offset)
    FOREACH (_ IN CASE WHEN deleted_us IS NULL THEN [1] ELSE [] END | SET person:User)
    FOREACH (_ IN CASE WHEN deleted_us IS NULL THEN [] ELSE [1] END | REMOVE person:User)
}
"""

_STATE: Final = """{
            build: $build, stream: stream, version: version, time_us: time_us, log: log, partition: partition,
            offset: offset, since_us: since_us, since_offset: since_offset
        }"""

_WRITE_FRIENDSHIPS: Final = f"""
CALL () {{
    UNWIND $friendships AS row
    MERGE (low:Person {{build: $build, id: row[1]}})
    MERGE (high:Person {{build: $build, id: row[2]}})
    WITH low, high, row[0] AS stream,
        row[3] AS version, row[4] AS time_us, row[5] AS log, row[6] AS partition, row[7] AS offset,
        row[8] AS since_us, row[9] AS since_offset, row[10] AS is_over, row[11] AS ends
    OPTIONAL MATCH ()-[lasts:FRIEND {{build: $build, stream: stream}}]->()
    USING INDEX SEEK lasts:FRIEND(build, stream)
    OPTIONAL MATCH ()-[ended:ENDED_FRIEND {{build: $build, stream: stream}}]->()
    USING INDEX SEEK ended:ENDED_FRIEND(build, stream)
    WITH *, coalesce(lasts.version, ended.version, 0) AS stored, ended.since_offset AS known
    WHERE stored < version
    FOREACH (end IN [end IN ends WHERE end[0] > stored AND end[2] <> coalesce(known, -1)] |
        CREATE (low)-[:WAS_FRIEND {{
            since_us: end[1], since_offset: end[2], until_us: end[3], until_offset: end[4], partition: partition
        }}]->(high))
    DELETE lasts, ended
    FOREACH (_ IN CASE WHEN is_over THEN [] ELSE [1] END |
        CREATE (low)-[:FRIEND {_STATE}]->(high))
    FOREACH (_ IN CASE WHEN is_over THEN [1] ELSE [] END |
        CREATE (low)-[:ENDED_FRIEND {_STATE}]->(high))
}}
"""

_LOAD_USERS: Final = """
UNWIND $users AS id
MATCH (person:Person {build: $build, id: id}) USING INDEX SEEK person:Person(build, id) WHERE person.version IS NOT NULL
RETURN person.version, person.time_us, person.log, person.partition, person.offset,
    person.id, person.created_us, person.created_offset, person.deleted_us IS NOT NULL
"""

_LOAD_FRIENDSHIPS: Final = " UNION ALL ".join(
    f"""
UNWIND $streams AS stream
MATCH (low)-[f:{kind} {{build: $build, stream: stream}}]->(high)
USING INDEX SEEK f:{kind}(build, stream)
RETURN f.version, f.time_us, f.log, f.partition, f.offset,
    f.stream, low.id, high.id, f.since_us, f.since_offset, {ended} AS ended
"""
    for kind, ended in (("FRIEND", "false"), ("ENDED_FRIEND", "true"))
)


class Neo4jRecommendationView(Neo4jViewBuild[GraphDoc]):
    """One build of the graph."""

    nodes: ClassVar[Mapping[str, str]] = {"Person": "id"}
    relationships: ClassVar[Mapping[str, str]] = {"FRIEND": "stream", "ENDED_FRIEND": "stream"}
    writes: ClassVar[Mapping[str, str]] = {"people": _WRITE_USERS, "friendships": _WRITE_FRIENDSHIPS}

    def __init__(self, connection: Neo4jConnection, name: str) -> None:
        super().__init__(connection, name)
        self._now = Neo4jQuestions(self.read)

    # The port `RecommendationView`

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        return await self._now.users(ids)

    async def recommended(self, ids: Sequence[str], limit: int, bound: int) -> Mapping[str, Sequence[Recommended]]:
        return await self._now.recommended(ids, limit, bound)

    async def mutual_friends(self, twos: Sequence[Two], limit: int | None, bound: int) -> Mapping[Two, Sequence[str]]:
        return await self._now.mutual_friends(twos, limit, bound)

    async def friends_of(self, user: str, bound: int) -> Sequence[str]:
        return await self._now.friends_of(user, bound)

    def as_of(self, then: AsOf | None) -> RecommendationQuestions:
        return self._now if then is None else Neo4jQuestions(self.read, then)

    # What the machinery asks for

    async def load_documents(self, streams: Sequence[str]) -> Mapping[str, State[GraphDoc]]:
        users = [stream.removeprefix(USER_STREAM_PREFIX) for stream in streams if stream.startswith(USER_STREAM_PREFIX)]
        friendships = [stream for stream in streams if not stream.startswith(USER_STREAM_PREFIX)]
        found: dict[str, State[GraphDoc]] = {}
        rows = await self.read(_LOAD_USERS, {"users": users}) if users else []
        for version, time_us, log, partition, offset, user, us, at, deleted in rows:
            doc = UserDoc(user, us, at, deleted)
            found[USER_STREAM_PREFIX + user] = State(version, time_us, log, partition, offset, doc)
        rows = await self.read(_LOAD_FRIENDSHIPS, {"streams": friendships}) if friendships else []
        for version, time_us, log, partition, offset, stream, low, high, us, at, ended in rows:
            edge = FriendshipDoc((low, high), us, at, ended)
            found[stream] = State(version, time_us, log, partition, offset, edge)
        return found

    def rows_of(self, change: Change[GraphDoc]) -> Rows[Row]:
        last = change.states[-1]
        if isinstance(last.doc, UserDoc):
            yield "people", _person(change, last, last.doc)
        else:
            yield "friendships", _friendship(change, last, last.doc)


def _place(state: State[GraphDoc]) -> Row:
    return [state.version, state.time_us, state.log, state.partition, state.offset]


def _person(change: Change[GraphDoc], last: State[GraphDoc], doc: UserDoc) -> Row:
    deletion = next((state for state in change.states if isinstance(state.doc, UserDoc) and state.doc.deleted), None)
    end = [None, None] if deletion is None else [deletion.time_us, deletion.offset]
    return [doc.id, *_place(last), doc.created_us, doc.created_offset, *end]


def _friendship(change: Change[GraphDoc], last: State[GraphDoc], doc: FriendshipDoc) -> Row:
    ends: dict[int, Row] = {}
    for state in change.states:
        if isinstance(state.doc, FriendshipDoc) and state.doc.ended:
            since = [state.doc.since_us, state.doc.since_offset]
            # Of an end and of what follows it without a beginning, the end counts.
            ends.setdefault(state.doc.since_offset, [state.version, *since, state.time_us, state.offset])
    since = [doc.since_us, doc.since_offset]
    return [change.stream, *doc.users, *_place(last), *since, doc.ended, list(ends.values())]

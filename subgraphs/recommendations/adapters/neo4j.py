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
from eventkernel.adapters.neo4j.connection import Neo4jConnection, Parameters
from eventkernel.as_of import AsOf
from eventkernel.views import Change, State
from subgraphs.recommendations.adapters.neo4j_questions import Neo4jQuestions
from subgraphs.recommendations.events import USER_STREAM_PREFIX
from subgraphs.recommendations.projection import FriendshipDoc, GraphDoc, UserDoc
from subgraphs.recommendations.views import RecommendationQuestions, Recommended, Two

_WRITE_USERS: Final = """
CALL () {
    UNWIND $people AS row
    MERGE (person:Person {build: $build, id: row.id})
    WITH person, row WHERE coalesce(person.version, 0) < row.version
    SET person.version = row.version, person.time_us = row.time_us, person.offset = row.offset,
        person.log = row.log, person.partition = row.partition,
        person.created_us = row.created_us, person.created_offset = row.created_offset,
        person.deleted_us = coalesce(person.deleted_us, row.deleted_us),
        person.deleted_offset = coalesce(person.deleted_offset, row.deleted_offset)
    FOREACH (_ IN CASE WHEN row.deleted_us IS NULL THEN [1] ELSE [] END | SET person:User)
    FOREACH (_ IN CASE WHEN row.deleted_us IS NULL THEN [] ELSE [1] END | REMOVE person:User)
}
"""

_WRITE_FRIENDSHIPS: Final = """
CALL () {
    UNWIND $friendships AS row
    MERGE (low:Person {build: $build, id: row.low})
    MERGE (high:Person {build: $build, id: row.high})
    WITH row, low, high
    OPTIONAL MATCH ()-[lasts:FRIEND {build: $build, stream: row.stream}]->()
    OPTIONAL MATCH ()-[ended:ENDED_FRIEND {build: $build, stream: row.stream}]->()
    WITH row, low, high, lasts, ended, coalesce(lasts.version, ended.version, 0) AS version,
        ended.since_offset AS known
    WHERE version < row.version
    FOREACH (past IN [past IN row.past WHERE past.version > version AND past.since_offset <> coalesce(known, -1)] |
        CREATE (low)-[:WAS_FRIEND {
            since_us: past.since_us, since_offset: past.since_offset,
            until_us: past.until_us, until_offset: past.until_offset, partition: past.partition
        }]->(high))
    DELETE lasts, ended
    FOREACH (_ IN CASE WHEN row.ended THEN [] ELSE [1] END |
        CREATE (low)-[new:FRIEND {build: $build, stream: row.stream}]->(high) SET new += row.state)
    FOREACH (_ IN CASE WHEN row.ended THEN [1] ELSE [] END |
        CREATE (low)-[new:ENDED_FRIEND {build: $build, stream: row.stream}]->(high) SET new += row.state)
}
"""

_LOAD_USERS: Final = """
UNWIND $users AS id
MATCH (person:Person {build: $build, id: id}) WHERE person.version IS NOT NULL
RETURN person.version, person.time_us, person.log, person.partition, person.offset,
    person.id, person.created_us, person.created_offset, person.deleted_us IS NOT NULL
"""

_LOAD_FRIENDSHIPS: Final = " UNION ALL ".join(
    f"""
UNWIND $streams AS stream
MATCH (low)-[f:{kind} {{build: $build, stream: stream}}]->(high)
RETURN f.version, f.time_us, f.log, f.partition, f.offset,
    f.stream, low.id, high.id, f.since_us, f.since_offset, {ended} AS ended
"""
    for kind, ended in (("FRIEND", "false"), ("ENDED_FRIEND", "true"))
)


class Neo4jRecommendationView(Neo4jViewBuild[GraphDoc]):
    """One build of the graph."""

    nodes: ClassVar[Mapping[str, str]] = {"Person": "id"}
    relationships: ClassVar[Mapping[str, str]] = {"FRIEND": "stream", "ENDED_FRIEND": "stream"}
    writes: ClassVar[str] = _WRITE_USERS + _WRITE_FRIENDSHIPS

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

    def parameters_of(self, changes: Sequence[Change[GraphDoc]]) -> Parameters:
        people: list[Parameters] = []
        friendships: list[Parameters] = []
        for change in changes:
            last = change.states[-1]
            if isinstance(last.doc, UserDoc):
                people.append(_person(change, last, last.doc))
            else:
                friendships.append(_friendship(change, last, last.doc))
        return {"people": people, "friendships": friendships}


def _place(state: State[GraphDoc]) -> dict[str, int | str]:
    return {
        "version": state.version,
        "time_us": state.time_us,
        "log": state.log,
        "partition": state.partition,
        "offset": state.offset,
    }


def _person(change: Change[GraphDoc], last: State[GraphDoc], doc: UserDoc) -> Parameters:
    deletion = next((state for state in change.states if isinstance(state.doc, UserDoc) and state.doc.deleted), None)
    return {
        **_place(last),
        "id": doc.id,
        "created_us": doc.created_us,
        "created_offset": doc.created_offset,
        "deleted_us": None if deletion is None else deletion.time_us,
        "deleted_offset": None if deletion is None else deletion.offset,
    }


def _friendship(change: Change[GraphDoc], last: State[GraphDoc], doc: FriendshipDoc) -> Parameters:
    ends: dict[int, Parameters] = {}
    for state in change.states:
        if isinstance(state.doc, FriendshipDoc) and state.doc.ended:
            # Of one end and what follows it without a beginning, the end counts.
            ends.setdefault(
                state.doc.since_offset,
                {
                    "version": state.version,
                    "since_us": state.doc.since_us,
                    "since_offset": state.doc.since_offset,
                    "until_us": state.time_us,
                    "until_offset": state.offset,
                    "partition": state.partition,
                },
            )
    return {
        "stream": change.stream,
        "low": doc.users[0],
        "high": doc.users[1],
        "version": last.version,
        "ended": doc.ended,
        "past": list(ends.values()),
        "state": {**_place(last), "since_us": doc.since_us, "since_offset": doc.since_offset},
    }

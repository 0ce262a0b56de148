"""The questions to the graph of friends in Neo4j as Cypher, about now or about then, each of them one statement.

About now a step from friend to friend is one along a `FRIEND`, and who is shown is a `User`. About then a step is one
along a `FRIEND` or a `WAS_FRIEND` that was valid, and who is shown was created and not deleted: the conditions stand on
the relationships and people themselves. Two were friends then along one relationship at most.

What an answer costs is counted first, from the numbers of relationships that Neo4j keeps at everybody. Where that is
beyond the bound, the statement does no more than to say so: it gives one row without a user.

Nothing is looked up once per person who is found. Friends are kept out of recommendations by being counted, too, so far
below zero that they never come back. Mutual friends are found from the ends: either by a look from each friend of who
has fewer to who has more, or by taking the friends of both and keeping who comes twice, whichever is less work. The
look is a subquery of its own, because Neo4j would otherwise begin with all friends of who has more.
"""

# The texts are put together from constants of this module and of `CypherAsOf` only.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from eventkernel.adapters.neo4j.as_of import CypherAsOf
from eventkernel.adapters.neo4j.connection import Parameters, Row
from eventkernel.reading.as_of import AsOf
from subgraphs.recommendations.events import FRIENDS_LOG, USERS_LOG
from subgraphs.recommendations.projection import UserDoc
from subgraphs.recommendations.views import Recommended, Two, checked_friends, refuse_beyond


class Read(Protocol):
    """`Neo4jViewBuild.read`, of the build that is asked."""

    async def __call__(self, statement: str, parameters: Parameters) -> list[Row]: ...


class Now:
    """What is asked about is what lasts."""

    types: Final = "FRIEND"

    def __init__(self) -> None:
        self.parameters: Parameters = {}

    def known(self, person: str) -> str:
        return f"{person}.version IS NOT NULL"

    def shown(self, person: str) -> str:
        return f"{person}:User"

    def valid(self, friendship: str) -> str:
        return f"{friendship} IS NOT NULL"


class Then:
    """What is asked about was so at a moment or a position."""

    types: Final = "FRIEND|WAS_FRIEND"

    def __init__(self, as_of: AsOf) -> None:
        self._users, self._friends = CypherAsOf(as_of, USERS_LOG), CypherAsOf(as_of, FRIENDS_LOG)
        self.parameters: Parameters = {**self._users.parameters, **self._friends.parameters}

    def known(self, person: str) -> str:
        return self._users.begun(person, "created")

    def shown(self, person: str) -> str:
        return f"{self.known(person)} AND {self._users.not_ended(person, 'deleted')}"

    def valid(self, friendship: str) -> str:
        return self._friends.valid(friendship)


class Statements:
    """The texts. All have the parameters of the line, and `build`."""

    def __init__(self, line: Now | Then) -> None:
        known, shown, valid = line.known, line.shown, line.valid
        step = f":{line.types}"
        # Parameter `ids`.
        self.users = f"""
UNWIND $ids AS id
MATCH (person:Person {{build: $build, id: id}}) USING INDEX SEEK person:Person(build, id) WHERE {known("person")}
RETURN person.id, person.created_us, person.created_offset, NOT ({shown("person")})
"""
        # Parameters `ids`, `limit` and `bound`.
        self.recommended = f"""
UNWIND $ids AS id
MATCH (user:Person {{build: $build, id: id}}) USING INDEX SEEK user:Person(build, id) WHERE {shown("user")}
WITH collect(user) AS users, sum(COUNT {{ (user)-[{step}]-() }}) AS direct
CALL (users, direct) {{
    UNWIND CASE WHEN direct <= $bound THEN users ELSE [] END AS user
    MATCH (user)-[one{step}]-(friend) WHERE {valid("one")}
    RETURN sum(COUNT {{ (friend)-[{step}]-() }}) AS around
}}
WITH users, CASE WHEN direct <= $bound THEN around ELSE direct END AS steps
UNWIND CASE WHEN steps <= $bound THEN users ELSE [null] END AS user
CALL (user) {{
    MATCH (user)-[one{step}]-(friend) WHERE {valid("one")}
    CALL (friend) {{
        WITH friend WHERE {shown("friend")}
        MATCH (friend)-[other{step}]-(found) WHERE {valid("other")}
        RETURN found, 1 AS counts
        UNION ALL
        RETURN friend AS found, -1000000000 AS counts
    }}
    WITH user, found, sum(counts) AS mutual WHERE mutual > 0 AND found <> user AND {shown("found")}
    WITH found.id AS id, mutual ORDER BY mutual DESC, id LIMIT $limit
    RETURN collect([id, mutual]) AS others
}}
RETURN user.id, steps, others
"""
        # Parameters `user` and `limit`.
        self.friends_of = f"""
MATCH (user:Person {{build: $build, id: $user}}) USING INDEX SEEK user:Person(build, id)
MATCH (user)-[one{step}]-(friend) WHERE {valid("one")}
RETURN friend.id LIMIT $limit
"""
        # Parameters `twos` (place, id, id) and `bound`.
        self.mutual_friends = self._mutual_friends(line, "")
        self.first_mutual_friends = self._mutual_friends(line, " LIMIT $limit")

    def _mutual_friends(self, line: Now | Then, limit: str) -> str:
        shown, valid = line.shown, line.valid
        step = f":{line.types}"
        return f"""
UNWIND $twos AS two
MATCH (one:Person {{build: $build, id: two[1]}}) USING INDEX SEEK one:Person(build, id) WHERE {shown("one")}
MATCH (other:Person {{build: $build, id: two[2]}}) USING INDEX SEEK other:Person(build, id) WHERE {shown("other")}
WITH two[0] AS place, one, other, COUNT {{ (one)-[{step}]-() }} AS ones, COUNT {{ (other)-[{step}]-() }} AS others
WITH collect(CASE WHEN ones <= others THEN [place, one, other, ones + others]
    ELSE [place, other, one, ones + others] END) AS asked,
    sum(CASE WHEN ones <= others THEN ones ELSE others END) AS steps
UNWIND CASE WHEN steps <= $bound THEN asked ELSE [null] END AS two
WITH steps, two[0] AS place, two[1] AS fewer, two[2] AS more, two[3] AS friends
CALL (fewer) {{
    MATCH (fewer)-[one{step}]-(friend) WHERE {valid("one")}
    RETURN sum(COUNT {{ (friend)-[{step}]-() }}) AS around
}}
CALL (fewer, more, friends, around) {{
    CALL (fewer, more, friends, around) {{
        WITH fewer, more WHERE around < friends
        MATCH (fewer)-[one{step}]-(friend) WHERE {valid("one")} AND {shown("friend")}
        CALL (friend, more) {{
            MATCH (friend)-[other{step}]-(more) WHERE {valid("other")}
            RETURN 1 AS met
        }}
        RETURN friend
        UNION ALL
        WITH fewer, more WHERE around >= friends
        UNWIND [fewer, more] AS end
        MATCH (end)-[one{step}]-(friend) WHERE {valid("one")}
        WITH friend, count(*) AS ends WHERE ends = 2 AND {shown("friend")}
        RETURN friend
    }}
    WITH friend.id AS id ORDER BY id{limit}
    RETURN collect(id) AS shared
}}
RETURN place, steps, shared
"""


NOW: Final = Statements(Now())


class Neo4jQuestions:
    """The port `RecommendationQuestions`."""

    def __init__(self, read: Read, then: AsOf | None = None) -> None:
        line = Now() if then is None else Then(then)
        self._read = read
        self._parameters = line.parameters
        self._statements = NOW if isinstance(line, Now) else Statements(line)

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        rows = await self._read(self._statements.users, {**self._parameters, "ids": list(ids)})
        return {user: UserDoc(user, us, offset, deleted) for user, us, offset, deleted in rows}

    async def recommended(self, ids: Sequence[str], limit: int, bound: int) -> Mapping[str, Sequence[Recommended]]:
        asked = {**self._parameters, "ids": list(dict.fromkeys(ids)), "limit": limit, "bound": bound}
        found: dict[str, Sequence[Recommended]] = dict.fromkeys(ids, ())
        for user, steps, others in await self._read(self._statements.recommended, asked):
            refuse_beyond(bound, steps)
            found[user] = [Recommended(other, mutual) for other, mutual in others]
        return found

    async def mutual_friends(self, twos: Sequence[Two], limit: int | None, bound: int) -> Mapping[Two, Sequence[str]]:
        different = [two for two in dict.fromkeys(twos) if two[0] != two[1]]
        places = [[place, *two] for place, two in enumerate(different)]
        asked = {**self._parameters, "twos": places, "bound": bound, "limit": limit}
        statement = self._statements.mutual_friends if limit is None else self._statements.first_mutual_friends
        found: dict[Two, Sequence[str]] = dict.fromkeys(twos, ())
        for place, steps, shared in await self._read(statement, asked):
            refuse_beyond(bound, steps)
            found[different[place]] = shared
        return found

    async def friends_of(self, user: str, bound: int) -> Sequence[str]:
        asked = {**self._parameters, "user": user, "limit": bound + 1}
        return checked_friends([friend for (friend,) in await self._read(self._statements.friends_of, asked)], bound)

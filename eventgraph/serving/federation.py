"""A Strawberry schema for Federation 2 whose `_entities` are read in one batch per type.

Strawberry asks each type for one representation at a time; here a type that is an entity answers for all of its
representations at once, with a class method `resolve_references`
(https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec#resolve-requests-for-entities).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast, runtime_checkable

import strawberry
from graphql import GraphQLSchema
from strawberry.federation import Schema
from strawberry.federation.schema import FederationAny
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info
from strawberry.types.field import StrawberryField
from strawberry.types.scalar import ScalarDefinition, scalar

from eventgraph.serving.inputs import kind_of
from eventgraph.serving.turns import Turns
from eventkernel.errors import InvalidInput

QUERY: Final = "What can be asked."
MUTATION: Final = "What can be changed. Of several mutations in one request each begins when the one before is done."
SUBSCRIPTION: Final = (
    "What one can be told of: a message for each event, in order, as soon as what is asked for shows it. A message's "
    "`extensions.bookmark` is where to resume."
)
"""Descriptions of the root types, the same in every subgraph."""

REPRESENTATIONS_LIMIT: Final = 25_000
"""The most representations in one request, of all its `_entities` together: a router asks once for all objects of an
answer, and no answer of ours has more than 20,000 in one list."""

_AT_ONCE: Final = 1_000
"""How many representations one read of a view is for, so that no read is long, and others get a turn after it."""

Representation = Mapping[str, object]


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise InvalidInput(f"expected a moment as a text, found {kind_of(value)}")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput("expected a moment with its offset from UTC, like 2026-11-21T09:30:00Z")
    return moment


_SCALARS: Final[Mapping[object, ScalarDefinition]] = {
    datetime: scalar(
        name="DateTime",
        description="A moment in UTC to the microsecond, in the format of RFC 3339: `2026-11-21T09:30:00.000000Z`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_rfc3339,
        parse_value=_moment,
    )
}


@runtime_checkable
class Entity(Protocol):
    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[object | None]:
        """The objects of these representations, in their order; None or an exception for one that cannot be had."""
        ...


class FederatedSchema(Schema):
    def __init__(
        self,
        *,
        query: type,
        mutation: type | None = None,
        subscription: type | None = None,
        types: Iterable[type] = (),
        scalars: Mapping[object, ScalarDefinition] = _SCALARS,
    ) -> None:
        """`scalars` are those of the domain, by their Python types; DateTime is always there."""
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # some of its optional parameters are untyped
            query=query,
            mutation=mutation,
            subscription=subscription,
            types=types,
            config=StrawberryConfig(scalar_map={**_SCALARS, **scalars}),
        )

    def entities_resolver(
        self, info: Info[Any, None], representations: list[FederationAny]
    ) -> Any:  # Strawberry writes the union of the schema's entities in its place
        return self._resolve_entities(info, representations)

    async def _resolve_entities(self, info: Info[Any, None], representations: Sequence[object]) -> list[object | None]:
        info.context.spend("representations", len(representations), REPRESENTATIONS_LIMIT)
        places: dict[str, list[int]] = {}
        for index, representation in enumerate(representations):
            places.setdefault(_typename(index, representation), []).append(index)
        turns = Turns.of_this_loop()
        found: list[object | None] = [None] * len(representations)
        for typename, indexes in places.items():
            entity = self._entity(typename)
            for start in range(0, len(indexes), _AT_ONCE):
                places_read = indexes[start : start + _AT_ONCE]
                asked = [cast("Representation", representations[index]) for index in places_read]
                for index, answer in zip(places_read, await entity.resolve_references(asked, info), strict=True):
                    found[index] = answer
                turns.spend(len(places_read))
                if turns.left <= 0:
                    await turns.another()
        return found

    def _entity(self, typename: str) -> type[Entity]:
        known = self.schema_converter.type_map.get(typename)
        origin = getattr(known.definition, "origin", None) if known is not None else None
        if not (isinstance(origin, type) and hasattr(origin, "resolve_references")):
            raise InvalidInput(f"representations: expected the name of an entity type, found {typename[:100]!a}")
        return cast("type[Entity]", origin)

    @property
    def compiled(self) -> GraphQLSchema:
        """The schema as graphql-core executes it."""
        return self._schema


def field(description: str) -> Callable[[Callable[..., object]], StrawberryField]:
    """Makes a method a field with arguments; Strawberry's own decorator has no type."""

    def decorate(resolver: Callable[..., object]) -> StrawberryField:
        return cast("StrawberryField", strawberry.field(resolver=resolver, description=description))

    return decorate


def key_of(representation: Representation, field: str = "id") -> str:
    """The value of a key field of type ID: a text, or a whole number as its text."""
    value = representation.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise InvalidInput(f"representations: expected {field} to be an ID, found {kind_of(value)}")
    return value


def _typename(index: int, representation: object) -> str:
    typename = cast("Representation", representation).get("__typename") if isinstance(representation, dict) else None
    if not isinstance(typename, str):
        raise InvalidInput(f"representations[{index}]: expected an object with __typename, found none")
    return typename

"""What is asked: a file of operations with their weights, whose variables are drawn from pools.

    [pools]
    amount = { values = ["0.01", "5.00"] }
    number = { range = [1, 1000] }
    door = { operation = "install", path = "install.door.id", before = 50 }

    [operations.install]
    weight = 5
    expected = ["TOO_MANY_DOORS"]
    document = 'mutation install($input: InstallInput!) { install(input: $input) { door { id } } }'
    variables = { input = { colour = "$colour", idempotencyKey = "$unique" } }

A text in the variables that begins with `$` is drawn anew for every request: from the pool of that name, or, for
`$unique`, as a text that no other request has. `$$` stands for a `$`. A pool with an `operation` has what its answers
have at the path, in lists too; so many are there `before` the load begins. Codes that are `expected` of an operation
are no errors: a system refuses some of what is drawn by chance.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import msgspec
from graphql import GraphQLSyntaxError, NonNullTypeNode, OperationDefinitionNode, OperationType, parse

from eventgraph.errors import StartError

UNIQUE: Final = "unique"
_MOST_BEFORE: Final = 10_000
_SHOWN: Final = 200

Json: TypeAlias = Any


class Pool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where values come from: a list, a range of whole numbers with both its ends, or an operation's answers."""

    values: list[Json] | None = None
    range: tuple[int, int] | None = None
    operation: str | None = None
    path: str = ""
    before: int = 1


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that is sent over and over, each time with variables of its own."""

    document: str
    weight: float = 1.0
    variables: dict[str, Json] = {}
    expected: list[str] = []


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    operations: dict[str, Operation]
    pools: dict[str, Pool] = {}


@dataclass(frozen=True, slots=True)
class Workload:
    """Operations and pools by their names. `mix` has the weights of those that are asked, above 0."""

    operations: Mapping[str, Operation]
    pools: Mapping[str, Pool]
    mix: Mapping[str, float]


def read(path: Path, mix: str | None = None) -> Workload:
    """A file's workload; `mix` has weights in place of the file's own, as `show=90,install=10`.

    Raises:
        StartError: there is no such file, or something in it does not fit together.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise StartError(f"{path}: expected a file of operations; {reason}") from error
    return parsed(text, mix, str(path))


def parsed(text: str, mix: str | None, place: str) -> Workload:
    """The same of a text, whose errors begin with its place.

    Raises:
        StartError: something in it does not fit together.
    """
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise StartError(f"{place}: {error}") from error
    try:
        for name, pool in file.pools.items():
            _check_pool(name, pool, file.operations)
        for name, operation in file.operations.items():
            _check_operation(name, operation, file.pools)
        weights = {name: operation.weight for name, operation in file.operations.items()}
        return Workload(file.operations, file.pools, _mix(weights, mix))
    except StartError as error:
        raise StartError(f"{place}: {error}") from error


def drawn(variables: object) -> Iterator[str]:
    """The names of the pools that a value is drawn from, as often as it is."""
    match variables:
        case str() if (name := pool_of(variables)) is not None:
            yield name
        case list():
            for item in cast("list[object]", variables):
                yield from drawn(item)
        case dict():
            for item in cast("dict[str, object]", variables).values():
                yield from drawn(item)
        case _:
            pass


def pool_of(text: str) -> str | None:
    """The name of the pool that a text stands for; None for a text that is sent as it is."""
    return text[1:] if text.startswith("$") and not text.startswith("$$") else None


def _check_pool(name: str, pool: Pool, operations: Mapping[str, Operation]) -> None:
    kinds = [kind for kind in ("values", "range", "operation") if getattr(pool, kind) is not None]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none of them"
        raise StartError(f"pool {name!r}: expected one of values, range and operation, found {found}")
    if name == UNIQUE:
        raise StartError(f"pool {name!r}: expected another name, because this one stands for a text of its own")
    if pool.values == []:
        raise StartError(f"pool {name!r}: expected values, found none")
    if pool.range and pool.range[0] > pool.range[1]:
        raise StartError(f"pool {name!r}: expected a range that begins before it ends, found {list(pool.range)}")
    if pool.operation is None:
        if pool.path or pool.before != 1:
            raise StartError(f"pool {name!r}: path and before go with an operation, found {kinds[0]}")
        return
    if pool.operation not in operations:
        raise _unknown(f"pool {name!r}: operation", pool.operation, operations)
    if not pool.path:
        raise StartError(
            f"pool {name!r}: expected a path to its values in the answer, such as show.door.id, found none"
        )
    if not 1 <= pool.before <= _MOST_BEFORE:
        raise StartError(f"pool {name!r}: before: expected 1 to {_MOST_BEFORE:,}, found {pool.before}")


def _check_operation(name: str, operation: Operation, pools: Mapping[str, Pool]) -> None:
    try:
        definitions = parse(operation.document, no_location=True).definitions
    except GraphQLSyntaxError as error:
        raise StartError(f"operation {name!r}: {error.message}") from error
    found = [one for one in definitions if isinstance(one, OperationDefinitionNode)]
    if len(found) != 1 or found[0].operation is OperationType.SUBSCRIPTION:
        raise StartError(f"operation {name!r}: expected a document with one query or mutation, and no other")
    declared = {one.variable.name.value: one for one in found[0].variable_definitions or ()}
    for variable in operation.variables:
        if variable not in declared:
            raise _unknown(f"operation {name!r}: variable", variable, declared)
    for variable, definition in declared.items():
        required = isinstance(definition.type, NonNullTypeNode) and definition.default_value is None
        if required and variable not in operation.variables:
            raise StartError(f"operation {name!r}: expected a value for the variable {variable!r}, found none")
    for pool in drawn(operation.variables):
        if pool != UNIQUE and pool not in pools:
            raise _unknown(f"operation {name!r}: pool", pool, pools)


def _mix(weights: Mapping[str, float], given: str | None) -> Mapping[str, float]:
    if given is not None:
        known, weights = weights, dict(_weight(part) for part in given.split(","))
        for name in weights:
            if name not in known:
                raise _unknown("--mix: operation", name, known)
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise StartError(f"operation {name!r}: expected a weight of 0 or more, found {weight:g}")
    mix = {name: weight for name, weight in weights.items() if weight}
    if not mix:
        raise StartError("expected an operation with a weight above 0, found none")
    return mix


def _weight(text: str) -> tuple[str, float]:
    name, _, weight = text.strip().rpartition("=")
    try:
        return name.strip(), float(weight)
    except ValueError:
        raise StartError(f"--mix: expected such as show=90,install=10, found {text[:_SHOWN]!r}") from None


def _unknown(what: str, name: str, known: Mapping[str, object]) -> StartError:
    listed = ", ".join(sorted(known)) or "none"
    return StartError(f"{what} {name[:_SHOWN]!r} is not known; known: {listed[:_SHOWN]}")

"""Writes random operations on a schema: aliases, fragments, variables, conditions, `__typename` everywhere."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import GraphQLInterfaceType, GraphQLSchema, GraphQLUnionType, get_named_type, is_leaf_type

VARIABLES = {
    "t": "Boolean!",
    "f": "Boolean! = false",
    "n": "Int",
    "representations": "Int",
    "d": "Int! = 2",
    "i": "In",
    "id": "ID",
}


@dataclass
class Operation:
    """A document with one operation, and the values of its variables."""

    name: str
    text: str
    variables: dict[str, Any]

    @property
    def declared(self) -> set[str]:
        """The names of its variables."""
        return {name for name in VARIABLES if f"${name}:" in self.text}


@dataclass
class Writer:
    """Writes one operation. Named fragments are collected on the way."""

    random: Random
    schema: GraphQLSchema
    number: int = 0
    fragments: list[str] = field(default_factory=list[str])

    def operation(self) -> Operation:
        random = self.random
        mutates = self.schema.mutation_type is not None and random.random() < 0.4
        root = self.schema.mutation_type if mutates else self.schema.query_type
        body = self.selections(root, 0)
        text = f"{body} {' '.join(self.fragments)}"
        used = [name for name in VARIABLES if re.search(rf"\${name}\b", text)]
        declared = ", ".join(f"${name}: {VARIABLES[name]}" for name in used)
        values: dict[str, Any] = {"t": random.random() < 0.5, "f": random.random() < 0.5, "n": random.randint(1, 3)}
        values |= {
            "d": random.choice((1, 4)),
            "representations": random.randint(1, 3),
            "i": {"n": random.randint(1, 2)},
            "id": f"E0-{random.randint(0, 4)}",
        }
        given = {name: values[name] for name in used if name == "t" or random.random() < 0.8}
        head = f"{'mutation' if mutates else 'query'} Q{self.number}{f'({declared})' if declared else ''}"
        return Operation(f"Q{self.number}", f"{head} {text}".strip(), given)

    def selections(self, parent: Any, depth: int) -> str:
        random, parts = self.random, list[str]()
        for name, one in getattr(parent, "fields", {}).items():
            inner = get_named_type(one.type)
            leaf = is_leaf_type(inner)
            if (depth >= 4 and not leaf) or random.random() < (0.5 if leaf else 0.4 + 0.1 * depth):
                continue
            below = "" if leaf else self.selections(inner, depth + 1)
            parts.append(f"{self._field(parent, name, one)}{self._condition()} {below}")
            if random.random() < 0.08:
                parts.append(f"twice_{name}: {name}{self._arguments(name, one)} {below}")
        if isinstance(parent, GraphQLInterfaceType | GraphQLUnionType):
            if random.random() < 0.15 and depth < 4:
                other = random.choice(("Thing", "Either"))
                parts.append(self._fragment(other, self.selections(self.schema.type_map[other], depth + 1)))
            for possible in self.schema.get_possible_types(parent):
                if random.random() < 0.5:
                    inner = self.selections(possible, depth + 1)
                    parts.append(self._fragment(possible.name, inner))
        if parts and random.random() < 0.15:
            parts.append(self._fragment(parent.name, f"{{ {random.choice(parts)} }}"))
        if not parts or random.random() < 0.25:
            parts.append(random.choice(("__typename", "type: __typename")))
        random.shuffle(parts)
        return f"{{ {' '.join(parts)} }}"

    def _fragment(self, on: str, body: str) -> str:
        if self.random.random() < 0.3:
            name = f"F{self.number}_{len(self.fragments)}"
            self.fragments.append(f"fragment {name} on {on} {body}")
            return f"...{name}{self._condition()}"
        return f"... on {on}{self._condition()} {body}"

    def _field(self, parent: Any, name: str, one: Any) -> str:
        arguments = self._arguments(name, one)
        alias = f"{parent.name}_{name}: " if name.startswith("x") else ""  # the types of x0 differ
        if arguments and not alias:
            alias = f"{name}_{zlib.crc32(arguments.encode()) % 997}: " if self.random.random() < 0.9 else ""
        elif not alias and self.random.random() < 0.15:
            alias = f"{self.random.choice('yz')}{name}: "
        elif not alias and self.random.random() < 0.04:
            alias = self.random.choice(("id: ", "__typename: ", "__typename: ", "_: ", "_c_1: ", "_id_1: "))
        return f"{alias}{name}{arguments}"

    def _arguments(self, name: str, one: Any) -> str:
        random, given = self.random, list[str]()
        if "id" in one.args:
            choice = "$id" if random.random() < 0.2 else f'"{name.upper()}-{random.randint(0, 4)}"'
            given.append(f"id: {choice}")
        if "n" in one.args and random.random() < 0.7:
            given.append(f"n: {random.choice(('1', '2', '$n', '$d', '$representations', 'null'))}")
        if "in" in one.args and random.random() < 0.6:
            given.append(f"in: {random.choice(('{ n: 1 }', '{ n: $n }', '$i', 'null'))}")
        return f"({', '.join(given)})" if given else ""

    def _condition(self) -> str:
        plain = [""] * 12
        return self.random.choice(
            [*plain, " @include(if: $t)", " @skip(if: $t)", " @include(if: $f)", " @skip(if: $f) @include(if: $t)"]
        )


def random_operation(random: Random, schema: GraphQLSchema, number: int = 0) -> Operation:
    """One operation; it may be invalid, where selections of one response key differ."""
    return Writer(random, schema, number).operation()

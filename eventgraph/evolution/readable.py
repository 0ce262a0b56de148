"""Whether what was written by one JSON Schema can be read by another one.

Written data are read as msgspec and pydantic read them: unknown fields are skipped, missing ones take their defaults,
an integer is a number. Schemas have the keywords that these two write, of draft 07 and 2020-12
(https://json-schema.org/specification), with the types that they name put in their places.

A reason names what the reader expects and what may be written. Where the two cannot be compared (two patterns, say),
they are taken for different unless they are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

Schema = Mapping[str, Any]

_WORDS: Final = frozenset({"title", "description", "default", "examples", "discriminator", "writeOnly", "deprecated"})
"""Keywords that refuse no value."""
_AT_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_AT_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EQUAL: Final = ("format", "pattern", "multipleOf", "contentEncoding", "uniqueItems")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A part of the data that may be written and cannot be read."""

    path: str
    """Within the data: field names and `[]` for items; empty for the whole."""
    reason: str
    missing: bool = False
    """A required field that may be missing."""


def mismatches(written: Schema, read: Schema, path: str = "") -> Iterator[Mismatch]:
    """What a reader of `read` cannot read of data that were written by `written`."""
    readers = _alternatives(read)
    if any(not _told(reader) for reader in readers):
        return
    for one in _alternatives(written):
        found = [list(_of_one(one, reader, path)) for reader in readers]
        if all(found):
            # The reader that comes nearest says what is wrong: one of the same type, if there is one.
            near = [told for told, reader in zip(found, readers, strict=True) if _type(reader) == _type(one)]
            yield from min(near or [[Mismatch(path, f"expected {_name(read)}, found {_name(one)}")]], key=len)


def _of_one(written: Schema, read: Schema, path: str) -> Iterator[Mismatch]:
    values = _values(written)
    if (allowed := _values(read)) is not None:
        # Told apart by type: 1, 1.0 and True are equal in Python.
        known = [(type(value), value) for value in allowed]
        if values is None:
            yield Mismatch(path, f"expected {_name(read)}, found {_name(written)}")
        elif unknown := [value for value in values if (type(value), value) not in known]:
            yield Mismatch(path, f"expected {_name(read)}, found {', '.join(map(repr, unknown))[:200]}")
        return
    if not _fits(_type(written), _type(read)):
        yield Mismatch(path, f"expected {_name(read)}, found {_name(written)}")
        return
    yield from _bounds(written, read, path)
    match _type(read):
        case "object":
            yield from _fields(written, read, path)
        case "array":
            yield from _items(written, read, path)
        case _:
            pass


def _bounds(written: Schema, read: Schema, path: str) -> Iterator[Mismatch]:
    if _values(written) is not None and not any(word in read for word in (*_AT_LEAST, *_AT_MOST, *_EQUAL)):
        return
    for word in _AT_LEAST:
        if word in read and written.get(word, float("-inf")) < read[word]:
            yield Mismatch(path, f"expected {word} {read[word]}, found {written.get(word, 'none')}")
    for word in _AT_MOST:
        if word in read and written.get(word, float("inf")) > read[word]:
            yield Mismatch(path, f"expected {word} {read[word]}, found {written.get(word, 'none')}")
    for word in _EQUAL:
        if read.get(word) and written.get(word) != read[word]:
            yield Mismatch(path, f"expected {word} {read[word]}, found {written.get(word, 'none')}")


def _fields(written: Schema, read: Schema, path: str) -> Iterator[Mismatch]:
    has, reads = written.get("properties", {}), read.get("properties", {})
    always = written.get("required", ())
    for name in read.get("required", ()):
        if name not in always:
            yield Mismatch(_under(path, name), "is required, and may be missing", missing=True)
    others = read.get("additionalProperties", True)
    for name, described in has.items():
        if name in reads:
            yield from mismatches(described, reads[name], _under(path, name))
        elif others is False:
            yield Mismatch(_under(path, name), "is refused, because it is not known")
        elif isinstance(others, Mapping):
            yield from mismatches(described, cast("Schema", others), _under(path, name))
    if (values := _map_values(written)) is not None:
        for described in reads.values():
            yield from mismatches(values, described, _under(path, "*"))
        if isinstance(others, Mapping):
            yield from mismatches(values, cast("Schema", others), _under(path, "*"))
        elif others is False:
            yield Mismatch(_under(path, "*"), "is refused, because it is not known")


def _map_values(schema: Schema) -> Schema | None:
    """Of an object whose fields may have any name; None: it has fields of its own only."""
    values = schema.get("additionalProperties", "properties" not in schema)
    if isinstance(values, Mapping):
        return cast("Schema", values)
    return {} if values is True else None


def _items(written: Schema, read: Schema, path: str) -> Iterator[Mismatch]:
    has, reads = _tuple(written), _tuple(read)
    if reads is not None:
        if has is None or len(has) != len(reads):
            count = "any number" if has is None else str(len(has))
            yield Mismatch(path, f"expected {len(reads)} items, found {count}")
            return
        for number, (one, other) in enumerate(zip(has, reads, strict=True)):
            yield from mismatches(one, other, f"{path}[{number}]")
        return
    items = cast("Schema", read.get("items", {}))
    for one in [written.get("items", {})] if has is None else has:
        yield from mismatches(one, items, f"{path}[]")


def _tuple(schema: Schema) -> Sequence[Schema] | None:
    """The items of an array that has a schema for each; None: one schema for all."""
    if "prefixItems" in schema:
        return cast("Sequence[Schema]", schema["prefixItems"])
    items: object = schema.get("items")
    return cast("Sequence[Schema]", items) if isinstance(items, list) else None


def _alternatives(schema: Schema) -> Sequence[Schema]:
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": one} for one in schema["type"]]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return [inner for one in schema[word] for inner in _alternatives(one)]
    return [schema]


def _told(schema: Schema) -> Schema:
    return {word: value for word, value in schema.items() if word not in _WORDS}


def _values(schema: Schema) -> Sequence[object] | None:
    if "const" in schema:
        return [schema["const"]]
    return cast("Sequence[object] | None", schema.get("enum"))


def _type(schema: Schema) -> str | None:
    if "type" in schema:
        return str(schema["type"])
    kinds = {_type_of(value) for value in _values(schema) or ()}
    return kinds.pop() if len(kinds) == 1 else None


def _type_of(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
        case _:
            return "object"


def _fits(written: str | None, read: str | None) -> bool:
    return read is None or written == read or (written == "integer" and read == "number")


def _name(schema: Schema) -> str:
    alternatives = _alternatives(schema)
    if len(alternatives) > 1:
        return " or ".join(dict.fromkeys(_name(one) for one in alternatives))[:200]
    (only,) = alternatives
    if (values := _values(only)) is not None:
        return ("one of " + ", ".join(map(repr, values)))[:200] if len(values) > 1 else repr(values[0])[:200]
    return f"{_type(only) or 'any value'}" + (f" ({only['format']})" if "format" in only else "")


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name

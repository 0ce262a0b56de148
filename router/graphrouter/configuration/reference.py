"""The published forms of the model: its JSON Schema, for editors, and the page that lists every key, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, cast

from graphrouter.configuration.model import Configuration
from graphrouter.configuration.sources import PREFIX

_HEAD: Final = """\
# graphrouter: every setting

Generated from the configuration's model by `graphrouter config reference`. The keys are those of the file that
`graphrouter serve --config FILE` reads; `graphrouter config schema` prints the JSON Schema of it for editors. Each key
is also a variable of the environment. An option of the command line wins over the environment, which wins over the
file.
"""


def schema_text() -> str:
    """The JSON Schema (https://json-schema.org/draft/2020-12) of the file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Configuration.model_json_schema()}
    _prepare(schema)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _prepare(node: object) -> None:
    """Takes out titles that say a key's name again; lets `${NAME}` stand for any value, and `NAME_file` for a text."""
    if isinstance(node, list):
        for entry in cast("list[object]", node):
            _prepare(entry)
    if not isinstance(node, dict):
        return
    schema = cast("dict[str, Any]", node)
    if isinstance(schema.get("title"), str):
        del schema["title"]
    for name, entry in dict(schema.get("properties", {})).items():
        kinds = {entry.get("type"), *(one.get("type") for one in entry.get("anyOf", ()))}
        if "string" in kinds and entry.get("format") != "path" and "enum" not in entry:
            described = f"A file that holds `{name}`."
            schema["properties"][f"{name}_file"] = {"type": "string", "description": described}
    for inner in list(schema.values()):
        _prepare(inner)
    if schema.get("type") in {"integer", "number", "boolean"}:
        kept = {key: schema.pop(key) for key in list(schema) if key not in {"default", "description"}}
        schema["anyOf"] = [kept, {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"}]


def page() -> str:
    """The reference page, in Markdown."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    schema = Configuration.model_json_schema()
    yield _HEAD
    yield from _section(schema, schema, "")


def _section(whole: dict[str, Any], section: dict[str, Any], prefix: str) -> Iterator[str]:
    inner: list[tuple[str, dict[str, Any]]] = []
    rows: list[str] = []
    for name, entry in section["properties"].items():
        found = _resolved(whole, entry)
        values = _resolved(whole, found.get("additionalProperties") or {}) if found.get("type") == "object" else {}
        if "properties" in found:
            inner.append((f"{prefix}{name}", found))
        elif "properties" in values:
            inner.append((f"{prefix}{name}.NAME", values))
        else:
            rows.append(_row(f"{prefix}{name}", entry, found, values))
    if rows:
        yield from ("| key | kind | default | |", "|---|---|---|---|", *rows, "")
    for path, found in inner:
        yield from (f"## `{path}`", "", _words(found.get("description")), "")
        yield f"Variables: `{PREFIX}{path.upper().replace('.', '__')}__…`."
        yield ""
        yield from _section(whole, found, f"{path}.")


def _row(path: str, entry: dict[str, Any], found: dict[str, Any], values: dict[str, Any]) -> str:
    default = entry.get("default")
    text = "" if default in (None, [], {}, "") else f"`{json.dumps(default)}`"
    return f"| `{path}` | {_kind(found, values)} | {text} | {_words(entry.get('description'))} |"


def _kind(found: dict[str, Any], values: dict[str, Any]) -> str:
    if "enum" in found:
        return " \\| ".join(f"`{one}`" for one in found["enum"])
    kinds = {"integer": "whole number", "number": "number", "boolean": "true or false", "array": "list"}
    if found.get("type") == "object":
        return "mapping" + (" of secrets" if values.get("format") == "password" else "")
    if found.get("type") == "string":
        return {"path": "file", "password": "secret"}.get(str(found.get("format")), "text")
    words = kinds.get(str(found.get("type")), "any")
    if "exclusiveMinimum" in found:
        words += f" above {found['exclusiveMinimum']:g}"
    if "minimum" in found:
        most = f" to {found['maximum']:g}" if "maximum" in found else " or more"
        words += f", {found['minimum']:g}{most}"
    return words


def _resolved(whole: dict[str, Any], entry: Any) -> dict[str, Any]:
    """What an entry is, behind references and beside null."""
    if not isinstance(entry, dict):
        return {}
    found = cast("dict[str, Any]", entry)
    for one in found.get("anyOf", ()):
        if one.get("type") != "null":
            return _resolved(whole, one)
    if "$ref" in found:
        return cast("dict[str, Any]", whole["$defs"][found["$ref"].rpartition("/")[2]])
    return found


def _words(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")

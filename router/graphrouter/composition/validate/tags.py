"""`@tag` names: letters, digits, `_`, `-` and `/`, 128 at most. https://specs.apollo.dev/tag/v0.3/"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.model import CompositeType, EnumType, InputType, Marks, Subgraph

_TAG = re.compile(r"^[_A-Za-z][_0-9A-Za-z/-]{0,127}$")


def check_tags(subgraph: Subgraph, findings: Findings) -> None:
    """Check the names of all tags of a subgraph."""
    for coordinate, marks in _all_marks(subgraph):
        for tag in marks.tags:
            if not _TAG.match(tag):
                message = f'"{coordinate}" of subgraph "{subgraph.name}" has the tag "{tag}"'
                rule = "a tag is up to 128 letters, digits, _, - or /, the first a letter or _"
                findings.error(Code.INVALID_TAG_NAME, f"{message}; {rule}", coordinate, subgraph.name)


def _all_marks(subgraph: Subgraph) -> Iterator[tuple[str, Marks]]:
    yield "schema", subgraph.marks
    for definition in subgraph.types.values():
        yield definition.name, definition.marks
        if isinstance(definition, CompositeType):
            for field in definition.fields.values():
                yield f"{definition.name}.{field.name}", field.marks
                for argument in field.arguments.values():
                    yield f"{definition.name}.{field.name}({argument.name}:)", argument.marks
        elif isinstance(definition, InputType):
            for value in definition.fields.values():
                yield f"{definition.name}.{value.name}", value.marks
        elif isinstance(definition, EnumType):
            for name, marks in definition.values.items():
                yield f"{definition.name}.{name}", marks

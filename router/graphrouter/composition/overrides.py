"""`@override`: which subgraph's field is taken over by which other subgraph.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#override
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.model import CompositeType, Coordinate, Field, InterfaceType, ObjectType, Subgraph

_LABEL = re.compile(r"^[a-zA-Z][a-zA-Z0-9_\-:./]*$|^percent\((\d{1,2}(\.\d{1,8})?|100)\)$")


@dataclass(frozen=True, slots=True)
class Takeover:
    """That `by` overrides the field of `source`; with a label only for requests for which the label is on."""

    source: str
    by: str
    label: str | None


@dataclass(frozen=True, slots=True)
class Overrides:
    """All takeovers that have an effect."""

    takeovers: Mapping[Coordinate, tuple[Takeover, ...]]

    def of(self, at: Coordinate, subgraph: str) -> Takeover | None:
        """How this subgraph's field is taken over, if it is."""
        return next((t for t in self.takeovers.get(at, ()) if t.source == subgraph), None)

    def by(self, at: Coordinate, subgraph: str) -> Takeover | None:
        """What this subgraph's field takes over, if anything."""
        return next((t for t in self.takeovers.get(at, ()) if t.by == subgraph), None)

    def is_dropped(self, at: Coordinate, subgraph: str) -> bool:
        """Whether this subgraph never resolves the field any more."""
        takeover = self.of(at, subgraph)
        return takeover is not None and takeover.label is None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in use, sorted."""
        return tuple(sorted({t.label for found in self.takeovers.values() for t in found if t.label is not None}))


def find_overrides(subgraphs: Sequence[Subgraph], findings: Findings) -> Overrides:
    """Collect and check every `@override`."""
    by_name = {subgraph.name: subgraph for subgraph in subgraphs}
    takeovers: dict[Coordinate, tuple[Takeover, ...]] = {}
    for subgraph in subgraphs:
        for definition in subgraph.types.values():
            if not isinstance(definition, CompositeType):
                continue
            for field in definition.fields.values():
                takeover = _takeover(by_name, subgraph, definition, field, findings)
                if takeover is not None:
                    at = (definition.name, field.name)
                    takeovers[at] = (*takeovers.get(at, ()), takeover)
    return Overrides(takeovers)


def _takeover(
    by_name: Mapping[str, Subgraph], subgraph: Subgraph, parent: CompositeType, field: Field, findings: Findings
) -> Takeover | None:
    """The takeover that a field's `@override` means; None where it has no effect."""
    override = field.override
    if override is None:
        return None
    coordinate, here = f"{parent.name}.{field.name}", subgraph.name
    what = f'"{coordinate}" in subgraph "{here}" overrides subgraph "{override.source}"'
    if isinstance(parent, InterfaceType) or (isinstance(parent, ObjectType) and parent.interface_object):
        message = f'@override is not allowed on "{coordinate}" of subgraph "{here}", a field of an interface'
        findings.error(Code.OVERRIDE_ON_INTERFACE, message, coordinate, here)
        return None
    if override.source == here:
        findings.error(Code.OVERRIDE_FROM_SELF_ERROR, f"{what}, which is itself", coordinate, here)
        return None
    source = by_name.get(override.source)
    if source is None:
        message = f"{what}, which is not among the subgraphs ({', '.join(by_name)})"
        findings.hint(Code.FROM_SUBGRAPH_DOES_NOT_EXIST, message, coordinate, here)
        return None
    definition = source.composite(parent.name)
    overridden = definition.fields.get(field.name) if definition is not None else None
    if overridden is None or overridden.external:
        found = "only has it as external" if overridden is not None else "does not have it"
        message = f"{what}, which {found}: the directive can be removed"
        findings.hint(Code.OVERRIDE_DIRECTIVE_CAN_BE_REMOVED, message, coordinate, here, source.name)
        return None
    _check_pair(coordinate, what, (subgraph, field), (source, overridden), findings)
    return Takeover(source.name, here, override.label)


def _check_pair(
    coordinate: str,
    what: str,
    new: tuple[Subgraph, Field],
    old: tuple[Subgraph, Field],
    findings: Findings,
) -> None:
    """Report what stands against an override of an existing field."""
    (by, field), (source, overridden) = new, old
    label = field.override.label if field.override is not None else None
    collision = _collision(field, by.name) or _collision(overridden, source.name)
    if label is not None and not _LABEL.match(label):
        message = f'{what} with the label "{label}"; a label is a letter followed by letters, digits, "_-:./"'
        findings.error(Code.OVERRIDE_LABEL_INVALID, f"{message}, or percent(0) to percent(100)", coordinate, by.name)
    elif overridden.override is not None:
        message = f"{what}, which overrides the field too; only one override per field can stand"
        findings.error(Code.OVERRIDE_SOURCE_HAS_OVERRIDE, message, coordinate, by.name, source.name)
    elif collision is not None:
        message = f"{what}, but it has {collision}"
        findings.error(Code.OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE, message, coordinate, by.name, source.name)
    elif label is None:
        message = f'{what}: the field of subgraph "{source.name}" is no longer asked for'
        findings.hint(Code.OVERRIDDEN_FIELD_CAN_BE_REMOVED, message, coordinate, source.name)


def _collision(field: Field, subgraph: str) -> str | None:
    directives = {"@external": field.external, "@requires": field.requires, "@provides": field.provides}
    for name, present in directives.items():
        if present:
            return f'{name} in subgraph "{subgraph}"'
    return None

"""Reads from a supergraph's text who may see what, https://specs.apollo.dev/requiresScopes/v0.1/.

A field needs what its own directives say and what its type needs; a field of a root type needs what the root type
needs, too. An interface needs what every type behind it needs, and so does each of its fields: what is behind it is not
known before it has been fetched. Composers write that into the supergraph; an older one's supergraph is read as if.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import (
    ConstDirectiveNode,
    InterfaceTypeDefinitionNode,
    ListValueNode,
    ObjectTypeDefinitionNode,
    StringValueNode,
    TypeDefinitionNode,
    ValueNode,
)

from graphrouter.supergraph.access import NO_ACCESS, Access, Groups, groups_of
from graphrouter.supergraph.features import Feature, directive_of
from graphrouter.supergraph.model import AccessRules, SupergraphError


def read_access(
    definitions: Iterable[TypeDefinitionNode],
    features: tuple[Feature, ...],
    field_types: Mapping[tuple[str, str], str],
    roots: Iterable[str],
) -> AccessRules:
    """Who may see which type, and which field; only those that not everybody may."""
    reader = _Reader(
        directive_of(features, "authenticated", "authenticated"),
        directive_of(features, "requiresScopes", "requiresScopes"),
        directive_of(features, "policy", "policy"),
    )
    if not reader.names:
        return AccessRules()
    composites = [
        node for node in definitions if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode)
    ]
    types = {node.name.value: access for node in definitions if (access := reader.access(node))}
    fields = {
        (node.name.value, own.name.value): access
        for node in composites
        for own in node.fields or ()
        if (access := reader.access(own))
    }
    behind: dict[str, list[ObjectTypeDefinitionNode]] = {}
    for node in composites:
        if isinstance(node, ObjectTypeDefinitionNode):
            for interface in node.interfaces or ():
                behind.setdefault(interface.name.value, []).append(node)
    above_types, above_fields = dict(types), dict(fields)
    for above, nodes in behind.items():
        for node in nodes:
            name = node.name.value
            above_types[above] = above_types.get(above, NO_ACCESS) & types.get(name, NO_ACCESS)
            for own in node.fields or ():
                at, here = (above, own.name.value), fields.get((name, own.name.value), NO_ACCESS)
                if at in field_types:
                    above_fields[at] = above_fields.get(at, NO_ACCESS) & here
    for at, named in field_types.items():
        of_root = above_types.get(at[0], NO_ACCESS) if at[0] in roots else NO_ACCESS
        above_fields[at] = above_fields.get(at, NO_ACCESS) & above_types.get(named, NO_ACCESS) & of_root
    return AccessRules(
        {name: access for name, access in above_types.items() if access},
        {at: access for at, access in above_fields.items() if access},
    )


class _Reader:
    """Reads the three directives by the names that they have in the document; None for one that it does not use."""

    def __init__(self, authenticated: str | None, scopes: str | None, policy: str | None) -> None:
        self._authenticated = authenticated
        self._scopes = scopes
        self._policy = policy
        self.names = {name for name in (authenticated, scopes, policy) if name is not None}

    def access(self, node: Any) -> Access:
        found = NO_ACCESS
        for applied in node.directives or ():
            name = applied.name.value
            if name not in self.names:
                continue
            if name == self._authenticated:
                found &= Access(authenticated=True)
            elif name == self._scopes:
                found &= Access(scopes=_groups(applied, "scopes"))
            else:
                found &= Access(policies=_groups(applied, "policies"))
        return found


def _groups(directive: ConstDirectiveNode, argument: str) -> Groups:
    value = next((given.value for given in directive.arguments or () if given.name.value == argument), None)
    read = read_groups(value)
    if read is None:
        what = f"@{directive.name.value}({argument}:)"
        raise SupergraphError(
            "INVALID_SUPERGRAPH", f"{what}: expected lists of lists of strings, found something else."
        )
    return read


def read_groups(value: ValueNode | None) -> Groups | None:
    """The groups that a value writes; None where it is anything but strings in lists of lists.

    One value stands for a list of one. https://spec.graphql.org/October2021/#sec-List.Input-Coercion
    """
    groups: list[list[str]] = []
    for group in value.values if isinstance(value, ListValueNode) else (value,):
        names: list[str] = []
        for name in group.values if isinstance(group, ListValueNode) else (group,):
            if not isinstance(name, StringValueNode):
                return None
            names.append(name.value)
        groups.append(names)
    return groups_of(groups)

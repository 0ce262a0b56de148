"""Composing the audit's subgraphs gives what the audit's supergraphs say: the same elements, joined to the same graphs.

Ordering, the version of the join specification and arguments that state a default are left out of the comparison.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from graphql import (
    DefinitionNode,
    DirectiveNode,
    EnumTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    Node,
    ObjectTypeDefinitionNode,
    SchemaDefinitionNode,
    TypeDefinitionNode,
    UnionTypeDefinitionNode,
    parse,
    print_ast,
)

from graphrouter.composition import SubgraphSdl, compose

AUDIT = Path(__file__).resolve().parents[3] / "shared" / "federation-audit"
SUITES = sorted(path.name for path in (AUDIT / "suites").glob("*")) if AUDIT.is_dir() else []

DEFAULTS = {"extension": "false", "resolvable": "true", "isInterfaceObject": "false", "external": "false"}

DIFFERENCES: dict[str, frozenset[str]] = {}
"""For a suite, the lines in which we differ from its supergraph, each with its reason beside it."""


def test_the_audit_kit_is_there() -> None:
    if not SUITES:
        reason = f"the federation audit kit is not at {AUDIT}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    assert len(SUITES) == 31


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_composes_to_its_supergraph(suite: str) -> None:
    expected = facts((AUDIT / "suites" / suite / "supergraph.graphql").read_text())
    composed = facts(compose(subgraphs_of(suite)).supergraph_sdl)
    assert composed ^ expected == DIFFERENCES.get(suite, frozenset())


def subgraphs_of(suite: str) -> list[SubgraphSdl]:
    files = sorted((AUDIT / "suites" / suite / "subgraphs").glob("*.graphql"))
    urls = {file.stem: f"http://127.0.0.1:4200/{suite}/{file.stem}" for file in files}
    return [SubgraphSdl(file.stem, urls[file.stem], file.read_text()) for file in files]


def facts(sdl: str) -> set[str]:
    """All that a supergraph says, one line for each thing said."""
    lines: set[str] = set()
    for definition in parse(sdl, no_location=True).definitions:
        if isinstance(definition, SchemaDefinitionNode):
            lines |= {f"schema {print_ast(operation)}" for operation in definition.operation_types}
        elif isinstance(definition, TypeDefinitionNode) and not is_machinery(definition):
            lines |= type_facts(definition)
    return lines


def is_machinery(definition: TypeDefinitionNode) -> bool:
    name = definition.name.value
    return name.startswith("link__") or (name.startswith("join__") and name != "join__Graph")


def type_facts(definition: TypeDefinitionNode) -> set[str]:
    name = definition.name.value
    lines = {f"{definition.kind} {name} {description(definition)}"} | directive_facts(name, definition)
    if isinstance(definition, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
        lines |= {f"{name} implements {interface.name.value}" for interface in definition.interfaces or ()}
    if isinstance(definition, UnionTypeDefinitionNode):
        lines |= {f"{name} has member {member.name.value}" for member in definition.types or ()}
    if isinstance(definition, EnumTypeDefinitionNode):
        for value in definition.values or ():
            coordinate = f"{name}.{value.name.value}"
            lines |= {f"value {coordinate} {description(value)}"} | directive_facts(coordinate, value)
    for field in getattr(definition, "fields", None) or ():
        coordinate = f"{name}.{field.name.value}"
        lines |= {f"{coordinate}: {print_ast(field.type)} {description(field)}"} | directive_facts(coordinate, field)
        for argument in getattr(field, "arguments", None) or ():
            lines.add(f"{coordinate}({print_ast(argument)})")
    return lines


def description(node: DefinitionNode | Node) -> str:
    found = getattr(node, "description", None)
    return found.value if found else ""


def directive_facts(coordinate: str, node: Node) -> set[str]:
    return {f"{coordinate} {directive_fact(directive)}" for directive in getattr(node, "directives", None) or ()}


def directive_fact(directive: DirectiveNode) -> str:
    arguments = {argument.name.value: print_ast(argument.value) for argument in directive.arguments or ()}
    kept = sorted((name, value) for name, value in arguments.items() if DEFAULTS.get(name) != value)
    return f"@{directive.name.value}({', '.join(f'{name}: {value}' for name, value in kept)})"

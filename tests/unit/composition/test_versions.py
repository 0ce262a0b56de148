"""Which version of federation has which directives and arguments, and what one document may link."""

from __future__ import annotations

import pytest

from graphrouter.composition import Code
from tests.unit.composition.composing import codes, composed, refused

Q = " type Query { q: Int }"
LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.%d"%s)'
SINCE = {
    "shareable": 0,
    "override": 0,
    "inaccessible": 0,
    "composeDirective": 1,
    "interfaceObject": 3,
    "authenticated": 5,
    "requiresScopes": 5,
    "policy": 6,
    "context": 8,
    "fromContext": 8,
    "cost": 9,
    "listSize": 9,
    "cacheTag": 12,
}


@pytest.mark.parametrize("name", SINCE)
def test_a_directive_is_imported_from_the_version_that_brought_it_or_a_later_one(name: str) -> None:
    minor = SINCE[name]
    imported = f', import: ["@{name}"]'
    assert composed(a=LINK % (minor, imported) + Q).hints == ()
    assert composed(a=LINK % (14, imported) + Q).hints == ()
    if minor:
        (error,) = refused(a=LINK % (minor - 1, imported) + Q)
        assert error.code == Code.INVALID_LINK_DIRECTIVE_USAGE
        assert f"federation v2.{minor - 1}, which has no such element; federation v2.{minor} has it" in error.message


@pytest.mark.parametrize(
    ("minor", "use"),
    [
        (7, 'type Query { q: Int @federation__override(from: "b", label: "x") }'),
        (2, "type Query @federation__shareable { q: Int } extend type Query @federation__shareable { r: Int }"),
        (3, 'extend schema @federation__tag(name: "t")' + Q),
        (8, 'type Query @federation__context(name: "c") { q: Int }'),
        (9, "type Query { q: Int @federation__cost(weight: 1) }"),
        (9, "type Query { q: [Int] @federation__listSize(assumedSize: 1) }"),
    ],
)
def test_what_a_version_does_not_have_cannot_be_used_by_its_full_name(minor: int, use: str) -> None:
    errors = refused(a=LINK % (minor - 1, "") + use)
    assert codes(errors) == [Code.INVALID_GRAPHQL]
    assert "join__Graph" in composed(a=LINK % (minor, "") + use).supergraph_sdl


def test_what_is_missing_is_told_with_the_version_that_has_it() -> None:
    (error,) = refused(a=LINK % (8, "") + " type Query { q: Int @cost(weight: 1) }")
    assert 'import "@cost" in the schema\'s @link to https://specs.apollo.dev/federation/v2.9 or later' in error.message


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ((LINK % (3, ""), LINK % (5, "")), "links https://specs.apollo.dev/federation/ more than once"),
        ((LINK % (3, ""), LINK % (3, "")), "more than once"),
        (
            ('extend schema @link(url: "https://a.example/x/v1.0") @link(url: "https://b.example/x/v1.0")',),
            'both as "x"',
        ),
        (('extend schema @link(url: "https://a.example/x/v1.0", as: "x__y")',), 'contains "__"'),
        (('extend schema @link(url: "https://a.example/x/v1.0", as: "x_")',), 'ends in "_"'),
        (
            (
                'extend schema @link(url: "https://a.example/x/v1.0", import: ["@o"])'
                ' @link(url: "https://b.example/y/v1.0", import: ["@o"])',
            ),
            'imports "@o" from https://a.example/x/ and from https://b.example/y/',
        ),
        ((LINK % (3, ', import: ["@key", { name: "@key", as: "@k" }]'),), "twice"),
        ((LINK % (3, ', import: [{ name: "@key", as: "key" }]'),), "a directive's name starts with @"),
        ((LINK % (3, ', import: [{ as: "@key" }]'),), "must be a name"),
        ((LINK % (3, ', import: [{ name: "@key", what: "@k" }]'),), "must be a name"),
        ((LINK % (3, ", import: [7]"),), "must be a name"),
    ],
)
def test_no_feature_is_linked_twice_and_no_name_means_two_things(links: tuple[str, ...], message: str) -> None:
    errors = refused(a=" ".join(links) + Q)
    assert codes(errors) == [Code.INVALID_LINK_DIRECTIVE_USAGE]
    assert message in errors[0].message


def test_a_namespace_may_be_renamed() -> None:
    sdl = LINK % (3, ', as: "fed"') + ' type Query { x: X } type X @fed__key(fields: "id") { id: ID! }'
    assert 'key: "id"' in composed(a=sdl).supergraph_sdl


def test_a_directive_may_come_from_its_own_specification_beside_federation() -> None:
    sdl = LINK % (3, ', import: ["@key"]')
    sdl += ' extend schema @link(url: "https://specs.apollo.dev/tag/v0.3", import: [{ name: "@tag", as: "@label" }])'
    sdl += ' type Query { x: X } type X @key(fields: "id") { id: ID! @label(name: "t") }'
    assert 'id: ID! @tag(name: "t")' in composed(a=sdl).supergraph_sdl

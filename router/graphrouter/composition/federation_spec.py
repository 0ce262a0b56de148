"""The federation directives: their definitions, since which version, and which of them composition refuses.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SPECS = "https://specs.apollo.dev/"
FEDERATION_URL = f"{SPECS}federation/"
LINK_URL = f"{SPECS}link/"
FEDERATION_VERSIONS = tuple(f"v2.{minor}" for minor in range(15))
LINK_VERSIONS = ("v1.0",)

_TAG_LOCATIONS = (
    "FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE"
    " | INPUT_OBJECT | INPUT_FIELD_DEFINITION"
)
_COST_LOCATIONS = "ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR"
ACCESS_LOCATIONS = "FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM"
_LIST_SIZE_ARGUMENTS = (
    "assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true"
)

_DEFINITIONS: Mapping[str, tuple[tuple[int, str], ...]] = MappingProxyType(
    {
        "key": ((0, "(fields: federation__FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE"),),
        "requires": ((0, "(fields: federation__FieldSet!) on FIELD_DEFINITION"),),
        "provides": ((0, "(fields: federation__FieldSet!) on FIELD_DEFINITION"),),
        "external": ((0, "(reason: String) on OBJECT | FIELD_DEFINITION"),),
        "extends": ((0, " on OBJECT | INTERFACE"),),
        "shareable": ((0, " on OBJECT | FIELD_DEFINITION"), (2, " repeatable on OBJECT | FIELD_DEFINITION")),
        "override": (
            (0, "(from: String!) on FIELD_DEFINITION"),
            (7, "(from: String!, label: String) on FIELD_DEFINITION"),
        ),
        "inaccessible": ((0, f" on {_TAG_LOCATIONS}"),),
        "tag": (
            (0, f"(name: String!) repeatable on {_TAG_LOCATIONS}"),
            (3, f"(name: String!) repeatable on {_TAG_LOCATIONS} | SCHEMA"),
        ),
        "composeDirective": ((1, "(name: String) repeatable on SCHEMA"),),
        "interfaceObject": ((3, " on OBJECT"),),
        "context": ((8, "(name: String!) repeatable on INTERFACE | OBJECT | UNION"),),
        "fromContext": ((8, "(field: federation__ContextFieldValue) on ARGUMENT_DEFINITION"),),
        "cost": ((9, f"(weight: Int!) on {_COST_LOCATIONS}"),),
        "listSize": ((9, f"({_LIST_SIZE_ARGUMENTS}) on FIELD_DEFINITION"),),
        "authenticated": ((5, f" on {ACCESS_LOCATIONS}"),),
        "requiresScopes": ((5, f"(scopes: [[federation__Scope!]!]!) on {ACCESS_LOCATIONS}"),),
        "policy": ((6, f"(policies: [[federation__Policy!]!]!) on {ACCESS_LOCATIONS}"),),
    }
)
"""For each supported directive its definitions without the name, each with the minor version that brought it."""

REFUSED: Mapping[str, int] = MappingProxyType({"cacheTag": 12})
"""Directives that change what a router has to do, and that composition would lose: using one is an error."""

_OTHER_ELEMENTS = {"FieldSet": 0, "Scope": 5, "Policy": 6, "ContextFieldValue": 8}
"""What else a document may import from the federation specification."""

FEDERATION_1 = ("key", "requires", "provides", "external", "extends", "tag")
"""The directives that a document without a link to Federation 2 may use."""

KEYS_ON_INTERFACES = 3
"""The minor version since which an interface may have a key."""

STANDALONE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        f"{SPECS}tag/": ("tag",),
        f"{SPECS}inaccessible/": ("inaccessible",),
        f"{SPECS}cost/": ("cost", "listSize"),
    }
)
"""Specifications, with their directives, that a document may also link without federation."""

LATEST = len(FEDERATION_VERSIONS) - 1


def definition_of(directive: str, minor: int) -> str | None:
    """A supported directive's definition in federation 2.`minor`, without its name; None where it is not there yet."""
    return next((text for since, text in reversed(_DEFINITIONS.get(directive, ())) if since <= minor), None)


def directives(minor: int) -> tuple[str, ...]:
    """The directives that federation 2.`minor` has, the refused ones included."""
    supported = (name for name in _DEFINITIONS if definition_of(name, minor) is not None)
    return (*supported, *(name for name, since in REFUSED.items() if since <= minor))


def elements(minor: int) -> tuple[str, ...]:
    """What a document may import from federation 2.`minor`, directives with their `@`."""
    others = (name for name, since in _OTHER_ELEMENTS.items() if since <= minor)
    return (*(f"@{name}" for name in directives(minor)), *others)


def since(directive: str) -> int | None:
    """The minor version of federation 2 that brought a directive, if it is one of federation's."""
    if directive in REFUSED:
        return REFUSED[directive]
    return next((minor for minor, _ in _DEFINITIONS.get(directive, ())), None)

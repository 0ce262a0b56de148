"""The federation directives: their definitions, since which version, and which of them composition refuses.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives
"""

from __future__ import annotations

from types import MappingProxyType

FEDERATION_URL = "https://specs.apollo.dev/federation/"
LINK_URL = "https://specs.apollo.dev/link/"
FEDERATION_VERSIONS = tuple(f"v2.{minor}" for minor in range(13))

_TAG_LOCATIONS = (
    "FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE"
    " | INPUT_OBJECT | INPUT_FIELD_DEFINITION"
)

SUPPORTED = MappingProxyType(
    {
        "key": "(fields: federation__FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE",
        "requires": "(fields: federation__FieldSet!) on FIELD_DEFINITION",
        "provides": "(fields: federation__FieldSet!) on FIELD_DEFINITION",
        "external": "(reason: String) on OBJECT | FIELD_DEFINITION",
        "extends": " on OBJECT | INTERFACE",
        "shareable": " repeatable on OBJECT | FIELD_DEFINITION",
        "override": "(from: String!, label: String) on FIELD_DEFINITION",
        "inaccessible": f" on {_TAG_LOCATIONS}",
        "tag": f"(name: String!) repeatable on {_TAG_LOCATIONS} | SCHEMA",
        "interfaceObject": " on OBJECT",
        "context": "(name: String!) repeatable on INTERFACE | OBJECT | UNION",
        "fromContext": "(field: federation__ContextFieldValue) on ARGUMENT_DEFINITION",
    }
)
"""Each supported directive's definition, without its name."""

REFUSED = (
    "composeDirective",
    "authenticated",
    "requiresScopes",
    "policy",
    "cost",
    "listSize",
    "cacheTag",
)
"""Directives that change what a router has to do, and that composition would lose: using one is an error."""

OTHER_ELEMENTS = ("FieldSet", "Scope", "Policy", "ContextFieldValue")
"""What else a document may import from the federation specification."""

FEDERATION_1 = ("key", "requires", "provides", "external", "extends", "tag")
"""The directives that a document without a link to Federation 2 may use."""

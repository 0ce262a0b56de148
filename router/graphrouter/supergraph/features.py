"""Which features a supergraph uses, by its `@link` (or `@core`) directives; what this router lacks is refused by name.

https://specs.apollo.dev/link/v1.0/: a feature that is marked `for: EXECUTION` or `for: SECURITY` must be understood by
whoever serves the supergraph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    ConstDirectiveNode,
    ConstValueNode,
    DocumentNode,
    ListValueNode,
    ObjectValueNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    StringValueNode,
)

from graphrouter.supergraph.model import SupergraphError

_URL = re.compile(r"^.*/(?P<name>[A-Za-z_][A-Za-z0-9_-]*)/v(?P<version>\d+\.\d+)/?$")

_SUPPORTED: dict[str, frozenset[str]] = {
    "core": frozenset(("0.1", "0.2")),
    "link": frozenset(("1.0",)),
    "join": frozenset(("0.1", "0.2", "0.3", "0.4", "0.5")),
    "inaccessible": frozenset(("0.1", "0.2")),
    "tag": frozenset(("0.1", "0.2", "0.3")),
    "context": frozenset(("0.1",)),
    "cost": frozenset(("0.1",)),
    "authenticated": frozenset(("0.1",)),
    "requiresScopes": frozenset(("0.1",)),
    "policy": frozenset(("0.1",)),
}


@dataclass(frozen=True, slots=True)
class Feature:
    """A specification that the supergraph uses.

    `prefix` is the name by which its elements go in this document, `imports` maps those that have a name of their own.
    """

    name: str
    version: str
    prefix: str
    purpose: str | None
    imports: Mapping[str, str]

    def directive(self, name: str) -> str:
        """The name that one of its directives has in this document, https://specs.apollo.dev/link/v1.0/#Name."""
        own = self.prefix if name == self.name else f"{self.prefix}__{name}"
        return self.imports.get(f"@{name}", f"@{own}").removeprefix("@")


def read_features(document: DocumentNode) -> tuple[Feature, ...]:
    """The features of a supergraph; SupergraphError if one of them has to be understood and is not."""
    features = tuple(
        feature
        for definition in document.definitions
        if isinstance(definition, SchemaDefinitionNode | SchemaExtensionNode)
        for directive in definition.directives or ()
        if directive.name.value in {"link", "core"} and (feature := _feature(directive))
    )
    if not any(feature.name == "join" for feature in features):
        raise SupergraphError(
            "NOT_A_SUPERGRAPH",
            "Expected a supergraph: a schema with @link to https://specs.apollo.dev/join, found none. "
            "Compose subgraphs first.",
        )
    for feature in features:
        _require_support(feature)
    return features


def prefix_of(features: tuple[Feature, ...], name: str) -> str | None:
    """By which name the feature goes in this document, if it is used."""
    return next((feature.prefix for feature in features if feature.name == name), None)


def directive_of(features: tuple[Feature, ...], feature: str, directive: str) -> str | None:
    """The document's name of a feature's directive, if the feature is used."""
    return next((used.directive(directive) for used in features if used.name == feature), None)


def _feature(directive: ConstDirectiveNode) -> Feature | None:
    arguments = {argument.name.value: argument.value for argument in directive.arguments or ()}
    url = arguments.get("url", arguments.get("feature"))
    match = _URL.match(url.value) if isinstance(url, StringValueNode) else None
    if match is None:
        return None
    alias = arguments.get("as")
    return Feature(
        name=match["name"],
        version=match["version"],
        prefix=alias.value if isinstance(alias, StringValueNode) else match["name"],
        purpose=getattr(arguments.get("for"), "value", None),
        imports=_imports(arguments.get("import")),
    )


def _imports(node: ConstValueNode | None) -> dict[str, str]:
    """Each imported element's name in the specification, and its name here."""
    found: dict[str, str] = {}
    for item in node.values if isinstance(node, ListValueNode) else ():
        if isinstance(item, StringValueNode):
            found[item.value] = item.value
        elif isinstance(item, ObjectValueNode):
            texts = {f.name.value: f.value.value for f in item.fields if isinstance(f.value, StringValueNode)}
            if "name" in texts:
                found[texts["name"]] = texts.get("as", texts["name"])
    return found


def _require_support(feature: Feature) -> None:
    versions = _SUPPORTED.get(feature.name)
    if versions is not None and feature.version in versions:
        return
    if feature.purpose is None and versions is None:
        return
    spelled = f"{feature.name} v{feature.version}"
    wanted = f" (supported: {', '.join(sorted(versions))})" if versions else ""
    purpose = f" for {feature.purpose}" if feature.purpose else ""
    raise SupergraphError(
        "UNSUPPORTED_FEATURE", f"The supergraph uses {spelled}{purpose}, which this router does not support{wanted}."
    )

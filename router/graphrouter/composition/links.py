"""`@link`: which features a document uses, and by which names. https://specs.apollo.dev/link/v1.0/"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphql import (
    DirectiveNode,
    DocumentNode,
    EnumValueNode,
    ListValueNode,
    ObjectValueNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    StringValueNode,
    ValueNode,
)

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.federation_spec import (
    FEDERATION_1,
    FEDERATION_URL,
    FEDERATION_VERSIONS,
    LINK_URL,
    OTHER_ELEMENTS,
    REFUSED,
    SUPPORTED,
)

_URL = re.compile(r"^(?P<spec>https?://.+/(?P<name>[^/]+)/)(?P<version>v\d+\.\d+)/?$")
_STANDALONE = {
    "https://specs.apollo.dev/tag/": "tag",
    "https://specs.apollo.dev/inaccessible/": "inaccessible",
}
"""Specifications of one directive each, which a document may also link without federation."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the names of a document's directives mean.

    `directives` maps the document's name of a federation directive to its name in the specification; a document
    without Federation 2 is `federation_one`.
    """

    federation_one: bool
    directives: Mapping[str, str]
    link_name: str = "link"

    def name_of(self, directive: str) -> str | None:
        """The specification's name of this directive, or None where it is none of federation's."""
        return self.directives.get(directive)


def read_vocabulary(document: DocumentNode, subgraph: str, findings: Findings) -> Vocabulary:
    """Read all `@link`s of the schema definition and its extensions."""
    applied = [
        directive
        for definition in document.definitions
        if isinstance(definition, SchemaDefinitionNode | SchemaExtensionNode)
        for directive in definition.directives or ()
    ]
    names: dict[str, str] = {}
    link_name = _link_name(applied)
    federation_two = False
    for directive in applied:
        if directive.name.value != link_name:
            continue
        arguments = {argument.name.value: argument.value for argument in directive.arguments or ()}
        url = arguments.get("url")
        match = _URL.match(url.value) if isinstance(url, StringValueNode) else None
        if match is None:
            found = f'"{url.value}"' if isinstance(url, StringValueNode) else "no text"
            message = (
                f"the url of @{link_name} must end in a name and a version, as in …/federation/v2.3; found {found}"
            )
            findings.error(Code.INVALID_LINK_IDENTIFIER, f'subgraph "{subgraph}": {message}', None, subgraph)
        elif match["spec"] == FEDERATION_URL:
            federation_two = True
            names |= _federation_names(match["version"], arguments, subgraph, findings)
        elif match["spec"] in _STANDALONE:
            names[_text(arguments.get("as")) or _STANDALONE[match["spec"]]] = _STANDALONE[match["spec"]]
        elif match["spec"] != LINK_URL:
            _refuse_essential(match[0], match["spec"], arguments, subgraph, findings)
    if not federation_two:
        names = {name: name for name in FEDERATION_1} | names
    return Vocabulary(not federation_two, names, link_name)


def _link_name(applied: Sequence[DirectiveNode]) -> str:
    """The name of `@link` itself, which a link to its own specification may change."""
    for directive in applied:
        arguments = {argument.name.value: argument.value for argument in directive.arguments or ()}
        if (_text(arguments.get("url")) or "").startswith(LINK_URL):
            return directive.name.value
    return "link"


def _federation_names(
    version: str, arguments: Mapping[str, ValueNode], subgraph: str, findings: Findings
) -> dict[str, str]:
    if version not in FEDERATION_VERSIONS:
        known = f"{FEDERATION_VERSIONS[0]} to {FEDERATION_VERSIONS[-1]}"
        message = f'subgraph "{subgraph}" links federation {version}; known are {known}'
        findings.error(Code.UNKNOWN_FEDERATION_LINK_VERSION, message, None, subgraph)
    namespace = _text(arguments.get("as")) or "federation"
    directives = (*SUPPORTED, *REFUSED)
    names = {f"{namespace}__{name}": name for name in directives}
    imports = arguments.get("import")
    for value in imports.values if isinstance(imports, ListValueNode) else ():
        name, local = _import(value)
        if name.startswith("@") and name[1:] in directives and local.startswith("@"):
            names[local[1:]] = name[1:]
        elif name not in OTHER_ELEMENTS:
            message = f'subgraph "{subgraph}" imports {name or "something without a name"} from federation {version}'
            findings.error(Code.INVALID_LINK_DIRECTIVE_USAGE, f"{message}, which has no such element", None, subgraph)
    return names


def _import(value: ValueNode) -> tuple[str, str]:
    """One item of `import`: the specification's name and the document's."""
    if isinstance(value, ObjectValueNode):
        fields = {field.name.value: _text(field.value) or "" for field in value.fields}
        name = fields.get("name", "")
        return name, fields.get("as", name)
    name = _text(value) or ""
    return name, name


def _refuse_essential(
    url: str, spec: str, arguments: Mapping[str, ValueNode], subgraph: str, findings: Findings
) -> None:
    """A feature that a router must know, or one of Apollo's own, is not dropped in silence."""
    purpose = arguments.get("for")
    if spec.startswith("https://specs.apollo.dev/") or isinstance(purpose, EnumValueNode):
        message = f'subgraph "{subgraph}" links {url}, which graphrouter does not support'
        findings.error(Code.UNSUPPORTED_FEATURE, message, None, subgraph)


def _text(value: ValueNode | None) -> str | None:
    return value.value if isinstance(value, StringValueNode) else None

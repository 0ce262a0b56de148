"""`@link`: which features a document uses, and by which names. https://specs.apollo.dev/link/v1.0/"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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
    print_ast,
)

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.federation_spec import (
    FEDERATION_1,
    FEDERATION_URL,
    FEDERATION_VERSIONS,
    LATEST,
    LINK_URL,
    LINK_VERSIONS,
    SPECS,
    STANDALONE,
    definition_of,
    directives,
    elements,
    since,
)

_URL = re.compile(r"^(?P<spec>https?://.+/(?P<name>[^/]+)/)(?P<version>v\d+\.\d+)/?$")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True, slots=True)
class Link:
    """One `@link`: a specification, by its URL without the version, and the names that its elements have here.

    `imports` maps the specification's names, directives with their `@`, to the document's.
    """

    spec: str
    name: str
    version: str
    alias: str
    imports: Mapping[str, str]
    purpose: str | None

    @property
    def number(self) -> tuple[int, ...]:
        """The version as numbers, to be compared."""
        return tuple(int(part) for part in self.version.removeprefix("v").split("."))

    def directive(self, name: str) -> str:
        """The document's name of one of the specification's directives."""
        own = self.alias if name == self.name else f"{self.alias}__{name}"
        return self.imports.get(f"@{name}", f"@{own}")[1:]

    def original(self, local: str) -> str | None:
        """The specification's name of the directive that the document calls `local`, if it is one of this feature."""
        for original, imported in self.imports.items():
            if imported == f"@{local}":
                return original[1:]
        if local == self.alias:
            return self.name
        return local.removeprefix(f"{self.alias}__") if local.startswith(f"{self.alias}__") else None


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the names of a document's directives mean.

    `directives` maps the document's name of a federation directive to its name in the specification; a document
    without Federation 2 is `federation_one`. `minor` is the version of Federation 2. `links` are all linked features.
    """

    federation_one: bool
    directives: Mapping[str, str]
    link_name: str = "link"
    minor: int = LATEST
    links: tuple[Link, ...] = field(default=())

    def name_of(self, directive: str) -> str | None:
        """The specification's name of this directive, or None where it is none of federation's."""
        return self.directives.get(directive)

    def definitions(self) -> list[str]:
        """The definitions of all supported federation directives, by their names in the document."""
        found = ((local, definition_of(name, self.minor)) for local, name in self.directives.items())
        return [f"directive @{local}{text}" for local, text in found if text is not None]

    def advice(self, directive: str) -> str:
        """What to do where a document applies a directive of federation's that it does not have."""
        minor = since(directive)
        if minor is None:
            return ""
        link = f'"@{directive}" in the schema\'s @link to {FEDERATION_URL}v2.{minor} or later'
        return f" It is one of federation's: import {link}."


def read_vocabulary(document: DocumentNode, subgraph: str, findings: Findings) -> Vocabulary:
    """Read all `@link`s of the schema definition and its extensions."""
    applied = [
        directive
        for definition in document.definitions
        if isinstance(definition, SchemaDefinitionNode | SchemaExtensionNode)
        for directive in definition.directives or ()
    ]
    link_name = _link_name(applied)

    def report(code: Code, message: str) -> None:
        findings.error(code, f'subgraph "{subgraph}": {message}', None, subgraph)

    read = (_link(directive, link_name, report) for directive in applied if directive.name.value == link_name)
    links = tuple(link for link in read if link is not None)
    _check_names(links, report)
    names: dict[str, str] = {}
    federation = next((link for link in links if link.spec == FEDERATION_URL), None)
    if federation is None:
        names |= {name: name for name in FEDERATION_1}
    for link in links:
        if link is federation:
            names |= _federation_names(link, report)
        elif link.spec in STANDALONE:
            names |= {link.directive(name): name for name in STANDALONE[link.spec]}
        elif link.spec == LINK_URL and link.version not in LINK_VERSIONS:
            report(Code.UNKNOWN_LINK_VERSION, f"it links link {link.version}; known is {', '.join(LINK_VERSIONS)}")
        elif link.spec not in {LINK_URL, FEDERATION_URL}:
            _refuse_essential(link, report)
    return Vocabulary(federation is None, names, link_name, _minor(federation), links)


Report = Callable[[Code, str], None]


def _link_name(applied: Sequence[DirectiveNode]) -> str:
    """The name of `@link` itself, which a link to its own specification may change."""
    for directive in applied:
        arguments = {argument.name.value: argument.value for argument in directive.arguments or ()}
        if (_text(arguments.get("url")) or "").startswith(LINK_URL):
            return directive.name.value
    return "link"


def _link(directive: DirectiveNode, link_name: str, report: Report) -> Link | None:
    """One application of `@link`; None, with the error reported, where its URL is none."""
    arguments = {argument.name.value: argument.value for argument in directive.arguments or ()}
    url = arguments.get("url")
    match = _URL.match(url.value) if isinstance(url, StringValueNode) else None
    if match is None:
        found = f'"{url.value[:200]}"' if isinstance(url, StringValueNode) else "no text"
        message = f"the url of @{link_name} must end in a name and a version, as in …/federation/v2.3; found {found}"
        report(Code.INVALID_LINK_IDENTIFIER, message)
        return None
    imports = arguments.get("import")
    items = imports.values if isinstance(imports, ListValueNode) else ()
    purpose = arguments.get("for")
    return Link(
        match["spec"],
        match["name"],
        match["version"],
        _text(arguments.get("as")) or match["name"],
        dict(_imports(items, match[0], report)),
        purpose.value if isinstance(purpose, EnumValueNode) else None,
    )


def _imports(items: Iterable[ValueNode], url: str, report: Report) -> Iterable[tuple[str, str]]:
    """For each item of `import` the specification's name and the document's; both have an `@`, or neither."""
    seen: dict[str, str] = {}
    for item in items:
        if isinstance(item, ObjectValueNode):
            fields = {field.name.value: _text(field.value) for field in item.fields}
        else:
            fields = {"name": _text(item)}
        name = fields.get("name") or ""
        local = fields.get("as", name) or ""
        expected = 'a name, or { name: "…", as: "…" }'
        if not name or not local or not fields.keys() <= {"name", "as"}:
            message = f"an import of {url} must be {expected}; found {print_ast(item)[:200]}"
            report(Code.INVALID_LINK_DIRECTIVE_USAGE, message)
        elif name.startswith("@") != local.startswith("@"):
            message = (
                f'it imports "{name}" of {url} as "{local}": a directive\'s name starts with @, a type\'s does not'
            )
            report(Code.INVALID_LINK_DIRECTIVE_USAGE, message)
        elif seen.setdefault(name, local) != local:
            message = f'it imports "{name}" of {url} twice, as "{seen[name]}" and as "{local}"'
            report(Code.INVALID_LINK_DIRECTIVE_USAGE, message)
        else:
            yield name, local


def _check_names(links: Sequence[Link], report: Report) -> None:
    """No feature is linked twice, and no name means two things."""
    specs: set[str] = set()
    aliases: dict[str, Link] = {}
    imported: dict[str, Link] = {}
    for link in links:
        if link.spec in specs:
            report(Code.INVALID_LINK_DIRECTIVE_USAGE, f"it links {link.spec} more than once")
            continue
        specs.add(link.spec)
        if not _NAME.match(link.alias) or "__" in link.alias or link.alias.endswith("_"):
            message = f'it links {link.spec} as "{link.alias}", which is not a name, contains "__" or ends in "_"'
            report(Code.INVALID_LINK_DIRECTIVE_USAGE, message)
        elif aliases.setdefault(link.alias, link) is not link:
            message = f'it links {aliases[link.alias].spec} and {link.spec}, both as "{link.alias}"'
            report(Code.INVALID_LINK_DIRECTIVE_USAGE, message)
        for local in link.imports.values():
            if imported.setdefault(local, link) is not link:
                message = f'it imports "{local}" from {imported[local].spec} and from {link.spec}'
                report(Code.INVALID_LINK_DIRECTIVE_USAGE, message)


def _federation_names(link: Link, report: Report) -> dict[str, str]:
    if link.version not in FEDERATION_VERSIONS:
        known = f"{FEDERATION_VERSIONS[0]} to {FEDERATION_VERSIONS[-1]}"
        report(Code.UNKNOWN_FEDERATION_LINK_VERSION, f"it links federation {link.version}; known are {known}")
        return {}
    minor = _minor(link)
    names = {f"{link.alias}__{name}": name for name in directives(minor)}
    for name, local in link.imports.items():
        if name not in elements(minor):
            later = since(name.removeprefix("@"))
            message = f"it imports {name} from federation {link.version}, which has no such element"
            message += f"; federation v2.{later} has it" if later is not None else ""
            report(Code.INVALID_LINK_DIRECTIVE_USAGE, message)
        elif name.startswith("@"):
            names[local[1:]] = name[1:]
    return names


def _minor(federation: Link | None) -> int:
    known = federation is not None and federation.version in FEDERATION_VERSIONS
    return FEDERATION_VERSIONS.index(federation.version) if federation is not None and known else LATEST


def _refuse_essential(link: Link, report: Report) -> None:
    """A feature that a router must know, or one of Apollo's own, is not dropped in silence."""
    if link.spec.startswith(SPECS) or link.purpose is not None:
        purpose = f" for {link.purpose}" if link.purpose is not None else ""
        url = f"{link.spec}{link.version}"
        report(Code.UNSUPPORTED_FEATURE, f"it links {url}{purpose}, which graphrouter does not support")


def _text(value: ValueNode | None) -> str | None:
    return value.value if isinstance(value, StringValueNode) else None

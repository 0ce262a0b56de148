"""What composition finds: diagnostics with a code, and the exception that holds them all.

The codes are the ones that the field knows (https://www.apollographql.com/docs/graphos/reference/errors and /hints), so
that a search for one leads to an explanation; only codes that this package can produce are listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error stops composition; a hint tells of something that works, but perhaps not as meant."""

    ERROR = "error"
    HINT = "hint"


class Code(StrEnum):
    """Every kind of finding; the value is the code's well-known name."""

    # Errors of one subgraph's text
    INVALID_SUBGRAPH_NAME = "INVALID_SUBGRAPH_NAME"
    INVALID_GRAPHQL = "INVALID_GRAPHQL"
    INVALID_LINK_DIRECTIVE_USAGE = "INVALID_LINK_DIRECTIVE_USAGE"
    INVALID_LINK_IDENTIFIER = "INVALID_LINK_IDENTIFIER"
    UNKNOWN_FEDERATION_LINK_VERSION = "UNKNOWN_FEDERATION_LINK_VERSION"
    UNSUPPORTED_FEATURE = "UNSUPPORTED_FEATURE"
    ROOT_TYPE_USED = "ROOT_TYPE_USED"
    KEY_INVALID_FIELDS_TYPE = "KEY_INVALID_FIELDS_TYPE"
    KEY_INVALID_FIELDS = "KEY_INVALID_FIELDS"
    KEY_FIELDS_HAS_ARGS = "KEY_FIELDS_HAS_ARGS"
    KEY_FIELDS_SELECT_INVALID_TYPE = "KEY_FIELDS_SELECT_INVALID_TYPE"
    KEY_DIRECTIVE_IN_FIELDS_ARG = "KEY_DIRECTIVE_IN_FIELDS_ARG"
    PROVIDES_INVALID_FIELDS_TYPE = "PROVIDES_INVALID_FIELDS_TYPE"
    PROVIDES_INVALID_FIELDS = "PROVIDES_INVALID_FIELDS"
    PROVIDES_FIELDS_HAS_ARGS = "PROVIDES_FIELDS_HAS_ARGS"
    PROVIDES_FIELDS_MISSING_EXTERNAL = "PROVIDES_FIELDS_MISSING_EXTERNAL"
    PROVIDES_DIRECTIVE_IN_FIELDS_ARG = "PROVIDES_DIRECTIVE_IN_FIELDS_ARG"
    PROVIDES_ON_NON_OBJECT_FIELD = "PROVIDES_ON_NON_OBJECT_FIELD"
    PROVIDES_UNSUPPORTED_ON_INTERFACE = "PROVIDES_UNSUPPORTED_ON_INTERFACE"
    REQUIRES_INVALID_FIELDS_TYPE = "REQUIRES_INVALID_FIELDS_TYPE"
    REQUIRES_INVALID_FIELDS = "REQUIRES_INVALID_FIELDS"
    REQUIRES_FIELDS_MISSING_EXTERNAL = "REQUIRES_FIELDS_MISSING_EXTERNAL"
    REQUIRES_DIRECTIVE_IN_FIELDS_ARG = "REQUIRES_DIRECTIVE_IN_FIELDS_ARG"
    REQUIRES_UNSUPPORTED_ON_INTERFACE = "REQUIRES_UNSUPPORTED_ON_INTERFACE"
    EXTERNAL_UNUSED = "EXTERNAL_UNUSED"
    EXTERNAL_ON_INTERFACE = "EXTERNAL_ON_INTERFACE"
    EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE = "EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE"
    INVALID_SHAREABLE_USAGE = "INVALID_SHAREABLE_USAGE"
    INTERFACE_OBJECT_USAGE_ERROR = "INTERFACE_OBJECT_USAGE_ERROR"
    INTERFACE_KEY_NOT_ON_IMPLEMENTATION = "INTERFACE_KEY_NOT_ON_IMPLEMENTATION"
    OVERRIDE_FROM_SELF_ERROR = "OVERRIDE_FROM_SELF_ERROR"
    OVERRIDE_LABEL_INVALID = "OVERRIDE_LABEL_INVALID"
    OVERRIDE_ON_INTERFACE = "OVERRIDE_ON_INTERFACE"
    INVALID_TAG_NAME = "INVALID_TAG_NAME"
    CONTEXT_NAME_INVALID = "CONTEXT_NAME_INVALID"
    CONTEXT_NOT_SET = "CONTEXT_NOT_SET"
    NO_CONTEXT_REFERENCED = "NO_CONTEXT_REFERENCED"
    NO_SELECTION_FOR_CONTEXT = "NO_SELECTION_FOR_CONTEXT"
    CONTEXT_NO_RESOLVABLE_KEY = "CONTEXT_NO_RESOLVABLE_KEY"
    CONTEXT_SELECTION_INVALID = "CONTEXT_SELECTION_INVALID"

    # Errors between subgraphs
    NO_QUERIES = "NO_QUERIES"
    TYPE_KIND_MISMATCH = "TYPE_KIND_MISMATCH"
    FIELD_TYPE_MISMATCH = "FIELD_TYPE_MISMATCH"
    FIELD_ARGUMENT_TYPE_MISMATCH = "FIELD_ARGUMENT_TYPE_MISMATCH"
    FIELD_ARGUMENT_DEFAULT_MISMATCH = "FIELD_ARGUMENT_DEFAULT_MISMATCH"
    CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS = "CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS"
    REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH = "REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH"
    INPUT_FIELD_DEFAULT_MISMATCH = "INPUT_FIELD_DEFAULT_MISMATCH"
    REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH = "REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH"
    EMPTY_MERGED_INPUT_TYPE = "EMPTY_MERGED_INPUT_TYPE"
    ENUM_VALUE_MISMATCH = "ENUM_VALUE_MISMATCH"
    EMPTY_MERGED_ENUM_TYPE = "EMPTY_MERGED_ENUM_TYPE"
    INVALID_FIELD_SHARING = "INVALID_FIELD_SHARING"
    EXTERNAL_MISSING_ON_BASE = "EXTERNAL_MISSING_ON_BASE"
    EXTERNAL_TYPE_MISMATCH = "EXTERNAL_TYPE_MISMATCH"
    EXTERNAL_ARGUMENT_MISSING = "EXTERNAL_ARGUMENT_MISSING"
    EXTERNAL_ARGUMENT_TYPE_MISMATCH = "EXTERNAL_ARGUMENT_TYPE_MISMATCH"
    EXTERNAL_ARGUMENT_DEFAULT_MISMATCH = "EXTERNAL_ARGUMENT_DEFAULT_MISMATCH"
    INTERFACE_FIELD_NO_IMPLEM = "INTERFACE_FIELD_NO_IMPLEM"
    INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE = "INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE"
    OVERRIDE_SOURCE_HAS_OVERRIDE = "OVERRIDE_SOURCE_HAS_OVERRIDE"
    OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE = "OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE"
    QUERY_ROOT_TYPE_INACCESSIBLE = "QUERY_ROOT_TYPE_INACCESSIBLE"
    ONLY_INACCESSIBLE_CHILDREN = "ONLY_INACCESSIBLE_CHILDREN"
    REFERENCED_INACCESSIBLE = "REFERENCED_INACCESSIBLE"
    IMPLEMENTED_BY_INACCESSIBLE = "IMPLEMENTED_BY_INACCESSIBLE"
    REQUIRED_INACCESSIBLE = "REQUIRED_INACCESSIBLE"
    DEFAULT_VALUE_USES_INACCESSIBLE = "DEFAULT_VALUE_USES_INACCESSIBLE"
    SATISFIABILITY_ERROR = "SATISFIABILITY_ERROR"

    # Hints
    INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE = "INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE"
    INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE = "INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE"
    INCONSISTENT_DEFAULT_VALUE_PRESENCE = "INCONSISTENT_DEFAULT_VALUE_PRESENCE"
    INCONSISTENT_ARGUMENT_PRESENCE = "INCONSISTENT_ARGUMENT_PRESENCE"
    INCONSISTENT_INPUT_OBJECT_FIELD = "INCONSISTENT_INPUT_OBJECT_FIELD"
    INCONSISTENT_UNION_MEMBER = "INCONSISTENT_UNION_MEMBER"
    INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM = "INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM"
    INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM = "INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM"
    INCONSISTENT_DESCRIPTION = "INCONSISTENT_DESCRIPTION"
    INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS = "INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS"
    INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE = "INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE"
    INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS = "INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS"
    NO_EXECUTABLE_DIRECTIVE_INTERSECTION = "NO_EXECUTABLE_DIRECTIVE_INTERSECTION"
    FROM_SUBGRAPH_DOES_NOT_EXIST = "FROM_SUBGRAPH_DOES_NOT_EXIST"
    OVERRIDDEN_FIELD_CAN_BE_REMOVED = "OVERRIDDEN_FIELD_CAN_BE_REMOVED"
    OVERRIDE_DIRECTIVE_CAN_BE_REMOVED = "OVERRIDE_DIRECTIVE_CAN_BE_REMOVED"
    TYPE_SYSTEM_DIRECTIVE_NOT_COMPOSED = "TYPE_SYSTEM_DIRECTIVE_NOT_COMPOSED"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what is wrong, where (a schema coordinate, where there is one) and in which subgraphs."""

    code: Code
    message: str
    severity: Severity
    coordinate: str | None = None
    subgraphs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class CompositionError(Exception):
    """The subgraphs do not compose; `diagnostics` holds every finding, errors before hints."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        found = tuple(diagnostics)
        self.diagnostics = tuple(sorted(found, key=lambda diagnostic: diagnostic.severity != Severity.ERROR))
        super().__init__("\n".join(str(d) for d in self.diagnostics if d.severity == Severity.ERROR))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The findings that stopped composition."""
        return tuple(d for d in self.diagnostics if d.severity == Severity.ERROR)


class Findings:
    """Collects the diagnostics of all phases, so that one run reports as much as it can."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}

    def error(self, code: Code, message: str, coordinate: str | None = None, *subgraphs: str) -> None:
        """Record an error; equal ones are kept once."""
        self._found[Diagnostic(code, message, Severity.ERROR, coordinate, subgraphs)] = None

    def hint(self, code: Code, message: str, coordinate: str | None = None, *subgraphs: str) -> None:
        """Record a hint; equal ones are kept once."""
        self._found[Diagnostic(code, message, Severity.HINT, coordinate, subgraphs)] = None

    @property
    def hints(self) -> tuple[Diagnostic, ...]:
        """The hints so far, in the order of discovery."""
        return tuple(d for d in self._found if d.severity == Severity.HINT)

    @property
    def has_errors(self) -> bool:
        """Whether an error is among the findings."""
        return any(d.severity == Severity.ERROR for d in self._found)

    def stop_on_errors(self) -> None:
        """Raise CompositionError with all findings if there is an error among them."""
        if self.has_errors:
            raise CompositionError(self._found)


def listed(names: Iterable[str]) -> str:
    """Subgraph names for a message: `subgraph "a"`, or `subgraphs "a" and "b"`."""
    quoted = [f'"{name}"' for name in names]
    if len(quoted) == 1:
        return f"subgraph {quoted[0]}"
    return f"subgraphs {', '.join(quoted[:-1])} and {quoted[-1]}"


def by_what(found: Iterable[tuple[str, str]]) -> str:
    """Who has what, for a message: `"Int" in subgraph "a", "String" in subgraphs "b" and "c"`.

    `found` holds pairs (subgraph, what was found there).
    """
    holders: dict[str, list[str]] = {}
    for subgraph, what in found:
        holders.setdefault(what, []).append(subgraph)
    return ", ".join(f"{what} in {listed(names)}" for what, names in holders.items())

"""The merged schema held against GraphQL's own rules: types may fit one by one and still not fit together."""

from __future__ import annotations

from graphql import build_ast_schema, parse, validate_schema
from graphql.validation.validate import validate_sdl

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.join_spec import print_schema_alone
from graphrouter.composition.merged import Merged


def check_validity(merged: Merged, findings: Findings) -> None:
    """Report what GraphQL says against the supergraph, such as an interface whose type fits no implementation."""
    document = parse(print_schema_alone(merged), no_location=True)
    errors = validate_sdl(document)
    if not errors:
        errors = validate_schema(build_ast_schema(document, assume_valid_sdl=True))
    for found in errors:
        findings.error(Code.INVALID_GRAPHQL, f"the merged schema is not valid: {found.message}")

"""The type of a field or argument that several subgraphs declare.

What comes out of a field has the widest of its types (nullable beside non-null gives nullable, an object beside its
interface the interface); what goes in has the narrowest, which every subgraph accepts.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphrouter.composition.diagnostics import Code, by_what
from graphrouter.composition.merge.context import MergeContext
from graphrouter.composition.model import TypeRef


def merge_output_type(context: MergeContext, coordinate: str, found: Sequence[tuple[str, TypeRef]]) -> TypeRef:
    """The one among the types of which all others are subtypes; `found` holds pairs (subgraph, type)."""
    widest = next((t for _, t in found if all(context.is_subtype(other, t) for _, other in found)), None)
    mismatch = Code.FIELD_TYPE_MISMATCH
    return _told(context, coordinate, found, widest, mismatch, Code.INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE)


def merge_input_type(
    context: MergeContext, coordinate: str, found: Sequence[tuple[str, TypeRef]], mismatch: Code
) -> TypeRef:
    """The one among the types that is a subtype of all others; `mismatch` is the error where there is none."""
    narrowest = next((t for _, t in found if all(context.is_subtype(t, other) for _, other in found)), None)
    return _told(context, coordinate, found, narrowest, mismatch, Code.INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE)


def _told(
    context: MergeContext,
    coordinate: str,
    found: Sequence[tuple[str, TypeRef]],
    merged: TypeRef | None,
    mismatch: Code,
    inconsistent: Code,
) -> TypeRef:
    if len({type_ref for _, type_ref in found}) == 1:
        return found[0][1]
    names = [name for name, _ in found]
    types = by_what((name, f'"{type_ref}"') for name, type_ref in found)
    if merged is None:
        message = f'the types of "{coordinate}" do not fit together: {types}'
        context.findings.error(mismatch, message, coordinate, *names)
        return found[0][1]
    message = f'"{coordinate}" has the type "{merged}" in the supergraph: {types}'
    context.findings.hint(inconsistent, message, coordinate, *names)
    return merged

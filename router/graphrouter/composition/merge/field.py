"""A field of an object or interface type from all subgraphs that have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphrouter.composition.diagnostics import Code, listed
from graphrouter.composition.merge.arguments import merge_arguments
from graphrouter.composition.merge.context import MergeContext, Source, Sources, each
from graphrouter.composition.merge.costs import merge_list_size
from graphrouter.composition.merge.external import check_externals
from graphrouter.composition.merge.marks import merge_marks
from graphrouter.composition.merge.type_reference import merge_output_type
from graphrouter.composition.merged import JoinField, MergedField
from graphrouter.composition.model import Field, InputValue


def merge_field(
    context: MergeContext,
    parent: str,
    sources: Sources[Field],
    holders: Sequence[str],
    abstracted: Sources[Field] = (),
) -> MergedField | None:
    """Merge one field; None, with the error in the findings, where no subgraph resolves it.

    `holders` are the subgraphs that have the parent type. `abstracted` is the same field where interface objects
    resolve it for the parent.
    """
    name = sources[0].element.name
    coordinate = f"{parent}.{name}"
    externals = [source for source in sources if source.element.external]
    own = [source for source in sources if not source.element.external]
    defining = own
    if not defining:
        if abstracted:
            defining = list(abstracted)
        else:
            names = [source.subgraph for source in externals]
            message = f'"{coordinate}" is @external in {listed(names)}, and no subgraph resolves it'
            context.findings.error(Code.EXTERNAL_MISSING_ON_BASE, message, coordinate, *names)
            return None
    merged = MergedField(
        name,
        merge_output_type(context, coordinate, each(defining, lambda field: field.type)),
        _with_marks_of_externals(
            merge_arguments(context, coordinate, _given_by_clients(context, coordinate, defining)), externals
        ),
        merge_marks(coordinate, each(own or defining, lambda field: field.marks), context.findings),
        merge_list_size(coordinate, each(own or defining, lambda field: field.list_size), context.findings),
    )
    same_type = len({source.element.type for source in defining}) == 1
    check_externals(context, parent, merged, externals, same_type=same_type)
    return replace(merged, joins=_joins(context, parent, sources, holders, same_type=same_type))


def _given_by_clients(
    context: MergeContext, coordinate: str, sources: Sources[Field]
) -> list[tuple[str, dict[str, InputValue]]]:
    """The arguments without those that a context gives in some subgraph: nobody could give them in the others."""
    contextual = {argument.name for source in sources for argument in source.element.contextual}
    for source in sources:
        for argument in source.element.arguments.values():
            if argument.name in contextual and argument.required:
                message = f'argument "{coordinate}({argument.name}:)" has @fromContext in some subgraphs, but not in'
                message += f' "{source.subgraph}", where it is required'
                code = Code.CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS
                context.findings.error(code, message, coordinate, source.subgraph)
    return each(sources, lambda field: {n: a for n, a in field.arguments.items() if n not in contextual})


def _with_marks_of_externals(arguments: dict[str, InputValue], externals: Sources[Field]) -> dict[str, InputValue]:
    """An argument that is hidden where the field is external is hidden; a tag there counts, too."""
    found = dict(arguments)
    for source in externals:
        for name, argument in source.element.arguments.items():
            if name in found:
                marks = found[name].marks
                hidden = marks.inaccessible or argument.marks.inaccessible
                tags = tuple(sorted({*marks.tags, *argument.marks.tags}))
                found[name] = replace(found[name], marks=replace(marks, inaccessible=hidden, tags=tags))
    return found


def check_sharing(context: MergeContext, parent: str, sources: Sources[Field], abstracted: Sources[Field] = ()) -> None:
    """A field that several subgraphs resolve must be shareable in each of them; `@provides` resolves it, too."""
    if not sources:
        return
    name = sources[0].element.name
    at = (parent, name)
    resolving: list[Source[Field]] = [
        source
        for source in (*sources, *abstracted)
        if (not source.element.external or at in context.provided[source.subgraph])
        and context.overrides.of(at, source.subgraph) is None
    ]
    unshared = [s.subgraph for s in resolving if not (s.element.shareable or s.element.external)]
    names = [source.subgraph for source in resolving]
    resolved = f'"{parent}.{name}" is resolved by {listed(names)}' if names else ""
    if len(resolving) > 1 and parent == "Subscription":
        message = f"{resolved}; a subscription is one stream from one subgraph"
        context.findings.error(Code.INVALID_FIELD_SHARING, message, f"{parent}.{name}", *names)
    elif len(resolving) > 1 and unshared:
        where = "@shareable in none of them" if unshared == names else f"not @shareable in {listed(unshared)}"
        message = f"{resolved}, but is {where}"
        context.findings.error(Code.INVALID_FIELD_SHARING, message, f"{parent}.{name}", *names)


def _joins(
    context: MergeContext, parent: str, sources: Sources[Field], holders: Sequence[str], *, same_type: bool
) -> tuple[JoinField, ...]:
    """Which subgraph has the field, and how; nothing where every holder of the type has it in the same plain way."""
    by_subgraph = {source.subgraph: source.element for source in sources}
    joins = [
        join
        for subgraph, field in by_subgraph.items()
        if (join := _join(context, (parent, field.name), subgraph, field, same_type=same_type)) is not None
    ]
    plain = all(join == JoinField(join.subgraph) for join in joins)
    return () if plain and len(joins) == len(holders) else tuple(joins)


def _join(
    context: MergeContext, at: tuple[str, str], subgraph: str, field: Field, *, same_type: bool
) -> JoinField | None:
    takeover, own = context.overrides.of(at, subgraph), context.overrides.by(at, subgraph)
    dropped = context.overrides.is_dropped(at, subgraph)
    if dropped and at not in context.used[subgraph]:
        return None
    return JoinField(
        subgraph,
        type=None if same_type else field.type,
        external=field.external,
        requires=field.requires.text if field.requires is not None and not dropped else None,
        provides=field.provides.text if field.provides is not None and not dropped else None,
        override=own.source if own is not None else None,
        override_label=next((t.label for t in (own, takeover) if t is not None), None),
        used_overridden=dropped,
        contexts=field.contextual if not dropped else (),
    )

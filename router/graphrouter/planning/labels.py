"""Which labels of `@override` a plan can depend on.

A plan depends on a label where the walk meets a field that the label switches: one that the operation selects, or one
that some key, requirement or provided field names. Going by the fields' names alone gives some labels too many and none
too few; what it keeps out is that every label of a large supergraph multiplies the plans of every operation.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphql import DocumentNode, FieldNode, Node, Visitor, visit

from graphrouter.supergraph import FieldSet, RequiredField, Supergraph


class PlanLabels:
    """Answers for the documents of one supergraph."""

    def __init__(self, supergraph: Supergraph) -> None:
        self._labels = supergraph.labels
        inside = set(_names_in_field_sets(supergraph)) if self._labels else set[str]()
        self._always = frozenset(label for label, fields in self._labels.items() if fields & inside)

    def of(self, document: DocumentNode) -> frozenset[str]:
        """The labels that the plans of this document's operations can depend on."""
        if not self._labels:
            return frozenset()
        names = _FieldNames()
        visit(document, names)
        return self._always.union(label for label, fields in self._labels.items() if fields & names.found)


class _FieldNames(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Node | object) -> None:
        self.found.add(node.name.value)


def _names_in_field_sets(supergraph: Supergraph) -> Iterator[str]:
    for by_subgraph in supergraph.types.values():
        for known in by_subgraph.values():
            for key in known.keys:
                yield from _names(key.fields)
            for field in known.fields.values():
                yield from _names(field.requires)
                yield from _names(field.provides)
                for argument in field.contexts:
                    yield from _names(argument.value.selections)


def _names(fields: FieldSet) -> Iterator[str]:
    for part in fields:
        if isinstance(part, RequiredField):
            yield part.name
        yield from _names(part.selections)

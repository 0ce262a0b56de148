"""One operation, ready to be executed any number of times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from graphql import FieldNode, FragmentDefinitionNode, OperationDefinitionNode, get_variable_values

from graphrouter.cache import LruCache
from graphrouter.execution.client_paths import ClientPaths
from graphrouter.execution.cost import Cost
from graphrouter.execution.deferring import ShapeInParts, compile_in_parts
from graphrouter.execution.denied import NOTHING_DENIED, Denied
from graphrouter.execution.errors import ErrorObject, error_object
from graphrouter.execution.estimate import Estimate
from graphrouter.execution.introspection import IntrospectionField
from graphrouter.execution.prepare import PreparedPlan
from graphrouter.execution.shape import Shape, compile_shape
from graphrouter.execution.structs.plan import StructPlan, StructPlans
from graphrouter.json_text import fault_of
from graphrouter.pipeline.deferring import Deferred, at_once
from graphrouter.pipeline.refusals import located
from graphrouter.request import RequestRefused
from graphrouter.supergraph import Access, Supergraph
from graphrouter.telemetry.operations import NOT_READ

Asked: TypeAlias = tuple[frozenset[str], frozenset[Access]]
"""The labels that are on, and the rules that the caller does not satisfy."""

_PLAIN = frozenset({str, int, bool, type(None)})
"""The classes of values in which there is nothing to look for."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What depends on the conditions' values, and on whether the data have objects that stand at several positions."""

    shape: Shape
    introspection: tuple[IntrospectionField, ...]


@dataclass(frozen=True, slots=True)
class VariantInParts:
    """The same for an answer that comes in parts."""

    shape: ShapeInParts
    introspection: tuple[IntrospectionField, ...]


@dataclass(slots=True)
class PreparedOperation:
    """One operation, ready to be executed any number of times.

    `deferred` is what may come later; the operation is prepared without that.
    """

    supergraph: Supergraph
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    condition_variables: tuple[str, ...]
    plan: PreparedPlan
    defaults: dict[str, object]
    list_length: int
    denied: Denied = NOTHING_DENIED
    measured: tuple[str, str] = NOT_READ
    """The type and the name that it is counted by, as soon as it was counted."""
    asked: Asked = (frozenset(), frozenset())
    deferred: Deferred | None = None
    deferring: LruCache[PreparedOperation] = field(default_factory=lambda: LruCache["PreparedOperation"](16))
    """The operation with what it defers, by the choice of that."""
    variants: LruCache[Variant] = field(default_factory=lambda: LruCache[Variant](16))
    variants_in_parts: LruCache[VariantInParts] = field(default_factory=lambda: LruCache[VariantInParts](16))
    rests: int = 1
    """For how many runs its answers are not read into structs: the first one, as many operations have no second, and
    some after an answer that did not fit."""
    _structs: tuple[StructPlan | None] | None = None
    estimates: LruCache[Estimate] = field(default_factory=lambda: LruCache[Estimate](16))
    costs: LruCache[Cost] = field(default_factory=lambda: LruCache[Cost](16))

    def structs(self, plans: StructPlans) -> StructPlan | None:
        """What the answers of this run are read into, if they are."""
        if self.rests:
            self.rests -= 1
            return None
        if self._structs is None:
            suited = not self.condition_variables and self.denied is NOTHING_DENIED
            found = plans.make(self.supergraph, self.operation, self.fragments, self.plan) if suited else None
            self._structs = (found,)
        return self._structs[0]

    def conditions(self, variables: Mapping[str, object]) -> tuple[bool, ...]:
        return tuple([variables.get(name) is True for name in self.condition_variables])

    def estimate(self, variables: Mapping[str, object]) -> Estimate:
        values = self.conditions(variables)
        found = self.estimates.peek(values)
        if found is None:
            conditions = dict(zip(self.condition_variables, values, strict=True))
            found = Estimate(self.supergraph, self.operation, self.fragments, conditions, self.list_length)
            self.estimates.put(values, found)
        return found

    def cost(self, variables: Mapping[str, object]) -> Cost:
        values = self.conditions(variables)
        found = self.costs.peek(values)
        if found is None:
            conditions = dict(zip(self.condition_variables, values, strict=True))
            typename = self.plan.plan.typename
            found = Cost(self.supergraph, self.operation, self.fragments, conditions, self.list_length, typename)
            self.costs.put(values, found)
        return found

    def variant(self, variables: Mapping[str, object], shared: bool) -> Variant:
        key = (shared, *self.conditions(variables))
        found = self.variants.peek(key)
        if found is None:
            schema = self.supergraph.api_schema
            conditions = dict(zip(self.condition_variables, key[1:], strict=True))
            operation, fragments, complete = self.operation, self.fragments, self.supergraph.schema
            introspection: list[list[FieldNode]] = []
            shape = compile_shape(
                schema,
                operation,
                fragments,
                conditions,
                complete,
                shared=shared,
                typename_key=self.plan.plan.typename,
                introspection=introspection,
                denied=self.denied,
            )
            asked = tuple(IntrospectionField(schema, operation, fragments, nodes) for nodes in introspection)
            found = Variant(shape, asked)
            self.variants.put(key, found)
        return found

    def in_parts(self, variables: Mapping[str, object]) -> VariantInParts:
        """The same for an operation that defers something."""
        values = self.conditions(variables)
        found = self.variants_in_parts.peek(values)
        if found is None:
            schema = self.supergraph.api_schema
            introspection: list[list[FieldNode]] = []
            shape = compile_in_parts(
                schema,
                self.operation,
                self.fragments,
                dict(zip(self.condition_variables, values, strict=True)),
                self.supergraph.schema,
                typename_key=self.plan.plan.typename,
                introspection=introspection,
                denied=self.denied,
                streams=self.plan.plan.streams,
            )
            names = self.supergraph.deferring_directives
            whole = {name: at_once(fragment, names) for name, fragment in self.fragments.items()}
            asked = tuple(
                IntrospectionField(schema, self.operation, whole, [at_once(node, names) for node in nodes])
                for nodes in introspection
            )
            found = VariantInParts(shape, asked)
            self.variants_in_parts.put(values, found)
        return found

    def told(self, errors: list[ErrorObject], variables: Mapping[str, object]) -> list[ErrorObject]:
        """The errors at positions that the client knows."""
        if not errors:
            return errors
        return ClientPaths(self.operation, self.fragments, self.plan.plan.typename, variables).told(errors)

    def variables(self, given: Mapping[str, object]) -> dict[str, object]:
        """The values to send: the client's, checked against their types, and the operation's defaults."""
        definitions = self.operation.variable_definitions
        if not definitions:
            return {}
        names = [definition.variable.name.value for definition in definitions]
        for name in names:
            if given.get(name).__class__ not in _PLAIN and (fault := fault_of(given[name])):
                raise RequestRefused(error_object(f"The value of variable '${name}' {fault}.", "INVALID_VARIABLES"))
        checked = get_variable_values(
            self.supergraph.api_schema, definitions, dict(given), max_errors=20, hide_suggestions=True
        )
        if isinstance(checked, list):
            raise RequestRefused(*(located(error, "INVALID_VARIABLES") for error in checked))
        for name in self.condition_variables:
            # A nullable variable may stand there if it has a default; null itself may not.
            # https://spec.graphql.org/October2021/#sec-All-Variable-Usages-are-Allowed
            if name in given and given[name] is None:
                message = f"Variable '${name}' is asked for by @skip or @include and must not be null."
                raise RequestRefused(error_object(message, "INVALID_VARIABLES"))
        return {
            name: given[name] if name in given else self.defaults[name]
            for name in names
            if name in given or name in self.defaults
        }

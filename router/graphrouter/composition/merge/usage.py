"""Where the supergraph uses its types: in input, in output or in both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphrouter.composition.merged import MergedComposite, MergedInput, MergedType
from graphrouter.composition.model import DirectiveDefinition, named_type


@dataclass(slots=True)
class Usage:
    """One place where a type is input and one where it is output; empty where there is none."""

    input: str = ""
    output: str = ""


def find_usages(types: Mapping[str, MergedType], directives: Iterable[DirectiveDefinition]) -> dict[str, Usage]:
    """For each used type the first place of either sort."""
    usages: dict[str, Usage] = {}

    def use_as_input(name: str, where: str) -> None:
        usage = usages.setdefault(name, Usage())
        usage.input = usage.input or where

    for definition in types.values():
        if isinstance(definition, MergedComposite):
            for field in definition.fields.values():
                where = f"{definition.name}.{field.name}"
                usage = usages.setdefault(named_type(field.type), Usage())
                usage.output = usage.output or where
                for argument in field.arguments.values():
                    use_as_input(named_type(argument.type), f"{where}({argument.name}:)")
                for join in field.joins:
                    for given in join.contexts:
                        use_as_input(named_type(given.type), f"{where}({given.name}:)")
        elif isinstance(definition, MergedInput):
            for name, input_field in definition.fields.items():
                use_as_input(named_type(input_field.value.type), f"{definition.name}.{name}")
    for directive in directives:
        for argument in directive.arguments.values():
            use_as_input(named_type(argument.type), f"@{directive.name}({argument.name}:)")
    return usages

"""The words that the composition tests are written in."""

from __future__ import annotations

import pytest

from graphrouter.composition import Code, CompositionError, CompositionResult, Diagnostic, SubgraphSdl, compose

FEDERATION_2 = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [
  "@key", "@shareable", "@external", "@requires", "@provides", "@override",
  "@inaccessible", "@tag", "@interfaceObject", "@extends", "@context", "@fromContext",
  "@composeDirective", "@cost", "@listSize", "@authenticated", "@requiresScopes", "@policy"
])
"""


def texts(subgraphs: dict[str, str]) -> list[SubgraphSdl]:
    """Subgraphs from names and texts; a text without a link to federation gets one."""
    return [
        SubgraphSdl(
            name,
            f"http://{name}",
            sdl if "specs.apollo.dev" in sdl or "@link" in sdl or "#fed1" in sdl else FEDERATION_2 + sdl,
        )
        for name, sdl in subgraphs.items()
    ]


def composed(**subgraphs: str) -> CompositionResult:
    """Compose these subgraphs."""
    return compose(texts(subgraphs))


def refused(**subgraphs: str) -> tuple[Diagnostic, ...]:
    """The errors for which these subgraphs do not compose."""
    with pytest.raises(CompositionError) as caught:
        compose(texts(subgraphs))
    return caught.value.errors


def codes(diagnostics: tuple[Diagnostic, ...]) -> list[Code]:
    """The codes alone."""
    return [diagnostic.code for diagnostic in diagnostics]


def printed(result: CompositionResult, name: str) -> str:
    """One definition of the supergraph as it is printed, its lines stripped and empty ones left out."""
    for block in result.supergraph_sdl.split("\n\n"):
        lines = [line.strip() for line in block.splitlines()]
        heads = [line for line in lines if not line.startswith('"')]
        if any(line.split("(")[0].split()[:2] in ([kind, name] for kind in KINDS) for line in heads):
            return "\n".join(lines)
    return ""


def shape(sdl: str) -> str:
    """An expected text in the form that `printed` gives."""
    return "\n".join(line.strip() for line in sdl.splitlines() if line.strip())


KINDS = ("type", "interface", "union", "enum", "input", "scalar", "directive", "schema")

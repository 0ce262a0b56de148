"""The pages that are made from the code: the command lines, and the Python names that others import."""

from __future__ import annotations

import ast
import html
import inspect
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, TypeAlias, cast

import typer
import typer.main
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings
from typer.core import TyperCommand, TyperGroup

from bank.system import BANK
from eventgraph.cli import command_line
from eventgraph.running import settings
from eventgraph.running.settings import settings_of
from eventgraph.system import System
from graphrouter.cli import app as graphrouter
from infra.site.staging import ROOT
from kithgraph.system import SOCIAL_NETWORK
from shop.system import SHOP

Command: TypeAlias = TyperCommand | TyperGroup

_PACKAGES: Final[Mapping[str, tuple[Path, str]]] = {
    "eventkernel": (ROOT / "eventkernel", "What a domain is made of: `from eventkernel import Decider, DomainEvent`."),
    "eventgraph": (ROOT / "eventgraph", "How a system is declared: `from eventgraph import Subgraph, System`."),
    "graphrouter": (ROOT / "router" / "graphrouter", "The router as a library: `from graphrouter import GraphRouter`."),
}
_HEADINGS: Final = {
    "Reach": "Every server",
    "ConsoleSettings": "The console",
    "Settings": "The embedded mode",
    "EngineSettings": "Kafka, MongoDB and Neo4j",
    "ArchiveSettings": "Archives",
    "ServeSettings": "A process of the distributed mode",
    "ConsoleProcessSettings": "The console of the distributed mode",
    "SubgraphUrls": "The subgraphs",
}


def pages() -> dict[str, str]:
    """The generated pages: path and text."""
    made = {f"commands/{name}.md": text for name, text in _command_lines()}
    made["settings.md"] = _settings(SOCIAL_NETWORK)
    for name, (folder, about) in _PACKAGES.items():
        made[f"python/{name}.md"] = _python_names(name, folder, about)
    return made


def _python_names(package: str, folder: Path, about: str) -> str:
    """A page with the public names of a package, grouped by the module that each comes from."""
    groups: dict[str, list[str]] = {}
    public = set(import_module(package).__all__)
    for node in ast.walk(ast.parse((folder / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in public & {alias.name for alias in node.names}:
                groups.setdefault(node.module, []).append(name)
    lines = [f"# {package}", "", about, ""]
    for module, names in sorted(groups.items()):
        lines += [f"## `{module}`", ""]
        for name in sorted(names):
            lines += [f"::: {module}.{name}", ""]
    return "\n".join(lines)


def _settings(system: System) -> str:
    """A page with every variable of a system's environment, by what reads it."""
    lines = [
        "# Settings",
        "",
        "Every setting is a variable of the environment. Its name begins with the name of the system: here with",
        f"`{system.prefix}`, for a system named bank with `BANK_`. In the distributed mode a setting may also be a",
        f"file of that name, in lower case, in the folder that `{system.prefix}SECRETS` names (`/run/secrets`).",
        "",
        "The router has settings beside these: [its configuration](router/configuration.md).",
        "",
    ]
    for kind in vars(settings).values():
        if isinstance(kind, type) and issubclass(kind, BaseSettings) and kind.__module__ == settings.__name__:
            fields = settings_of(system, kind).model_fields
            inherited = {name for parent in kind.__bases__ for name in getattr(parent, "model_fields", ())}
            rows = [_setting(system, name, field) for name, field in fields.items() if name not in inherited]
            about = (inspect.getdoc(kind) or "").replace(" (`subgraph_urls`)", "")
            lines += [
                f"## {_HEADINGS[kind.__name__]}",
                "",
                about,
                "",
                "| Variable | | Default |",
                "| --- | --- | --- |",
                *rows,
                "",
            ]
    return "\n".join(lines)


def _setting(system: System, name: str, field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    shown = "" if default in (None, "") else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return f"| `{system.prefix}{name.upper()}` | {_cell(field.description or '')} | {shown} |"


def _command_lines() -> Iterator[tuple[str, str]]:
    lines = {system.name: command_line(system) for system in (SOCIAL_NETWORK, BANK, SHOP)}
    for name, command in {**lines, "graphrouter": typer.main.get_command(graphrouter)}.items():
        yield name, "\n".join(_command(cast("Command", command), name, 1))


def _command(command: Command, path: str, level: int, parent: typer.Context | None = None) -> Iterator[str]:
    """The lines about a command and, a level below, about those in it."""
    context = typer.Context(command, info_name=path.rpartition(" ")[2], parent=parent)
    yield from (f"{'#' * level} `{path}`", "", *_help(command), "")
    yield from ("```sh", " ".join([path, *command.collect_usage_pieces(context)]), "```", "")
    told = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    rows = [(f"`{name}`", about) for name, about in told if "completion" not in name and "--help" not in name]
    if rows:
        yield from (
            "| Option | |",
            "| --- | --- |",
            *(f"| {_cell(name)} | {_cell(about)} |" for name, about in rows),
            "",
        )
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            if (inner := command.get_command(context, name)) and not inner.hidden:
                yield from _command(cast("Command", inner), f"{path} {name}", level + 1, context)


def _help(command: Command) -> Iterator[str]:
    """The help, with its examples as code."""
    for line in inspect.cleandoc(command.help or "").splitlines():
        found = re.fullmatch(r"Example: (.*)", line)
        yield f"Example: `{found[1]}`" if found else html.escape(line, quote=False)


def _cell(text: str) -> str:
    """Text in a table, where a bar divides columns; outside of code, nothing in it is markup."""
    text = " ".join(text.split()).replace("|", "\\|")
    return text if text.startswith("`") else re.sub(r"([*\[\]])", r"\\\1", html.escape(text, quote=False))

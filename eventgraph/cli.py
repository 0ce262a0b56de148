"""The command line of a system: every operator's command, and those that the system brings itself.

    main = command(LIBRARY)

The commands' functions are the same for all systems. What their help says in braces is put in here: `{command}`, what
settings begin with (`{SETTINGS}`), and names out of the system for the examples.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Protocol, cast

import typer
import typer.main

from eventgraph.commands import archiving, backup, checking, copying, deploying, describing, loading, parked, starting
from eventgraph.commands.options import declared
from eventgraph.errors import StartError
from eventgraph.system import System
from eventkernel.writing.codec import EventType

_DRIVERS: Final = frozenset({"aiokafka", "motor", "pymongo", "neo4j"})
"""The extra `distributed`, which an embedded system does without."""
_OBJECT_STORE: Final = "obstore"
"""The extra `archive`, which an archive in a folder does without."""


class _Parameter(Protocol):
    """Of a command, as Typer makes it."""

    help: str | None
    metavar: str | None
    envvar: str | Sequence[str] | None


class Command(Protocol):
    """A command, or a group of some, as Typer makes it."""

    help: str | None
    params: Sequence[_Parameter]

    def __call__(self, *args: Any, **more: Any) -> Any: ...  # whatever a shell or a test calls it with


def command(system: System) -> Callable[[], None]:
    """The entry point of a system's command."""

    def main() -> None:
        run(system, command_line(system))

    return main


def command_line(system: System) -> Command:
    """All commands of a system."""
    app = typer.Typer(
        name=system.name,
        help=system.about,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "obj": system},
    )
    app.callback(help=system.about)(_system)
    functions = {**starting.COMMANDS, **copying.COMMANDS, **checking.COMMANDS, **loading.COMMANDS}
    functions |= {function.__name__.replace("_", "-"): function for function in system.commands}
    for name, function in functions.items():
        app.command(name)(function)
    app.add_typer(parked.app, name="parked")
    app.add_typer(archiving.app, name="archive")
    app.add_typer(backup.app, name="backup")
    app.add_typer(describing.app, name="schema")
    app.command("helm-values")(deploying.helm_values)
    made = cast("Command", typer.main.get_command(app))
    _put_in(_words(system), made)
    return made


def run(system: System, line: Callable[[], object]) -> None:
    """Run a command: an error that the user can fix is one line on standard error and exit code 1."""
    try:
        line()
    except StartError as error:
        sys.stderr.write(f"{system.name}: {error}\n")
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name == _OBJECT_STORE:
            sys.stderr.write(
                f"{system.name}: an archive in S3 needs {error.name}, which is not installed: "
                f"install {system.distribution or system.name}[archive]\n"
            )
            sys.exit(1)
        if error.name not in _DRIVERS:
            raise
        sys.stderr.write(
            f"{system.name}: the distributed mode needs {error.name}, which is not installed: "
            f"install {system.distribution or system.name}[distributed], or in a checkout run `make run-distributed`\n"
        )
        sys.exit(1)
    except BrokenPipeError:
        # The reader of the output has closed it (`… events | head`): nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _print_version(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        system = declared(ctx)
        typer.echo(f"{system.name} {system.version}")
        raise typer.Exit


def _system(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """What all commands have in common."""


def _words(system: System) -> Mapping[str, str]:
    """What stands in braces in the commands' texts, and what it is in this system."""
    log = system.subgraph(system.logs[0])
    first = log.events[0]
    prefix = log.aggregates[0].prefix if log.aggregates else f"{log.name}-"
    return {
        "{command}": system.name,
        "{SETTINGS}": system.prefix,
        "{view}": system.names[0],
        "{views}": "{" + "|".join(system.names) + "}",
        "{parts}": "{" + "|".join(system.ports) + "}",
        "{ports}": ", ".join(f"{name} {port}" for name, port in system.ports.items()),
        "{log}": log.name,
        "{logs}": ", ".join(system.logs),
        "{type}": str((first.event if isinstance(first, EventType) else first).__struct_config__.tag),
        "{stream}": f"{prefix}018f3c2e",
    }


def _put_in(words: Mapping[str, str], line: Command) -> None:
    line.help = _with(words, line.help)
    for parameter in line.params:
        parameter.help = _with(words, getattr(parameter, "help", None))
        parameter.metavar = _with(words, parameter.metavar)
        if isinstance(parameter.envvar, str):
            parameter.envvar = _with(words, parameter.envvar)
    for child in cast("Mapping[str, Command]", getattr(line, "commands", {})).values():
        _put_in(words, child)


def _with(words: Mapping[str, str], text: str | None) -> str | None:
    if text is None:
        return None
    for word, said in words.items():
        text = text.replace(word, said)
    return text

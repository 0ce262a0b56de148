"""What commands read from the command line, and how they refuse: in lines on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import typer


def refuse(message: str, code: int = 1) -> NoReturn:
    """Ends the command: 1 where something was read and is refused, 2 where something could not be used."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def named(text: str) -> tuple[str, str]:
    """The halves of NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        refuse(f"expected NAME=…, found {text!r}", 2)
    return name, value


def read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        refuse(f"cannot read {file}: {reason}", 2)

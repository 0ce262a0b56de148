"""The entry point of the command; also `python -m graphrouter`."""

from __future__ import annotations

import sys

_OF_THE_COMMAND = frozenset({"typer", "uvicorn", "pydantic", "yaml"})
"""The extra `serve`, which the library does without."""


def main() -> None:
    """Runs the command, or says in one line what it lacks."""
    try:
        from graphrouter.cli import main as run  # noqa: PLC0415 - it may not be there

        run()
    except ModuleNotFoundError as error:
        if error.name not in _OF_THE_COMMAND:
            raise
        sys.exit(f"graphrouter: the command needs {error.name}, which is not installed: install 'graphrouter[serve]'")


if __name__ == "__main__":
    main()

"""The commands of a system, as functions that Typer reads; `cli.py` puts them together."""

"""Merging: Validated → Merged, a file for each construct of the schema language."""

from graphrouter.composition.merge.schema import merge

__all__ = ["merge"]

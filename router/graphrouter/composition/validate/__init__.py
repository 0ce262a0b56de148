"""Validation: Expanded → Validated, the rules that concern one subgraph by itself."""

from graphrouter.composition.validate.rules import Validated, validate

__all__ = ["Validated", "validate"]

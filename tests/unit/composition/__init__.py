"""Composition, construct by construct: SDL in, SDL or diagnostics out."""

"""Kithgraph's composition root: settings, wiring, the one-process embedded mode, the `kith` command."""

from importlib.metadata import version

__version__ = version("kithgraph")

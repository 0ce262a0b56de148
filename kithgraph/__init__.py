"""The social network: its system, its load generator, its prepared examples."""

from importlib.metadata import version

__version__ = version("kithgraph")

"""Systems of event-sourced subgraphs, whatever their domain: declared, run, operated, described."""

from importlib.metadata import version

__version__ = version("kithgraph")

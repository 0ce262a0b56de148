"""Systems of event-sourced subgraphs, whatever their domain: declared, run, operated, described."""

from eventgraph.ports import Ports
from eventgraph.system import Api, Builds, ChangesOf, Subgraph, System, documents

__all__ = ["Api", "Builds", "ChangesOf", "Ports", "Subgraph", "System", "documents"]

"""Systems of event-sourced subgraphs, whatever their domain: declared, run, operated, described."""

from eventgraph.ports import Ports
from eventgraph.system import Api, Around, Builds, ChangesOf, Subgraph, System, documents

__all__ = ["Api", "Around", "Builds", "ChangesOf", "Ports", "Subgraph", "System", "documents"]

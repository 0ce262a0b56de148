"""Query planning: from an operation on the whole graph to requests to its subgraphs. `planner.py` has the stages."""

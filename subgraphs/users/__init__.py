"""The users subgraph, the system of record for users: commands and events, a view to query, its part of the graph."""

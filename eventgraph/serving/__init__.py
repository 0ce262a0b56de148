"""What every subgraph shares to be served over GraphQL: the ASGI app, bookmarks, errors, connections, inputs."""

"""A GraphQL federation router: composes, plans and executes over anybody's subgraphs."""

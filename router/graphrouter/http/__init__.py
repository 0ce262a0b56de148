"""The front of a GraphQL server, whatever executes: GraphQL over HTTP, hosts, connections.

It imports nothing of the router but `request.py`, so that other servers can stand behind it.
"""

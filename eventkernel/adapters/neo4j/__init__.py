"""Views in Neo4j: any number of processes share one, in the one database that the community edition has."""

"""Random federations: subgraphs' documents, data, operations; compared with one schema over the same data."""

"""The transfers subgraph: the system of record for money on its way from one account to another."""

"""The accounts subgraph: the system of record for accounts and their balances."""

"""A bank as a system of event-sourced subgraphs: accounts, and money that moves between them."""

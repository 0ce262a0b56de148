"""A shop: the accounts of its customers, and their orders."""

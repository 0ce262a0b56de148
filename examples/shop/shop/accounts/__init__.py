"""The accounts of customers: the system of record for who they are."""

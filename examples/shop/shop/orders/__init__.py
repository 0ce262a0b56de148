"""Orders, with a copy of each customer that is kept from the accounts' log."""

"""What several tests need and no library has; imports nothing of the product unless its name says so."""

"""What operators do with a system: look, check, copy, repair."""

"""The users' view, one technology per file."""

"""Event store, views and checkpoints in SQLite files (https://www.sqlite.org): one process writes them."""

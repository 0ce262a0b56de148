"""Adapters that keep what they keep in MongoDB."""

"""The commands of `graphrouter` that are not about planning, and what they say at the terminal."""

"""What a release promised, and whether today's declaration keeps it: `schema check`."""

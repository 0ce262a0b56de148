"""The kernel's ports, each technology in a place of its own."""

"""What happened to a mutation: its request, its events, the views that show them, and what came of them."""

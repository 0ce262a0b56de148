"""Events become commands: process managers, their deadlines, and how far they are."""

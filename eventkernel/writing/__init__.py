"""Commands become events: stores, their records, and the way of a command to them."""

"""Contract suites: what every adapter of a port has to pass. They need pytest."""

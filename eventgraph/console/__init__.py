"""What operators see of a running system in a browser, and do there: status, events, what waits, rebuilds."""

"""The benchmark of gateways: the same workload through graphrouter and through its peers. `make bench-router`."""

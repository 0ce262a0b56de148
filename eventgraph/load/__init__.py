"""Load on a running system in open loop: requests arrive by a schedule, whether or not those before have been answered.

The way of a run: `schedule` says when requests arrive, `workload` what they ask, `pools` draws their variables, `drive`
starts each at its moment, `client` sends it, `figures` and `histogram` keep what was measured, `results` sums it up,
and `live`, `summary`, `page` and `charts` show it. A system is known by its API alone.

Each latency is counted from the moment at which the request should have been sent. So a server that stalls for a
second is seen by every request of that second, also by those that had to wait for others (no coordinated omission).
"""

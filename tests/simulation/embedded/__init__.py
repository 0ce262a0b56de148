"""The embedded system in the simulation: SQLite files on a simulated disk, everything above it the product's own.

Read in this order: `disk.py` (what is durable when), `threads.py` (threads as steps of the loop), `machine.py` (one
process and its disk), `plan.py`, `faults.py`, `oracles.py`, `history.py`.
"""

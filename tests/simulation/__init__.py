"""The kernel and the subgraphs under faults, in virtual time: thousands of histories, each made from one number.

Read in this order: `loop.py` (time and chance), `network.py` (requests and their fates), `broker.py` and `mongo/` (the
servers, below the real adapters), `world.py` (processes), `faults.py`, `bank.py` and `social.py` (what runs), `plan.py`
(what happens), `oracles.py` (what must hold), `story.py` (what is told of a failure).
"""

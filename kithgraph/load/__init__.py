"""`kith load`: a network of made-up people, driven through the API, and every answer compared with a model of it.

The way of a run: `network` draws what is to be asked, `run` asks it in phases through `session`s (each a client with a
bookmark of its own), `history` knows what the system may know by now, `compare` holds each answer against it with the
brute force of `model`, `report` tells. Nothing here imports the product: it is known by its API alone.
"""

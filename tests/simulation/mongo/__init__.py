"""MongoDB as the adapters see it: documents and their indexes (`server.py`), what queries and updates mean
(`matching.py`, `updating.py`, `aggregating.py`), and in front of it Motor's surface (`client.py`)."""

"""Why the process cannot start, as one line for the person who started it."""

from __future__ import annotations


class StartError(Exception):
    """Something that the person at the command line can mend; the message names the thing and what to do."""

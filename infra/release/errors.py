"""Why there is no release."""

from __future__ import annotations


class NotReady(Exception):
    """Something has to be settled first; the message says what was expected and what was found."""

"""Why a server is not there, in words for the person who started it."""

from __future__ import annotations


class ServerError(Exception):
    """A server could not be installed, started or stopped; the message names it and shows the end of its log."""


class MissingTool(ServerError):
    """A program that the servers need is not on this machine; the message says what to install."""

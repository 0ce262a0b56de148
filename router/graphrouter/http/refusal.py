"""What is told to a client whose HTTP request carries no GraphQL request."""

from __future__ import annotations


class HttpRefusal(Exception):
    """The HTTP request carries no GraphQL request: `status` says in which way, `headers` go out with it."""

    def __init__(self, status: int, code: str, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

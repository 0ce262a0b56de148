"""Whether a server answers, in its own protocol and without a driver: one question, one answer."""

from __future__ import annotations

import socket
import ssl
import struct
from pathlib import Path

_SECONDS = 2.0
# https://kafka.apache.org/protocol#The_Messages_Metadata: version 1 with an empty list of topics asks for brokers only
_KAFKA_METADATA = struct.pack(">hhihi", 3, 1, 1, -1, 0)
# https://neo4j.com/docs/bolt/current/bolt/handshake/: the magic number and four proposals, here 5.0 to 5.4
_BOLT_HELLO = bytes.fromhex("6060B017") + bytes.fromhex("00040405") + bytes(12)
# https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/#op_msg with the command {hello: 1, $db: "admin"}
_HELLO = b"\x10hello\0\x01\0\0\0" + b"\x02$db\0\x06\0\0\0admin\0" + b"\0"
_MONGODB_HELLO = bytes(5) + struct.pack("<i", len(_HELLO) + 4) + _HELLO


def kafka_brokers(port: int) -> int:
    """How many brokers the one on this port knows; 0 while it does not answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(_KAFKA_METADATA)) + _KAFKA_METADATA)
            _size, _correlation, brokers = struct.unpack(">iii", _receive(connection, 12))
    except OSError:
        return 0
    return int(brokers)


def neo4j_answers(port: int) -> bool:
    """Whether Bolt's handshake is answered."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
            connection.sendall(_BOLT_HELLO)
            return _receive(connection, 4)[3] == 5
    except OSError:
        return False


def mongodb_answers(port: int, authority: Path | None) -> bool:
    """Whether `hello` is answered, over TLS where an authority is given."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as plain:
            if authority is None:
                return _mongodb_hello(plain)
            context = ssl.create_default_context(cafile=str(authority))
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
                return _mongodb_hello(encrypted)
    except OSError:
        return False


def http_answers(port: int, path: str, authority: Path | None = None, token: str = "") -> bool:
    """Whether a question by GET is answered with 200, over TLS where an authority is given."""
    question = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    question += f"Authorization: Bearer {token}\r\n\r\n" if token else "\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as plain:
            if authority is None:
                return _answers_ok(plain, question)
            context = ssl.create_default_context(cafile=str(authority))
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
                return _answers_ok(encrypted, question)
    except OSError:
        return False


def _answers_ok(connection: socket.socket, question: str) -> bool:
    connection.sendall(question.encode("ascii"))
    return _receive(connection, 12) == b"HTTP/1.1 200"


def _mongodb_hello(connection: socket.socket) -> bool:
    connection.sendall(struct.pack("<iiii", 16 + len(_MONGODB_HELLO), 1, 0, 2013) + _MONGODB_HELLO)
    _length, _request, answered, _opcode = struct.unpack("<iiii", _receive(connection, 16))
    return bool(answered == 1)


def _receive(connection: socket.socket, count: int) -> bytes:
    """Exactly that many bytes.

    Raises:
        ConnectionError: the server closed the connection before.
    """
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("closed by the server")
        data += part
    return data

"""Other event stores, each writing one-event streams from many waiting threads; run by a Python that has them.

    python rivals.py eventsourcing|umadb FOLDER WRITERS APPENDS

prints appends per second. It imports nothing of the project, so that the benchmark can give it an environment of its
own. Every append demands that its stream is new, and is on disk before the next of the same thread.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

DATA = b'{"first_name":"Ada","last_name":"Lovelace","username":"ada.lovelace.1815"}'
PATIENCE = 20.0


def eventsourcing(folder: Path) -> tuple[Callable[[int], object], Callable[[], object]]:
    sqlite = import_module("eventsourcing.sqlite")
    stored_event: Any = import_module("eventsourcing.persistence").StoredEvent
    datastore = sqlite.SQLiteDatastore(str(folder / "events.sqlite"), pool_size=5, pool_timeout=PATIENCE)
    recorder = sqlite.SQLiteApplicationRecorder(datastore)
    recorder.create_table()
    with datastore.transaction(commit=True) as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone()[0] == 2, "expected synchronous=FULL"

    def append(number: int) -> None:
        recorder.insert_events([stored_event(UUID(int=number), 1, "doors.Opened", DATA)])

    return append, datastore.close


def umadb(folder: Path) -> tuple[Callable[[int], object], Callable[[], object]]:
    uma = import_module("umadb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    program = Path(sys.executable).with_name("umadb")
    server = subprocess.Popen([program, "--listen", address, "--db-path", folder / "uma.db"], stdout=subprocess.DEVNULL)
    clients = threading.local()

    def client() -> Any:
        if not hasattr(clients, "one"):
            clients.one = uma.Client(f"http://{address}")
        return clients.one

    def append(number: int) -> None:
        tag = f"door-{number:08}"
        new = uma.AppendCondition(uma.Query([uma.QueryItem(tags=[tag])]))
        client().append([uma.Event("doors.Opened", DATA, tags=[tag], uuid=uuid4())], new)

    until = time.monotonic() + PATIENCE
    while True:
        try:
            client().head()
            break
        except Exception:
            if time.monotonic() > until:
                server.kill()
                raise
            time.sleep(0.05)

    def stop() -> None:
        server.terminate()
        server.wait()

    return append, stop


def main() -> None:
    name, folder, writers, appends = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    append, close = {"eventsourcing": eventsourcing, "umadb": umadb}[name](folder)
    numbers = iter(range(1, appends + 1))
    taking = threading.Lock()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            while True:
                with taking:
                    number = next(numbers, None)
                if number is None:
                    return
                append(number)
        except BaseException as failure:  # noqa: BLE001 -- a thread has nobody above it; told below
            failures.append(failure)

    threads = [threading.Thread(target=write) for _ in range(writers)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - start
    close()
    if failures:
        raise SystemExit(f"{name}: {failures[0]!r}")
    print(appends / taken)


if __name__ == "__main__":
    main()

"""Whether the database can be read, and when the heartbeat in it was last committed."""

import sqlite3
import threading
import time
from typing import NamedTuple

from kube9 import errors, store
from kube9.counts import Counts
from kube9.health import Database

PATIENCE_S = 0.5  # kubelet gives a probe one second
FRESH_S = 1.0  # however many ask, the file is read no more often


class _Taken(NamedTuple):
    database: Database
    at_s: float


class Pulse:
    """Reads the heartbeat of a database as any other reader would, in a thread of its own.

    A disk that hangs keeps that one thread, and nobody who asks.

    Args:
        path: the database.
        counts: where its queries are counted.
        patience_s: how long `take` waits for an answer.
    """

    def __init__(self, path: str, counts: Counts, patience_s: float = PATIENCE_S) -> None:
        self._path, self._counts, self._patience_s = path, counts, patience_s
        self._taken: _Taken | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def take(self) -> Database:
        """The state of the database, at most a second old."""
        with self._lock:
            if self._taken and time.monotonic() - self._taken.at_s < FRESH_S:
                return self._taken.database
            thread = self._thread
            if thread is None or not thread.is_alive():
                thread = self._thread = threading.Thread(target=self._read, name="pulse", daemon=True)
                thread.start()
        thread.join(self._patience_s)
        if thread.is_alive() or self._taken is None:
            return Database(problem=f"{self._path}: no answer within {self._patience_s} s")
        return self._taken.database

    def _read(self) -> None:
        try:
            size = store.size_bytes(self._path)
            with self._counts.query(), store.open_reader(self._path, self._patience_s) as reader:
                found = reader.connection.execute("SELECT beat_at FROM heartbeat").fetchone()
            database = Database(last_commit_at=found and found[0], size_bytes=size)
        except errors.Kube9Error as error:
            database = Database(problem=str(error), size_bytes=size)
        except sqlite3.Error as error:
            database = Database(problem=str(store.translate(error, self._path)), size_bytes=size)
        self._taken = _Taken(database, time.monotonic())

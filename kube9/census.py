"""How many events a database holds, for who asks again and again."""

import threading
import time
from typing import NamedTuple

from kube9 import errors, store
from kube9.counts import Counts

PATIENCE_S = 0.5
SHARE = 1000  # counting, which reads a whole index, takes at most one part in so many of the time


class _Counted(NamedTuple):
    events: int
    written: int  # what the recorder had added by then, less what it had deleted


class Census:
    """Counts the events of a database in a thread of its own: a disk that hangs keeps that one, and nobody who asks.

    The more there are, the more seldom they are all counted; in between, what the recorder adds and deletes is.

    Args:
        path: the database.
        counts: the recorder's.
    """

    def __init__(self, path: str, counts: Counts) -> None:
        self._path, self._counts = path, counts
        self._counted: _Counted | None = None
        self._due_at = 0.0
        self._thread: threading.Thread | None = None

    def take(self) -> int | None:
        """How many events there are; None while they have not been counted. Not for two threads at once."""
        idle = self._thread is None or not self._thread.is_alive()
        if idle and time.monotonic() >= self._due_at:
            self._thread = threading.Thread(target=self._count, name="census", daemon=True)
            self._thread.start()
        if self._thread:
            self._thread.join(PATIENCE_S)
        return self._counted and self._counted.events + self._written() - self._counted.written

    def _count(self) -> None:
        started, written = time.monotonic(), self._written()
        try:
            with self._counts.query(), store.open_reader(self._path, PATIENCE_S) as reader:
                (events,) = reader.connection.execute("SELECT count(*) FROM events").fetchone()
        except (errors.Kube9Error, store.Error):
            return  # the health tells it; what was counted before serves until the next time
        ended = time.monotonic()
        self._counted, self._due_at = _Counted(events, written), ended + SHARE * (ended - started)

    def _written(self) -> int:
        return self._counts.operations["insert"] - self._counts.operations["delete"]

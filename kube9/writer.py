"""The bounded queue and the one thread that owns the write connection.

What is put is written in order; whoever puts into a full queue waits, so nothing that was read is dropped. A write
that fails is tried again until it succeeds or the writer is told to stop; an event that SQLite will never take is set
aside with its reason and does not stop the others.
"""

import logging
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from kube9 import errors, migrations, store
from kube9.model import Batch
from kube9.upsert import Tally, write

log = logging.getLogger("kube9.writer")

CAPACITY = 1000  # events that may wait
FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 5.0
# Trying again cannot help with these; all else (a full disk, a lock, a missing device) may pass.
HOPELESS = (
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)


class Writer:
    """Writes batches in a thread of its own.

    Args:
        path: the database file; made when there is none.
        capacity: how many events may wait before `put` blocks.
        patience_s: how long a failing write is tried again before the writer gives up; None is for ever.
        busy_timeout_s: how long one try waits while another process writes.
        beat: called in the writer's thread every `beat_every_s` seconds with the connection, when given.

    Raises: as `migrations.open_writer`.
    """

    def __init__(
        self,
        path: str,
        *,
        capacity: int = CAPACITY,
        patience_s: float | None = None,
        busy_timeout_s: float = store.BUSY_TIMEOUT_S,
        beat: Callable[[sqlite3.Connection], None] | None = None,
        beat_every_s: float = 10.0,
    ) -> None:
        self.tally = Tally()
        self.set_aside = 0
        self.error: Exception | None = None  # why the last write failed, None while they succeed
        self.dead: Exception | None = None  # what ended the thread, if it ended by itself
        self._path, self._connection = path, migrations.open_writer(path, busy_timeout_s)
        self._capacity, self._patience_s = capacity, patience_s
        self._beat, self._beat_every_s = beat, beat_every_s
        self._waiting: deque[Batch] = deque()
        self._size = 0
        self._next_beat = 0.0 if beat else float("inf")
        self._closing = self._abandoned = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def queue_size(self) -> int:
        """How many events wait to be written."""
        return self._size

    def put(self, batch: Batch) -> bool:
        """Queue a batch; waits while the queue is full. False, and nothing queued, once the writer is closing."""
        with self._changed:
            while self._size >= self._capacity and not self._closing:
                self._changed.wait()
            if self._closing:
                return False
            self._waiting.append(batch)
            self._size += len(batch.events)
            self._changed.notify_all()
            return True

    def beat_soon(self) -> None:
        """Beat at once, because what the heartbeat tells has changed."""
        with self._changed:
            self._next_beat = 0.0
            self._changed.notify_all()

    def close(self, timeout_s: float | None = None) -> int:
        """Write what waits, truncate the WAL and close. Returns how many events could not be written in time.

        Raises:
            Internal: a mistake of kube9's own ended the writer.
            Kube9Error: the writer lost its patience; says what the database refused.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        with self._changed:
            self._abandoned = True  # a write that is being tried again gives up
            self._changed.notify_all()
            left = self._size
        if timeout_s is not None and self._thread.is_alive():
            self._thread.join(0.5)
        if isinstance(self.dead, errors.Kube9Error):
            raise self.dead
        if self.dead:
            raise errors.Internal("the writer failed", f"{self.dead!r}; {left} events were not written") from self.dead
        return left

    def _run(self) -> None:
        try:
            self._write_all()
        except Exception as error:
            if not isinstance(error, errors.Kube9Error):
                log.critical("the writer failed", exc_info=True)
            with self._changed:
                self.dead, self._closing = error, True
                self._changed.notify_all()
        finally:
            self._connection.close()

    def _write_all(self) -> None:
        while True:
            if self._beat and time.monotonic() >= self._next_beat:
                self._next_beat = time.monotonic() + self._beat_every_s
                self._try(lambda: self._beat and self._beat(self._connection))
            batches = self._take()
            if batches is None:
                break
            if batches:
                self._write(batches)
                with self._changed:
                    self._size -= sum(len(batch.events) for batch in batches)
                    self._changed.notify_all()
        if self._beat:
            self._try(lambda: self._beat and self._beat(self._connection))
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            log.warning("the WAL was not truncated: %s", error)

    def _take(self) -> list[Batch] | None:
        """All that waits; empty when it is time to beat, None when there is nothing more to come."""
        with self._changed:
            while not self._waiting and not self._closing and (wait_s := self._next_beat - time.monotonic()) > 0:
                self._changed.wait(min(wait_s, threading.TIMEOUT_MAX))
            if self._abandoned or (self._closing and not self._waiting):
                return None
            batches = list(self._waiting)
            self._waiting.clear()
            return batches

    def _write(self, batches: list[Batch]) -> None:
        delay, started = FIRST_DELAY_S, time.monotonic()
        while not self._abandoned:
            try:
                self.tally += write(self._connection, batches)
                if self.error:
                    log.info("the database takes writes again")
                self.error = None
                return
            except HOPELESS as error:
                self._write_singly(batches, error)
                return
            except sqlite3.Error as error:
                failure = store.translate(error, self._path)
                damaged = isinstance(failure, errors.DataLoss)
                if self._patience_s is not None and (damaged or time.monotonic() - started > self._patience_s):
                    raise failure from error
                if not self.error:
                    log.error("a write failed and will be tried again: %s", failure)
                self.error = error
            with self._changed:
                self._changed.wait(0 if self._abandoned else delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, LONGEST_DELAY_S)

    def _write_singly(self, batches: list[Batch], error: Exception) -> None:
        alone = len(batches) == 1 and len(batches[0].events) + bool(batches[0].position) == 1
        if alone and batches[0].events:
            event = batches[0].events[0]
            self.set_aside += 1
            log.error("event %s/%s is set aside, SQLite does not take it: %s", event.namespace, event.name, error)
        elif alone:
            raise errors.Internal("SQLite does not take a position", f"{batches[0].position}: {error}") from error
        else:
            for batch in batches:
                for event in batch.events:
                    self._write([batch._replace(events=[event], position=None)])
                if batch.position:
                    self._write([batch._replace(events=[])])

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except sqlite3.Error as error:
            log.warning("the heartbeat was not written: %s", error)

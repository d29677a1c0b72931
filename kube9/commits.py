"""Batches into the database, tried until it takes them.

A write that fails is tried again until it succeeds, there is no patience left, or it is abandoned; an event that
SQLite will never take is set aside with its reason and does not stop the others.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from functools import partial

from kube9 import errors, store, stretches, times
from kube9.backoff import Backoff
from kube9.counts import Counts
from kube9.model import EVENT_TTL_MS, Batch
from kube9.upsert import Tally, write

log = logging.getLogger("kube9.writer")

FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 5.0
INTERRUPTED_S = 1.0  # a writing that failed for longer leaves a gap in the coverage
WATCHED_MS = 120_000  # a resource whose last proof is older was not watched any more
# Trying again cannot help with these; all else (a full disk, a lock, a missing device) may pass.
HOPELESS = (
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)


class Commits:
    """What the writer's thread commits.

    Args:
        connection: the writer's.
        path: the database file, for what is said of it.
        counts: where to count what is written and set aside.
        pause: waits so many seconds after a failure.
        patience_s: how long a failing write is tried again; None is for ever.
        event_ttl_ms: how long the API server keeps an event: what a long failure is refilled from.
        now_ms: the present in milliseconds since 1970, for the coverage.
        guest: whether another process may be recording into the file: its coverage is then left alone.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        counts: Counts,
        pause: Callable[[float], None],
        *,
        patience_s: float | None = None,
        event_ttl_ms: int = EVENT_TTL_MS,
        now_ms: Callable[[], int] = times.now_ms,
        guest: bool = False,
    ) -> None:
        self.tally = Tally()
        self.error: Exception | None = None  # why the last write failed, None while they succeed
        self.abandoned = False  # nothing is tried any more
        self._connection, self._path, self._counts, self._pause = connection, path, counts, pause
        self._patience_s, self._event_ttl_ms, self._now_ms, self._guest = patience_s, event_ttl_ms, now_ms, guest

    def write(self, batches: list[Batch]) -> None:
        """Commit batches, unless it is abandoned before that succeeds.

        Raises:
            Kube9Error: there is no patience left; says what the database refused.
        """
        backoff = Backoff(FIRST_DELAY_S, LONGEST_DELAY_S)
        started, started_ms = time.monotonic(), self._now_ms()
        while not self.abandoned:
            try:
                tally = write(self._connection, batches)
            except HOPELESS as error:
                self._write_apart(batches, error)
                return
            except sqlite3.Error as error:
                failure = store.translate(error, self._path)
                damaged = isinstance(failure, errors.DataLoss)
                if self._patience_s is not None and (damaged or time.monotonic() - started > self._patience_s):
                    raise failure from error
                self._failed(error)
            else:
                self._committed(tally)
                if self.error and not self._guest and time.monotonic() - started > INTERRUPTED_S:
                    self._interrupted(started_ms)
                self._works()
                return
            self._pause(backoff.delay_s())

    def attempt(
        self, name: str, work: Callable[[sqlite3.Connection], float | None], retry_s: float | None = None
    ) -> float | None:
        """Do other work with the connection, which commits what it writes. Returns what that does; `retry_s` when it failed."""
        before = self._connection.total_changes
        try:
            again_s = work(self._connection)
            if self._connection.total_changes != before:  # to read proves nothing
                self._works()
            return again_s
        except sqlite3.Error as error:
            log.warning("%s was not written: %s", name, error)
            self._failed(error)
            return retry_s

    def _works(self) -> None:
        if self.error:
            log.info("the database takes writes again")
        self.error = None

    def _failed(self, error: sqlite3.Error) -> None:
        self._counts.fail_write()
        if not self.error:
            log.error("a write failed and will be tried again: %s", store.translate(error, self._path))
        self.error = error

    def _committed(self, tally: Tally) -> None:
        self._counts.committed(tally.kinds, tally.updated)
        if tally.cut:
            self._counts.truncate(len(tally.cut))
            log.warning("the metadata of %d events is cut to 10 KiB, such as of %s", len(tally.cut), tally.cut[0])
            tally.cut.clear()
        self.tally += tally

    def _write_apart(self, batches: list[Batch], error: Exception) -> None:
        """Write what SQLite does not take together in smaller parts, until what it never takes is alone."""
        first, *others = batches
        if others:
            for batch in batches:
                self.write([batch])
        elif len(first.events) > 1:
            half = len(first.events) // 2
            for events in (first.events[:half], first.events[half:]):
                self.write([Batch(events, first.origin, first.cluster, namespace=first.namespace)])
            self.write([first._replace(events=[])])
        elif first.events and (first.position or first.proof or first.objects):
            self.write([Batch(first.events, first.origin, first.cluster, namespace=first.namespace)])
            self.write([first._replace(events=[])])
        elif first.events:
            event = first.events[0]
            self._counts.drop("set_aside")
            log.error("event %s/%s is set aside, SQLite does not take it: %s", event.namespace, event.name or event.id, error)
        elif first.position or first.proof or first.objects:
            raise errors.Internal("SQLite does not take a position", f"{first}: {error}") from error

    def _interrupted(self, started_ms: int) -> None:
        """Tell the coverage that nothing was written since. What was read meanwhile waited, and is written now."""
        now_ms = self._now_ms()
        self.attempt(
            "the gap in the coverage",
            partial(
                stretches.interrupt,
                watched_since=times.iso(started_ms - WATCHED_MS),
                until=times.iso(now_ms),
                kept_from=times.iso(now_ms - self._event_ttl_ms),
            ),
        )

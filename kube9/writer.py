"""The bounded queues and the one thread that owns the write connection.

What is put is written in order; whoever puts into a full queue waits, so nothing that was read is dropped. What is
offered waits in a lane beside it, where the least severe go when it is full, so whoever offers never waits.
"""

import logging
import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from kube9 import errors, migrations, store, times
from kube9.commits import Commits
from kube9.counts import Counts
from kube9.health import Loop
from kube9.lane import CAPACITY as LANE_CAPACITY
from kube9.lane import DropLog, Lane
from kube9.model import EVENT_TTL_MS, Batch, Event
from kube9.upsert import Tally

log = logging.getLogger("kube9.writer")

CAPACITY = 3000  # events and objects that may wait, while as many are being written; more in a transaction gain little


class Chore:
    """Work that the writer's thread does with its connection from time to time.

    Args:
        name: for the log.
        every_s: how often.
        do: the work; what it writes, it commits itself. It may do a part of it and return after how many seconds it is to
            do the next, so that what waits is written meanwhile; None when it is done.
        retry_s: how long a failure waits, where that is shorter.
        at_end: whether it is done once more before the writer ends.
    """

    def __init__(
        self,
        name: str,
        every_s: float,
        do: Callable[[sqlite3.Connection], float | None],
        *,
        retry_s: float = math.inf,
        at_end: bool = True,
    ) -> None:
        self.name, self.every_s, self.do, self.retry_s, self.at_end = name, every_s, do, retry_s, at_end
        self.due_at = 0.0  # monotonic seconds


class Writer:
    """Writes batches in a thread of its own.

    Args:
        path: the database file; made when there is none.
        capacity: how many events may wait before `put` blocks.
        lane_capacity: how many events of our own may wait before `offer` drops.
        patience_s: how long a failing write is tried again before the writer gives up; None is for ever.
        busy_timeout_s: how long one try waits while another process writes.
        chores: what is to be done between writes.
        event_ttl_ms: how long the API server keeps an event: what a long failure is refilled from.
        counts: where to count what is written and dropped.
        now_ms: the present in milliseconds since 1970, for the coverage.
        guest: whether another process may be recording into the file: its WAL and its coverage are then left alone.

    Raises: as `migrations.open_writer`.
    """

    def __init__(
        self,
        path: str,
        *,
        capacity: int = CAPACITY,
        lane_capacity: int = LANE_CAPACITY,
        patience_s: float | None = None,
        busy_timeout_s: float = store.BUSY_TIMEOUT_S,
        chores: Sequence[Chore] = (),
        event_ttl_ms: int = EVENT_TTL_MS,
        counts: Counts | None = None,
        now_ms: Callable[[], int] = times.now_ms,
        guest: bool = False,
    ) -> None:
        self.loop = Loop("writer")
        self.dead: Exception | None = None  # what ended the thread, if it ended by itself
        self._connection = migrations.open_writer(path, busy_timeout_s)
        self._capacity, self._chores, self._guest = capacity, chores, guest
        self._counts = counts or Counts()
        self._commits = Commits(
            self._connection,
            path,
            self._counts,
            self._pause,
            patience_s=patience_s,
            event_ttl_ms=event_ttl_ms,
            now_ms=now_ms,
            guest=guest,
        )
        self._lane, self._lane_since = Lane(lane_capacity), 0.0  # with when the first that waits in it came
        self._drops = DropLog()
        self._taken = self._written = 0  # how often all that waited was taken, and how often it was dealt with
        self._waiting: deque[tuple[Batch, float]] = deque()  # with when it was ready, for how long that takes
        self._size = self._writing = 0  # events and objects that wait, and that are being written
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def queue_size(self) -> int:
        """How many events and objects wait to be written."""
        return self._size + self._writing + len(self._lane)

    @property
    def tally(self) -> Tally:
        """How many events were added, updated and found already stored."""
        return self._commits.tally

    @property
    def set_aside(self) -> int:
        """How many events SQLite does not take."""
        return self._counts.dropped["set_aside"]

    @property
    def error(self) -> Exception | None:
        """Why the last write failed; None while they succeed."""
        return self._commits.error

    @property
    def dropped(self) -> dict[str, int]:
        """How many events were not recorded, by `counts.DROPPED`."""
        return {reason: number for reason, number in self._counts.dropped.items() if number}

    def offer(self, event: Event) -> None:
        """Queue an event of our own. Never waits and does no I/O: in a full lane the least severe is dropped, and counted."""
        with self._changed:
            if self._closing:
                self._counts.drop("stopped")
                return
            first = not self._lane
            if not self._lane.add(event):
                self._counts.drop("queue_full")
            if first:
                self._lane_since = time.monotonic()
                self._changed.notify_all()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all that waits now is written. False when that was not in time, or never will be."""
        with self._changed:
            goal = self._taken + bool(self._waiting or self._lane)
            self._changed.wait_for(lambda: self._written >= goal or self.dead or self._commits.abandoned, timeout_s)
            return self._written >= goal

    def put(self, batch: Batch) -> bool:
        """Queue a batch; waits while the queue is full. False, and nothing queued, once the writer is closing."""
        ready_at = time.monotonic()
        with self._changed:
            while self._size >= self._capacity and not self._closing:
                self._changed.wait()
            if self._closing:
                return False
            self._waiting.append((batch, ready_at))
            self._size += batch.size
            self._changed.notify_all()
            return True

    def hurry(self, chore: Chore) -> None:
        """Do a chore at once, because what it tells has changed."""
        with self._changed:
            chore.due_at = 0.0
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
            self._commits.abandoned = True  # a write that is being tried again gives up
            self._changed.notify_all()
            left = self.queue_size
        self._counts.drop("stopped", left)
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
            self.loop.turn(math.inf)  # SQLite may take as long as the disk does: that is for `/readyz` to tell
            for chore in self._chores:
                if time.monotonic() >= chore.due_at:
                    self._do(chore)
            self._drops.tell(self._counts.dropped["queue_full"], written=True)
            taken = self._take()
            if taken is None:
                break
            if taken:
                self._commits.write([batch for batch, _ in taken])
                now = time.monotonic()
                for batch, ready_at in taken:
                    self._counts.until_committed.observe(now - ready_at, len(batch.events))
                with self._changed:
                    if not self._commits.abandoned:
                        self._written = self._taken
                    self._writing = 0
                    self._changed.notify_all()
        for chore in self._chores:
            if chore.at_end:
                self._do(chore)
        if self._guest:
            return  # to truncate waits for readers, and all who write wait with it
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            log.warning("the WAL was not truncated: %s", error)

    def _do(self, chore: Chore) -> None:
        chore.due_at = time.monotonic() + chore.every_s
        again_s = self._commits.attempt(chore.name, chore.do, chore.retry_s)
        if again_s is not None:
            chore.due_at = min(chore.due_at, time.monotonic() + again_s)

    def _take(self) -> list[tuple[Batch, float]] | None:
        """All that waits, with when it was ready; empty when a chore is due, None when there is nothing more to come."""
        with self._changed:
            while not self._waiting and not self._lane and not self._closing and (wait_s := self._idle_s()) > 0:
                self.loop.turn(wait_s)
                self._changed.wait(wait_s)
            self.loop.turn(math.inf)
            if self._commits.abandoned or (self._closing and not self._waiting and not self._lane):
                return None
            batches = list(self._waiting)
            self._waiting.clear()
            if own := self._lane.take():
                batches.append((Batch(own, "api"), self._lane_since))
            self._taken += bool(batches)
            self._size, self._writing = 0, sum(batch.size for batch, _ in batches)
            self._changed.notify_all()  # whoever waits to put more: it is read while this is written
            return batches

    def _idle_s(self) -> float:
        """Seconds until a chore is due."""
        soonest = min((chore.due_at for chore in self._chores), default=float("inf"))
        return min(soonest - time.monotonic(), threading.TIMEOUT_MAX)

    def _pause(self, seconds: float) -> None:
        """Wait after a write that failed, until it is time or the end begins; whatever is put, the wait stays as long."""
        self._drops.tell(self._counts.dropped["queue_full"], written=False)
        with self._changed:
            closing = self._closing
            self._changed.wait_for(lambda: self._commits.abandoned or self._closing != closing, seconds)

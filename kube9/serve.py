"""`kube9 serve`: the watches, the writer, and what tells how they are, until it is told to stop."""

import ctypes
import gc
import logging
import select
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from kube9 import (
    apiserver,
    cleanup,
    errors,
    fresh,
    heartbeat,
    lock,
    metrics,
    migrations,
    occurrences,
    own,
    probes,
    store,
    times,
    watch,
)
from kube9.census import Census
from kube9.clock import Clock
from kube9.counts import Counts
from kube9.health import Database, Facts
from kube9.model import EVENT_TTL_MS
from kube9.publisher import Publisher
from kube9.pulse import Pulse
from kube9.resources import WATCHED, Resource
from kube9.retention import FOR_EVER, Policy
from kube9.selection import Selection
from kube9.status_map import StatusMap
from kube9.version import __version__
from kube9.vocabulary import TIER
from kube9.watching import Watches
from kube9.writer import CAPACITY, Chore, Writer

log = logging.getLogger("kube9.serve")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
QUERIES_S = 60.0  # between two looks at the files of the user's own queries
END_S = 4.6  # after which a stop no longer waits for its last status to be published
DRAIN_S = 4.0  # how long a stop may take to write what waits; with the rest it ends within 5 s
BEAT_S = 10.0
FOLD_S = 3600.0
SETTLE_S = 60.0  # after a start: until then it may take to read the first list
M_ARENA_MAX = -8
SWITCH_S = 0.001  # how soon the writer gets on between two statements while a burst is read
GARBAGE = 200_000  # new objects between two searches for cycles
OCCURRENCES_MS = 7 * times.DAY_MS  # older ones of an event become one


def serve(
    database: str,
    api: apiserver.ApiServer,
    selection: Selection,
    *,
    health_port: int,
    event_ttl_ms: int = EVENT_TTL_MS,
    status: StatusMap | None = None,
    namespace: str | None = None,
    kept: Policy = FOR_EVER,
    retention_s: float = cleanup.INTERVAL_S,
) -> int:
    """Record the cluster's events until SIGTERM or SIGINT. Returns how many events could not be written.

    Args:
        database: the database file.
        api: the API server.
        selection: which events to record, and the rules.
        health_port: where the probes are answered; 0 turns them off.
        event_ttl_ms: how long the API server keeps an event.
        status: where it is published how the recorder is.
        namespace: the only one that is watched; None for all.
        kept: how long events are kept here.
        retention_s: seconds between two runs of retention.

    Raises:
        FailedPrecondition: another `serve` holds the database, or a newer kube9 made it.
        Unavailable, PermissionDenied: as `probes.Server`.
        Unavailable, PermissionDenied, DataLoss: as `migrations.open_writer`.
        Internal: a mistake of kube9's own ended the recording.
    """
    _share_memory()
    with lock.held(database), _stop_signals() as told_to_stop:
        before, after = migrations.migrate(database)
        if before != after:
            log.info("database %s: %s at schema version %d", "migrated" if before else "initialised", database, after)
        for problem in selection.rules.problems:
            log.warning("rules left out: %s", problem)
        settings = watch.Settings(event_ttl_ms=event_ttl_ms)
        recorder = Recorder(
            database,
            api,
            selection,
            health_port=health_port,
            settings=settings,
            status=status,
            kept=kept,
            retention_s=retention_s,
            namespace=namespace,
        )
        recorder.start()
        # What a burst brings is freed by its last reference; looking for cycles among it took a third of the time.
        gc.freeze()
        gc.set_threshold(GARBAGE)
        sys.setswitchinterval(SWITCH_S)
        log.info("recording the events of %s into %s", f"{namespace} at {api.host}" if namespace else api.host, database)
        log.info("keeping %s", kept)
        looked_at = 0.0
        while recorder.alive() and not told_to_stop(1.0):
            if time.monotonic() - looked_at > QUERIES_S or not looked_at:
                looked_at = time.monotonic()
                for problem in fresh.keep_for_all():
                    log.warning("left out: %s", problem)
        return recorder.stop()


class Recorder:
    """The watches, the writer, the heartbeat and the probes of one database.

    Args:
        database: the database file, at the newest schema.
        api: the API server.
        selection: which events to record, and the rules.
        health_port: where the probes are answered; 0 turns them off.
        watched: the resources beside events whose changes are recorded.
        clock: the time and the waits of the watches.
        settings: of the watches.
        busy_timeout_s: how long one try to write waits while another process writes.
        status: where it is published how the recorder is.
        namespace: the only one that is watched; None for all.
        kept: how long events are kept.
        retention_s: seconds between two runs of retention.
    """

    def __init__(
        self,
        database: str,
        api: apiserver.ApiServer,
        selection: Selection,
        *,
        health_port: int = 0,
        watched: Sequence[Resource] = WATCHED,
        clock: Clock | None = None,
        settings: watch.Settings | None = None,
        busy_timeout_s: float = store.BUSY_TIMEOUT_S,
        status: StatusMap | None = None,
        namespace: str | None = None,
        kept: Policy = FOR_EVER,
        retention_s: float = cleanup.INTERVAL_S,
    ) -> None:
        self._path, self._namespace, settings = database, namespace, settings or watch.Settings()
        self._clock, self._counts = clock or Clock(), Counts()
        self._started_at = self._clock.now()
        self._problems = selection.rules.problems
        self._state: str | None = None  # of health, once it has settled
        self._settles_at = time.monotonic() + SETTLE_S
        self._pulse = Pulse(database, self._counts)
        self._heartbeat = Chore("the heartbeat", BEAT_S, self._beat)
        cleaning = cleanup.Cleanup(
            kept, self._counts, interval_s=retention_s, event_ttl_ms=settings.event_ttl_ms, now_ms=self._clock.now_ms
        )
        self._writer = Writer(
            database,
            chores=[self._heartbeat, Chore("the fold of old occurrences", FOLD_S, self._fold), cleaning.chore],
            event_ttl_ms=settings.event_ttl_ms,
            counts=self._counts,
            now_ms=self._clock.now_ms,
            busy_timeout_s=busy_timeout_s,
        )
        self._watches = Watches(
            database,
            api,
            self._writer,
            selection,
            told=lambda: self._writer.hurry(self._heartbeat),
            watched=watched,
            counts=self._counts,
            clock=self._clock,
            kept=kept,
            settings=settings,
            namespace=namespace,
        )
        self._loops = [self._writer.loop, *(state.loop for state in self._watches.states)]
        self._publisher = Publisher(status, self._known, self._counts, Census(database, self._counts)) if status else None
        if self._publisher:
            self._loops.append(self._publisher.loop)
        self._probes = self._listen(health_port) if health_port else None

    def start(self) -> None:
        """Begin to record."""
        self._writer.start()
        self._writer.offer(own.started(__version__, TIER))
        self._watches.start()
        if self._probes:
            self._probes.start()
        if self._publisher:
            self._publisher.start()

    def alive(self) -> bool:
        """Whether all threads do their work."""
        return not self._watches.failure and not self._writer.dead

    def stop(self) -> int:
        """End the watches, write what waits, close. Returns how many events could not be written; raises Internal."""
        log.info("stopping: %d events wait to be written", self._writer.queue_size)
        ends_at = time.monotonic() + END_S
        self._watches.stop()
        if self._publisher:
            self._publisher.stop()
        self._writer.offer(own.stopped(__version__, TIER))
        try:
            left = self._writer.close(DRAIN_S)
        finally:
            if self._publisher:
                self._publisher.join(ends_at - time.monotonic())
        if self._probes:
            self._probes.stop()
        tally = self._writer.tally
        log.info("stopped: %d events added, %d updated, %d not written", tally.added, tally.updated, left)
        if self._watches.failure:
            failure = self._watches.failure
            raise errors.Internal("a watch failed", f"{failure!r}; the log says where") from failure
        return left

    def _beat(self, connection: sqlite3.Connection) -> None:
        facts = self._facts(Database())
        verdict = heartbeat.write(connection, facts, dropped=self._counts.dropped_total, now_ms=self._clock.now_ms())
        settled = self._state or verdict.state == "healthy" or time.monotonic() > self._settles_at
        if settled and not facts.stopping:
            previous, self._state = self._state or "healthy", verdict.state
            if verdict.state != previous:
                self._writer.offer(own.health_changed(previous, verdict.state, verdict.problems))

    def _fold(self, connection: sqlite3.Connection) -> None:
        occurrences.fold(connection, times.iso(self._clock.now_ms() - OCCURRENCES_MS))

    def _facts(self, database: Database) -> Facts:
        return Facts(
            started_at=self._started_at,
            watches=self._watches.states,
            loops=self._loops,
            database=database,
            queue_size=self._writer.queue_size,
            queue_capacity=CAPACITY,
            stopping=self._clock.stopped,
            namespace=self._namespace,
            left_out=self._problems,
        )

    def _known(self) -> Facts:
        """All that is known now; it looks at the database."""
        error = self._writer.error
        write_problem = str(store.translate(error, self._path)) if error else None
        return self._facts(self._pulse.take()._replace(write_problem=write_problem))

    def _listen(self, port: int) -> probes.Server:
        written = metrics.exposition(self._known, self._counts)
        return probes.Server(port, facts=self._known, loops=self._loops, counts=self._counts, metrics=written)


def _share_memory() -> None:
    """Let the threads share two arenas of memory: one for each, as glibc has it, took 10 MB more of 98.

    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


@contextmanager
def _stop_signals() -> Iterator[Callable[[float], bool]]:
    """Take SIGTERM and SIGINT; yields what waits so many seconds for one and tells whether it came."""
    # The handler does nothing, because it could meet a lock that is held; Python itself writes to the socket.
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in STOP_SIGNALS}
    fd_before = signal.set_wakeup_fd(writing.fileno())
    try:
        yield lambda seconds: bool(select.select([reading], [], [], seconds)[0])
    finally:
        signal.set_wakeup_fd(fd_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        reading.close()
        writing.close()

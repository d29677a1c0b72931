"""`kube9 serve`: watch -> queue -> writer, until it is told to stop."""

import json
import logging
import math
import os
import select
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from kube9 import apiserver, errors, fresh, health, lock, metrics, migrations, probes, rules, store, times, watch, wire
from kube9.backoff import Backoff
from kube9.clock import Clock
from kube9.counts import Counts
from kube9.health import Database, Facts, Watch
from kube9.model import Batch, Position
from kube9.normalise import normalise
from kube9.pulse import Pulse
from kube9.version import __version__
from kube9.writer import CAPACITY, Chore, Writer

log = logging.getLogger("kube9.serve")

EVENTS = "/api/v1/events"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
QUERIES_S = 60.0  # between two looks at the files of the user's own queries
DRAIN_S = 4.0  # how long a stop may take to write what waits; with the rest it ends within 5 s
BEAT_S = 10.0
BEAT = """
INSERT OR REPLACE INTO heartbeat (
    id, beat_at, started_at, pid, version, health, queue_size, dropped_total, watch, problems)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
POSITION = """
SELECT resource_version, updated_at
FROM watch_position
JOIN clusters ON clusters.id = cluster_id
WHERE uid = ? AND resource = 'events'
"""


def serve(database: str, api: apiserver.ApiServer, health_port: int) -> int:
    """Record the cluster's events until SIGTERM or SIGINT. Returns how many events could not be written.

    Probes are answered on `health_port`; 0 turns them off.

    Raises:
        FailedPrecondition: another `serve` holds the database, or a newer kube9 made it.
        Unavailable, PermissionDenied: as `probes.Server`.
        Unavailable, PermissionDenied, DataLoss: as `migrations.open_writer`.
        Internal: a mistake of kube9's own ended the recording.
    """
    with lock.held(database), _stop_signals() as told_to_stop:
        before, after = migrations.migrate(database)
        if before != after:
            log.info("database %s: %s at schema version %d", "migrated" if before else "initialised", database, after)
        recorder = Recorder(database, api, health_port)
        recorder.start()
        log.info("recording the events of %s into %s", api.host, database)
        looked_at = 0.0
        while recorder.alive() and not told_to_stop(1.0):
            if time.monotonic() - looked_at > QUERIES_S or not looked_at:
                looked_at = time.monotonic()
                for problem in fresh.keep_for_all():
                    log.warning("left out: %s", problem)
        return recorder.stop()


class Recorder:
    """The watch in one thread, the writer in another, and what the heartbeat tells of both."""

    def __init__(self, database: str, api: apiserver.ApiServer, health_port: int) -> None:
        self._database, self._api = database, api
        self._rules, self._watched, self._clock = rules.built_in(), Watch("events"), Clock()
        self._started_at = times.iso(times.now_ms())
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._counts = Counts()
        self._pulse = Pulse(database, self._counts)
        self._heartbeat = Chore("the heartbeat", BEAT_S, self._beat)
        self._writer = Writer(database, chores=[self._heartbeat], counts=self._counts)
        self._loops = [self._writer.loop, self._watched.loop]
        self._probes = self._listen(health_port) if health_port else None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to record."""
        self._writer.start()
        self._thread.start()
        if self._probes:
            self._probes.start()

    def alive(self) -> bool:
        """Whether both threads do their work."""
        return not self._failure and not self._writer.dead

    def stop(self) -> int:
        """End the watch, write what waits, close. Returns how many events could not be written; raises Internal."""
        log.info("stopping: %d events wait to be written", self._writer.queue_size)
        self._stopping.set()
        self._clock.stop()
        self._api.stop()
        left = self._writer.close(DRAIN_S)
        if self._probes:
            self._probes.stop()
        tally = self._writer.tally
        log.info("stopped: %d events added, %d updated, %d not written", tally.added, tally.updated, left)
        if self._failure:
            raise errors.Internal("the watch failed", f"{self._failure!r}; the log says where") from self._failure
        return left

    def _run(self) -> None:
        try:
            self._record()
        except Exception as error:
            log.critical("the watch failed", exc_info=True)
            self._failure = error

    def _record(self) -> None:
        """The way of an event: a line of the watch, normalised, into the queue together with its position."""
        cluster = self._cluster_uid()
        if cluster is None:
            return
        watched, start = self._watched, watch.Start(*self._start(cluster))
        pages = watch.list_then_watch(
            self._api, EVENTS, wire.EVENTS, watched, start=start, clock=self._clock, verify=partial(self._verify, cluster)
        )
        for page in pages:
            started = time.perf_counter()
            events = [normalise(source, self._rules) for source in page.objects]
            self._counts.processing.observe(time.perf_counter() - started)
            position = Position("events", page.resource_version) if page.resource_version else None
            watched.loop.turn(math.inf)  # a full queue waits for the database
            if self._stopping.is_set() or not self._writer.put(Batch(events, "watch", cluster, position)):
                return
            watched.loop.turn()
            if events:
                watched.last_event_at = max(event.last_seen_at for event in events)
            if page.cause or page.last:
                self._writer.hurry(self._heartbeat)

    def _verify(self, cluster: str) -> None:
        found = self._api.cluster_uid()
        if found != cluster:
            raise watch.AnotherCluster(f"the cluster is {found} now, and was {cluster}")

    def _cluster_uid(self) -> str | None:
        backoff = Backoff(watch.Settings().first_delay_s, watch.Settings().longest_delay_s)
        while True:
            try:
                return self._api.cluster_uid()
            except (apiserver.Refused, apiserver.Unreachable) as failure:
                delay = backoff.delay_s()
                log.warning("%s; trying again in %.0f s", apiserver.explain(failure), delay)
                self._watched.failed("unreachable", str(apiserver.explain(failure)))
            self._watched.loop.turn(delay)
            if not self._clock.wait(delay):
                return None

    def _start(self, cluster: str) -> tuple[str | None, str | None]:
        """Where the watch of this cluster's events stood when it was last written, and when that was."""
        with self._counts.query(), store.open_reader(self._database) as reader:
            found = reader.connection.execute(POSITION, (cluster,)).fetchone()
        return found or (None, None)

    def _beat(self, connection: sqlite3.Connection) -> None:
        now_ms = times.now_ms()
        at = times.iso(now_ms)
        facts = self._facts(Database(last_commit_at=at))  # whoever reads this row knows that it was committed
        verdict = health.judge(facts, now_ms)
        watches = {watch.resource: health.report(watch, now_ms) for watch in facts.watches}
        row = (
            at, self._started_at, os.getpid(), __version__, verdict.state, facts.queue_size, self._counts.dropped_total,
            json.dumps(watches), json.dumps(verdict.problems),
        )  # fmt: skip
        connection.execute(BEAT, row)

    def _facts(self, database: Database) -> Facts:
        return Facts(
            started_at=self._started_at,
            watches=[self._watched],
            loops=self._loops,
            database=database,
            queue_size=self._writer.queue_size,
            queue_capacity=CAPACITY,
            stopping=self._stopping.is_set(),
        )

    def _listen(self, port: int) -> probes.Server:
        def facts() -> Facts:
            return self._facts(self._pulse.take())

        written = metrics.exposition(facts, self._counts)
        return probes.Server(port, facts=facts, loops=self._loops, counts=self._counts, metrics=written)


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

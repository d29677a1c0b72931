"""`kube9 serve`: watch -> queue -> writer, until it is told to stop."""

import json
import logging
import os
import select
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kube9 import apiserver, errors, fresh, lock, migrations, rules, store, times, watch
from kube9.model import Batch, Position
from kube9.normalise import normalise
from kube9.version import __version__
from kube9.writer import Chore, Writer

log = logging.getLogger("kube9.serve")

EVENTS = "/api/v1/events"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
QUERIES_S = 60.0  # between two looks at the files of the user's own queries
DRAIN_S = 4.0  # how long a stop may take to write what waits; with the rest it ends within 5 s
BEAT_S = 10.0
BEAT = """
INSERT OR REPLACE INTO heartbeat (id, beat_at, started_at, pid, version, health, queue_size, dropped_total, watch)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)
"""
POSITION = """
SELECT resource_version
FROM watch_position
JOIN clusters ON clusters.id = cluster_id
WHERE uid = ? AND resource = 'events'
"""


class Watched:
    """What is known of one watched resource, for the heartbeat."""

    def __init__(self) -> None:
        self.connected = False
        self.last_event_at: str | None = None
        self.resource_version: str | None = None

    def report(self) -> dict[str, Any]:
        """For `query status`; the lag is the age of the newest event, in seconds."""
        lag = None
        if self.last_event_at:
            now = times.now_ms()
            lag = max(0.0, (now - times.parse(self.last_event_at, now)) / 1000)
        return {
            "connected": self.connected,
            "last_event_at": self.last_event_at,
            "resource_version": self.resource_version,
            "lag_seconds": lag,
        }


def serve(database: str, api: apiserver.ApiServer) -> int:
    """Record the cluster's events until SIGTERM or SIGINT. Returns how many events could not be written.

    Raises:
        FailedPrecondition: another `serve` holds the database, or a newer kube9 made it.
        Unavailable, PermissionDenied, DataLoss: as `migrations.open_writer`.
        Internal: a mistake of kube9's own ended the recording.
    """
    with lock.held(database), _stop_signals() as told_to_stop:
        before, after = migrations.migrate(database)
        if before != after:
            log.info("database %s: %s at schema version %d", "migrated" if before else "initialised", database, after)
        recorder = Recorder(database, api)
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

    def __init__(self, database: str, api: apiserver.ApiServer) -> None:
        self._database, self._api = database, api
        self._rules, self._watched = rules.built_in(), Watched()
        self._started_at = times.iso(times.now_ms())
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._heartbeat = Chore("the heartbeat", BEAT_S, self._beat)
        self._writer = Writer(database, chores=[self._heartbeat])
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to record."""
        self._writer.start()
        self._thread.start()

    def alive(self) -> bool:
        """Whether both threads do their work."""
        return not self._failure and not self._writer.dead

    def stop(self) -> int:
        """End the watch, write what waits, close. Returns how many events could not be written; raises Internal."""
        log.info("stopping: %d events wait to be written", self._writer.queue_size)
        self._stopping.set()
        self._api.stop()
        left = self._writer.close(DRAIN_S)
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
        watched = self._watched
        watched.resource_version = self._position(cluster)
        for page in watch.list_then_watch(self._api, EVENTS, watched.resource_version, self._pause, self._connected):
            events = [normalise(source, self._rules) for source in page.objects]
            position = Position("events", page.resource_version) if page.resource_version else None
            if self._stopping.is_set() or not self._writer.put(Batch(events, "watch", cluster, position)):
                return
            watched.resource_version = page.resource_version or watched.resource_version
            if events:
                watched.last_event_at = max(event.last_seen_at for event in events)

    def _connected(self, connected: bool) -> None:
        if connected != self._watched.connected:
            self._watched.connected = connected
            if connected:
                log.info("connected: watching the events of %s", self._api.host)
            self._writer.hurry(self._heartbeat)

    def _pause(self, seconds: float) -> bool:
        return not self._stopping.wait(seconds)

    def _cluster_uid(self) -> str | None:
        delay = watch.FIRST_DELAY_S
        while True:
            try:
                return self._api.cluster_uid()
            except (apiserver.Refused, apiserver.Unreachable) as failure:
                log.warning("%s; trying again in %.0f s", apiserver.explain(failure), delay)
            if not self._pause(delay):
                return None
            delay = min(delay * 2, watch.LONGEST_DELAY_S)

    def _position(self, cluster: str) -> str | None:
        """Where the watch of this cluster's events stood when it was last written."""
        with store.open_reader(self._database) as reader:
            found = reader.connection.execute(POSITION, (cluster,)).fetchone()
        return found[0] if found else None

    def _beat(self, connection: sqlite3.Connection) -> None:
        health = "healthy" if self._watched.connected else "degraded"
        if self._stopping.is_set():
            health = "unhealthy"
        report = json.dumps({"events": self._watched.report()})
        waiting = self._writer.queue_size
        row = (times.iso(times.now_ms()), self._started_at, os.getpid(), __version__, health, waiting, 0, report)
        connection.execute(BEAT, row)


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

"""What records a cluster: its watches, the writer, what tells how they are, and how they begin and end together."""

import logging
import sqlite3
import time
from collections.abc import Sequence
from typing import NamedTuple

from kube9 import cleanup, errors, heartbeat, metrics, occurrences, own, probes, store, times, watch
from kube9.apiserver import ApiServer
from kube9.census import Census
from kube9.clock import Clock
from kube9.counts import Counts
from kube9.health import Database, Facts
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

END_S = 4.6  # after which a stop no longer waits for its last status to be published
DRAIN_S = 4.0  # how long a stop may take to write what waits; with the rest it ends within 5 s
BEAT_S = 10.0
FOLD_S = 3600.0
SETTLE_S = 60.0  # after a start: until then it may take to read the first list
OCCURRENCES_MS = 7 * times.DAY_MS  # older ones of an event become one


class Choices(NamedTuple):
    """What may be chosen of a recorder, beside what it records."""

    health_port: int = 0  # where the probes are answered; 0 turns them off
    namespace: str | None = None  # the only one that is watched; None for all
    status: StatusMap | None = None  # where it is published how the recorder is
    kept: Policy = FOR_EVER  # how long events are kept
    retention_s: float = cleanup.INTERVAL_S  # between two runs of retention
    watching: watch.Settings = watch.Settings()


class ClusterRecorder:
    """The watches, the writer, the heartbeat and the probes of one database.

    Args:
        database: the database file, at the newest schema.
        api: the API server.
        selection: which events to record, and the rules.
        choices: all else that people choose.
        watched: the resources beside events whose changes are recorded.
        clock: the time and the waits of the watches.
        busy_timeout_s: how long one try to write waits while another process writes.

    Raises:
        Unavailable, PermissionDenied: as `probes.Server`.
    """

    def __init__(
        self,
        database: str,
        api: ApiServer,
        selection: Selection,
        choices: Choices,
        *,
        watched: Sequence[Resource] = WATCHED,
        clock: Clock | None = None,
        busy_timeout_s: float = store.BUSY_TIMEOUT_S,
    ) -> None:
        self._path, self._namespace = database, choices.namespace
        self._clock, self._counts = clock or Clock(), Counts()
        self._started_at = self._clock.now()
        self._problems = selection.rules.problems
        self._state: str | None = None  # of health, once it has settled
        self._settles_at = time.monotonic() + SETTLE_S
        self._pulse = Pulse(database, self._counts)
        self._heartbeat = Chore("the heartbeat", BEAT_S, self._beat)
        event_ttl_ms = choices.watching.event_ttl_ms
        cleaning = cleanup.Cleanup(
            choices.kept,
            self._counts,
            interval_s=choices.retention_s,
            event_ttl_ms=event_ttl_ms,
            now_ms=self._clock.now_ms,
        )
        self._writer = Writer(
            database,
            chores=[self._heartbeat, Chore("the fold of old occurrences", FOLD_S, self._fold), cleaning.chore],
            event_ttl_ms=event_ttl_ms,
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
            kept=choices.kept,
            settings=choices.watching,
            namespace=choices.namespace,
        )
        self._loops = [self._writer.loop, *(state.loop for state in self._watches.states)]
        self._publisher: Publisher | None = None
        if choices.status:
            self._publisher = Publisher(choices.status, self._known, self._counts, Census(database, self._counts))
            self._loops.append(self._publisher.loop)
        self._probes = self._listen(choices.health_port) if choices.health_port else None

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

"""The watches of a recorder: each resource in a thread of its own, all of them into one writer.

events    page -> selection, normalise -> Batch: events, position, proof
objects   page -> reduce               -> Batch: objects, position, proof    (what changed is derived by the writer)
"""

import http.client
import logging
import math
import threading
from collections.abc import Callable, Sequence
from functools import partial

from kube9 import clusters, errors, health, resources, store, watch, wire
from kube9.apiserver import ApiServer
from kube9.backoff import Backoff
from kube9.clock import Clock
from kube9.counts import Counts
from kube9.failures import AnotherCluster, explain, reason_of
from kube9.intake import Intake
from kube9.model import Batch, Objects, Position, Proof
from kube9.resources import Resource
from kube9.responses import Refused, Unreachable
from kube9.retention import FOR_EVER, Policy
from kube9.selection import Selection
from kube9.writer import Writer

log = logging.getLogger("kube9.watching")

EVENTS = "events"
# An object stays until it is deleted: whatever a list names tells what became of it since.
FOR_EVER_MS = 10 * 365 * 86_400_000
BOOKMARKS_S = 75.0  # servers send one a minute for all resources but events
POSITION = "SELECT resource_version FROM watch_position WHERE cluster_id = ? AND resource = ?"
PROVEN = "SELECT max(to_at) FROM coverage WHERE resource = ? AND cluster_id IN ({})"


class Watches:
    """The threads that watch a cluster.

    Args:
        database: the database file, where it is looked up how far each resource has been read.
        api: the API server.
        writer: takes what is seen.
        selection: which events are recorded, and the rules.
        told: called when a watch begins to work, and at the end of a gap.
        watched: the resources beside events whose changes are recorded.
        counts: where to count what is read.
        clock: the time and the waits; stopping it ends the watches.
        kept: how long events are kept; what is older is not recorded.
        settings: of the watch of events; that of objects differs where objects do.
        namespace: the only one that is watched, without what is in no namespace; None for all.
    """

    def __init__(
        self,
        database: str,
        api: ApiServer,
        writer: Writer,
        selection: Selection,
        *,
        told: Callable[[], None] = lambda: None,
        watched: Sequence[Resource] = resources.WATCHED,
        counts: Counts | None = None,
        clock: Clock | None = None,
        kept: Policy = FOR_EVER,
        settings: watch.Settings | None = None,
        namespace: str | None = None,
    ) -> None:
        self._database, self._api, self._writer, self._namespace = database, api, writer, namespace
        self._told, self._counts, self._clock = told, counts or Counts(), clock or Clock()
        self._settings = settings or watch.Settings()
        self._intake = Intake(selection, self._counts, self._clock, kept)
        self.failure: Exception | None = None  # a mistake of ours that ended a thread
        watched = [resource for resource in watched if resource.namespaced or not namespace]
        self.states = [health.Watch(EVENTS), *(health.Watch(resource.name) for resource in watched)]
        events, *objects = self.states
        self._threads = [self._thread(events, partial(self._follow_events, events))]
        for state, resource in zip(objects, watched, strict=True):
            self._threads.append(self._thread(state, partial(self._follow_objects, state, resource)))

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the watches; what they read is in the writer's queue."""
        self._clock.stop()
        self._api.stop()

    def _thread(self, state: health.Watch, follow: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                follow()
            except Exception as error:
                log.critical("the watch of %s failed", state.resource, exc_info=True)
                self.failure = error

        return threading.Thread(target=run, name=f"watch {state.resource}", daemon=True)

    def _follow_events(self, state: health.Watch) -> None:
        def batch(cluster: str, page: watch.Page) -> Batch:
            events = self._intake.events(page.objects)
            if events:
                newest = max(event.last_seen_at for event in events)
                state.last_event_at = max(state.last_event_at or "", min(newest, page.at))  # a reporter may claim the year 9999
            return Batch(events, "watch", cluster, _position(state, page), _proof(state, page), namespace=self._namespace)

        self._follow(state, resources.path("/api/v1", EVENTS, self._namespace), wire.EVENTS, batch, self._settings)

    def _follow_objects(self, state: health.Watch, resource: Resource) -> None:
        def batch(cluster: str, page: watch.Page) -> Batch:
            seen = resource.seen(page.objects, page.deleted)
            objects = Objects(resource.name, seen, page.at, page.listed, page.last)
            return Batch([], "watch", cluster, _position(state, page), _proof(state, page), objects, self._namespace)

        silence_s = max(self._settings.silence_s, BOOKMARKS_S)
        settings = self._settings._replace(event_ttl_ms=FOR_EVER_MS, page_size=resources.PAGE_SIZE, silence_s=silence_s)
        self._follow(
            state, resource.path(self._namespace), resource.wire, batch, settings, metadata_only=resource.metadata_only
        )

    def _follow(
        self,
        state: health.Watch,
        path: str,
        reads: wire.Wire,
        batch: Callable[[str, watch.Page], Batch],
        settings: watch.Settings,
        *,
        metadata_only: bool = False,
    ) -> None:
        """Watch a resource without end: in one cluster, and in the next when there is another at its address."""
        while (begin := self._begin(state)) is not None:
            cluster, start = begin
            pages = watch.list_then_watch(
                self._api,
                path,
                reads,
                state,
                start=start,
                clock=self._clock,
                verify=partial(self._verify, cluster),
                settings=settings,
                metadata_only=metadata_only,
            )
            told = False
            try:
                for page in pages:
                    found = batch(cluster, page)
                    state.loop.turn(math.inf)  # a full queue waits for the database
                    if self._clock.stopped or not self._writer.put(found):
                        return
                    state.loop.turn()
                    if page.cause or page.last or not told:
                        told = True
                        self._told()
            except AnotherCluster as reason:
                log.warning("%s: %s; it is recorded as another one", state.resource, reason)

    def _begin(self, state: health.Watch) -> tuple[str, watch.Start] | None:
        """The uid of the cluster, and where its resource stood when it was last written; None once stopped."""
        backoff = Backoff(self._settings.first_delay_s, self._settings.longest_delay_s)
        while not self._clock.stopped:
            asked_s = 0.0
            try:
                cluster = self._api.cluster_uid(self._namespace)
                return cluster, self._start(cluster, state.resource)
            except (Refused, Unreachable) as failure:
                asked_s = failure.retry_after_s if isinstance(failure, Refused) else 0.0
                problem = str(explain(failure))
                state.failed(reason_of(failure), problem)
            except errors.Kube9Error as failure:
                problem = str(failure)  # a sick database heals or not, and ends no recorder: a restart would not help
            if self._clock.stopped:
                break  # the stop itself cut the connection: no fault of the API server
            wait_s = backoff.delay_s(asked_s=asked_s)
            log.warning("%s: %s; trying again in %.0f s", state.resource, problem, wait_s)
            state.loop.turn(wait_s)
            self._clock.wait(wait_s)
        return None

    def _verify(self, cluster: str) -> None:
        try:
            found = self._api.cluster_uid(self._namespace)
        except Refused as refusal:
            if refusal.status == http.client.FORBIDDEN:
                return  # another cluster would not know this account: what is left of its rights still serves
            raise
        if found != cluster:
            what = f"namespace {self._namespace}" if self._namespace else "cluster"
            raise AnotherCluster(f"the {what} at {self._api.host} is {found} now, and was {cluster}")

    def _start(self, cluster: str, resource: str) -> watch.Start:
        """Where the watch of a resource stood when it was last written."""
        try:
            with self._counts.query(), store.open_reader(self._database) as reader:
                return _read_start(reader.connection, cluster, self._namespace, resource)
        except store.Error as error:
            raise store.translate(error, self._database) from error


def _read_start(connection: store.Connection, uid: str, namespace: str | None, resource: str) -> watch.Start:
    cluster_id = clusters.find(connection, uid, namespace)
    position = connection.execute(POSITION, (cluster_id, resource)).fetchone()
    # A namespace was watched while its whole cluster was; that one namespace was says nothing of the whole.
    watched = {cluster_id, *(clusters.wholes(connection) if namespace else ())}
    numbers = ", ".join(str(number) for number in watched if number is not None)
    (proven_at,) = connection.execute(PROVEN.format(numbers), (resource,)).fetchone()
    return watch.Start(position and position[0], proven_at)


def _position(state: health.Watch, page: watch.Page) -> Position | None:
    return Position(state.resource, page.resource_version) if page.resource_version else None


def _proof(state: health.Watch, page: watch.Page) -> Proof | None:
    """What a page proves. A first list of objects tells nothing of what happened before it."""
    if page.listed and not page.last:
        return None
    known = state.resource == EVENTS or page.cause != "before_first_recording"
    return Proof(state.resource, page.at, page.cause, page.recovered_from if known else None)

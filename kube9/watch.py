"""List, then watch, without end: every reason to start again has a name, and every wait is bounded and jittered.

    the watch ended      watch again from the last version
    no line for a while  a small list proves that the server is there and has not gone back; then watch again
    expired, empty       list again: HTTP 410, an ERROR line that says so, an answer that ends at once without a line
    went back            list again: the server was restored from a backup, and a watch from our version stays silent
    refused, unreachable back off, up to a minute; then a small list, as above

The version to watch from is the list's, never an item's. The API's rules:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.

Lists are paged ones, on servers that would stream them (`sendInitialEvents`) too: measured on 1.35 with 10,000 events,
pages of 5,000 bring 41,000 events a second, a stream 36,000 at 1.5 times the server's work, and a page is decoded at once.
"""

import http.client
import logging
import random
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

from kube9 import health
from kube9.apiserver import JSON, ApiServer
from kube9.backoff import Backoff
from kube9.clock import Clock
from kube9.failures import Expired, Unanswered, explain, reason_of
from kube9.gaps import Stretch
from kube9.model import EVENT_TTL_MS
from kube9.responses import Broken, Refused, Silent, Unreachable
from kube9.watch_lines import Changes, is_lower, read, version_of
from kube9.wire import Items, Wire

log = logging.getLogger("kube9.watch")

PARTIAL = "application/json;as={};g=meta.k8s.io;v=v1, application/json"
PARTIAL_OBJECT, PARTIAL_LIST = PARTIAL.format("PartialObjectMetadata"), PARTIAL.format("PartialObjectMetadataList")
NO_VERSION = (http.client.GONE, http.client.BAD_REQUEST)  # it expired, or is none that this server gave
NO_RIGHTS = (http.client.UNAUTHORIZED, http.client.FORBIDDEN)


class Start(NamedTuple):
    """Where it stood when it was last written, and the end of the last stretch of coverage."""

    resource_version: str | None = None
    proven_at: str | None = None


class Settings(NamedTuple):
    """How it is watched; `_s` in seconds."""

    event_ttl_ms: int = EVENT_TTL_MS  # how long the server keeps an object of this kind
    page_size: int = 5000  # memory holds a page at a time: less of them for larger objects
    silence_s: float = 30.0  # without a line
    settle_s: float = 2.0  # the same after an outage, so that its end is told soon
    lived_s: float = 10.0  # a watch that ends sooner is no success
    server_timeout_s: tuple[int, int] = (300, 600)  # a watch is ended by the server after a random time between these
    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0


class Page(NamedTuple):
    """Objects in the order of the server, and what reading them proves."""

    objects: list[Any]  # added or modified, as the wire reads them
    deleted: list[Any]
    resource_version: str | None  # where to go on from; None before a list's last page, and for a proof without objects
    at: str  # the resource is watched up to this time
    listed: bool = False
    last: bool = False  # the last page of a list
    cause: str | None = None  # one of vocabulary.CAUSES: begins a stretch of coverage after a gap; of a list, on the last page
    recovered_from: str | None = None  # the gap is known from here on


def list_then_watch(
    api: ApiServer,
    path: str,
    wire: Wire,
    state: health.Watch,
    *,
    start: Start,
    clock: Clock,
    verify: Callable[[], None],
    settings: Settings | None = None,
    metadata_only: bool = False,
) -> Iterator[Page]:
    """What a resource holds and then everything that happens to it, until the clock is stopped.

    Args:
        api: the API server.
        path: the resource, such as /api/v1/events.
        wire: reads its objects.
        state: told what happens.
        start: where to go on; without a version it is listed first.
        clock: tells the time and waits.
        verify: called when the server answers again and with each small list; raises AnotherCluster, Refused, Unreachable.
        settings: how it is watched.
        metadata_only: ask the server for no more than the objects' metadata.

    Raises AnotherCluster. All else that can go wrong is told to `state` and the log, and tried again.
    """
    return _Loop(
        api,
        path,
        wire,
        state,
        start,
        clock,
        verify,
        settings or Settings(),
        (PARTIAL_OBJECT, PARTIAL_LIST) if metadata_only else (JSON, JSON),
    ).pages()


@dataclass
class _Loop:
    """One resource, and where its watch stands."""

    api: ApiServer
    path: str
    wire: Wire
    state: health.Watch
    start: Start
    clock: Clock
    verify: Callable[[], None]
    settings: Settings
    accept: tuple[str, str]  # of a watch, of a list

    def __post_init__(self) -> None:
        self.version = self.start.resource_version
        self.stretch = Stretch(self.start.proven_at, self.settings.event_ttl_ms)
        self.backoff = Backoff(self.settings.first_delay_s, self.settings.longest_delay_s)
        self.in_doubt = self.version is not None  # whether it is the same server, and has not gone back
        self.silent_until: str | None = None  # the server's version when the last watch was given up as silent
        self.failures: Counter[str] = Counter()  # by reason, since it last worked
        self.said = False  # that something failed, and not yet that it works again

    def pages(self) -> Iterator[Page]:
        while not self.clock.stopped:
            try:
                yield from self._go_on()
            except (Expired, Refused, Unreachable) as failure:
                if self.clock.stopped:
                    return  # the requests were ended from this side
                self._wait_after(failure)

    def _go_on(self) -> Iterator[Page]:
        """Until the present watch ends. Raises Expired, Refused, Unreachable."""
        if self.in_doubt:
            self._check()
        if self.version is None:
            yield from self._list()
        opened, some = self.clock.monotonic(), False
        try:
            with closing(self._open()) as pieces:
                for piece in pieces:
                    some = True
                    self.state.loop.turn(self.settings.silence_s)
                    changes = read(piece, self.wire)
                    if changes.lines:
                        yield self._page(changes)
                    if changes.failure:
                        raise changes.failure
        except Silent:
            yield self._prove()
            return
        finally:
            lived = self.clock.monotonic() - opened >= self.settings.lived_s
            if lived:
                self._works()
        if not lived and not some:  # so some servers say that a version expired
            raise Expired("the watch ended at once, without a line", "empty")
        if not lived:  # a server that ends each watch after a line must not be asked without end
            self._wait(self.backoff.delay_s(first_at_once=True))

    def _check(self) -> None:
        """After a start or a failure: is it the same cluster, and where it was? Raises Expired, Refused, Unreachable."""
        if self.version is None:
            self.verify()
        else:
            self._probe()
        self.in_doubt = False

    def _list(self) -> Iterator[Page]:
        at, query, count = self.clock.now(), {"limit": str(self.settings.page_size)}, 0
        while True:
            items = self._ask(query)
            if not count:
                self.stretch.answered(at)
            count += len(items.objects)
            if not items.token:
                break
            yield Page(items.objects, [], None, at, listed=True)
            query["continue"] = items.token
        if not items.resource_version:
            raise Broken("the list has no version")
        cause, recovered_from = self._proof(at, listed=True)
        self.version = self.state.resource_version = items.resource_version
        self.state.last_list_at, self.silent_until = self.clock.now(), None
        log.info("%s: listed %d, watching from version %s", self.state.resource, count, self.version)
        yield Page(items.objects, [], self.version, at, True, True, cause, recovered_from)

    def _open(self) -> Generator[bytes, None, None]:
        timeout_s = random.randint(*self.settings.server_timeout_s)
        query = {"watch": "true", "resourceVersion": self.version or "", "allowWatchBookmarks": "true"}
        soon = self.stretch.is_kept(self.clock.now())
        silence_s = self.settings.settle_s if soon else self.settings.silence_s
        self.state.loop.turn(silence_s)
        try:
            lines = self.api.lines(
                self.path, silence_s=silence_s, accept=self.accept[0], timeoutSeconds=str(timeout_s), **query
            )
        except Refused as refusal:
            if refusal.status in NO_VERSION:
                raise Expired(f"version {self.version}: {refusal}") from None
            raise
        self.state.answered()
        return lines

    def _page(self, changes: Changes) -> Page:
        at = self.state.last_line_at = self.clock.now()
        if changes.resource_version:
            self.version = self.state.resource_version = changes.resource_version
        if self.silent_until and (changes.objects or changes.deleted):
            first = version_of((changes.objects or changes.deleted)[0])
            if not is_lower(self.silent_until, first):  # it had happened when the silence ended, and was not sent
                self.state.failed("stalled", connected=True)
                log.warning("%s: the last watch was open and silent, although there was something to send", self.state.resource)
            self.silent_until = None
        cause, recovered_from = self._proof(at)
        return Page(changes.objects, changes.deleted, changes.resource_version, at, False, False, cause, recovered_from)

    def _prove(self) -> Page:
        """Ask the server after a silence, for what it proves. Raises Expired, Refused, Unreachable."""
        settling, at = self.stretch.begins, self.clock.now()
        try:
            version = self._probe()
        except Unreachable as failure:
            raise Unanswered(f"no line for a while, and then: {failure}") from failure
        if not settling:
            self.silent_until = version
            self._works()
        cause, recovered_from = self._proof(at)
        return Page([], [], None, at, False, False, cause, recovered_from)

    def _probe(self) -> str:
        """The server's version, by a small list. Raises Expired when it went back behind ours; Refused, Unreachable."""
        at = self.clock.now()
        version: str = self._ask({"limit": "1"}).resource_version
        self.verify()
        self.state.last_probe_at = self.clock.now()
        if is_lower(version, self.version):
            self.stretch.restored()
            raise Expired(f"the server went back from version {self.version} to {version}", "restored")
        self.stretch.answered(at)
        return version

    def _ask(self, query: dict[str, str]) -> Items:
        """A page of the list. Raises Expired, Refused, Unreachable."""
        self.state.loop.turn()
        try:
            body = self.api.read(self.path, accept=self.accept[1], **query)
        except Refused as refusal:
            if refusal.status == http.client.GONE:
                raise Expired("the list expired between its pages") from None
            raise
        self.state.answered()
        try:
            return self.wire.page(body)
        except (ValueError, RecursionError) as error:
            raise Broken(f"the answer is no list: {error}") from error

    def _proof(self, at: str, *, listed: bool = False) -> tuple[str | None, str | None]:
        """Cause and recovered_from of a page that was read at this time."""
        if self.said:
            log.info("%s: watched again, up to version %s", self.state.resource, self.version)
            self.said = False
        return self.stretch.proof(at, listed=listed)

    def _works(self) -> None:
        self.backoff.reset()
        self.failures.clear()

    def _wait_after(self, failure: Expired | Refused | Unreachable) -> None:
        """Count what went wrong, say it unless it was said a moment ago, and wait."""
        reason = reason_of(failure)
        if isinstance(failure, Expired):
            self.version, problem = None, f"{failure}; it is listed again"
            self.state.failed(reason, connected=True)
        else:
            self.in_doubt, problem = True, str(explain(failure))
            self.state.failed(reason, problem)
            refused = isinstance(failure, Refused) and failure.status in NO_RIGHTS
            self.stretch.lost("forbidden" if refused else "disconnected", self.clock.now())
        asked_s = failure.retry_after_s if isinstance(failure, Refused) else 0.0
        wait_s = self.backoff.delay_s(asked_s=asked_s, first_at_once=not isinstance(failure, Refused))
        self.failures[reason] += 1
        count = self.failures[reason]
        if count & (count - 1) == 0:  # the first, second, fourth, eighth … of its kind
            level = logging.INFO if reason == "expired" else logging.WARNING
            self.said = self.said or level == logging.WARNING
            again = f"in {wait_s:.0f} s" if wait_s else "at once"
            log.log(level, "%s: %s; trying again %s (%s, %d times)", self.state.resource, problem, again, reason, count)
        self._wait(wait_s)

    def _wait(self, seconds: float) -> None:
        self.state.loop.turn(seconds)
        if seconds:
            self.clock.wait(seconds)

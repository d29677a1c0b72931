"""Retention on its own clock: a chore of the writer, a batch each time, with rests in which others write and read."""

import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator

from kube9 import retention, shrink, stretches, times
from kube9.counts import Counts
from kube9.model import EVENT_TTL_MS
from kube9.retention import Policy
from kube9.vocabulary import SEVERITIES
from kube9.writer import Chore

log = logging.getLogger("kube9.retention")

INTERVAL_S = 6 * 3600.0
RETRY_S = 30.0
RESTS = 3.0  # as many times as long as a batch took nothing is done
LEAST_REST_S = 0.02
KINDS = (SEVERITIES[:2], SEVERITIES[2:])


class Cleanup:
    """Deletes old events at the start and from time to time; `chore` is for the writer.

    Args:
        policy: how long events are kept.
        counts: where to count what was deleted.
        interval_s: from the end of a run to the next.
        retry_s: how long a batch that failed waits; what was deleted before stays deleted.
        event_ttl_ms: how long the API server keeps an event.
        now_ms: the present in milliseconds since 1970.
    """

    def __init__(
        self,
        policy: Policy,
        counts: Counts,
        *,
        interval_s: float = INTERVAL_S,
        retry_s: float = RETRY_S,
        event_ttl_ms: int = EVENT_TTL_MS,
        now_ms: Callable[[], int] = times.now_ms,
    ) -> None:
        self.chore = Chore("retention", interval_s, self._go_on, retry_s=retry_s, at_end=False)
        self._policy, self._counts, self._event_ttl_ms, self._now_ms = policy, counts, event_ttl_ms, now_ms
        self._run: Iterator[None] | None = None  # one that is not at its end
        self._deleted, self._batches = Counter[str](), Counter[str]()  # of this run, by severity

    def _go_on(self, connection: sqlite3.Connection) -> float | None:
        """Do a part of a run, or begin one. Returns the seconds to rest before the next part; None at the end."""
        self._run = self._run or self._parts(connection)
        started = time.monotonic()
        try:
            next(self._run)
        except StopIteration:
            self._run = None
            return None
        except BaseException:
            self._run = None  # the next try looks again from the oldest on
            raise
        return max(LEAST_REST_S, RESTS * (time.monotonic() - started))

    def _parts(self, connection: sqlite3.Connection) -> Iterator[None]:
        now_ms = self._now_ms()
        limits = self._policy.limits(now_ms)
        for severity, deleted in retention.sweep(connection, limits, now_ms=now_ms):
            self._deleted[severity] += deleted
            self._batches[severity] += deleted > 0
            yield
        retention.note(connection, limits, read_from=times.iso(now_ms - self._event_ttl_ms), now_ms=now_ms)
        self._tell()
        if self._policy.longest_ms is not None:
            for _ in stretches.forget(connection, times.iso(now_ms - self._policy.longest_ms)):
                yield
        for _ in shrink.shrink(connection):
            yield

    def _tell(self) -> None:
        """Count and log what a run deleted."""
        self._counts.cleaned_up(self._deleted.total(), self._now_ms() / 1000)
        for kinds in KINDS:
            deleted, batches = (sum(numbers[kind] for kind in kinds) for numbers in (self._deleted, self._batches))
            kept_ms = self._policy.kept_ms(kinds[0])
            if deleted and kept_ms is not None:
                what = f"{' and '.join(kinds)} events older than {retention.days(kept_ms)}"
                log.info("retention: %s %s deleted in %s batches", f"{deleted:,}", what, f"{batches:,}")
        self._deleted.clear()
        self._batches.clear()

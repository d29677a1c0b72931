"""What the recorder counts while it works; the metrics are read from here.

Counting is adding to a number: every label is one of a closed set, whatever an event holds.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kube9.vocabulary import EVENT_TYPES, SEVERITIES

OPERATIONS = ("insert", "update", "delete", "select")
# Why an event was not recorded.
DROPPED = (
    "queue_full",  # `record()` does not wait
    "stopped",  # it waited to be written when the time for stopping was over
    "set_aside",  # SQLite does not take it
)
OTHER = "other"  # the label of what is in no closed set
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Histogram:
    """How long something took, counted by upper bounds. Any thread may observe and read."""

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self.bounds_s = bounds_s
        self._sum_s = 0.0
        self._counts = [0] * (len(bounds_s) + 1)
        self._lock = threading.Lock()

    def observe(self, seconds: float, times: int = 1) -> None:
        """Count a duration, so many times."""
        at = bisect_left(self.bounds_s, seconds)
        with self._lock:
            self._counts[at] += times
            self._sum_s += seconds * times

    def read(self) -> tuple[list[int], float]:
        """How many took at most each bound, and after these how many there are; the sum of all in seconds."""
        with self._lock:
            counts, sum_s = list(self._counts), self._sum_s
        for index in range(1, len(counts)):
            counts[index] += counts[index - 1]
        return counts, sum_s


class Counts:
    """The numbers of one recorder since it started. Any thread may count and read."""

    def __init__(self) -> None:
        self.recorded = dict.fromkeys([(kind, severity) for kind in EVENT_TYPES for severity in SEVERITIES], 0)
        self.operations = dict.fromkeys(OPERATIONS, 0)
        self.dropped = dict.fromkeys(DROPPED, 0)
        self.failed_writes = 0  # transactions; each is tried again
        self.unpublished = 0  # tries to publish the status that failed
        self.redacted = 0  # values
        self.truncated = 0  # events whose metadata was cut to fit
        self.processing = Histogram()  # of what was read at once, into events
        self.until_committed = Histogram()  # of each event, from when it was ready to be written
        self.queries = Histogram()  # of the recorder's own
        self.cleaned_at_s = 0.0  # when retention last ran, seconds since 1970; 0: never
        self.cleaned = 0  # events that it deleted then
        self._lock = threading.RLock()  # a signal handler may record

    def committed(self, added: Mapping[tuple[str, str], int], updated: int = 0) -> None:
        """Count the rows that a transaction has added, by event type and severity, and updated."""
        with self._lock:
            for key, number in added.items():
                label = key if key in self.recorded else (_one_of(key[0], EVENT_TYPES), _one_of(key[1], SEVERITIES))
                self.recorded[label] = self.recorded.get(label, 0) + number
                self.operations["insert"] += number
            self.operations["update"] += updated

    def cleaned_up(self, deleted: int, at_s: float) -> None:
        """Count a run of retention: how many events it deleted, and when it ended, in seconds since 1970."""
        with self._lock:
            self.operations["delete"] += deleted
            self.cleaned, self.cleaned_at_s = deleted, at_s

    def drop(self, reason: str, number: int = 1) -> None:
        """Count events that are not recorded, for one of DROPPED."""
        with self._lock:
            label = _one_of(reason, DROPPED)
            self.dropped[label] = self.dropped.get(label, 0) + number

    def fail_write(self) -> None:
        """Count a transaction that failed."""
        with self._lock:
            self.failed_writes += 1

    def fail_publish(self) -> None:
        """Count a status that was not published."""
        with self._lock:
            self.unpublished += 1

    def redact(self, values: int) -> None:
        """Count values that were taken out as secrets."""
        with self._lock:
            self.redacted += values

    def truncate(self, events: int) -> None:
        """Count events whose metadata was cut."""
        with self._lock:
            self.truncated += events

    @contextmanager
    def query(self) -> Iterator[None]:
        """Count and time a query of the recorder's own."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.queries.observe(time.perf_counter() - started)
            with self._lock:
                self.operations["select"] += 1

    @property
    def dropped_total(self) -> int:
        """How many events were not recorded, for whatever reason."""
        return sum(self.dropped.values())


def _one_of(value: str, known: tuple[str, ...]) -> str:
    return value if value in known else OTHER

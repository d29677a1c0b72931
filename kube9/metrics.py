"""What the recorder counts and knows, as Prometheus reads it: https://prometheus.io/docs/practices/naming/.

Nothing is counted here. Numbers are read from those who have them when they are asked for, so that recording pays
nothing for its metrics.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from kube9 import health, times
from kube9.counts import Counts, Histogram
from kube9.health import REASONS, Facts
from kube9.version import __version__


def exposition(facts: Callable[[], Facts], counts: Counts) -> Callable[[], bytes]:
    """What writes the metrics of a recorder and of its process, each time it is called, in the text format 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Recorder(facts, counts))
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry)


class _Recorder(Collector):
    def __init__(self, facts: Callable[[], Facts], counts: Counts) -> None:
        self._facts, self._counts = facts, counts

    def describe(self) -> list[Metric]:
        return []  # else the registry collects once to learn the names

    def collect(self) -> Iterator[Metric]:
        facts, now_ms = self._facts(), times.now_ms()
        yield InfoMetricFamily("kube9_build", "The program that records.", {"version": __version__})
        yield _gauge("kube9_ready", "1 while events are watched and written.", health.judge(facts, now_ms).ready)
        yield from self._events(facts)
        yield from self._watches(facts, now_ms)
        yield from self._database(facts, now_ms)

    def _events(self, facts: Facts) -> Iterator[Metric]:
        counts = self._counts
        recorded = CounterMetricFamily(
            "kube9_events", "Events recorded, each once however often it repeats.", labels=("event_type", "severity")
        )
        for labels, number in counts.recorded.copy().items():
            recorded.add_metric(labels, number)
        yield recorded
        yield _histogram(
            "kube9_events_processing_duration_seconds", "Time to make events of what was read at once.", counts.processing
        )
        yield _histogram(
            "kube9_events_recorded_duration_seconds",
            "Time of each event from when it was read until it was committed.",
            counts.until_committed,
        )
        yield _gauge("kube9_events_queue_size", "Events that wait to be written.", facts.queue_size)
        yield _gauge("kube9_events_queue_capacity", "Events that may wait before reading pauses.", facts.queue_capacity)
        yield _counter("kube9_events_dropped", "Events that were not recorded.", "reason", counts.dropped)
        yield CounterMetricFamily("kube9_events_redacted", "Values taken out of events as secrets.", counts.redacted)
        yield CounterMetricFamily("kube9_events_truncated", "Events whose metadata was cut to fit.", counts.truncated)

    def _watches(self, facts: Facts, now_ms: int) -> Iterator[Metric]:
        connected = GaugeMetricFamily(
            "kube9_watch_connected", "1 while the API server answers for this resource.", labels=("resource",)
        )
        forbidden = GaugeMetricFamily("kube9_watch_forbidden", "1 while the API server refuses it.", labels=("resource",))
        lag = GaugeMetricFamily(
            "kube9_watch_lag_seconds",
            "Age of the last list, line or answer; of the start while there is none.",
            labels=("resource",),
        )
        failures = CounterMetricFamily(
            "kube9_events_watch_errors", "Failures and new starts of a watch.", labels=("resource", "reason")
        )
        for watch in facts.watches:
            connected.add_metric((watch.resource,), watch.connected)
            forbidden.add_metric((watch.resource,), watch.forbidden)
            lag.add_metric((watch.resource,), health.age_s(watch.proven_at() or facts.started_at, now_ms) or 0.0)
            for reason in REASONS:
                failures.add_metric((watch.resource, reason), watch.failures[reason])
        return iter((connected, forbidden, lag, failures))

    def _database(self, facts: Facts, now_ms: int) -> Iterator[Metric]:
        counts, database = self._counts, facts.database
        committed_ms = times.ms(database.last_commit_at) if database.last_commit_at else 0
        yield _gauge(
            "kube9_database_health", "1 while the database is readable and takes writes.", health.is_well(database, now_ms)
        )
        yield _gauge(
            "kube9_database_last_commit_timestamp_seconds",
            "When the heartbeat was last committed; 0: never.",
            committed_ms / 1000,
        )
        yield _gauge("kube9_events_storage_size_bytes", "Size of the database file and its -wal.", database.size_bytes or 0)
        yield _counter(
            "kube9_database_operations", "Rows written, and queries of the recorder.", "operation", counts.operations
        )
        yield CounterMetricFamily(
            "kube9_database_write_errors", "Writes that failed, and were tried again.", counts.failed_writes
        )
        yield _histogram("kube9_database_query_duration_seconds", "Time of a query of the recorder.", counts.queries)
        yield CounterMetricFamily(
            "kube9_status_publish_errors", "Statuses that could not be written into the ConfigMap.", counts.unpublished
        )
        yield _gauge(
            "kube9_events_retention_cleanup_last_run_timestamp",
            "When old events were last deleted; 0: never.",
            counts.cleaned_at_s,
        )
        yield _gauge("kube9_events_retention_cleanup_events_deleted", "Events deleted by the last run.", counts.cleaned)


def _gauge(name: str, doc: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, doc, float(value))


def _counter(name: str, doc: str, label: str, numbers: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, doc, labels=(label,))
    for value, number in numbers.copy().items():
        family.add_metric((value,), number)
    return family


def _histogram(name: str, doc: str, durations: Histogram) -> HistogramMetricFamily:
    counts, sum_s = durations.read()
    bounds = [*map(str, durations.bounds_s), "+Inf"]
    return HistogramMetricFamily(name, doc, list(zip(bounds, counts, strict=True)), sum_s)

"""The metrics: names that dashboards rest on, true numbers, and labels out of closed sets whatever an event holds."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from conftest import Kube9, make_event
from loopback import Serving, SmallApi
from prometheus_client.parser import text_string_to_metric_families

from kube9 import fresh, metrics
from kube9.counts import DROPPED, OPERATIONS, OTHER, Counts, Histogram
from kube9.health import REASONS, Database, Facts, Watch
from kube9.resources import WATCHED
from kube9.version import __version__
from kube9.vocabulary import EVENT_TYPES, SEVERITIES

NAMES = {
    "kube9_build_info", "kube9_ready", "kube9_events_total", "kube9_events_recorded_duration_seconds_bucket",
    "kube9_events_queue_size", "kube9_events_dropped_total", "kube9_events_watch_errors_total",
    "kube9_events_processing_duration_seconds_bucket", "kube9_events_storage_size_bytes", "kube9_events_redacted_total",
    "kube9_events_truncated_total", "kube9_database_operations_total", "kube9_database_query_duration_seconds_bucket",
    "kube9_database_health", "kube9_database_write_errors_total", "kube9_database_last_commit_timestamp_seconds",
    "kube9_events_retention_cleanup_last_run_timestamp", "kube9_events_retention_cleanup_events_deleted",
    "kube9_watch_connected", "kube9_watch_forbidden", "kube9_watch_lag_seconds", "kube9_status_publish_errors_total",
    "process_resident_memory_bytes",
}  # fmt: skip
CLOSED = {
    "event_type": {*EVENT_TYPES, OTHER},
    "severity": {*SEVERITIES, OTHER},
    "operation": {*OPERATIONS},
    "reason": {*REASONS, *DROPPED, OTHER},
    "resource": {"events", *(resource.name for resource in WATCHED)},
    "version": {__version__},
    "le": {*map(str, Histogram().bounds_s), "+Inf"},
}
HOSTILE = 'x",severity="\n# TYPE evil counter\nevil 1\n'
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: bytes) -> Samples:
    """The value of each sample by its name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


def facts(*watches: Watch) -> Facts:
    return Facts("2026-03-01T10:00:00.000Z", watches, (), Database(), queue_size=7, queue_capacity=1000)


def written(counts: Counts, *watches: Watch) -> bytes:
    return metrics.exposition(lambda: facts(*watches), counts)()


def promtool(text: bytes) -> subprocess.CompletedProcess:
    if not shutil.which("promtool"):
        pytest.skip("needs promtool, of Debian's package prometheus")
    return subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)


@pytest.fixture
def api(tmp_path) -> Iterator[SmallApi]:
    running = SmallApi(tmp_path)
    yield running
    running.close()


@pytest.mark.scenario("REC-22", "DB-14")
def test_serve_exports_what_it_did(kube9: Kube9, api: SmallApi) -> None:
    api.events = [make_event(f"web-{number}.17b2c4") for number in range(5)]
    odd = {"kind": HOSTILE, "name": HOSTILE, "namespace": HOSTILE}
    api.events.append(make_event("odd", reason=HOSTILE, message=HOSTILE, type=HOSTILE, involvedObject=odd))
    serving = Serving(kube9, api)
    try:
        serving.until_ready()
        written = "kube9_events_recorded_duration_seconds_count"  # the six, and that the operator started
        serving.until("all are counted", lambda: value(read(serving.get("/metrics")[1]), written) == 7)
        text = serving.get("/metrics")[1]
        size = sum(path.stat().st_size for path in kube9.db.parent.glob("kube9.db*") if path.suffix in (".db", ".db-wal"))
    finally:
        serving.close()
    samples = read(text)
    assert {name for name, _ in samples} >= NAMES
    assert value(samples, "kube9_events_total", event_type="cluster", severity="warning") == 6
    assert value(samples, "kube9_events_total", event_type="operator", severity="info") == 1
    assert value(samples, "kube9_database_operations_total", operation="insert") == 7
    assert value(samples, "kube9_database_operations_total", operation="select") > 0
    assert value(samples, "kube9_events_processing_duration_seconds_count") > 0
    assert value(samples, "kube9_database_query_duration_seconds_count") > 0
    assert value(samples, "kube9_watch_connected", resource="events") == 1
    assert value(samples, "kube9_database_health") == value(samples, "kube9_ready") == 1
    assert value(samples, "kube9_events_storage_size_bytes") <= size
    assert value(samples, "kube9_events_storage_size_bytes") > 0
    for _, labels in samples:
        for label, found in labels:
            assert found in CLOSED[label], (label, found)
    done = promtool(text)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.scenario("REC-22")
def test_an_api_server_that_refuses_is_counted(kube9: Kube9, api: SmallApi) -> None:
    api.refusal = 503
    serving = Serving(kube9, api)

    def failures() -> float:
        samples = read(serving.get("/metrics")[1])
        assert value(samples, "kube9_watch_connected", resource="events") == 0
        assert value(samples, "kube9_ready") == 0
        return sum(number for (name, _), number in samples.items() if name == "kube9_events_watch_errors_total")

    try:
        serving.until("a failure is counted", lambda: failures() > 0)
    finally:
        serving.close()


@pytest.mark.scenario("REC-22", "DB-14")
def test_every_number_stands_under_its_name() -> None:
    counts, watch = Counts(), Watch("events")
    counts.committed({("cluster", "warning"): 3, ("insight", "info"): 1}, updated=2)
    counts.cleaned_up(5, at_s=1_700_000_000.0)
    counts.drop("queue_full", 2)
    counts.redact(4)
    counts.fail_write()
    for _ in range(3):
        counts.fail_publish()
    counts.truncate(1)
    with counts.query():
        pass
    watch.failed("expired")
    watch.failed("forbidden")
    samples = read(written(counts, watch))
    assert value(samples, "kube9_events_total", event_type="cluster", severity="warning") == 3
    assert value(samples, "kube9_events_total", event_type="insight", severity="info") == 1
    assert value(samples, "kube9_events_total", event_type="system", severity="critical") == 0
    operations = {name: value(samples, "kube9_database_operations_total", operation=name) for name in OPERATIONS}
    assert operations == {"insert": 4, "update": 2, "delete": 5, "select": 1}
    assert value(samples, "kube9_events_dropped_total", reason="queue_full") == counts.dropped_total == 2
    assert value(samples, "kube9_events_redacted_total") == 4
    assert value(samples, "kube9_database_write_errors_total") == 1
    assert value(samples, "kube9_status_publish_errors_total") == 3
    assert value(samples, "kube9_events_truncated_total") == 1
    assert value(samples, "kube9_events_watch_errors_total", resource="events", reason="expired") == 1
    assert value(samples, "kube9_watch_forbidden", resource="events") == 1
    assert value(samples, "kube9_watch_lag_seconds", resource="events") > 0  # since the start: it never was proven
    assert value(samples, "kube9_events_queue_size") == 7
    assert value(samples, "kube9_events_retention_cleanup_last_run_timestamp") == 1_700_000_000
    assert value(samples, "kube9_events_retention_cleanup_events_deleted") == 5


@pytest.mark.scenario("REC-22")
def test_a_label_is_never_what_an_event_says() -> None:
    counts, watch = Counts(), Watch("events")
    before = len(read(written(counts, watch)))
    for number in range(100):
        counts.committed({(f"{HOSTILE}{number}", f"{HOSTILE}{number}"): 1, ("cluster", f"{number}"): 1})
        counts.drop(f"{HOSTILE}{number}")
        watch.failed(f"{HOSTILE}{number}")
    text = written(counts, watch)
    samples = read(text)
    assert len(samples) == before + 3
    assert value(samples, "kube9_events_total", event_type=OTHER, severity=OTHER) == 100
    assert value(samples, "kube9_events_total", event_type="cluster", severity=OTHER) == 100
    assert value(samples, "kube9_events_dropped_total", reason=OTHER) == 100
    assert b"evil" not in text


def test_the_labels_are_the_types_of_queries_yaml() -> None:
    types = fresh.current()["types"]
    assert list(EVENT_TYPES) == list(types["EventType"]["values"])
    assert list(SEVERITIES) == list(types["Severity"]["values"])


def test_a_histogram_counts_what_took_at_most_each_bound() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds, times in ((0.05, 1), (0.1, 2), (0.5, 3), (7.0, 1)):
        histogram.observe(seconds, times)
    assert histogram.read() == ([3, 6, 7], pytest.approx(0.05 + 0.2 + 1.5 + 7))

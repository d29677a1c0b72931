"""`kube9 serve` as a whole: real processes against an API server that fails, a database that goes away, and SIGTERM."""

import json
import os
import resource
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Kube9, rows
from faulty_server import EVENTS, NAMESPACE, FaultyServer
from loopback import Serving, free_port, get, kubeconfig
from test_metrics import read, value

import kube9 as library
from kube9 import migrations, selection, watch
from kube9.cluster_recorder import Choices, ClusterRecorder
from kube9.commits import INTERRUPTED_S
from kube9.transport import READ_BYTES
from kube9.writer import CAPACITY

ALWAYS = 100_000  # more often than any test asks
PAGE = watch.Settings().page_size
Start = Callable[..., Serving]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultyServer]:
    running = FaultyServer()
    running.kubeconfig = kubeconfig(tmp_path, running.port)
    yield running
    running.close()


@pytest.fixture
def serve(kube9: Kube9, server: FaultyServer) -> Iterator[Start]:
    started: list[Serving] = []

    def start(api: Any = server, **options: Any) -> Serving:
        started.append(Serving(kube9, api, **options))
        return started[-1]

    yield start
    for running in started:
        running.close()


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, held by another process that writes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def recorded(kube9: Kube9) -> dict[str, int]:
    """The count of each event of the cluster, by the name of its object."""
    return dict(rows(kube9.db, "SELECT object_name, count FROM events WHERE event_type = 'cluster'"))


def sample(serving: Serving, name: str, **labels: str) -> float:
    return value(read(serving.get("/metrics")[1]), name, **labels)


def until_recorded(serving: Serving, kube9: Kube9, count: int) -> None:
    serving.until(f"{count} events are recorded", lambda: len(recorded(kube9)) == count)


# The end.


@pytest.mark.scenario("REC-25")
def test_sigterm_writes_the_queue_saves_the_position_and_truncates_the_wal(
    kube9: Kube9, server: FaultyServer, serve: Start
) -> None:
    server.create("first")
    serving = serve()
    serving.until_ready()
    with locked(kube9.db):
        for number in range(500):
            server.create(f"web-{number}")
        serving.until("they wait", lambda: sample(serving, "kube9_events_queue_size") >= 500)
        version = server.version
        serving.process.terminate()
        serving.until("it stops", lambda: "stopping" in serving.log.read_text())
    assert serving.process.wait(30) == 0, serving.log.read_text()
    assert len(recorded(kube9)) == 501
    assert rows(kube9.db, "SELECT resource_version FROM watch_position WHERE resource = 'events'") == [(version,)]
    wal = Path(f"{kube9.db}-wal")
    assert not wal.exists() or wal.stat().st_size == 0
    assert " 0 not written" in serving.log.read_text()


@pytest.mark.scenario("REC-25")
def test_what_cannot_be_written_before_the_end_is_counted_and_recorded_by_the_next(
    kube9: Kube9, server: FaultyServer, serve: Start
) -> None:
    server.create("first")
    serving = serve()
    serving.until_ready()
    with locked(kube9.db):
        for number in range(CAPACITY + 2000):
            server.create(f"web-{number}")
        serving.until("the queue is full", lambda: sample(serving, "kube9_events_queue_size") >= CAPACITY)
        serving.process.terminate()
        assert serving.process.wait(10) == 1, serving.log.read_text()
        assert recorded(kube9) == {"first": 1}
    said = serving.log.read_text().splitlines()[-1]
    assert int(said.rpartition(" not written")[0].rpartition(" ")[2]) >= CAPACITY
    serving = serve()
    until_recorded(serving, kube9, CAPACITY + 2001)
    assert serving.stop() == 0


def hour_of_waiting(server: FaultyServer) -> None:
    server.retry_after_s = 3600
    server.fault("throttled", ALWAYS)


STATES: dict[str, Callable[[FaultyServer], None]] = {
    "an idle watch": lambda _: None,
    "a Retry-After of an hour": hour_of_waiting,
    "no answer": lambda server: server.fault("hung"),
    "a body without an end": lambda server: server.fault("slow_list"),
    "nobody there": lambda server: server.down(),
}


@pytest.mark.scenario("REC-25")
@pytest.mark.parametrize("state", STATES)
def test_sigterm_ends_it_in_every_state(server: FaultyServer, serve: Start, state: str) -> None:
    STATES[state](server)
    serving = serve()
    if state == "an idle watch":
        serving.until_ready()
    elif state == "nobody there":
        serving.until("it is noticed", lambda: "does not answer" in str(serving.json("/readyz")["problems"]))
    else:
        serving.until("it asks", lambda: any(asked.path == EVENTS for asked in server.asked))
    serving.process.terminate()
    assert serving.process.wait(10) == 0, serving.log.read_text()
    assert " 0 not written" in serving.log.read_text()
    assert "Traceback" not in serving.log.read_text()


@pytest.mark.scenario("REC-25")
def test_sigterm_ends_it_while_nobody_takes_its_connection(serve: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        taken = [socket.socket() for _ in range(4)]  # what fits into the backlog, and more
        for one in taken:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        serving = serve(SimpleNamespace(kubeconfig=kubeconfig(tmp_path, full.getsockname()[1])))
        serving.until("it lives", lambda: serving.get("/livez")[0] == 200)
        serving.process.terminate()
        assert serving.process.wait(10) == 0, serving.log.read_text()
        for one in taken:
            one.close()


@pytest.mark.scenario("REC-25")
def test_sigterm_ends_it_during_the_first_list_which_the_next_one_reads_again(
    kube9: Kube9, server: FaultyServer, serve: Start
) -> None:
    for number in range(4 * PAGE):
        server.create(f"web-{number}")
    server.fault("hung_list", ALWAYS)
    serving = serve()
    serving.until("the list is asked for", server.lists)
    server.mend()
    server.cut()
    serving.until("its first page is", lambda: len(server.lists()) > 1)
    serving.process.terminate()
    assert serving.process.wait(10) == 0, serving.log.read_text()
    found = len(recorded(kube9))
    assert found % PAGE == 0
    assert bool(rows(kube9.db, "SELECT 1 FROM watch_position WHERE resource = 'events'")) == (found == 4 * PAGE)
    serving = serve()
    until_recorded(serving, kube9, 4 * PAGE)
    assert serving.stop() == 0


# The database goes away.


@contextmanager
def full(serving: Serving, _: Path) -> Iterator[None]:
    """A disk without space: no file of the process may grow any more."""
    none = resource.RLIM_INFINITY
    resource.prlimit(serving.process.pid, resource.RLIMIT_FSIZE, (4096, none))
    yield
    resource.prlimit(serving.process.pid, resource.RLIMIT_FSIZE, (none, none))


@contextmanager
def read_only(_: Serving, path: Path) -> Iterator[None]:
    """Files that nobody may write any more."""
    files = [str(path), f"{path}-wal"]
    if os.geteuid() or subprocess.run(["chattr", "+i", *files], capture_output=True).returncode:
        pytest.skip("needs root, and a file system whose files can be made immutable")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


def held(_: Serving, path: Path) -> AbstractContextManager[Any]:
    """Another process writes, longer than a try to write waits."""
    return locked(path)


@pytest.mark.scenario("REC-27", "REC-20", "COV-04")
@pytest.mark.parametrize("gone", [full, held, read_only], ids=["full", "locked", "read-only"])
def test_a_database_that_goes_away_costs_nothing_but_time(
    kube9: Kube9, server: FaultyServer, serve: Start, gone: Callable[[Serving, Path], AbstractContextManager[Any]]
) -> None:
    server.create("first")
    serving = serve()
    serving.until_ready()
    until_recorded(serving, kube9, 1)
    with gone(serving, kube9.db):
        server.repeat("first", by=2)
        serving.until("it is not ready", lambda: serving.get("/readyz")[0] == 503)
        for number in range(3 * CAPACITY):
            server.create(f"web-{number}")
        serving.until("the queue is full", lambda: serving.json("/healthz")["queue"]["size"] >= CAPACITY)
        told = serving.json("/healthz")
        assert (told["status"], told["database"]["readable"], told["database"]["writable"]) == ("degraded", True, False)
        assert told["problems"][0].startswith("database: ")
        # As many may wait as are being written, and what was read at once; the rest waits where it is.
        assert told["queue"]["size"] < 2 * (CAPACITY + READ_BYTES / 100) < len(server.present())
        assert told["queue"]["dropped_total"] == 0
        assert [serving.get(path)[0] for path in ("/livez", "/healthz", "/readyz")] == [200, 200, 503]
        assert sample(serving, "kube9_database_write_errors_total") > 0
        assert sample(serving, "kube9_database_health") == 0
        assert recorded(kube9) == {"first": 1}
        time.sleep(INTERRUPTED_S)  # what is over sooner leaves no gap
    until_recorded(serving, kube9, 3 * CAPACITY + 1)
    assert recorded(kube9)["first"] == 3
    serving.until_ready()
    said = serving.log.read_text()
    assert said.count("a write failed and will be tried again") == 1
    assert said.count("the database takes writes again") == 1
    assert serving.stop() == 0
    gaps = kube9.query("events", "list").json["coverage"]["gaps"]
    assert ("storage_unavailable", True) in [(gap["cause"], gap["recovered"]) for gap in gaps]
    assert all(gap["recovered"] for gap in gaps if gap["cause"] == "storage_unavailable")


# What it tells.


@pytest.fixture
def recorder(server: FaultyServer, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A recorder in this process, whose watches are silent for a moment only."""
    path, port = tmp_path / "kube9.db", free_port()
    migrations.open_writer(str(path)).close()
    settings = watch.Settings(silence_s=0.2, settle_s=0.05)
    running = ClusterRecorder(
        str(path),
        server.api(read_timeout_s=5.0),
        selection.select(everything=True),
        Choices(health_port=port, watching=settings),
        watched=(),
    )
    running.start()
    yield SimpleNamespace(port=port, path=path)
    assert running.stop() == 0


def until(what: Callable[[], object]) -> None:
    """Wait until it is so."""
    for _ in range(3000):
        if what():
            return
        threading.Event().wait(0.01)
    raise AssertionError("never")


@pytest.mark.scenario("REC-34")
@pytest.mark.parametrize("kind", ["silent", "drip"])
def test_a_stalled_watch_is_replaced_and_stands_in_the_metrics(
    server: FaultyServer, recorder: SimpleNamespace, kind: str
) -> None:
    def stalled() -> float:
        return value(
            read(get(recorder.port, "/metrics")[1]), "kube9_events_watch_errors_total", resource="events", reason="stalled"
        )

    until(lambda: get(recorder.port, "/readyz")[0] == 200)
    assert stalled() == 0
    server.fault(kind)
    assert server.felt()
    server.create("unseen")
    until(lambda: rows(recorder.path, "SELECT 1 FROM events WHERE object_name = 'unseen'"))
    until(lambda: stalled() == 1)
    assert get(recorder.port, "/readyz")[0] == 200


@pytest.mark.scenario("REC-16", "REC-17")
def test_it_records_that_it_starts_stops_and_changes_its_health(kube9: Kube9, server: FaultyServer, serve: Start) -> None:
    def own() -> list[tuple]:
        sql = "SELECT title, severity, metadata FROM events WHERE event_type = 'operator' ORDER BY change_seq"
        return [(title, severity, json.loads(metadata)) for title, severity, metadata in rows(kube9.db, sql)]

    serving = serve()
    serving.until("it is healthy", lambda: '"healthy"' in kube9.query("status").out)
    server.down()
    serving.until("it knows that it is degraded", lambda: len(own()) == 2)
    server.up()
    serving.until("it knows that it is healthy", lambda: len(own()) == 3)
    assert serving.stop() == 0
    version = {"version": library.__version__, "tier": "free"}
    assert own() == [
        ("Operator started", "info", version),
        ("Operator health changed", "warning", {"previous": "healthy", "current": "degraded"}),
        ("Operator health changed", "info", {"previous": "degraded", "current": "healthy"}),
        ("Operator stopped", "info", version),
    ]
    (changed,) = kube9.events("--type", "operator", "--severity", "warning")
    assert changed["description"].startswith("from healthy to degraded\nevents: ")


# What it records.


FORMS: dict[str, Callable[[int, str], dict]] = {
    "count": lambda count, now: {"count": count, "firstTimestamp": FIRST, "lastTimestamp": now},
    "series": lambda count, now: {
        "count": None,
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": FIRST.replace("Z", ".000000Z"),
        "series": {"count": count, "lastObservedTime": now.replace("Z", ".000000Z")},
    },
    "events.k8s.io": lambda count, now: {
        "involvedObject": None,
        "regarding": {"kind": "Pod", "name": "events.k8s.io", "namespace": NAMESPACE},
        "message": None,
        "note": f"seen {count} times",
        "firstTimestamp": None,
        "lastTimestamp": None,
        "count": None,
        "eventTime": None,
        "deprecatedFirstTimestamp": FIRST,
        "deprecatedLastTimestamp": now,
        "deprecatedCount": count,
    },
}
FIRST = "2026-03-01T10:00:00Z"


@pytest.mark.scenario("REC-09")
def test_a_repeated_event_is_one_row_in_whatever_form_it_counts(kube9: Kube9, server: FaultyServer, serve: Start) -> None:
    def tell(count: int, now: str) -> None:
        for form, made in FORMS.items():
            server.create(form, **({"message": f"seen {count} times", "action": f"try {count}"} | made(count, now)))

    serving = serve()
    serving.until_ready()
    tell(2, "2026-03-01T10:05:00Z")
    serving.until("they are recorded", lambda: recorded(kube9) == dict.fromkeys(FORMS, 2))
    before = {event["object_name"]: event for event in kube9.events("--type", "cluster", "--since", "2026-01-01")}
    tell(7, "2026-03-01T11:00:00Z")
    serving.until("the counts rise", lambda: recorded(kube9) == dict.fromkeys(FORMS, 7))
    tell(5, "2026-03-01T10:30:00Z")  # comes late
    server.create("after")
    serving.until("all is read", lambda: "after" in recorded(kube9))
    assert serving.stop() == 0
    after = {event["object_name"]: event for event in kube9.events("--type", "cluster", "--since", "2026-01-01")}
    for form in FORMS:
        frozen = ("id", "created_at", "title", "severity", "object_kind", "object_namespace")
        assert [after[form][field] for field in frozen] == [before[form][field] for field in frozen]
        assert (after[form]["count"], after[form]["last_seen_at"]) == (7, "2026-03-01T11:00:00.000Z")
        assert (after[form]["description"], after[form]["metadata"]["action"]) == ("seen 7 times", "try 7")
    assert len(after) == len(FORMS) + 1


@pytest.mark.scenario("REC-18")
def test_a_program_records_without_any_io_of_its_own_while_serve_runs(kube9: Kube9, server: FaultyServer, serve: Start) -> None:
    serving = serve()
    serving.until_ready()
    calls = Path(f"/proc/self/task/{threading.get_native_id()}/io")

    def done() -> list[str]:
        return [line for line in calls.read_text().splitlines() if line.startswith(("syscw", "wchar", "write_bytes"))]

    with library.recorder(kube9.db) as rec:
        rec.record("system", "first")
        before = done()
        keys = [rec.record("assessment", f"check {number}", metadata={"number": number}) for number in range(500)]
        assert done() == before
        assert rec.flush(30)
    server.create("web")
    until_recorded(serving, kube9, 1)
    assert {key for (key,) in rows(kube9.db, "SELECT id FROM events WHERE event_type = 'assessment'")} == set(keys)


@pytest.mark.scenario("REC-23")
def test_metadata_that_a_rule_reads_and_that_is_too_long_is_cut_and_told(
    kube9: Kube9, server: FaultyServer, serve: Start, tmp_path: Path
) -> None:
    extract = [f"^(?P<fact{number}>.{{300}})" for number in range(45)]
    rule = {"reason": "BackOff", "why": "to fill the metadata", "extract": extract}
    (tmp_path / "rules.yaml").write_text(json.dumps({"version": 1, "rules": [rule]}))
    server.create("web", message="x" * 4000)
    serving = serve(env={"KUBE9_RULES": str(tmp_path / "rules.yaml")})
    serving.until_ready()
    until_recorded(serving, kube9, 1)
    serving.until("it is counted", lambda: sample(serving, "kube9_events_truncated_total") == 1)
    assert serving.stop() == 0
    (event,) = kube9.events("--type", "cluster")
    assert event["metadata"]["_truncated"] is True
    assert event["metadata"]["_original_size"] > 10 * 1024
    ((size,),) = rows(kube9.db, "SELECT length(CAST(metadata AS BLOB)) FROM events WHERE event_type = 'cluster'")
    assert size <= 10 * 1024
    assert f"cut to 10 KiB, such as of {event['id']}" in serving.log.read_text()

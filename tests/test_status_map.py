"""The status ConfigMap, over real HTTP: when it is written, what it says, and that nothing waits for it."""

import json
import logging
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE, Kube9, rows
from faulty_server import FaultyServer
from impatient import SETTINGS
from loopback import Serving, kubeconfig
from test_docs import coded, table
from test_metrics import read, value
from test_serve import ALWAYS, locked, recorded, until

from kube9 import errors, health, migrations, selection, status_map, store, times
from kube9.census import Census
from kube9.cluster_recorder import Choices, ClusterRecorder
from kube9.counts import Counts
from kube9.health import Database, Facts
from kube9.publisher import Publisher
from kube9.responses import Refused, Unreachable
from kube9.status_map import ERROR_LENGTH, Place, StatusMap
from kube9.version import __version__

WHERE = "kube9-system/kube9-operator-status"
PATH = "/api/v1/namespaces/kube9-system/configmaps/kube9-operator-status"
PLACE = Place("kube9-system", "kube9-operator-status", "kube9-system")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultyServer]:
    running = FaultyServer()
    running.kubeconfig = kubeconfig(tmp_path, running.port)
    yield running
    running.close()


@pytest.fixture
def serve(kube9: Kube9, server: FaultyServer) -> Iterator[Callable[..., Serving]]:
    started: list[Serving] = []

    def start(where: str = WHERE, **options: object) -> Serving:
        started.append(Serving(kube9, server, "--status-configmap", where, **options))
        return started[-1]

    yield start
    for running in started:
        running.close()


def statuses(server: FaultyServer) -> list[dict]:
    """What was written, the first first."""
    return [json.loads(patched.body["data"]["status"]) for patched in list(server.patched)]


# What it says.


@pytest.mark.scenario("REC-31")
def test_serve_publishes_as_soon_as_it_is_well_and_at_its_end(
    kube9: Kube9, server: FaultyServer, serve: Callable[..., Serving]
) -> None:
    for number in range(3):
        server.create(f"web-{number}")
    serving = serve(where="shared/recorder", env={"POD_NAMESPACE": "kube9-system"})
    serving.until("it is published", lambda: server.patched)
    serving.until("all is recorded", lambda: len(recorded(kube9)) == 3)
    assert serving.stop() == 0
    assert {(patched.path, patched.media_type) for patched in server.patched} == {
        ("/api/v1/namespaces/shared/configmaps/recorder", "application/merge-patch+json")
    }
    assert [patched.body["data"]["namespace"] for patched in server.patched] == ["kube9-system", "kube9-system"]
    well, stopped = statuses(server)
    assert well == {
        "mode": "operated",
        "tier": "free",
        "version": __version__,
        "health": "healthy",
        "lastUpdate": well["lastUpdate"],
        "error": None,
        "namespace": "kube9-system",
        "collectionStats": well["collectionStats"],
    }
    (started,) = rows(kube9.db, "SELECT started_at FROM heartbeat")[0]
    assert started < well["lastUpdate"] < stopped["lastUpdate"]
    assert started <= well["collectionStats"]["lastSuccessTime"] <= well["lastUpdate"]
    assert (stopped["health"], stopped["error"].partition(";")[0]) == ("unhealthy", "kube9 serve stopped")
    stats = stopped["collectionStats"]
    assert stats["totalSuccessCount"] in (4, 5)  # with those of its start and, when it is committed by then, of its stop
    assert stats["collectionsStoredCount"] in (4, 5)
    assert stats["totalFailureCount"] == 0


def test_without_a_place_nothing_is_published(server: FaultyServer, kube9: Kube9) -> None:
    serving = Serving(kube9, server, env={"STATUS_CONFIGMAP": ""})
    try:
        serving.until_ready()
        assert serving.stop() == 0
    finally:
        serving.close()
    assert server.patched == []


def test_the_environment_says_where(server: FaultyServer, kube9: Kube9) -> None:
    serving = Serving(kube9, server, env={"STATUS_CONFIGMAP": "kube9-operator-status", "POD_NAMESPACE": "kube9-system"})
    try:
        serving.until("it is published", lambda: server.patched)
        assert serving.stop() == 0
    finally:
        serving.close()
    assert {patched.path for patched in server.patched} == {PATH}


@pytest.mark.scenario("REC-31")
def test_a_change_of_health_is_published(kube9: Kube9, server: FaultyServer) -> None:
    migrations.migrate(str(kube9.db))
    recorder = ClusterRecorder(
        str(kube9.db),
        server.api(),
        selection.select(everything=True),
        Choices(watching=SETTINGS, status=StatusMap(server.api(), PLACE)),
    )
    recorder.start()
    until(lambda: statuses(server))
    server.fault("forbidden", ALWAYS)
    until(lambda: len(statuses(server)) == 2)
    server.mend()
    until(lambda: len(statuses(server)) == 3)
    assert recorder.stop() == 0
    well, refused, again, stopped = statuses(server)
    assert [status["health"] for status in (well, refused, again, stopped)] == ["healthy", "degraded", "healthy", "unhealthy"]
    assert refused["error"].startswith("events: the API server refuses: HTTP 403")
    assert again["error"] is None
    assert refused["collectionStats"]["totalFailureCount"] > well["collectionStats"]["totalFailureCount"] == 0


def test_the_page_lists_what_is_written(server: FaultyServer) -> None:
    page = (ROOT / "docs" / "status.md").read_text()
    StatusMap(server.api(), PLACE).publish("healthy", [])
    (status,) = statuses(server)
    assert [coded(row[0]) for row in table(page, "key")] == sorted(server.patched[0].body["data"])
    assert [coded(row[0]) for row in table(page, "field of `status`")] == list(status)
    assert [coded(row[0]) for row in table(page, "field of `collectionStats`")] == list(status["collectionStats"])


def test_problems_are_one_line_that_is_bounded(server: FaultyServer) -> None:
    status = StatusMap(server.api(), PLACE)
    assert status.publish("degraded", ["one\nline", "two"])
    assert status.publish("degraded", ["größer" * 1000])
    assert status.publish("healthy", ["a rule is left out"])
    short, long, none = (found["error"] for found in statuses(server))
    assert (short, len(long), none) == ("one line; two", ERROR_LENGTH, None)


# When.


class Publishing:
    """A publisher with short waits, and the facts that it goes by."""

    def __init__(self, server: FaultyServer, folder: Path, read_timeout_s: float = 0.3, **waits: float) -> None:
        self.watch, self.counts, self.looks, self.started = health.Watch("events"), Counts(), 0, times.iso(times.now_ms())
        waits = {"every_s": 60.0, "look_s": 0.01, "again_s": 60.0} | waits
        census = Census(str(folder / "none.db"), self.counts)
        self._publisher = Publisher(
            StatusMap(server.api(read_timeout_s=read_timeout_s), PLACE), self._facts, self.counts, census, **waits
        )
        self._publisher.start()

    def _facts(self) -> Facts:
        self.looks += 1
        database = Database(last_commit_at=times.iso(times.now_ms()))
        return Facts(self.started, [self.watch], [], database, queue_size=0, queue_capacity=1)

    def well(self) -> None:
        self.watch.last_list_at = times.iso(times.now_ms() + 3_600_000)
        self.watch.answered()

    def look(self, often: int) -> None:
        goal = self.looks + often
        until(lambda: self.looks > goal)

    def stop(self, within_s: float) -> bool:
        """Whether it ended in time."""
        self._publisher.stop()
        self._publisher.join(within_s)
        return not self._publisher._thread.is_alive()


@contextmanager
def publishing(server: FaultyServer, folder: Path, **waits: float) -> Iterator[Publishing]:
    running = Publishing(server, folder, **waits)
    yield running
    assert running.stop(within_s=30)


@pytest.mark.scenario("REC-31")
def test_it_is_published_again_and_again_while_nothing_changes(server: FaultyServer, tmp_path: Path) -> None:
    with publishing(server, tmp_path, every_s=0.05) as running:
        running.well()
        until(lambda: len(server.patched) >= 4)
    found = statuses(server)
    assert {status["health"] for status in found} == {"healthy"}
    assert [status["lastUpdate"] for status in found] == sorted({status["lastUpdate"] for status in found})


def test_it_is_published_no_more_often_than_that(server: FaultyServer, tmp_path: Path) -> None:
    with publishing(server, tmp_path) as running:
        running.well()
        until(lambda: server.patched)
        running.look(often=30)
        assert len(server.patched) == 1


def test_nothing_is_published_until_the_health_is_known(server: FaultyServer, tmp_path: Path) -> None:
    with publishing(server, tmp_path) as running:
        running.look(often=20)
        assert server.patched == []
        running.watch.failed("unreachable", "nobody answers")
        until(lambda: server.patched)
    assert statuses(server)[0]["health"] == "degraded"


@pytest.mark.scenario("REC-31")
def test_a_health_that_stays_unknown_is_published_all_the_same(server: FaultyServer, tmp_path: Path) -> None:
    with publishing(server, tmp_path, every_s=0.1):
        until(lambda: server.patched)
    assert statuses(server)[0]["error"] == "events: not read yet"


def test_a_stop_is_published_although_nothing_is_known_yet(server: FaultyServer, tmp_path: Path) -> None:
    with publishing(server, tmp_path) as running:
        running.look(often=1)
    assert len(server.patched) == 1


def test_a_stop_leaves_a_server_alone_that_does_not_answer(server: FaultyServer, tmp_path: Path) -> None:
    server.patch_answer = None
    running = Publishing(server, tmp_path, read_timeout_s=600.0)
    running.well()
    until(lambda: server.patched)
    assert not running.stop(within_s=0.01)


# What is refused.


@pytest.mark.scenario("REC-31")
def test_a_missing_permission_and_a_missing_map_are_a_warning_each_until_it_works_again(
    server: FaultyServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[tuple[str, str]]:
        return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "kube9.status"]

    def tries(number: int) -> None:
        goal = len(server.patched) + number
        until(lambda: len(server.patched) >= goal)

    caplog.set_level(logging.INFO)
    server.patch_answer = 403
    with publishing(server, tmp_path, again_s=0.01) as running:
        running.well()
        tries(5)
        server.patch_answer = 404
        tries(5)
        server.patch_answer = 200
        until(lambda: len(said()) == 3)
    (first, refused), (second, missing), (third, again) = said()
    assert (first, second, third) == ("WARNING", "WARNING", "INFO")
    assert "it is 403" in refused
    assert refused.endswith(f"let this account patch the ConfigMap {WHERE}, as the chart does")
    assert missing.endswith("kubectl create configmap kube9-operator-status -n kube9-system")
    assert again == f"the status is published again in the ConfigMap {WHERE}"
    assert running.counts.unpublished >= 9


@pytest.mark.scenario("REC-31")
@pytest.mark.parametrize("answer", [403, 404, 500, None])
def test_recording_goes_on_while_it_cannot_be_published(
    kube9: Kube9, server: FaultyServer, serve: Callable[..., Serving], answer: int | None
) -> None:
    server.patch_answer = answer
    serving = serve()
    serving.until("it is tried", lambda: server.patched)
    server.create("meanwhile")
    serving.until("it is recorded", lambda: recorded(kube9) == {"meanwhile": 1})
    serving.until("it is told", lambda: "the status is not published" in serving.log.read_text())
    metric = "kube9_status_publish_errors_total"
    serving.until("it is counted", lambda: value(read(serving.get("/metrics")[1]), metric) == 1)
    assert serving.get("/readyz")[0] == 200
    assert serving.stop() == 0
    assert "Traceback" not in serving.log.read_text()


def hung(server: FaultyServer) -> None:
    server.patch_answer = None


@pytest.mark.scenario("REC-25", "REC-31")
@pytest.mark.parametrize("state", [hung, FaultyServer.down], ids=["no answer", "nobody there"])
def test_sigterm_ends_it_whatever_becomes_of_its_last_status(
    kube9: Kube9, server: FaultyServer, serve: Callable[..., Serving], state: Callable[[FaultyServer], None]
) -> None:
    serving = serve()
    serving.until("it is published", lambda: server.patched)
    state(server)
    serving.process.terminate()
    assert serving.process.wait(10) == 0, serving.log.read_text()
    assert rows(kube9.db, "SELECT count(*) FROM events WHERE title = 'Operator stopped'") == [(1,)]


@pytest.mark.scenario("REC-25")
def test_sigterm_ends_it_while_neither_the_database_nor_the_api_server_answers(
    kube9: Kube9, server: FaultyServer, serve: Callable[..., Serving]
) -> None:
    serving = serve()
    serving.until("it is published", lambda: server.patched)
    hung(server)
    with locked(kube9.db):
        serving.process.terminate()
        assert serving.process.wait(10) == 1, serving.log.read_text()
    assert "Traceback" not in serving.log.read_text()


# A start that is refused.


def newer(kube9: Kube9) -> None:
    assert kube9("import", SAMPLE).code == 0
    with closing(sqlite3.connect(kube9.db)) as connection, connection:
        connection.execute("INSERT INTO schema_version VALUES (99, '2026-03-01T00:00:00.000Z', 'later')")


def damaged(kube9: Kube9) -> None:
    kube9.db.write_bytes(b"no database " * 1000)


def foreign(kube9: Kube9) -> None:
    with closing(sqlite3.connect(kube9.db)) as connection, connection:
        connection.execute("CREATE TABLE songs (id TEXT)")


def directory(kube9: Kube9) -> None:
    kube9.db.mkdir()


REFUSALS = {
    "newer": (newer, (), f"database at schema version 99, newer than this kube9 knows ({store.newest_version()}): "),
    "damaged": (damaged, (), "not a database, or one that is damaged from its first page: "),
    "another program's": (foreign, (), "another program's database: "),
    "no file": (directory, (), "not a file: "),
    "wrong option": (lambda _: None, ("--event-ttl", "soon"), '--event-ttl: "soon" is not a duration'),
}


def refused(kube9: Kube9, server: FaultyServer, *words: str, env: dict | None = None) -> subprocess.CompletedProcess:
    command = kube9.command("serve", "--kubeconfig", server.kubeconfig, "--status-configmap", WHERE, *words)
    return subprocess.run(command, env=kube9.env | (env or {}), cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.scenario("REC-31")
@pytest.mark.parametrize("reason", REFUSALS)
def test_a_start_that_is_refused_says_why_before_it_ends(kube9: Kube9, server: FaultyServer, reason: str) -> None:
    make, words, said = REFUSALS[reason]
    make(kube9)
    done = refused(kube9, server, *words)
    assert done.returncode == 1
    assert f"error: {said.partition(': ')[0]}" in done.stderr
    (status,) = statuses(server)
    assert (status["health"], status["error"][: len(said)]) == ("unhealthy", said)
    assert (status["mode"], status["version"], status["namespace"]) == ("operated", __version__, "kube9-system")
    assert status["collectionStats"] == dict.fromkeys(
        ("totalSuccessCount", "totalFailureCount", "collectionsStoredCount"), 0
    ) | {"lastSuccessTime": None}


@pytest.mark.scenario("REC-31")
def test_a_port_that_is_taken_is_told(kube9: Kube9, server: FaultyServer) -> None:
    with socket.create_server(("", 0)) as taken:
        done = refused(kube9, server, "--health-port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    (status,) = statuses(server)
    assert "cannot listen on port" in status["error"]


@pytest.mark.parametrize("answer", [403, None])
def test_a_refusal_that_cannot_be_published_is_a_refusal_all_the_same(
    kube9: Kube9, server: FaultyServer, answer: int | None
) -> None:
    damaged(kube9)
    server.patch_answer = answer
    done = refused(kube9, server)
    assert (done.returncode, len(server.patched)) == (1, 1)
    assert "error: not a database" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.scenario("REC-31")
def test_a_second_recorder_that_is_refused_leaves_the_status_of_the_first(
    kube9: Kube9, server: FaultyServer, serve: Callable[..., Serving]
) -> None:
    serving = serve()
    serving.until("it is published", lambda: server.patched)
    for words in ((), ("--event-ttl", "soon")):
        assert refused(kube9, server, *words).returncode == 1
    assert {status["health"] for status in statuses(server)} == {"healthy"}
    assert serving.stop() == 0
    assert refused(kube9, server, "--event-ttl", "soon").returncode == 1  # now that nobody records
    assert "--event-ttl" in statuses(server)[-1]["error"]


# Where.


@pytest.mark.parametrize(
    ("where", "own", "found"),
    [
        ("kube9-system/status", None, ("kube9-system", "status", "kube9-system")),
        ("status.v1", "here", ("here", "status.v1", "here")),
        ("there/status", "here", ("there", "status", "here")),
    ],
)
def test_a_place_is_read(where: str, own: str | None, found: tuple[str, str, str]) -> None:
    assert status_map.place(where, own) == found


@pytest.mark.parametrize("where", ["a/b/c", "/status", "here/", "Here/status", "here/..", "here/a?b", "here/a b", "../status"])
def test_what_is_no_place_is_refused(where: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="names no ConfigMap"):
        status_map.place(where, "here")


def test_a_name_without_a_namespace_is_refused_where_nothing_tells_it() -> None:
    with pytest.raises(errors.InvalidArgument, match="is in no namespace: give it as NAMESPACE/NAME, or set POD_NAMESPACE"):
        status_map.place("kube9-operator-status", None)


def test_serve_refuses_what_is_no_place(kube9: Kube9, server: FaultyServer) -> None:
    done = kube9("serve", "--kubeconfig", server.kubeconfig, "--status-configmap", "a/b/c", "--log-format", "json")
    assert (done.code, done.error["code"]) == (1, "INVALID_ARGUMENT")
    assert done.error["error"] == '--status-configmap: "a/b/c" names no ConfigMap'


# How it is sent.


def test_a_patch_reads_a_rotated_token_again(server: FaultyServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    api = server.api(token)
    server.token = "new"
    token.write_text("new")
    api.patch(PATH, {"data": {"key": "größer"}})
    assert [patched.body for patched in server.patched] == [{"data": {"key": "größer"}}] * 2
    token.write_text("wrong")
    server.token = "newer"
    with pytest.raises(Refused, match="HTTP 401"):
        api.patch(PATH, {})


def test_a_patch_that_is_not_answered_raises(server: FaultyServer) -> None:
    api = server.api()
    server.patch_answer = None
    with pytest.raises(Unreachable):
        api.patch(PATH, {})
    server.down()
    with pytest.raises(Unreachable):
        api.patch(PATH, {})


# How many events there are.


def test_events_are_counted_and_between_two_counts_what_was_written_is_added(kube9: Kube9) -> None:
    assert kube9("import", SAMPLE).code == 0
    counts = Counts()
    census = Census(str(kube9.db), counts)
    assert census.take() == 132
    kube9.db.unlink()  # so that they cannot be counted again
    counts.committed({("cluster", "info"): 7}, updated=3)
    counts.cleaned_up(2, at_s=0.0)
    assert census.take() == 137


def test_a_database_that_cannot_be_counted_has_no_number(tmp_path: Path) -> None:
    assert Census(str(tmp_path / "none.db"), Counts()).take() is None

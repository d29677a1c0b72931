"""`kube9 serve` against a real API server."""

import itertools
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cluster.api import Api, connect, wait_for
from conftest import Kube9

pytestmark = pytest.mark.cluster
numbers = itertools.count()


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    connected = connect()
    yield connected
    connected.close()


@pytest.fixture
def namespace(api: Api) -> str:
    return api.make_namespace(f"recorded-{next(numbers)}")


@pytest.fixture
def recorder(kube9: Kube9) -> Iterator["Recorder"]:
    running = Recorder(kube9)
    yield running
    running.kill()


class Recorder:
    """A `kube9 serve` in a process of its own, with the cluster's kubeconfig."""

    def __init__(self, kube9: Kube9) -> None:
        self.kube9, self.process, self.log = kube9, None, ""

    def start(self, *words: str) -> None:
        env = {"KUBECONFIG": os.environ["KUBECONFIG"]}
        self.process = self.kube9.start(*words, env=env, stderr=subprocess.PIPE, text=True)
        wait_for("serve is connected", lambda: self.status().get("health") == "healthy")

    def status(self) -> dict:
        result = self.kube9.query("status")
        return result.json if result.code == 0 else {}

    def terminate(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        _, self.log = self.process.communicate(timeout=30)
        return self.process.returncode

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def rows(kube9: Kube9, namespace: str) -> list[tuple[str, int]]:
    """Name and count of each recorded event of a namespace, read beside kube9."""
    with closing(sqlite3.connect(f"file:{kube9.db}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT object_name, count FROM events WHERE object_namespace = ? ORDER BY object_name", (namespace,)
        ).fetchall()


@pytest.mark.scenario("CLI-01", "CLI-02")
@pytest.mark.parametrize("words", [[], ["serve"]], ids=["no arguments", "serve"])
def test_records_until_it_is_stopped(recorder: Recorder, kube9: Kube9, api: Api, namespace: str, words: list[str]) -> None:
    api.make_event(namespace, "before")
    recorder.start(*words)
    api.make_event(namespace, "after")
    wait_for("both events are recorded", lambda: len(rows(kube9, namespace)) == 2)
    assert recorder.process.poll() is None
    assert recorder.terminate() == 0


def test_a_repeat_raises_the_count_of_the_same_row(recorder: Recorder, kube9: Kube9, api: Api, namespace: str) -> None:
    recorder.start("serve")
    api.make_event(namespace, "web")
    wait_for("the event is recorded", lambda: rows(kube9, namespace) == [("web", 1)])
    path = f"/api/v1/namespaces/{namespace}/events/web.17b2c4"
    for count in (2, 3, 7):
        api.request("PATCH", path, {"count": count, "lastTimestamp": f"2099-01-01T00:00:0{count}Z"})
    wait_for("the count is the newest", lambda: rows(kube9, namespace) == [("web", 7)])


def test_an_expired_event_stays_recorded(recorder: Recorder, kube9: Kube9, api: Api, namespace: str) -> None:
    recorder.start("serve")
    api.make_event(namespace, "gone")
    wait_for("the event is recorded", lambda: rows(kube9, namespace))
    api.request("DELETE", f"/api/v1/namespaces/{namespace}/events/gone.17b2c4")
    api.make_event(namespace, "later")
    wait_for("the watch went on", lambda: len(rows(kube9, namespace)) == 2)
    assert ("gone", 1) in rows(kube9, namespace)


def test_stops_cleanly_on_either_signal(recorder: Recorder, kube9: Kube9, api: Api, namespace: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        recorder.start("serve")
        api.make_event(namespace, f"before-{number}")
        wait_for("the event is recorded", lambda n=number: (f"before-{n}", 1) in rows(kube9, namespace))
        assert recorder.terminate(number) == 0, recorder.log
        assert not kube9.db.with_name("kube9.db-wal").exists()
        assert "0 not written" in recorder.log
        assert recorder.status()["health"] == "unhealthy"
        assert "stopped" in recorder.status()["health_detail"]
        assert "Traceback" not in recorder.log


def test_goes_on_from_its_position_without_a_list(recorder: Recorder, kube9: Kube9, api: Api, namespace: str) -> None:
    recorder.start("serve")
    api.make_event(namespace, "first")
    wait_for("the event is recorded", lambda: rows(kube9, namespace))
    assert recorder.terminate() == 0
    # Deleted and made while nobody recorded: only a watch from the old position sees them in this order.
    api.make_event(namespace, "between")
    api.request("DELETE", f"/api/v1/namespaces/{namespace}/events/between.17b2c4")
    recorder.start("serve")
    wait_for("the deleted event is recorded", lambda: ("between", 1) in rows(kube9, namespace))


@pytest.mark.scenario("COV-05")
def test_what_happens_while_it_is_dead_is_read_afterwards(recorder: Recorder, kube9: Kube9, api: Api, namespace: str) -> None:
    recorder.start("serve")
    before = api.make_event(namespace, "before")["firstTimestamp"].replace("Z", ".000Z")
    wait_for("the event is recorded", lambda: rows(kube9, namespace))
    recorder.kill()
    time.sleep(1.5)  # a shorter silence is no gap
    api.make_event(namespace, "between")
    recorder.start("serve")
    wait_for("what happened meanwhile is recorded", lambda: rows(kube9, namespace) == [("before", 1), ("between", 1)])

    def gaps() -> list[dict]:
        found = kube9.query("events", "list", "--since", before).json["coverage"]["gaps"]
        return [gap for gap in found if gap["cause"] == "not_running" and gap["resource"] in (None, "events")]

    (gap,) = wait_for("the gap is told", gaps)
    assert gap["recovered"] is True
    assert before <= gap["from"] < gap["to"]
    assert kube9.query("events", "list", "--since", gap["from"], "--require-coverage", "100%").code == 0


def test_kill_in_the_middle_loses_nothing_and_repeats_nothing(
    recorder: Recorder, kube9: Kube9, api: Api, namespace: str
) -> None:
    recorder.start("serve")
    for start in range(0, 2000, 500):
        api.make_events(namespace, 400, prefix=f"made-{start}")
        recorder.kill()  # while the last of them are on their way
        api.make_events(namespace, 100, prefix=f"missed-{start}")
        recorder.start("serve")
    wait_for("all are recorded", lambda: len(rows(kube9, namespace)) >= 2000)
    recorded = rows(kube9, namespace)
    assert len(recorded) == 2000
    assert len(set(recorded)) == 2000
    with closing(sqlite3.connect(f"file:{kube9.db}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT count(DISTINCT change_seq), max(change_seq) FROM events").fetchone()[0] >= 2000


def test_a_second_serve_is_refused_and_the_first_goes_on(recorder: Recorder, kube9: Kube9, api: Api, namespace: str) -> None:
    recorder.start("serve")
    second = kube9("serve", env={"KUBECONFIG": os.environ["KUBECONFIG"]})
    assert second.code == 1
    assert "another kube9 serve holds the database" in second.err
    assert str(recorder.process.pid) in second.err
    api.make_event(namespace, "still")
    wait_for("the first still records", lambda: rows(kube9, namespace))


def test_an_unknown_account_is_said_and_does_not_end_it(kube9: Kube9, api: Api, tmp_path) -> None:
    config, log = tmp_path / "config", tmp_path / "log"
    config.write_text(Path(os.environ["KUBECONFIG"]).read_text().replace("admin-token", "nobody-token"))
    recorder = Recorder(kube9)
    with log.open("w") as stderr:
        recorder.process = kube9.start("serve", env={"KUBECONFIG": str(config)}, stderr=stderr)
    try:
        wait_for("it says so", lambda: "the API server does not know this account" in log.read_text())
        assert recorder.status()["health"] == "degraded"
        assert recorder.terminate() == 0
    finally:
        recorder.kill()
    assert "HTTP 401" in log.read_text()
    assert "Traceback" not in log.read_text()

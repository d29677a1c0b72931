"""`kube9 serve` and a real API server whose events live for seconds: killed, kept waiting, held; nothing is lost in silence."""

import gc
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from cluster.api import Api, connect, wait_for
from cluster.components import held, kill, start
from conftest import ROOT, Kube9
from impatient import Impatient
from test_cluster import Recorder, recorder, rows  # noqa: F401 - a fixture

from kube9 import times

# Python's ssl forgets to close a socket that is ended from another thread, or whose other side is held.
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")]
TTL_S = 20
numbers = itertools.count()


@pytest.fixture(scope="module")
def forgetful() -> Iterator[None]:
    """An API server that keeps events for 20 s, and the versions that a watch can begin from not much longer."""
    kill("kube-apiserver")
    start("kube-apiserver", flags=(f"--event-ttl={TTL_S}s", "--etcd-compaction-interval=5s"))
    yield
    kill("kube-apiserver")
    start("kube-apiserver", flags=("--event-ttl=1h", "--etcd-compaction-interval=5m"))


@pytest.fixture
def api(forgetful: None) -> Iterator[Api]:
    connected = connect()
    yield connected
    connected.close()


@pytest.fixture
def namespace(api: Api) -> str:
    return api.make_namespace(f"survives-{next(numbers)}")


def gaps(kube9: Kube9, cause: str) -> list[dict]:
    """The gaps of events with a cause, oldest first."""
    found = kube9.query("events", "list", "--since", "1h").json["coverage"]["gaps"]
    return [gap for gap in found if gap["cause"] == cause and gap["resource"] in (None, "events")]


@pytest.mark.scenario("COV-05")
def test_a_gap_that_is_longer_than_events_live(
    recorder: Recorder,  # noqa: F811
    kube9: Kube9,
    api: Api,
    namespace: str,
) -> None:
    recorder.start("serve", "--event-ttl", f"{TTL_S}s")
    api.make_event(namespace, "before")
    wait_for("the event is recorded", lambda: rows(kube9, namespace))
    recorder.kill()
    early = api.make_event(namespace, "early")["firstTimestamp"].replace("Z", ".000Z")
    wait_for("it has expired", lambda: not listed(api, namespace), 3 * TTL_S)
    late = api.make_event(namespace, "late")["firstTimestamp"].replace("Z", ".000Z")
    recorder.start("serve", "--event-ttl", f"{TTL_S}s")
    wait_for("what the server still has is recorded", lambda: rows(kube9, namespace) == [("before", 1), ("late", 1)])
    lost, refilled = wait_for("the gap is told", lambda: gaps(kube9, "not_running"))
    assert (lost["recovered"], refilled["recovered"]) == (False, True)
    assert early < lost["to"] == refilled["from"] < late < refilled["to"]
    assert times.parse(refilled["to"], 0) - times.parse(refilled["from"], 0) == TTL_S * 1000  # to the time of the list
    assert kube9.query("events", "list", "--since", refilled["from"], "--require-coverage", "100%").code == 0
    refused = kube9.query("events", "list", "--since", lost["from"], "--require-coverage", "100%")
    assert (refused.code, refused.error["code"]) == (1, "FAILED_PRECONDITION")


def listed(api: Api, namespace: str) -> list[dict]:
    return api.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"]


@pytest.mark.scenario("REC-29", "REC-36")
def test_killed_again_and_again_under_load(forgetful: None) -> None:
    victims = ("recorder", "recorder", "recorder", "both", "recorder", "recorder", "server", "recorder")
    kill_bench = [sys.executable, ROOT / "bench" / "kill.py", "--kills", str(len(victims)), "--rate", "150"]
    done = subprocess.run([*kill_bench, "--ttl", str(TTL_S), "--victim", *victims], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost 0, twice 0, strange 0, wrong count or time 0" in done.stdout


@pytest.fixture
def impatient(kube9: Kube9, forgetful: None) -> Iterator[Impatient]:
    running = Impatient(kube9, os.environ["KUBECONFIG"], read_timeout_s=2.0)
    wait_for("all is watched", lambda: running.json("/healthz")["status"] == "healthy")
    yield running
    running.stop()
    gc.collect()  # while the warning is left out


@pytest.mark.scenario("REC-28", "REC-34", "COV-04")
def test_a_server_that_hangs(impatient: Impatient, kube9: Kube9, api: Api, namespace: str) -> None:
    def watch_of_events() -> dict:
        return impatient.json("/healthz")["watches"][0]

    api.make_event(namespace, "before")
    wait_for("the event is recorded", lambda: rows(kube9, namespace))
    with held("kube-apiserver"):
        wait_for("it is noticed", lambda: not watch_of_events()["connected"])
        proven_at = watch_of_events()["proven_at"]
        assert watch_of_events()["problem"].startswith("the API server does not answer")
        wait_for("query status tells it", lambda: impatient.status()["health"] == "degraded")
        assert impatient.json("/livez")["alive"] is True
    with closing(connect()) as again:
        again.make_event(namespace, "after")
    wait_for("it is recorded", lambda: rows(kube9, namespace) == [("after", 1), ("before", 1)])
    wait_for("all is well again", lambda: impatient.json("/healthz")["status"] == "healthy")
    told = wait_for("the gap is told", lambda: gaps(kube9, "disconnected"))
    assert all(gap["recovered"] for gap in told)
    assert any(gap["from"] <= proven_at < gap["to"] for gap in told)

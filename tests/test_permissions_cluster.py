"""Rights on a real API server: what docs/permissions.md lists is enough, and one that is taken away stops one watch."""

import gc
import time
from collections.abc import Iterator

import pytest
from accounts import Account, account, documented  # noqa: F401 - a fixture
from cluster.api import Api, wait_for
from conftest import Kube9
from impatient import Impatient
from test_cluster import api, rows  # noqa: F401 - a fixture

from kube9.gaps import SHORT_MS
from kube9.resources import WATCHED

# Python's ssl forgets to close a socket that is ended from another thread.
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")]


@pytest.fixture
def recorder(kube9: Kube9, account: Account) -> Iterator[Impatient]:  # noqa: F811
    account.may(documented())
    running = Impatient(kube9, account.kubeconfig)
    wait_for("all is watched", lambda: running.json("/healthz")["status"] == "healthy")
    yield running
    running.stop()
    gc.collect()  # while the warning is left out


def test_the_page_lists_what_is_watched() -> None:
    assert set(documented()) == {"events", *(resource.name for resource in WATCHED)}


@pytest.mark.scenario("REC-34")
@pytest.mark.parametrize("taken", ["pods", "namespaces", "events"])
def test_a_right_that_is_taken_away_and_comes_back(
    recorder: Impatient,
    account: Account,  # noqa: F811
    api: Api,  # noqa: F811
    kube9: Kube9,
    taken: str,
) -> None:
    namespace = api.make_namespace(f"refused-{taken}")
    needed = taken == "events"
    account.may({resource: rule for resource, rule in documented().items() if resource != taken})
    wait_for("it is refused", lambda: recorder.forbidden())
    refused_at = time.monotonic()
    assert recorder.forbidden() == {taken}
    assert recorder.ready() is not needed
    told = recorder.json("/readyz")
    assert told["status"] == "degraded"
    (problem,) = told["problems"]
    assert problem.startswith(f"{taken}: the API server refuses: HTTP 403 Forbidden: ")
    wait_for("the heartbeat tells it", lambda: recorder.status()["problems"])
    assert recorder.status()["health"] == "degraded"
    assert recorder.status()["watch"][taken]["forbidden"] is True
    metrics = recorder.get("/metrics")[1].decode()
    assert f'kube9_watch_forbidden{{resource="{taken}"}} 1.0' in metrics
    assert metrics.count("kube9_watch_forbidden{") == metrics.count("kube9_watch_connected{") == len(documented())
    assert f"kube9_ready {0.0 if needed else 1.0}" in metrics
    api.make_event(namespace, "meanwhile")
    if not needed:
        wait_for("events go on", lambda: rows(kube9, namespace))
        until = events_watch(recorder)["proven_at"]
        wait_for("and a silence is proven", lambda: events_watch(recorder)["proven_at"] > until)
        assert "forbidden" not in events_watch(recorder)["failures"]
    wait_for("it is long enough for a gap", lambda: time.monotonic() > refused_at + SHORT_MS / 1000)
    account.may(documented())
    wait_for("it is watched again", lambda: recorder.json("/healthz")["status"] == "healthy")
    wait_for("what happened meanwhile is recorded", lambda: rows(kube9, namespace) == [("meanwhile", 1)])
    wait_for("the heartbeat tells that too", lambda: recorder.status()["health"] == "healthy")
    (gap,) = wait_for("the gap is told", lambda: gaps(kube9))
    assert (gap["resource"], gap["recovered"]) == (taken, True)


def events_watch(recorder: Impatient) -> dict:
    return recorder.json("/healthz")["watches"][0]


def gaps(kube9: Kube9) -> list[dict]:
    found = kube9.query("events", "list", "--since", "1h").json["coverage"]["gaps"]
    return [gap for gap in found if gap["cause"] == "forbidden"]


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_neither_verb_serves_without_the_other(kube9: Kube9, account: Account, verb: str) -> None:  # noqa: F811
    every = documented()
    account.may({resource: rule | {"verbs": [v for v in rule["verbs"] if v != verb]} for resource, rule in every.items()})
    running = Impatient(kube9, account.kubeconfig)
    try:
        wait_for("all is refused", lambda: running.forbidden() == set(every))
        account.may(every)
        wait_for("all is watched", lambda: running.json("/healthz")["status"] == "healthy")
    finally:
        running.stop()
        gc.collect()

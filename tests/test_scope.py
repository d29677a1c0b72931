"""`kube9 serve --namespace`: one namespace alone is read, and a database may go from all of them to one and back."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Kube9, make_event, rows
from loopback import Serving, SmallApi
from recorded import Recorded, deployment, end, endpoint_slice, later, node, pod, recording, running

from kube9 import rules, times
from kube9.normalise import normalise
from kube9.resources import WATCHED

SHOP, OTHER = "shop", "other"
CLUSTERS = "SELECT uid, namespace FROM clusters ORDER BY id"
EVENT = normalise(make_event("web.1", SHOP), rules.built_in())


class NamespacedApi(SmallApi):
    """An API server for an account that may read the namespace shop alone; with `whole` it may read all.

    `asked` has the paths, `refused` those that were answered with 403.
    """

    def __init__(self, folder: Path) -> None:
        self.whole, self.version = False, 100
        self.asked: set[str] = set()
        self.refused: set[str] = set()
        self.objects: dict[str, list[dict]] = {"events": []}
        super().__init__(folder)

    def answer(self, path: str) -> tuple[int, dict]:
        parts = path.split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts[:-1] else None
        self.asked.add(path)
        if not self.whole and namespace != SHOP:
            self.refused.add(path)
            return 403, {"kind": "Status", "code": 403, "message": "forbidden"}
        if parts[-2] == "namespaces":
            return 200, {"metadata": {"name": parts[-1], "uid": f"uid-of-{parts[-1]}"}}
        found = [one for one in self.objects.get(parts[-1], []) if namespace in (None, one["metadata"].get("namespace"))]
        return 200, {"metadata": {"resourceVersion": str(self.version)}, "items": found}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[NamespacedApi]:
    api = NamespacedApi(tmp_path)
    api.objects["events"] = [make_event("web.1", SHOP), make_event("web.1", OTHER)]
    yield api
    api.close()


def record_once(kube9: Kube9, api: NamespacedApi, *words: str, env: dict | None = None) -> dict:
    """Let `kube9 serve` read what there is. Returns its /healthz."""
    started, serving = times.iso(times.now_ms()), Serving(kube9, api, *words, env=env or {})
    proven = f"SELECT count(DISTINCT resource) FROM coverage WHERE to_at >= '{started}'"
    try:
        serving.until("all is watched", lambda: serving.json("/healthz")["status"] == "healthy")
        told = serving.json("/healthz")
        serving.until("all is proven", lambda: rows(kube9.db, proven) == [(len(told["watches"]),)])
        assert serving.stop() == 0, serving.log.read_text()
        assert "refuses" not in serving.log.read_text()
        return told
    finally:
        serving.close()


def stored(kube9: Kube9) -> list[tuple]:
    """Name and namespace of the cluster's events."""
    return rows(kube9.db, "SELECT object_name, object_namespace FROM events WHERE event_type = 'cluster' ORDER BY rowid")


# The program, against an API server that refuses everything else.


def test_nothing_but_the_namespace_is_asked_for(kube9: Kube9, api: NamespacedApi) -> None:
    told = record_once(kube9, api, "--namespace", SHOP)
    assert stored(kube9) == [("web", SHOP)]
    assert api.refused == set()
    paths = {f"{resource.root}/namespaces/{SHOP}/{resource.name}" for resource in WATCHED if resource.namespaced}
    assert api.asked == paths | {f"/api/v1/namespaces/{SHOP}", f"/api/v1/namespaces/{SHOP}/events"}
    assert told["namespace"] == SHOP
    assert {watch["resource"] for watch in told["watches"]} == {path.rpartition("/")[2] for path in paths} | {"events"}
    assert kube9.query("status").json["namespace"] == SHOP
    assert rows(kube9.db, CLUSTERS) == [(f"uid-of-{SHOP}", SHOP)]
    assert kube9.events("--type", "cluster", "-n", SHOP)[0]["cluster"] == f"uid-of-{SHOP}"


@pytest.mark.scenario("REC-37", "COV-01")
def test_from_all_namespaces_to_one_and_back(kube9: Kube9, api: NamespacedApi) -> None:
    made = {name: pod(name, namespace=namespace, uid=name) for name, namespace in (("web", SHOP), ("db", OTHER))}
    api.objects |= {"nodes": [node("node-1")], "pods": list(made.values())}
    api.whole = True
    record_once(kube9, api)
    api.whole = False
    record_once(kube9, api, env={"KUBE9_NAMESPACE": SHOP})
    api.whole = True
    record_once(kube9, api, env={"KUBE9_NAMESPACE": ""})
    assert sorted(stored(kube9)) == [("web", OTHER), ("web", SHOP)]  # each event once, and nothing was derived
    assert rows(kube9.db, CLUSTERS) == [("uid-of-kube-system", None), (f"uid-of-{SHOP}", SHOP)]
    known = rows(kube9.db, "SELECT cluster_id, name FROM watched_objects ORDER BY 1, 2")
    assert known == [(1, "db"), (1, "node-1"), (1, "web"), (2, "web")]
    assert rows(kube9.db, "SELECT namespace FROM scopes ORDER BY id") == [(SHOP,), (None,)]
    for words, causes in (((), {"outside_scope", "not_running"}), (("-n", SHOP), {"not_running"})):
        told = kube9.query("events", "list", *words).json["coverage"]
        assert {gap["cause"] for gap in told["gaps"]} == causes
        assert told["complete"] is True  # the list that came afterwards read all of it
    assert kube9.query("status").json["namespace"] is None


def test_it_waits_until_the_namespace_may_be_read(kube9: Kube9, api: NamespacedApi) -> None:
    serving = Serving(kube9, api, "--namespace", OTHER)
    try:
        serving.until("it is refused", lambda: serving.json("/healthz")["watches"][0]["forbidden"])
        assert serving.process.poll() is None
        api.whole = True
        serving.until_ready()
        assert serving.stop() == 0
    finally:
        serving.close()
    assert stored(kube9) == [("web", OTHER)]


@pytest.mark.parametrize("name", ["a/b", "Shop", "-a", "a" * 64, "..", "a b", "a?x=1", "ü"])
def test_what_is_no_name_is_refused_at_once(kube9: Kube9, api: NamespacedApi, name: str) -> None:
    done = kube9("serve", "--kubeconfig", str(api.kubeconfig), f"--namespace={name}")
    assert done.code == 1
    assert f'--namespace: "{name}" is no name of a namespace' in done.err
    assert not kube9.db.exists()
    assert api.asked == set()


@pytest.mark.parametrize("wrong", ["--namespace=Shop", "--event-ttl=soon", "--retention-interval=soon"])
def test_what_was_typed_is_read_before_anything_is_looked_for(kube9: Kube9, wrong: str) -> None:
    done = kube9("serve", "--kubeconfig", "/nowhere", wrong)
    assert (done.code, done.out) == (1, "")
    assert wrong.partition("=")[0] in done.err
    assert "kubeconfig" not in done.err


# What is stored, by the writer itself.


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorded]:
    with recording(tmp_path / "kube9.db") as recorder:
        yield recorder


@pytest.mark.scenario("REC-09")
@pytest.mark.parametrize("first", [None, SHOP])
def test_an_event_that_both_have_read_is_one_row(recorder: Recorded, first: str | None) -> None:
    for count, namespace in enumerate((first, SHOP if first is None else None, first), start=3):
        recorder.watch(namespace)
        recorder.events(EVENT._replace(count=count))
    (row,) = recorder.rows()
    assert row["count"] == 5


def test_an_event_of_another_namespace_or_cluster_is_another_row(recorder: Recorded) -> None:
    recorder.watch(SHOP)
    recorder.events(EVENT)
    recorder.cluster = "uid-of-its-successor"
    recorder.events(EVENT)
    recorder.watch(OTHER)
    recorder.events(EVENT._replace(namespace=OTHER, object_namespace=OTHER))
    assert len(recorder.rows()) == 3


def test_a_uid_that_a_whole_cluster_has_taken_is_kept_apart(recorder: Recorded) -> None:
    """A recorder that may not read kube-system tells its cluster by its own namespace, whole as it reads it."""
    for namespace in (None, SHOP, None, SHOP):
        recorder.watch(namespace)
        recorder.cluster = "the-same-uid"
        recorder.relist("pods", pod("web", namespace=SHOP), *([] if namespace else [pod("db", namespace=OTHER)]))
    found = recorder.connection.execute(CLUSTERS).fetchall()
    assert found == [("the-same-uid", None), (f"the-same-uid/{SHOP}", SHOP)]
    known = recorder.connection.execute("SELECT cluster_id, name FROM watched_objects ORDER BY 1, 2").fetchall()
    assert known == [(1, "db"), (1, "web"), (2, "web")]


@pytest.mark.scenario("REC-37")
def test_what_one_has_told_the_other_does_not_tell_again(recorder: Recorded) -> None:
    def web(replicas: int, version: int) -> dict:
        return deployment("web", replicas, namespace=SHOP, version=version)

    recorder.relist("deployments", web(2, 10))
    recorder.watch(SHOP)
    recorder.relist("deployments", web(3, 11))  # scaled while nobody watched
    recorder.lines("deployments", web(4, 12))
    recorder.watch(None)
    recorder.wait(60)
    recorder.lines("deployments", web(3, 11), web(4, 12))  # its watch goes on where it stood
    recorder.relist("deployments", web(4, 12))
    recorder.lines("deployments", web(5, 13))
    told = sorted(row["description"] for row in recorder.rows("Deployment scaled"))
    assert told == [f"Replicas changed from {number} to {number + 1}" for number in (2, 3, 4)]


@pytest.mark.scenario("REC-37")
def test_a_kill_is_told_once(recorder: Recorded) -> None:
    killed = pod("web", running(later(9), 1, end(later(8), reason="OOMKilled", code=137)), namespace=SHOP, version=9)
    for namespace in (None, SHOP, None, SHOP):
        recorder.watch(namespace)
        recorder.wait(60)
        recorder.relist("pods", killed)
    assert len(recorder.rows("Container OOM killed")) == 1


@pytest.mark.scenario("REC-37")
def test_the_list_of_one_namespace_takes_nothing_away(recorder: Recorded) -> None:
    recorder.relist("nodes", node("node-1"))
    slices = endpoint_slice("db-1", 4, service="db", namespace=OTHER), endpoint_slice("web-1", 4, namespace=SHOP)
    recorder.relist("endpointslices", *slices)
    recorder.watch(SHOP)
    recorder.wait(5)
    recorder.relist("endpointslices", slices[1])
    recorder.watch(None)
    recorder.wait(5)
    recorder.relist("endpointslices", *slices)
    recorder.relist("nodes", node("node-1"))
    assert recorder.titles() == []
    recorder.wait(5)
    recorder.lines("endpointslices", endpoint_slice("db-1", 1, service="db", namespace=OTHER, version=9))
    recorder.relist("nodes")
    assert set(recorder.titles()) == {("Service endpoints reduced", "db"), ("Node removed from cluster", "node-1")}


@pytest.mark.scenario("REC-39")
def test_owners_are_found_in_either(recorder: Recorded) -> None:
    owned = pod("web", namespace=SHOP, owner=("StatefulSet", "web"))
    for number, namespace in enumerate((None, SHOP), start=1):
        recorder.watch(namespace)
        recorder.events(EVENT._replace(name=f"web.{number}", last_seen_at=recorder.now))
        recorder.relist("pods", owned)
        recorder.events(EVENT._replace(name=f"web.{number}b", last_seen_at=recorder.now))
    assert [(row["owner_kind"], row["owner_name"]) for row in recorder.rows()] == [("StatefulSet", "web")] * 4


def test_a_database_of_whole_clusters_has_no_scope(recorder: Recorded) -> None:
    recorder.events(EVENT)
    with closing(sqlite3.connect(recorder.path)) as connection:
        assert connection.execute("SELECT count(*) FROM scopes").fetchone() == (0,)

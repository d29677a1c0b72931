"""What changes on a real node and in a real cluster is told once, also when nobody watched while it changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.api import Api, wait_for
from cluster.tools import kubectl
from conftest import Kube9
from test_cluster import Recorder, api  # noqa: F401 - a fixture
from test_node import WORKLOADS

pytestmark = pytest.mark.node
CASES = "case in (crash-loop, oom, scale, autoscale, claim)"


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Recorder]:
    """A recorder beside a node with workloads that crash, are killed and are scaled."""
    from cluster.images import import_busybox

    import_busybox()
    running = Recorder(Kube9(tmp_path_factory.mktemp("derived"), cache))
    running.start("serve")
    kubectl("apply", "-l", "case=namespace", "-f", str(WORKLOADS))
    for namespace in ("shop", "staging"):
        wait_for("the service account is there", lambda n=namespace: kubectl("-n", n, "get", "sa", "default", check=False))
    kubectl("apply", "-l", CASES, "-f", str(WORKLOADS))
    yield running
    running.kill()


def rows(recorder: Recorder, title: str, *words: str) -> list[dict]:
    return [event for event in recorder.kube9.events("--limit", "1000", *words) if event["title"] == title]


def row(recorder: Recorder, title: str, *words: str, seconds: float = 60) -> dict:
    """The one row of this title, as soon as there is one."""
    (found,) = wait_for(title, lambda: rows(recorder, title, *words), seconds)
    return found


def status_of(pod: str) -> dict:
    return json.loads(kubectl("-n", "shop", "get", "pod", pod, "-o", "json"))["status"]["containerStatuses"][0]


@pytest.mark.scenario("REC-07")
def test_a_crash_loop(recorder: Recorder) -> None:
    cart = ("-n", "shop", "--object-name", "checkout")
    first = row(recorder, "Container crash loop", *cart)
    assert first["severity"] == "error"
    assert first["metadata"]["container"] == "server"
    assert first["metadata"]["last_exit_code"] == 1
    later = wait_for(
        "a restart", lambda: (found := row(recorder, first["title"], *cart))["count"] > first["count"] and found, 120
    )
    assert later["id"] == first["id"]
    assert later["metadata"]["restart_count"] > first["metadata"]["restart_count"]
    assert later["metadata"]["restart_count"] <= status_of("checkout")["restartCount"]
    assert rows(recorder, "Pod BackOff", *cart)


@pytest.mark.scenario("REC-13")
def test_a_kill_for_want_of_memory(recorder: Recorder) -> None:
    model = ("-n", "shop", "--object-name", "recommender")
    wait_for("a kill", lambda: rows(recorder, "Container OOM killed", *model))
    wait_for("another one", lambda: len(rows(recorder, "Container OOM killed", *model)) > 1, 120)
    kills = rows(recorder, "Container OOM killed", *model)
    assert len({kill["created_at"] for kill in kills}) == len(kills)
    for kill in kills:
        assert (kill["severity"], kill["count"]) == ("critical", 1)
        assert kill["metadata"]["container"] == "model"
        assert kill["metadata"]["exit_code"] == 137
        assert kill["metadata"]["memory_limit"] == "32Mi"
    finished = status_of("recommender")["lastState"]["terminated"]["finishedAt"]
    told = f"{finished[:19]}.000Z"
    wait_for(
        "the kill that its status tells", lambda: told in {k["created_at"] for k in rows(recorder, kills[0]["title"], *model)}
    )


@pytest.mark.scenario("REC-05")
def test_a_deployment_is_scaled_and_rolled_out(recorder: Recorder) -> None:
    web = ("-n", "shop", "--object-kind", "Deployment", "--object-name", "storefront")
    wait_for("its first pod", lambda: ready() == 1)
    kubectl("-n", "shop", "scale", "deployment", "storefront", "--replicas=3")
    scaled = row(recorder, "Deployment scaled", *web)
    assert scaled["severity"] == "info"
    assert scaled["description"] == "Replicas changed from 1 to 3"
    assert (scaled["metadata"]["previous_replicas"], scaled["metadata"]["new_replicas"]) == (1, 3)
    kubectl("-n", "shop", "rollout", "restart", "deployment", "storefront")
    kubectl("-n", "shop", "rollout", "status", "deployment", "storefront", "--timeout=50s")

    def steps() -> list[dict]:
        return [event for event in recorder.kube9.events("--limit", "1000", *web) if event["reason"] == "ScalingReplicaSet"]

    # Of the first pod, of the scaling, and of the rollout, which lets the new ReplicaSet grow and the old one shrink.
    wait_for("what the rollout tells of its ReplicaSets", lambda: len(steps()) >= 4)
    assert {event["title"] for event in steps()} == {"Deployment ScalingReplicaSet"}
    assert len(rows(recorder, "Deployment scaled", *web)) == 1


@pytest.mark.scenario("REC-07", "REC-13")
def test_a_kill_of_the_recorder_tells_nothing_twice(recorder: Recorder) -> None:
    def trouble() -> set[tuple]:
        told = [*rows(recorder, "Container crash loop", "-n", "shop"), *rows(recorder, "Container OOM killed", "-n", "shop")]
        facts = [(event["title"], event["object_name"], event["metadata"]["container"], event["created_at"]) for event in told]
        assert len(set(facts)) == len(facts)
        return set(facts)

    before = trouble()
    assert {name for _, name, _, _ in before} == {"checkout", "recommender"}
    recorder.kill()
    kubectl("-n", "shop", "label", "pod", "checkout", "recommender", "seen=again", "--overwrite")
    recorder.start("serve")
    kubectl("create", "namespace", "after-the-kill")
    row(recorder, "Namespace created", "--object-name", "after-the-kill")
    assert before <= trouble()
    assert len([fact for fact in trouble() if fact[:2] == ("Container crash loop", "checkout")]) == 1


def ready() -> int:
    found = json.loads(kubectl("-n", "shop", "get", "deployment", "storefront", "-o", "json"))
    return found["status"].get("readyReplicas", 0)


@pytest.mark.scenario("REC-39")
def test_its_pods_are_owned_by_it(recorder: Recorder) -> None:
    def owned() -> set:
        events = recorder.kube9.events("--for", "deploy/storefront", "-n", "shop", "--limit", "1000")
        return {event["object_kind"] for event in events if event["owner_name"] == "storefront"}

    wait_for("events of its pods", lambda: "Pod" in owned())


@pytest.mark.scenario("REC-15", "REC-37")
def test_a_scaling_while_nobody_watches(recorder: Recorder) -> None:
    kubectl("-n", "shop", "expose", "deployment", "storefront", "--port=80")
    slices = ("-n", "shop", "get", "endpointslices", "-l", "kubernetes.io/service-name=storefront", "-o", "json")

    def endpoints() -> int:
        items = json.loads(kubectl(*slices))["items"]
        return sum(endpoint["conditions"]["ready"] for item in items for endpoint in item.get("endpoints") or [])

    wait_for("three endpoints", lambda: endpoints() == 3)
    kubectl("create", "namespace", "seen-by-the-watch")
    row(recorder, "Namespace created", "--object-name", "seen-by-the-watch")
    assert recorder.terminate() == 0, recorder.log
    kubectl("-n", "shop", "scale", "deployment", "storefront", "--replicas=1")
    wait_for("one endpoint", lambda: endpoints() == 1)
    for _ in range(2):
        recorder.start("serve")
        reduced = row(recorder, "Service endpoints reduced", "-n", "shop", "--object-name", "storefront")
        assert (reduced["metadata"]["previous_endpoints"], reduced["metadata"]["new_endpoints"]) == (3, 1)
        wait_for("both scalings", lambda: len(rows(recorder, "Deployment scaled", "--object-name", "storefront")) == 2)
        assert recorder.terminate() == 0, recorder.log
    recorder.start("serve")


@pytest.mark.scenario("REC-03", "REC-04")
def test_nodes_and_namespaces_come_and_go(recorder: Recorder, api: Api) -> None:  # noqa: F811
    labels = {"topology.kubernetes.io/zone": "eu-1b"}
    made = api.request("POST", "/api/v1/nodes", {"metadata": {"name": "node-9", "labels": labels}})
    added = row(recorder, "Node added to cluster", "--object-name", "node-9")
    assert added["created_at"] == made["metadata"]["creationTimestamp"].replace("Z", ".000Z")
    assert added["metadata"]["zone"] == "eu-1b"
    api.request("DELETE", "/api/v1/nodes/node-9")
    row(recorder, "Node removed from cluster", "--object-name", "node-9")
    kubectl("create", "namespace", "short")
    row(recorder, "Namespace created", "--object-name", "short")
    kubectl("delete", "namespace", "short")
    deleted = row(recorder, "Namespace deleted", "--object-name", "short")
    assert deleted["last_seen_at"] >= deleted["created_at"]
    assert rows(recorder, "Node added to cluster", "--object-name", "node-1") == []  # it was there from the beginning


@pytest.mark.scenario("REC-14")
def test_an_autoscaler_scales(recorder: Recorder) -> None:
    scaled = row(recorder, "HPA scaled deployment", "-n", "staging", "--object-name", "pricing")
    assert (scaled["metadata"]["previous"], scaled["metadata"]["new"], scaled["metadata"]["target"]) == (2, 1, "pricing")
    assert len(rows(recorder, "Deployment scaled", "-n", "staging", "--object-name", "pricing")) == 1


@pytest.mark.scenario("REC-12")
def test_claims_that_are_not_bound(recorder: Recorder) -> None:
    for name, size, storage_class in (("orders-data", "10Gi", "fast-ssd"), ("orders-archive", "50Gi", "")):
        wait_for("its event", lambda n=name: rows(recorder, "PVC binding failed", "-n", "shop", "--object-name", n))
        for event in rows(recorder, "PVC binding failed", "-n", "shop", "--object-name", name):
            assert event["severity"] == "error"
            assert (event["metadata"]["requested_size"], event["metadata"]["storage_class"]) == (size, storage_class)

"""Real pods on a real node: what goes wrong there is a row, soon after and once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.api import wait_for
from cluster.tools import kubectl
from conftest import Kube9
from test_cluster import Recorder, api  # noqa: F401 - a fixture

pytestmark = pytest.mark.node
WORKLOADS = Path(__file__).parent / "cluster" / "workloads.yaml"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Kube9]:
    """A recorder beside a node on which three pods go wrong."""
    from cluster.images import import_busybox

    import_busybox()
    kube9 = Kube9(tmp_path_factory.mktemp("node"), cache)
    recorder = Recorder(kube9)
    recorder.start("serve")
    kubectl("apply", "-l", "case=namespace", "-f", str(WORKLOADS))
    wait_for("the service account is there", lambda: kubectl("-n", "shop", "get", "sa", "default", check=False))
    kubectl("apply", "-l", "case in (crash-loop, image-pull, unschedulable)", "-f", str(WORKLOADS))
    yield kube9
    recorder.kill()


def events_of(pod: str, reason: str) -> list[dict]:
    """The events of a pod as the API server has them."""
    selector = f"reason={reason},involvedObject.name={pod}"
    return json.loads(kubectl("-n", "shop", "get", "events", "-o", "json", "--field-selector", selector))["items"]


def row(kube9: Kube9, pod: str, title: str) -> dict | None:
    found = kube9.events("--object-kind", "Pod", "-n", "shop", "--object-name", pod, "--since", "5m")
    return next((event for event in found if event["title"] == title), None)


@pytest.mark.scenario("REC-01")
def test_a_crash_looping_pod(node: Kube9) -> None:
    event = wait_for("Pod BackOff", lambda: row(node, "checkout", "Pod BackOff"))
    assert event["event_type"] == "cluster"
    assert event["severity"] == "warning"
    (told,) = events_of("checkout", "BackOff")
    assert event["description"] == told["message"]
    assert event["description"].startswith("Back-off restarting failed container server in pod checkout_shop")
    assert (event["object_kind"], event["object_namespace"], event["object_name"]) == ("Pod", "shop", "checkout")
    metadata = event["metadata"]
    assert metadata["reason"] == "BackOff"
    assert metadata["count"] == event["count"] >= 1
    assert metadata["first_timestamp"] == event["created_at"]
    assert metadata["last_timestamp"] == event["last_seen_at"]
    assert metadata["source"] == {"component": "kubelet", "host": "node-1"}
    assert metadata["container"] == "server"


def test_its_repeats_raise_the_count_of_the_same_row(node: Kube9) -> None:
    first = wait_for("Pod BackOff", lambda: row(node, "checkout", "Pod BackOff"))
    later = wait_for(
        "the count rises", lambda: (found := row(node, "checkout", "Pod BackOff"))["count"] > first["count"] and found, 120
    )
    assert later["id"] == first["id"]
    assert later["change_seq"] > first["change_seq"]
    shown = node.events("-n", "shop", "--object-name", "checkout", "--limit", "1000")
    assert len([event for event in shown if event["reason"] == "BackOff"]) == len(events_of("checkout", "BackOff"))


@pytest.mark.scenario("REC-06")
def test_an_image_that_cannot_be_pulled(node: Kube9) -> None:
    def pulls() -> list[dict]:
        found = node.events("-n", "shop", "--object-name", "cart", "--severity", "error")
        return found if {event["reason"] for event in found} == {"Failed", "BackOff"} else []

    events = wait_for("Failed and BackOff", pulls)
    assert {(event["title"], event["severity"], event["event_type"]) for event in events} == {
        ("Image pull failed", "error", "cluster")
    }
    told = {event["message"] for reason in ("Failed", "BackOff") for event in events_of("cart", reason)}
    assert {event["description"] for event in events} <= told
    assert len({event["description"] for event in events}) == len(events)
    images = {event["metadata"].get("image") for event in events if '"' in event["description"]}
    assert images == {"registry.shop.invalid/cart:2.4.1"}
    assert all(event["metadata"]["reason"] == event["reason"] for event in events)


def test_a_pod_that_fits_on_no_node(node: Kube9) -> None:
    event = wait_for("FailedScheduling", lambda: row(node, "search-index", "Pod FailedScheduling"))
    assert event["severity"] == "warning"
    assert "Insufficient cpu" in event["description"]


def test_they_are_shown_in_a_table(node: Kube9) -> None:
    wait_for("Pod BackOff", lambda: row(node, "checkout", "Pod BackOff"))
    shown = node.query("events", "list", "--since", "5m", "--format", "table", "--limit", "1000")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0].split("  ")[0] == "LAST SEEN"
    assert any("pod/checkout" in line and "Pod BackOff" in line for line in lines)

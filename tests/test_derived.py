"""What changed in the cluster: nodes, namespaces, deployments and autoscalers, each change told once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Kube9, make_event
from recorded import START, Recorded, autoscaler, deployment, later, namespace, node, recording

from kube9 import rules
from kube9.normalise import normalise


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    with recording(tmp_path / "kube9.db") as recorder:
        yield recorder


@pytest.fixture(params=[False, True], ids=["running", "started again"])
def pause(request, recorded: Recorded):
    """A minute in which the recorder runs on, or is stopped and started."""

    def wait() -> None:
        recorded.wait(60)
        if request.param:
            recorded.restart()

    return wait


@pytest.mark.scenario("REC-03")
def test_a_node_comes_and_goes(recorded: Recorded, pause, kube9: Kube9) -> None:
    recorded.relist("nodes", node("old"))
    assert recorded.rows() == []
    pause()
    recorded.lines("nodes", node("new", made=later(30)))
    pause()
    recorded.lines("nodes", gone=(node("old"),))
    removed_at = recorded.now
    recorded.close()
    removed, added = kube9.events("--object-kind", "Node")
    facts = {"cpu": "4", "memory": "16Gi", "zone": "eu-1a"}
    for event, severity, title in ((added, "info", "Node added to cluster"), (removed, "warning", "Node removed from cluster")):
        assert (event["event_type"], event["severity"], event["title"]) == ("cluster", severity, title)
        assert event["object_namespace"] is None
        assert event["metadata"].items() >= facts.items()
    assert (added["object_name"], added["created_at"]) == ("new", later(30))
    assert (removed["object_name"], removed["created_at"]) == ("old", removed_at)


@pytest.mark.scenario("REC-04")
def test_a_namespace_comes_and_goes(recorded: Recorded, pause) -> None:
    recorded.relist("namespaces", namespace("default"))
    pause()
    recorded.lines("namespaces", namespace("shop", made=later(30)))
    pause()
    recorded.lines("namespaces", namespace("shop", made=later(30), ending=later(100), version=2))
    assert recorded.titles() == [("Namespace created", "shop")]
    pause()
    recorded.lines("namespaces", gone=(namespace("shop"),))
    created, deleted = recorded.rows()
    assert (created["severity"], created["created_at"]) == ("info", later(30))
    # Its end lasted from when it was asked for to when it was found gone.
    assert (deleted["title"], deleted["severity"]) == ("Namespace deleted", "warning")
    assert (deleted["created_at"], deleted["last_seen_at"]) == (later(100), recorded.now)


@pytest.mark.scenario("REC-37")
def test_what_came_and_went_while_nobody_watched_is_found_by_the_list(recorded: Recorded) -> None:
    recorded.relist("nodes", node("a"), node("b"), node("c"), size=2)
    recorded.wait(3600)
    recorded.restart()
    recorded.relist("nodes", node("b"), node("d", made=later(1800)), size=1)
    added, removed = "Node added to cluster", "Node removed from cluster"
    assert sorted(recorded.titles()) == [(added, "d"), (removed, "a"), (removed, "c")]
    recorded.wait(60)
    recorded.restart()
    recorded.relist("nodes", node("b"), node("d", made=later(1800)))
    assert len(recorded.rows()) == 3
    assert recorded.known("nodes").keys() == {"b", "d"}


@pytest.mark.scenario("REC-37")
def test_another_node_of_the_same_name_is_a_removal_and_an_addition(recorded: Recorded) -> None:
    recorded.relist("nodes", node("a"))
    recorded.wait(60)
    recorded.restart()
    recorded.relist("nodes", node("a", uid="another", version=9, made=later(30)))
    assert sorted(recorded.titles()) == [("Node added to cluster", "a"), ("Node removed from cluster", "a")]
    # The end of the first one may be read after the beginning of the second.
    recorded.lines("nodes", node("a", uid="third", version=12, made=later(90)), gone=(node("a", uid="another", version=11),))
    assert [title for title, _ in recorded.titles()].count("Node removed from cluster") == 2
    assert [title for title, _ in recorded.titles()].count("Node added to cluster") == 2
    assert recorded.known("nodes")["a"]["version"] == 12


def test_the_first_list_is_no_change_even_when_it_broke_off_before(recorded: Recorded) -> None:
    nodes = [node(f"n{number}") for number in range(6)]
    recorded.relist("nodes", *nodes, size=2, pages=2)
    recorded.restart()
    recorded.wait(5)
    recorded.relist("nodes", *nodes, size=4)
    assert recorded.rows() == []


def test_each_resource_has_a_first_list_of_its_own(recorded: Recorded) -> None:
    recorded.relist("namespaces", namespace("default"))
    recorded.relist("nodes", node("a"))
    assert recorded.rows() == []


def test_what_replaced_an_object_of_a_first_list_that_broke_off_is_new(recorded: Recorded) -> None:
    recorded.relist("nodes", node("a"), node("b"), size=1, pages=1)
    recorded.wait(5)
    recorded.relist("nodes", node("a", uid="another", version=9), node("b"))
    assert sorted(recorded.titles()) == [("Node added to cluster", "a"), ("Node removed from cluster", "a")]


def test_a_list_that_broke_off_takes_nothing_away(recorded: Recorded) -> None:
    nodes = [node(f"n{number}") for number in range(6)]
    recorded.relist("nodes", *nodes)
    recorded.wait(5)
    recorded.relist("nodes", *nodes, size=2, pages=1)
    recorded.wait(5)
    recorded.relist("nodes", *nodes[2:], size=2)  # what the other list named counts for nothing here
    assert sorted(recorded.titles()) == [("Node removed from cluster", "n0"), ("Node removed from cluster", "n1")]


def test_lines_that_are_older_than_a_list_that_broke_off_change_nothing(recorded: Recorded) -> None:
    recorded.relist("deployments", deployment("web", 2, version=10))
    recorded.wait(5)
    recorded.relist("deployments", deployment("web", 5, version=30), deployment("x", 1), size=1, pages=1)
    recorded.restart()  # and the watch goes on from where it was, before the list
    recorded.lines("deployments", deployment("web", 3, version=20))
    recorded.lines("deployments", deployment("web", 5, version=30))
    (row,) = recorded.rows("Deployment scaled")
    assert row["metadata"] == {"previous_replicas": 2, "new_replicas": 5}
    recorded.lines("deployments", deployment("web", 6, version=31))
    assert len(recorded.rows("Deployment scaled")) == 2


def test_versions_that_went_back_are_taken_from_a_list(recorded: Recorded) -> None:
    recorded.relist("deployments", deployment("web", 2, version=500))
    recorded.wait(5)
    recorded.relist("deployments", deployment("web", 2, version=20))
    recorded.wait(5)
    recorded.lines("deployments", deployment("web", 3, version=21))
    assert recorded.titles() == [("Deployment scaled", "web")]


@pytest.mark.scenario("REC-05", "REC-37")
def test_a_deployment_is_scaled(recorded: Recorded, pause) -> None:
    recorded.relist("deployments", deployment("web", 2), deployment("db", None))
    pause()
    recorded.lines("deployments", deployment("web", 2, version=2))  # its status changed, or its image
    recorded.lines("deployments", deployment("new", 7, version=3))
    assert recorded.rows() == []
    recorded.lines("deployments", deployment("web", 5, version=4))
    pause()
    recorded.lines("deployments", deployment("web", 5, version=5))
    recorded.relist(
        "deployments", deployment("web", 5, version=5), deployment("db", 0, version=6), deployment("new", 7, version=3)
    )
    by_name = {row["object_name"]: row for row in recorded.rows()}
    assert by_name.keys() == {"web", "db"}
    assert len(recorded.rows()) == 2
    web, db = by_name["web"], by_name["db"]
    assert (web["title"], web["severity"], web["object_kind"], web["object_namespace"]) == (
        "Deployment scaled", "info", "Deployment", "prod",
    )  # fmt: skip
    assert web["metadata"] == {"previous_replicas": 2, "new_replicas": 5}
    assert "from 2 to 5" in web["description"]
    assert db["metadata"] == {"previous_replicas": 1, "new_replicas": 0}


@pytest.mark.scenario("REC-05")
def test_a_deployment_made_anew_with_other_replicas_is_not_scaled(recorded: Recorded) -> None:
    recorded.relist("deployments", deployment("web", 2))
    recorded.wait(60)
    recorded.relist("deployments", deployment("web", 5, uid="another", version=9))
    assert recorded.rows() == []


@pytest.mark.scenario("REC-05")
@pytest.mark.parametrize(
    "text", ["Scaled up replica set web-5d8f7 from 0 to 1", "Scaled down replica set web-5d8f7 to 0 from 1"]
)
def test_the_events_of_a_rollout_are_no_scaling(text: str) -> None:
    event = make_event("web.17b2c4", reason="ScalingReplicaSet", type="Normal", message=text)
    event["involvedObject"]["kind"] = "Deployment"
    assert normalise(event, rules.built_in()).title != "Deployment scaled"


@pytest.mark.scenario("REC-14")
def test_an_autoscaler_scales(recorded: Recorded, pause) -> None:
    recorded.relist("horizontalpodautoscalers", autoscaler("web", 3, 3, START))
    pause()
    scaled = autoscaler("web", 3, 5, later(70), version=2)
    recorded.lines("horizontalpodautoscalers", scaled)
    recorded.lines("horizontalpodautoscalers", autoscaler("web", 5, 5, later(70), version=3))
    pause()
    recorded.relist("horizontalpodautoscalers", autoscaler("web", 5, 5, later(70), version=3))
    (row,) = recorded.rows()
    assert (row["title"], row["severity"], row["created_at"]) == ("HPA scaled deployment", "info", later(70))
    assert (row["object_kind"], row["object_name"]) == ("HorizontalPodAutoscaler", "web")
    assert row["metadata"] == {"previous": 3, "new": 5, "metric": "cpu", "target": "web"}


@pytest.mark.scenario("REC-14")
def test_a_scaling_while_nobody_watched(recorded: Recorded) -> None:
    recorded.relist("horizontalpodautoscalers", autoscaler("web", 3, 3))
    recorded.wait(600)
    recorded.restart()
    recorded.relist("horizontalpodautoscalers", autoscaler("web", 8, 8, later(300), version=2))
    (row,) = recorded.rows()
    assert (row["metadata"]["previous"], row["metadata"]["new"], row["created_at"]) == (3, 8, later(300))


@pytest.mark.scenario("REC-14")
def test_a_person_who_scales_is_no_autoscaler(recorded: Recorded) -> None:
    recorded.relist("horizontalpodautoscalers", autoscaler("web", 3, 3, START))
    recorded.lines("horizontalpodautoscalers", autoscaler("web", 0, 0, START, version=2))  # scaled to nothing, by hand
    assert recorded.rows() == []


@pytest.mark.scenario("REC-14")
def test_the_metric_is_the_one_that_the_controller_names(recorded: Recorded) -> None:
    recorded.relist("horizontalpodautoscalers", autoscaler("web", 3, 3))
    scaled = autoscaler("web", 3, 5, later(70), version=2)
    scaled["spec"]["metrics"].append({"type": "Pods", "pods": {"metric": {"name": "requests"}}})
    message = "the HPA was able to successfully calculate a replica count from pods metric requests"
    scaled["status"]["conditions"] = [{"type": "ScalingActive", "reason": "ValidMetricFound", "message": message}]
    recorded.lines("horizontalpodautoscalers", scaled)
    assert recorded.rows()[0]["metadata"]["metric"] == "pods metric requests"

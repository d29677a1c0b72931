"""Who owns what an event is about, and what a claim asked for: known from watched objects, without a call."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Kube9, make_event
from recorded import CLUSTER, START, Recorded, claim, later, make, pod, recording, running

from kube9 import rules
from kube9.model import Batch, Event
from kube9.normalise import normalise
from kube9.upsert import write

WEB = ("ReplicaSet", "web-7d4b9c")


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    with recording(tmp_path / "kube9.db") as recorder:
        yield recorder


def event(kind: str = "Pod", name: str = "web-7d4b9c-x2x9z", number: int = 1, **changes) -> Event:
    times = {"firstTimestamp": START, "lastTimestamp": START}
    source = make_event(f"{name}.{number}", **times | changes)
    source["involvedObject"] |= {"kind": kind, "name": name}
    return normalise(source, rules.built_in())


def owners(recorded: Recorded) -> list[tuple]:
    return [(row["object_name"], row["owner_kind"], row["owner_name"]) for row in recorded.rows()]


CHAINS = [
    ([("pods", "p", ("ReplicaSet", "rs")), ("replicasets", "rs", ("Deployment", "web"))], ("Deployment", "web")),
    ([("pods", "p", ("ReplicaSet", "rs")), ("replicasets", "rs", ("Rollout", "web"))], ("Rollout", "web")),
    ([("pods", "p", ("ReplicaSet", "rs")), ("replicasets", "rs", None)], ("ReplicaSet", "rs")),
    ([("pods", "p", ("Job", "j")), ("jobs", "j", ("CronJob", "nightly"))], ("CronJob", "nightly")),
    ([("pods", "p", ("Job", "j")), ("jobs", "j", None)], ("Job", "j")),
    ([("pods", "p", ("StatefulSet", "db"))], ("StatefulSet", "db")),
    ([("pods", "p", ("DaemonSet", "agent"))], ("DaemonSet", "agent")),
    ([("pods", "p", ("Node", "node-1"))], ("Node", "node-1")),
    ([("pods", "p", ("Workflow", "build"))], ("Workflow", "build")),
    ([("pods", "p", None)], None),
]


@pytest.mark.scenario("REC-39")
@pytest.mark.parametrize("events_first", [False, True], ids=["known before its event", "known after its event"])
@pytest.mark.parametrize("upwards", [False, True], ids=["downwards", "upwards"])
@pytest.mark.parametrize(("chain", "top"), CHAINS, ids=[" ".join(resource for resource, *_ in chain) for chain, _ in CHAINS])
def test_the_controller_at_the_top(
    recorded: Recorded, chain: list, top: tuple | None, upwards: bool, events_first: bool
) -> None:
    if events_first:
        recorded.events(event(name="p"))
    for resource, name, owner in chain if upwards else reversed(chain):
        recorded.relist(resource, make(name, owner=owner))
    if not events_first:
        recorded.events(event(name="p"))
    assert owners(recorded) == [("p", *(top or (None, None)))]


@pytest.mark.scenario("REC-39")
def test_events_about_what_is_in_between_have_an_owner(recorded: Recorded) -> None:
    recorded.events(event("Job", "before", 0))
    recorded.relist("replicasets", make("web-7d4b9c", owner=("Deployment", "web")))
    recorded.relist("jobs", make("nightly-1", owner=("CronJob", "nightly")), make("before", owner=("CronJob", "nightly")))
    recorded.events(event("ReplicaSet", "web-7d4b9c"), event("Job", "nightly-1"), event("Deployment", "web"))
    assert sorted(owners(recorded)) == [
        ("before", "CronJob", "nightly"),
        ("nightly-1", "CronJob", "nightly"),
        ("web", None, None),
        ("web-7d4b9c", "Deployment", "web"),
    ]


@pytest.mark.scenario("REC-39")
def test_the_owner_of_a_pod_that_is_gone(recorded: Recorded, kube9: Kube9) -> None:
    recorded.relist("replicasets", make("web-7d4b9c", owner=("Deployment", "web")))
    known = pod("web-7d4b9c-x2x9z", owner=WEB)
    recorded.relist("pods", known)
    recorded.events(event(number=1))
    recorded.lines("pods", gone=(known,))
    assert recorded.known("pods") == {}
    recorded.restart()
    recorded.events(event(number=2), event(name="unknown"))
    web = ("web-7d4b9c-x2x9z", "Deployment", "web")
    assert sorted(owners(recorded)) == [("unknown", None, None), web, web]
    recorded.close()
    assert len(kube9.events("--for", "deploy/web")) == 2


@pytest.mark.scenario("REC-39")
def test_objects_of_another_namespace_kind_or_cluster_are_others(recorded: Recorded) -> None:
    recorded.relist("pods", make("p", "test", owner=("StatefulSet", "db")))
    recorded.relist("jobs", make("p", "prod", owner=("CronJob", "nightly")))
    recorded.events(event(name="p"))
    write(
        recorded.connection,
        [Batch([event(name="p", number=2)], "watch", "there"), Batch([event(name="p", number=3)], "import")],
    )
    assert owners(recorded) == [("p", None, None)] * 3


def test_what_becomes_known_later_fills_only_rows_of_its_cluster(recorded: Recorded) -> None:
    write(
        recorded.connection, [Batch([event(name="p", number=2)], "watch", "there"), Batch([event(name="p")], "watch", CLUSTER)]
    )
    recorded.relist("pods", make("p", owner=("StatefulSet", "db")))
    assert sorted(str(owner) for _, _, owner in owners(recorded)) == ["None", "db"]


def test_rows_of_a_former_pod_keep_its_owner(recorded: Recorded) -> None:
    recorded.relist("pods", make("p", owner=("StatefulSet", "db")))
    recorded.events(event(name="p"))
    before = recorded.rows()
    recorded.relist("pods", make("p", uid="another", version=9, owner=("Workflow", "build")))
    assert recorded.rows() == before
    recorded.events(event(name="p", number=2))
    assert sorted(owner for _, _, owner in owners(recorded)) == ["build", "db"]


def test_rows_of_days_ago_are_left_alone(recorded: Recorded) -> None:
    old = later(-2 * 86_400)
    recorded.events(event(name="p", firstTimestamp=old, lastTimestamp=old), event(name="p", number=2))
    recorded.relist("pods", make("p", owner=("StatefulSet", "db")))
    assert [owner for _, _, owner in owners(recorded)] == [None, "db"]


@pytest.mark.scenario("REC-39")
def test_a_row_that_gets_its_owner_is_an_arrival(recorded: Recorded) -> None:
    recorded.events(event(name="p"), event(name="q"))
    before = {row["object_name"]: row["change_seq"] for row in recorded.rows()}
    recorded.lines("pods", make("p", owner=("StatefulSet", "db")), events=(event(name="r"),))
    after = {row["object_name"]: row["change_seq"] for row in recorded.rows()}
    assert after["p"] > max(before.values())
    assert after["q"] == before["q"]
    assert len(set(after.values())) == 3
    ((last,),) = recorded.connection.execute("SELECT value FROM counters WHERE name = 'change_seq'")
    assert last == max(after.values())


def test_owners_that_own_each_other_end(recorded: Recorded) -> None:
    recorded.relist("replicasets", make("a", owner=("ReplicaSet", "b")), make("b", owner=("ReplicaSet", "a")))
    recorded.events(event("ReplicaSet", "a"))
    assert owners(recorded)[0][1] == "ReplicaSet"


@pytest.mark.scenario("REC-39")
def test_derived_events_have_an_owner_too(recorded: Recorded) -> None:
    recorded.relist("replicasets", make("web-7d4b9c", owner=("Deployment", "web")))
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-03-01T10:00:10Z"}}
    recorded.relist("pods", pod("web-7d4b9c-x", running(later(11), 1, killed), owner=WEB))
    assert owners(recorded) == [("web-7d4b9c-x", "Deployment", "web")]


def unbound(message: str, number: int = 1, reason: str = "ProvisioningFailed") -> Event:
    return event("PersistentVolumeClaim", "data", number, reason=reason, message=message)


NOT_FOUND = 'storageclass.storage.k8s.io "slow" not found'


@pytest.mark.scenario("REC-12")
@pytest.mark.parametrize("events_first", [False, True], ids=["known before its event", "known after its event"])
def test_a_claim_that_is_not_bound_tells_its_size_and_class(recorded: Recorded, events_first: bool) -> None:
    events = [unbound("waiting for a volume"), unbound(NOT_FOUND, 2), unbound("no volumes", 3, "FailedBinding")]
    if events_first:
        recorded.events(*events)
    recorded.relist("persistentvolumeclaims", claim("data"), claim("other", "1Gi"))
    if not events_first:
        recorded.events(*events)
    assert {row["title"] for row in recorded.rows()} == {"PVC binding failed"}
    assert {row["severity"] for row in recorded.rows()} == {"error"}
    facts = sorted((row["metadata"]["requested_size"], row["metadata"]["storage_class"]) for row in recorded.rows())
    assert facts == [("10Gi", "fast"), ("10Gi", "fast"), ("10Gi", "slow")]  # what the message tells goes before


@pytest.mark.scenario("REC-12")
@pytest.mark.parametrize(("given", "told"), [("", {"storage_class": ""}), (None, {})], ids=["none", "the default one"])
def test_a_claim_without_a_class(recorded: Recorded, given: str | None, told: dict) -> None:
    recorded.relist("persistentvolumeclaims", claim("data", storage_class=given))
    recorded.events(unbound("no persistent volumes available", reason="FailedBinding"))
    metadata = recorded.rows()[0]["metadata"]
    assert metadata["requested_size"] == "10Gi"
    assert {name: fact for name, fact in metadata.items() if name == "storage_class"} == told


def test_other_events_about_claims_stay_as_they_are(recorded: Recorded) -> None:
    recorded.relist("persistentvolumeclaims", claim("data"))
    recorded.events(unbound("bound", reason="ProvisioningSucceeded"))
    assert "requested_size" not in recorded.rows()[0]["metadata"]

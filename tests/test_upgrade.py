"""helm upgrade and helm rollback on a real node: what was recorded stays, and what was missed meanwhile is told.

The tests are one story, in this order, of one release; it begins with the chart and the image of an earlier commit.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from cluster.api import Api, connect, wait_for
from cluster.kube9_images import PREVIOUS_CHART, PREVIOUS_NAME
from cluster.operator_pod import CHART, POD, Operator
from cluster.tools import helm, run

pytestmark = pytest.mark.node
BEFORE = "before-the-upgrade"
OWN_QUERY = """
version: 1
queries:
  events of-a-namespace:
    summary: Count events by namespace
    returns: page of NamespaceCount
    from: events
    fields: {object_namespace: string, events: {type: integer, sql: count(*)}}
    group: [object_namespace]
    order: [-events]
"""
QUERIES = {"files": {"own.yaml": OWN_QUERY}}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with closing(connect()) as asking:
        yield asking


@pytest.fixture(scope="module")
def operator(api: Api) -> Iterator[Operator]:
    """A release of the earlier commit, which has recorded 200 events."""
    operator = Operator("kube9-upgrade", "recorder")
    operator.install(kind="previous", chart=PREVIOUS_CHART)
    api.make_namespace(BEFORE)
    api.make_events(BEFORE, 200)
    wait_for("all are recorded", lambda: len(recorded(operator, BEFORE)) == 200)
    yield operator
    operator.remove(wait=False)


def recorded(operator: Operator, namespace: str, *words: str) -> list[dict]:
    """The events about objects of a namespace, at most 1,000, the newest first."""
    return operator.query("events", "list", "-n", namespace, "--limit", "1000", *words)["events"]


def gaps(operator: Operator) -> list[tuple[str, str, str, bool]]:
    """What was not watched since the first recording: from, to, cause, recovered."""
    coverage = operator.query("events", "list", "--limit", "1")["coverage"]
    return [(gap["from"], gap["to"], gap["cause"], gap["recovered"]) for gap in coverage["gaps"]]


def statefulset(operator: Operator) -> Any:
    return json.loads(operator.kubectl("get", "statefulset", "kube9-operator", "-o", "json"))


@contextmanager
def making_events(api: Api, namespace: str) -> Iterator[None]:
    """Events come, twenty a second, while the block runs."""
    api.make_namespace(namespace)
    ended = threading.Event()

    def make() -> None:
        with closing(connect()) as asking:
            number = 0
            while not ended.wait(0.05):
                asking.make_event(namespace, f"meanwhile-{number}")
                number += 1

    maker = threading.Thread(target=make)
    maker.start()
    try:
        yield
    finally:
        ended.set()
        maker.join()


def all_are_recorded(api: Api, operator: Operator, namespace: str) -> bool:
    """Whether each event of a namespace that the API server has is a row, once."""
    there = [event["involvedObject"]["name"] for event in api.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"]]
    rows = [event["object_name"] for event in recorded(operator, namespace)]
    return len(there) > 20 and sorted(rows) == sorted(there)


@pytest.mark.scenario("DB-17")
def test_an_upgrade_from_an_earlier_commit_keeps_what_was_recorded(
    api: Api, operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\nupgraded from: {PREVIOUS_NAME.read_text()}")
    events, bound, old = recorded(operator, BEFORE), operator.claim(), operator.pod()
    watched = operator.query("events", "list")["coverage"]
    window = ["--since", watched["from"], "--until", events[0]["last_seen_at"]]  # what came later may be cut off
    covered = operator.query("events", "list", *window)["coverage"]
    assert covered["complete"]
    assert gaps(operator) == []

    with making_events(api, "during-the-upgrade"):
        operator.install(queries=QUERIES)

    assert recorded(operator, BEFORE) == events  # ids, counts, metadata, places in the order of arrival
    still = operator.query("events", "list", *window)["coverage"]
    assert still["covered_seconds"] == covered["covered_seconds"]
    assert all(gap["resource"] not in (None, "events") for gap in still["gaps"])  # a watch without lines is proven seldom
    wait_for("what came meanwhile is recorded", lambda: all_are_recorded(api, operator, "during-the-upgrade"))
    ((begin, end, cause, recovered),) = gaps(operator)
    new = operator.pod()
    assert (cause, recovered) == ("not_running", True)
    assert begin < new["metadata"]["creationTimestamp"] < end
    assert operator.claim() == bound
    assert wait_for("its status is published", operator.status)["health"] == "healthy"
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert (operator.restarts("recorder"), operator.restarts("operator")) == (0, 0)
    assert {container["image"] for container in new["spec"]["containers"]} == {"test.local/kube9:kube9"}


def test_an_upgrade_that_changes_nothing_of_the_pod_restarts_nothing(operator: Operator) -> None:
    pod, revision = operator.pod()["metadata"], operator.revision()
    more = {"files": {"own.yaml": OWN_QUERY + "# a comment more\n"}}  # queries are looked at while it runs
    operator.install(queries=more, reader={"subjects": [{"kind": "Group", "name": "readers"}]})
    assert operator.revision() == revision + 1
    found = statefulset(operator)
    assert found["status"]["currentRevision"] == found["status"]["updateRevision"]
    assert operator.pod()["metadata"]["uid"] == pod["uid"]
    assert (operator.restarts("recorder"), operator.restarts("operator")) == (0, 0)


def test_an_image_that_does_not_start_is_rolled_back(operator: Operator) -> None:
    events = recorded(operator, BEFORE)
    # With helm 3 the flag is --atomic.
    words = ["--reuse-values", "--set", "image.tag=missing", "--rollback-on-failure", "--timeout=25s"]
    done = run(["helm", "upgrade", operator.release, str(CHART), "--namespace", operator.namespace, *words], 120)
    assert done.returncode == 1
    assert "has been rolled back" in done.stderr
    operator.until_ready()
    assert recorded(operator, BEFORE) == events
    assert operator.restarts("recorder") == 0


@pytest.fixture(scope="module")
def rolled_back(api: Api, operator: Operator) -> list[dict]:
    """The release after a roll-back from a newer program, which had migrated the database; what that listed before."""
    revision, version = operator.revision(), operator.query("status")["schema_version"]
    operator.install(kind="future", queries=QUERIES)
    assert operator.query("status")["schema_version"] == version + 1
    api.make_event(BEFORE, "recorded-by-the-newer")
    wait_for("the newer program records", lambda: len(recorded(operator, BEFORE)) == 201)
    listed = recorded(operator, BEFORE)
    assert "Rollback was a success" in helm("rollback", operator.release, str(revision), "--namespace", operator.namespace)
    wait_for("the older program refuses", lambda: why_it_ended(operator))
    return listed


def why_it_ended(operator: Operator) -> str:
    """The last word of a recorder that failed, as `kubectl describe pod` shows it."""
    recorder = operator.container("recorder")
    ended = [recorder.get(state, {}).get("terminated", {}) for state in ("state", "lastState")]
    return next((last["message"] for last in ended if last.get("exitCode")), "")


@pytest.mark.scenario("DB-17")
def test_after_a_roll_back_the_older_program_answers(operator: Operator, rolled_back: list[dict]) -> None:
    assert recorded(operator, BEFORE) == rolled_back
    assert operator.query("events", "get", rolled_back[0]["id"])["id"] == rolled_back[0]["id"]
    (count,) = operator.query("events", "summary", "-n", BEFORE)["event_counts"]
    assert (count["severity"], count["events"]) == ("warning", 201)
    counts = {row["object_namespace"]: row["events"] for row in operator.query("events", "of-a-namespace")["namespace_counts"]}
    assert counts[BEFORE] == 201


@pytest.mark.scenario("DB-17", "REC-31")
def test_after_a_roll_back_the_older_program_refuses_to_record_and_says_so(operator: Operator, rolled_back: list[dict]) -> None:
    error = json.loads(why_it_ended(operator))
    assert error["code"] == "FAILED_PRECONDITION"
    assert "newer than this kube9 knows" in error["error"]
    assert json.loads(operator.kubectl("logs", POD, "-c", "recorder").splitlines()[-1]) == error
    status = operator.query("status")
    assert status["health"] in ("degraded", "unhealthy")
    known, there = status["schema_version"] - 1, status["schema_version"]
    told = f"the database is at schema version {there}, this kube9 knows {known}: it answers, and does not record; upgrade it"
    assert told in status["problems"]
    assert told in status["health_detail"]
    published = wait_for("the ConfigMap says so", lambda: (now := operator.status()) and now["health"] == "unhealthy" and now)
    assert error["error"] in published["error"]


def test_after_a_roll_back_the_pod_is_found_by_who_asks(operator: Operator, rolled_back: list[dict]) -> None:
    found = json.loads(operator.kubectl("get", "pods", "-l", "app.kubernetes.io/name=kube9-operator", "-o", "json"))["items"]
    (pod,) = found
    assert pod["status"]["phase"] == "Running"
    assert {status["name"]: status["ready"] for status in pod["status"]["containerStatuses"]} == {
        "operator": True,
        "recorder": False,
    }


@pytest.mark.scenario("DB-17", "COV-05")
def test_forward_again_it_records_again_and_tells_what_it_missed(api: Api, operator: Operator, rolled_back: list[dict]) -> None:
    api.make_event(BEFORE, "while-nobody-recorded")
    before, last = gaps(operator), operator.query("status")["last_update"]
    operator.install(kind="future")
    wait_for("it records again", lambda: len(recorded(operator, BEFORE)) == 202)
    assert recorded(operator, BEFORE)[1:] == rolled_back
    *others, (begin, end, cause, recovered) = gaps(operator)
    assert others == before
    assert (cause, recovered) == ("not_running", True)
    assert begin <= last < end
    assert operator.restarts("recorder") == 0
    wait_for("the ConfigMap is healthy again", lambda: operator.status()["health"] == "healthy")

"""kube9 by its image and its chart on a real node: a pod crashes, and a reader is told, by `kubectl exec`."""

import json
import os
import time
from pathlib import Path

import pytest
from cluster.api import Api, wait_for
from cluster.images import import_busybox
from cluster.operator_pod import POD, Operator, wait_for_service_account
from cluster.tools import kubectl, run
from installed import READER
from test_cluster import api  # noqa: F401 - a fixture

from kube9.resources import WATCHED

pytestmark = pytest.mark.node
CRASHING = "orders"
LIST = ("kube9-operator", "query", "events", "list")


@pytest.fixture(scope="module")
def reader(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig of the account that the chart's values bind to the Role of readers."""
    return operator.account(READER, tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def crash(operator: Operator) -> str:
    """A namespace in which a pod crashes."""
    image = import_busybox()
    kubectl("create", "namespace", CRASHING)
    wait_for_service_account(CRASHING)
    command = ("--image-pull-policy=IfNotPresent", "--command", "--", "sh", "-c", "exit 1")
    kubectl("-n", CRASHING, "run", "checkout", f"--image={image}", *command)
    return CRASHING


def test_every_watch_works_with_the_rights_that_the_chart_gives(operator: Operator) -> None:
    status = wait_for("it is healthy", lambda: (found := operator.query("status"))["health"] == "healthy" and found)
    assert status["problems"] == []
    assert set(status["watch"]) == {"events", *(resource.name for resource in WATCHED)}
    for watch in status["watch"].values():
        assert watch["connected"]
        assert not watch["forbidden"]
        assert watch["problem"] is None


@pytest.mark.scenario("CLI-23")
def test_a_reader_is_told_of_a_crash(operator: Operator, reader: Path, crash: str) -> None:
    def told() -> dict | None:
        done = operator.execute(*LIST, "-n", crash, "--object-name", "checkout", kubeconfig=reader)
        assert done.returncode == 0, done.stderr
        return next((event for event in json.loads(done.stdout)["events"] if event["title"] == "Pod BackOff"), None)

    event = wait_for("Pod BackOff", told)
    assert event["severity"] == "warning"
    assert event["metadata"]["container"] == "checkout"


@pytest.mark.scenario("CLI-23")
def test_without_the_role_the_api_server_refuses(operator: Operator, tmp_path: Path) -> None:
    stranger = operator.account("stranger", tmp_path)
    done = operator.execute("sh", "-c", "touch /tmp/it-ran; kube9 query status", kubeconfig=stranger)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "(Forbidden)" in done.stderr
    assert "kube9-system:stranger" in done.stderr
    assert operator.execute("test", "-e", "/tmp/it-ran").returncode == 1, "it ran all the same"


def test_without_a_container_named_a_reader_is_let_into_operator(operator: Operator, reader: Path) -> None:
    command = ("-n", operator.namespace, "exec", POD, "--", "sh", "-c", "test ! -w /data && echo operator")
    assert kubectl(f"--kubeconfig={reader}", *command) == "operator\n"


def test_a_reader_gets_neither_into_the_recorder_nor_attached_to_it(operator: Operator, reader: Path, tmp_path: Path) -> None:
    # One who was given more than the chart gives, so that the policy alone is in the way.
    helper = operator.account("helper", tmp_path)
    operator.kubectl("create", "role", "helper", "--verb=create,get", "--resource=pods,pods/exec,pods/attach")
    operator.kubectl("create", "rolebinding", "helper", "--role=helper", f"--serviceaccount={operator.namespace}:helper")

    def refusal(user: Path, *words: str) -> str:
        done = run([os.environ["KUBECTL"], f"--kubeconfig={user}", "-n", operator.namespace, *words], 60)
        assert done.returncode == 1
        return done.stderr

    enter, attach = ("exec", POD, "-c", "recorder", "--", "true"), ("attach", POD, "-c", "recorder")
    policy = "only the container operator may be entered"
    assert policy in refusal(reader, *enter)
    assert 'resource "pods/attach"' in refusal(reader, *attach)
    assert policy in refusal(helper, *enter)
    assert policy in refusal(helper, *attach)
    assert operator.execute("true", container="recorder").returncode == 0, "the admin may"


def test_queries_of_ones_own_are_compiled_by_the_recorder_for_all(operator: Operator, crash: str) -> None:
    def answered() -> list[dict]:
        done = operator.execute("kube9", "query", "pods", "failing", "-n", crash)
        return json.loads(done.stdout)["failing_pods"] if done.returncode == 0 else []

    found = wait_for("an answer of our own query", answered)
    assert {row["object_name"] for row in found} == {"checkout"}
    wait_for("the plan beside the database", lambda: list(operator.folder.glob("queries-*.marshal")))
    imports = operator.execute("python3", "-ISv", "/usr/local/bin/kube9", "query", "pods", "failing", "-n", crash)
    assert imports.returncode == 0
    assert "import 'kube9.query'" in imports.stderr
    assert "import 'sqlglot" not in imports.stderr
    assert operator.query("status")["query_problems"] == []


def test_a_rule_of_ones_own_says_how_grave_an_event_is(operator: Operator, api: Api) -> None:  # noqa: F811
    namespace = api.make_namespace("kitchen")
    api.make_event(namespace, "teapot", reason="TeaIsCold", type="Normal")
    (event,) = wait_for("it is recorded", lambda: operator.events("-n", namespace, "--reason", "TeaIsCold"))
    assert (event["severity"], event["title"]) == ("critical", "Tea is cold")


def test_the_days_of_the_values_are_how_long_events_are_kept(operator: Operator, api: Api) -> None:  # noqa: F811
    namespace = api.make_namespace("attic")
    for days, kind in ((5, "Warning"), (2, "Warning"), (5, "Error")):
        then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * 86400))
        api.make_event(namespace, f"{kind.lower()}-{days}", reason="Old", type=kind, firstTimestamp=then, lastTimestamp=then)
    operator.inside("recorder").kill()  # it looks what is too old at its start
    wait_for("another one is ready", lambda: operator.restarts("recorder") and operator.container("recorder")["ready"])

    def kept() -> set[str]:
        return {event["object_name"] for event in operator.events("-n", namespace)}

    wait_for("the old one is gone", lambda: kept() == {"warning-2", "error-5"})

"""What befalls a release of the chart on a real node: its values change to the extremes, it is scaled, drained, uninstalled."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from cluster.api import Api, connect, wait_for
from cluster.operator_pod import CHART, Operator
from cluster.tools import helm, kubectl, run

pytestmark = pytest.mark.node
BEFORE = "before-the-changes"
# From what a new release has to each in turn, and back to that.
EXTREMES: dict[str, dict[str, Any]] = {
    "one namespace": {"watch": {"namespace": BEFORE}},
    "another namespace": {"watch": {"namespace": "default"}},
    "nothing kept": {"persistence": {"enabled": False}, "log": {"level": "debug", "format": "text"}},
    "other names": {
        "serviceAccount": {"name": "someone", "annotations": {"for": "test"}},
        "healthPort": 9999,
        "extraLabels": {"team": "a"},
        "podLabels": {"more": "b"},
        "podAnnotations": {"and": "c"},
        "service": {"labels": {"of": "service"}, "annotations": {"of": "service"}},
        "persistence": {"existingClaim": "kube9-operator-data"},
    },
    "own files": {
        "queries": {"files": {"own.yaml": "version: 1\n"}, "configMaps": []},
        "rules": {"files": {"own.yaml": "version: 1\n"}},
    },
    "other files": {"queries": {"files": {"more.yaml": "version: 1\n"}}, "networkPolicy": {"enabled": True}},
    "other resources": {
        "recorder": {"resources": {"limits": {"memory": "256Mi", "cpu": "2"}}, "extraEnv": [{"name": "TZ", "value": "UTC"}]},
        "operator": {"resources": {}, "tmpSize": "16Mi"},
        "nodeSelector": {"kubernetes.io/hostname": "node-1"},
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 10,
        "podSecurityContext": {"fsGroup": 1000},
        "retention": {"infoWarningDays": 0.5, "errorCriticalDays": 400},
        "record": {"mode": "all", "reasons": ["A"], "skipReasons": ["B"]},
        "reader": {"restrictExec": False, "subjects": [{"kind": "User", "name": "someone"}]},
        "rbac": {"create": False},
        "serviceAccount": {"create": False, "name": "default"},
    },
}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with closing(connect()) as asking:
        yield asking


@pytest.fixture(scope="module")
def operator(api: Api) -> Iterator[Operator]:
    """A release that has recorded 50 events."""
    operator = Operator("kube9-release", "recorder")
    operator.install()
    api.make_namespace(BEFORE)
    api.make_events(BEFORE, 50)
    wait_for("all are recorded", lambda: len(recorded(operator)) == 50)
    yield operator
    operator.remove(wait=False)


def recorded(operator: Operator) -> list[dict]:
    """The events that were recorded before anything was changed, as they are told now."""
    return operator.query("events", "list", "-n", BEFORE, "--limit", "1000")["events"]


@pytest.mark.parametrize("merged_by", ["helm", "the server"])
def test_values_change_to_their_extremes_and_back(operator: Operator, merged_by: str) -> None:
    events, bound = recorded(operator), operator.claim()
    # Helm 4 lets the API server merge what it applies; helm 3 does so itself, against the revision before.
    by_server = merged_by == "the server"
    words = ["--server-side=true", "--force-conflicts"] if by_server else ["--server-side=false"]
    for values in EXTREMES.values() if by_server else reversed(EXTREMES.values()):
        operator.install(*words, wait=False, **values)
        assert operator.claim() == bound
    operator.install(*words)
    assert recorded(operator) == events
    assert kubectl("get", "clusterrole", "-l", "app.kubernetes.io/instance=recorder", "-o", "name").splitlines() == [
        "clusterrole.rbac.authorization.k8s.io/kube9-operator:kube9-release"
    ]
    assert kubectl("get", "role", "-A", "-l", "app.kubernetes.io/instance=recorder", "-o", "name").splitlines() == [
        "role.rbac.authorization.k8s.io/kube9-operator-reader",
        "role.rbac.authorization.k8s.io/kube9-operator-status",
    ]


def test_a_claim_grows_where_its_class_lets_it_and_never_shrinks(operator: Operator) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps(EXPANDABLE))
    other = Operator("kube9-grows", "recorder", storage_class="expandable")
    values: dict[str, Any] = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}  # its pod need not run
    other.install(wait=False, **values)
    wait_for("the claim is bound", lambda: "Bound" in other.kubectl("get", "pvc", "kube9-operator-data"))
    bound = other.claim()
    other.install(wait=False, persistence={"size": "10Gi"}, **values)
    asked = ("get", "pvc", "kube9-operator-data", "-o", "jsonpath={.spec.resources.requests.storage}")
    assert other.kubectl(*asked) == "10Gi"
    assert other.claim() == bound
    with pytest.raises(AssertionError, match="can not be less than"):
        other.install(wait=False, persistence={"size": "1Gi"}, **values)
    other.remove(wait=False)
    pod = operator.pod()["metadata"]["uid"]
    with pytest.raises(AssertionError, match="must support resize"):
        operator.install(wait=False, persistence={"size": "10Gi"})
    operator.install()  # the old size again mends the release that failed
    assert operator.pod()["metadata"]["uid"] == pod
    assert len(recorded(operator)) == 50


EXPANDABLE = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "expandable"},
    "provisioner": "kubernetes.io/no-provisioner",
    "allowVolumeExpansion": True,
}


def test_a_second_release_in_its_namespace_is_refused_and_harms_nothing(operator: Operator) -> None:
    pod = operator.pod()["metadata"]["uid"]
    done = run(["helm", "install", "another", str(CHART), "--namespace", operator.namespace], 60)
    assert done.returncode == 1
    assert 'must equal "another": current value is "recorder"' in done.stderr
    assert operator.pod()["metadata"]["uid"] == pod
    assert len(recorded(operator)) == 50


@pytest.mark.scenario("DB-24")
def test_a_second_pod_answers_and_refuses_to_record(operator: Operator) -> None:
    operator.kubectl("scale", "statefulset/kube9-operator", "--replicas=2")
    refused = ("logs", "kube9-operator-1", "-c", "recorder")
    told = str(wait_for("the second refuses", lambda: operator.kubectl(*refused, check=False).strip()))
    error = json.loads(told.splitlines()[-1])
    assert error["code"] == "FAILED_PRECONDITION"
    assert "held by process 1 of kube9-operator-0" in error["details"]
    assert operator.container("operator", "kube9-operator-1")["ready"]
    second = operator.kubectl("exec", "kube9-operator-1", "--", "kube9", "query", "events", "list", "-n", BEFORE, "-o", "name")
    assert len(second.split()) == 50
    assert operator.restarts("recorder") == 0
    operator.kubectl("scale", "statefulset/kube9-operator", "--replicas=1")
    wait_for("one pod", lambda: operator.kubectl("get", "pods", "-o", "name").split() == ["pod/kube9-operator-0"])
    assert operator.restarts("recorder") == 0


def test_a_node_is_drained(operator: Operator) -> None:
    events, bound = recorded(operator), operator.claim()
    only = "--pod-selector=app.kubernetes.io/instance=recorder"
    kubectl("drain", "node-1", "--delete-emptydir-data", "--ignore-daemonsets", only, "--timeout=60s", seconds=90)
    try:
        assert operator.pod()["status"]["phase"] == "Pending"
    finally:
        kubectl("uncordon", "node-1")
    operator.until_ready()
    assert recorded(operator) == events
    assert operator.claim() == bound
    gap = operator.query("events", "list", "--limit", "1")["coverage"]["gaps"][-1]
    assert (gap["cause"], gap["recovered"]) == ("not_running", True)


@pytest.mark.parametrize("name", ["recorder", "another"])
def test_the_claim_outlives_its_release_and_the_next_takes_it_up(operator: Operator, name: str) -> None:
    events, bound = recorded(operator), operator.claim()
    helm("uninstall", operator.release, "--namespace", operator.namespace, "--wait", "--timeout=60s")
    made = ("get", "all,configmap,role,rolebinding,serviceaccount", "-l", "app.kubernetes.io/name=kube9-operator")
    wait_for("nothing else is left", lambda: not operator.kubectl(*made))
    assert operator.claim() == bound
    other_name = {} if name == operator.release else {"persistence": {"existingClaim": "kube9-operator-data"}}
    operator.release = name
    operator.install(**other_name)
    assert recorded(operator) == events
    assert operator.claim() == bound

"""The chart by the real helm, held against the real API server: each value does what it says, and a wrong one is refused."""

import json
import os
from typing import Any

import pytest
import yaml
from charts import look, render, try_helm
from cluster.operator_pod import CHART
from cluster.tools import kubectl, run
from test_chart import DOCUMENTED

from kube9.version import __version__

pytestmark = pytest.mark.cluster
NAMESPACE, WATCHED = "kube9-dry", "kube9-dry-shop"
POD = "spec template spec"
RECORDER = f"{POD} containers recorder"
OPERATOR = f"{POD} containers operator"
SET, CLAIM, SERVICE = "StatefulSet/kube9-operator", "PersistentVolumeClaim/kube9-operator-data", "Service/kube9-operator"
POLICY = "ValidatingAdmissionPolicy/kube9-operator-exec.kube9-dry"
MINE = {"mine.yaml": "version: 1\nqueries: {}\n"}
LIMITS = {"limits": {"memory": "1Gi", "cpu": 2}, "requests": {"cpu": "250m"}}
NETWORK = {"networkPolicy.enabled": True}
MONITOR = {"serviceMonitor.enabled": True}
TOLERATION = {"key": "dedicated", "operator": "Equal", "value": "ops", "effect": "NoSchedule"}
PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
SPREAD = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
GROUP = {"kind": "Group", "name": "oidc:developers"}

# Value, what it is given, in which object and where it shows, as what; and other values that it needs.
EFFECTS: list[tuple[str, Any, str, str, Any, dict[str, Any]]] = [
    ("image.repository", "r.test:5000/ops/kube9", SET, f"{RECORDER} image", f"r.test:5000/ops/kube9:{__version__}", {}),
    ("image.tag", "v1", SET, f"{OPERATOR} image", "kube9-operator:v1", {}),
    ("image.digest", f"sha256:{'0a' * 32}", SET, f"{RECORDER} image", f"kube9-operator:{__version__}@sha256:{'0a' * 32}", {}),
    ("image.pullPolicy", "Never", SET, f"{OPERATOR} imagePullPolicy", "Never", {}),
    ("image.pullSecrets", ["login"], SET, f"{POD} imagePullSecrets", [{"name": "login"}], {}),
    ("retention.infoWarningDays", 0.5, SET, f"{RECORDER} env EVENT_RETENTION_INFO_WARNING_DAYS value", "0.5", {}),
    ("retention.errorCriticalDays", 90, SET, f"{RECORDER} env EVENT_RETENTION_ERROR_CRITICAL_DAYS value", "90", {}),
    ("record.mode", "all", SET, f"{RECORDER} env KUBE9_RECORD value", "all", {}),
    ("record.reasons", ["Started", "Killing"], SET, f"{RECORDER} env KUBE9_RECORD_REASONS value", "Started,Killing", {}),
    ("record.skipReasons", ["Unhealthy"], SET, f"{RECORDER} env KUBE9_SKIP_REASONS value", "Unhealthy", {}),
    ("eventTTL", "1h30m", SET, f"{RECORDER} env KUBE9_EVENT_TTL value", "1h30m", {}),
    ("queries.files", MINE, "ConfigMap/kube9-operator-queries", "data", MINE, {}),
    ("queries.configMaps", ["theirs"], SET, f"{POD} volumes queries projected sources 0 configMap name", "theirs", {}),
    ("rules.files", MINE, "ConfigMap/kube9-operator-rules", "data", MINE, {}),
    ("rules.configMaps", ["theirs"], SET, f"{POD} volumes rules projected sources 0 configMap name", "theirs", {}),
    ("watch.namespace", WATCHED, SET, f"{RECORDER} env KUBE9_NAMESPACE value", WATCHED, {}),
    ("log.level", "debug", SET, f"{RECORDER} env LOG_LEVEL value", "debug", {}),
    ("log.format", "text", SET, f"{RECORDER} env LOG_FORMAT value", "text", {}),
    ("healthPort", 9090, SET, f"{RECORDER} ports health containerPort", 9090, {}),
    ("persistence.enabled", False, SET, f"{POD} volumes data emptyDir", {}, {}),
    ("persistence.size", "50Gi", CLAIM, "spec resources requests storage", "50Gi", {}),
    ("persistence.storageClassName", "", CLAIM, "spec storageClassName", "", {}),
    ("persistence.accessModes", ["ReadWriteOncePod"], CLAIM, "spec accessModes", ["ReadWriteOncePod"], {}),
    ("persistence.volumeName", "disk-1", CLAIM, "spec volumeName", "disk-1", {}),
    ("persistence.existingClaim", "old", SET, f"{POD} volumes data persistentVolumeClaim claimName", "old", {}),
    ("persistence.annotations", {"a": "b"}, CLAIM, "metadata annotations a", "b", {}),
    ("serviceAccount.create", False, "ServiceAccount/kube9-operator", "kind", None, {}),
    ("serviceAccount.name", "other", SET, f"{POD} serviceAccountName", "other", {}),
    ("serviceAccount.annotations", {"a": "b"}, "ServiceAccount/kube9-operator", "metadata annotations a", "b", {}),
    ("rbac.create", False, "ClusterRole/kube9-operator:kube9-dry", "kind", None, {}),
    ("reader.subjects", [GROUP], "RoleBinding/kube9-operator-reader", "subjects 0 name", "oidc:developers", {}),
    ("reader.restrictExec", False, POLICY, "kind", None, {}),
    ("recorder.resources", LIMITS, SET, f"{RECORDER} resources limits", LIMITS["limits"], {}),
    ("recorder.startupSeconds", 61, SET, f"{RECORDER} startupProbe failureThreshold", 13, {}),
    ("recorder.extraEnv", [{"name": "A", "value": "b"}], SET, f"{RECORDER} env A value", "b", {}),
    ("operator.resources", LIMITS, SET, f"{OPERATOR} resources limits", LIMITS["limits"], {}),
    ("operator.tmpSize", "16Mi", SET, f"{POD} volumes tmp emptyDir sizeLimit", "16Mi", {}),
    ("service.labels", {"a": "b"}, SERVICE, "metadata labels a", "b", {}),
    ("service.annotations", {"a": "b"}, SERVICE, "metadata annotations a", "b", {}),
    ("serviceMonitor.enabled", True, "ServiceMonitor/kube9-operator", "spec endpoints 0 path", "/metrics", {}),
    ("serviceMonitor.interval", "10s", "ServiceMonitor/kube9-operator", "spec endpoints 0 interval", "10s", MONITOR),
    ("serviceMonitor.labels", {"a": "b"}, "ServiceMonitor/kube9-operator", "metadata labels a", "b", MONITOR),
    ("networkPolicy.enabled", True, "NetworkPolicy/kube9-operator", "spec ingress 0 ports 0 port", "health", {}),
    ("networkPolicy.from", [PEER], "NetworkPolicy/kube9-operator", "spec ingress 0 from", [PEER], NETWORK),
    ("networkPolicy.apiServerPorts", [16443], "NetworkPolicy/kube9-operator", "spec egress 0 ports 0 port", 16443, NETWORK),
    ("podSecurityContext", {"runAsUser": None}, SET, f"{POD} securityContext runAsUser", None, {}),
    ("extraLabels", {"team": "ops"}, SET, "metadata labels team", "ops", {}),
    ("podLabels", {"team": "ops"}, SET, "spec template metadata labels team", "ops", {}),
    ("podAnnotations", {"a": "b"}, SET, "spec template metadata annotations a", "b", {}),
    ("nodeSelector", {"disk": "ssd"}, SET, f"{POD} nodeSelector", {"disk": "ssd"}, {}),
    ("tolerations", [TOLERATION], SET, f"{POD} tolerations", [TOLERATION], {}),
    ("affinity", SPREAD, SET, f"{POD} affinity", SPREAD, {}),
    ("priorityClassName", "system-cluster-critical", SET, f"{POD} priorityClassName", "system-cluster-critical", {}),
    ("terminationGracePeriodSeconds", 45, SET, f"{POD} terminationGracePeriodSeconds", 45, {}),
]


@pytest.fixture(scope="module")
def namespace() -> str:
    """One that enforces the restricted standard, and warns of workloads that would break it."""
    labels = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn")}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": labels}}
    for name in (NAMESPACE, WATCHED):
        kubectl("apply", "-f", "-", stdin=json.dumps(made | {"metadata": made["metadata"] | {"name": name}}))
    return NAMESPACE


def refusals(objects: list[dict]) -> str:
    """What the API server says against objects, without making them. It does not know ServiceMonitors."""
    known = [of for of in objects if of["kind"] != "ServiceMonitor"]
    return run([os.environ["KUBECTL"], "apply", "--dry-run=server", "-f", "-"], 120, yaml.safe_dump_all(known)).stderr


def test_helm_finds_no_fault():
    assert "0 chart(s) failed" in try_helm("lint", "--strict", str(CHART)).stdout


def test_every_documented_value_is_tried():
    assert [effect[0] for effect in EFFECTS] == DOCUMENTED


@pytest.mark.parametrize(("value", "given", "name", "path", "shows", "needs"), EFFECTS, ids=[effect[0] for effect in EFFECTS])
def test_a_value_shows_where_it_should(value: str, given: Any, name: str, path: str, shows: Any, needs: dict[str, Any]):
    assert look(render(needs, NAMESPACE), name, path.split()) != shows
    assert look(render({**needs, value: given}, NAMESPACE), name, path.split()) == shows


def test_the_api_server_takes_what_each_value_makes(namespace: str):
    usual = render(namespace=namespace)
    assert refusals([*usual.values()]) == ""
    made = [render({**needs, value: given}, namespace) for value, given, *_, needs in EFFECTS]
    assert refusals([of for objects in made for name, of in objects.items() if of != usual.get(name)]) == ""


def test_the_api_server_takes_all_values_at_once(namespace: str):
    values: dict[str, Any] = {}
    for value, given, *_, needs in EFFECTS:
        values |= needs if given is False else {**needs, value: given}
    objects = render(values, namespace)
    assert {"RoleBinding/kube9-operator-reader", "NetworkPolicy/kube9-operator", "ConfigMap/kube9-operator-rules"} < set(
        objects
    )
    assert refusals([of | {"metadata": of["metadata"] | {"namespace": namespace}} for of in objects.values()]) == ""


def test_the_two_containers_share_nothing_but_the_data():
    pod = look(render(), SET, POD.split())
    assert isinstance(pod, dict)
    mounts = {of["name"]: {mount["name"]: mount for mount in of["volumeMounts"]} for of in pod["containers"]}
    assert {name: set(of) for name, of in mounts.items()} == {"operator": {"data", "tmp"}, "recorder": {"data", "token"}}
    assert mounts["operator"]["data"].get("readOnly") is True
    assert "readOnly" not in mounts["recorder"]["data"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize("what", ["queries", "rules"])
def test_files_of_ones_own_are_where_both_containers_look(what: str):
    objects = render({f"{what}.files": MINE, f"{what}.configMaps": ["theirs"]})
    sources = look(objects, SET, f"{POD} volumes {what} projected sources".split())
    assert sources == [{"configMap": {"name": f"kube9-operator-{what}"}}, {"configMap": {"name": "theirs"}}]
    for container in (OPERATOR, RECORDER):
        place = look(objects, SET, f"{container} env KUBE9_{what.upper()} value".split())
        assert look(objects, SET, f"{container} volumeMounts {what} mountPath".split()) == place == f"/etc/kube9/{what}"


def test_a_change_of_rules_makes_the_pod_anew_and_one_of_queries_does_not():
    def pod(values: dict[str, Any]) -> object:
        return look(render(values), SET, ["spec", "template"])

    other = {"mine.yaml": "version: 1\n"}
    assert pod({"rules.files": MINE}) != pod({"rules.files": other})
    assert pod({"queries.files": MINE}) == pod({"queries.files": other})


def test_a_release_for_one_namespace_has_nothing_outside_of_namespaces():
    objects = render({"watch.namespace": "shop"}, "tools")
    assert {of["metadata"].get("namespace") for of in objects.values()} == {"shop", "tools"}
    assert [name for name, of in objects.items() if of["metadata"]["namespace"] == "shop"] == [
        "Role/kube9-operator:tools",
        "RoleBinding/kube9-operator:tools",
    ]


def test_a_cluster_without_admission_policies_goes_without():
    assert not [name for name in render(policies=False) if "Admission" in name]


def test_labels_that_would_stand_twice_keep_what_the_chart_says():
    name = {"app.kubernetes.io/name": "mine"}
    objects = render({"extraLabels": name, "podLabels": name, "service.labels": name})
    for path in ("metadata labels", "spec template metadata labels", "spec selector matchLabels"):
        assert look(objects, SET, [*path.split(), "app.kubernetes.io/name"]) == "kube9-operator"
    assert look(objects, SERVICE, ["metadata", "labels", "app.kubernetes.io/name"]) == "kube9-operator"


# What is given, and what must be said of it.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"retentoin.infoWarningDays": 3}, "additional properties 'retentoin' not allowed"),
    ({"retention.days": 3}, "at '/retention': additional properties 'days' not allowed"),
    ({"replicas": 2}, "additional properties 'replicas' not allowed"),
    ({"image.repository": "kube9:latest"}, "at '/image/repository': 'kube9:latest' does not match"),
    ({"image.tag": "two words"}, "at '/image/tag': 'two words' does not match"),
    ({"image.tag": 1.0}, "at '/image/tag': got number, want string"),
    ({"image.digest": "sha256:0a"}, "at '/image/digest': 'sha256:0a' does not match"),
    ({"image.pullPolicy": "Sometimes"}, "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ({"retention.infoWarningDays": 0}, "at '/retention/infoWarningDays': exclusiveMinimum: got 0, want 0"),
    ({"retention.errorCriticalDays": "30d"}, "at '/retention/errorCriticalDays': '30d' does not match"),
    ({"record.mode": "everything"}, "at '/record/mode': value must be one of 'default', 'all'"),
    ({"record.reasons": "Started"}, "at '/record/reasons': got string, want array"),
    ({"record.skipReasons": ["a,b"]}, "at '/record/skipReasons/0': 'a,b' does not match"),
    ({"eventTTL": "one hour"}, "at '/eventTTL': 'one hour' does not match"),
    ({"queries.files": {"mine.txt": "x"}}, "invalid propertyName 'mine.txt'"),
    ({"rules.files": {"mine.yaml": {"version": 1}}}, "at '/rules/files/mine.yaml': got object, want string"),
    ({"watch.namespace": "Shop"}, "at '/watch/namespace': 'Shop' does not match"),
    ({"log.level": "trace"}, "at '/log/level': value must be one of 'debug', 'info', 'warning', 'error'"),
    ({"log.format": "xml"}, "at '/log/format': value must be one of 'text', 'json'"),
    ({"healthPort": 80}, "at '/healthPort': minimum: got 80, want 1,024"),
    ({"healthPort": "8080"}, "at '/healthPort': got string, want integer"),
    ({"persistence.enabled": "no"}, "at '/persistence/enabled': got string, want boolean"),
    ({"persistence.size": "5GB"}, "at '/persistence/size': '5GB' does not match"),
    ({"persistence.accessModes": ["ReadOnlyMany"]}, "at '/persistence/accessModes/0': value must be one of 'ReadWriteOnce'"),
    ({"persistence.existingClaim": "my_claim"}, "at '/persistence/existingClaim': 'my_claim' does not match"),
    ({"serviceAccount.name": ""}, "at '/serviceAccount/name': '' does not match"),
    ({"reader.subjects": [{"kind": "Robot", "name": "x"}]}, "at '/reader/subjects/0/kind': value must be one of 'User'"),
    ({"reader.subjects": [{"kind": "User"}]}, "at '/reader/subjects/0': missing property 'name'"),
    (
        {"reader.subjects": [{"kind": "Group", "name": "ops", "namespace": "x"}]},
        "reader.subjects: the Group ops has a namespace, and only a ServiceAccount is in one",
    ),
    ({"recorder.resources.limits.memory": "128m"}, "at '/recorder/resources/limits/memory': '128m' does not match"),
    ({"recorder.startupSeconds": 5}, "at '/recorder/startupSeconds': minimum: got 5, want 60"),
    ({"recorder.extraEnv": [{"name": "DB_PATH", "value": "/x"}]}, "recorder.extraEnv: DB_PATH is set already"),
    ({"recorder.extraEnv": [{"name": "a-b"}]}, "at '/recorder/extraEnv/0/name': 'a-b' does not match"),
    ({"operator.tmpSize": "lots"}, "at '/operator/tmpSize': 'lots' does not match"),
    ({"serviceMonitor.interval": 30}, "at '/serviceMonitor/interval': got number, want string"),
    ({"networkPolicy.apiServerPorts": []}, "at '/networkPolicy/apiServerPorts': minItems: got 0, want 1"),
    ({"podSecurityContext.runAsNonRoot": False}, "at '/podSecurityContext/runAsNonRoot': value must be true"),
    ({"podSecurityContext.runAsUser": 0}, "at '/podSecurityContext/runAsUser': minimum: got 0, want 1"),
    ({"podLabels": {"team": "two words"}}, "at '/podLabels/team': 'two words' does not match"),
    ({"tolerations": [{"effect": "Never"}]}, "at '/tolerations/0/effect': value must be one of 'NoSchedule'"),
    ({"terminationGracePeriodSeconds": 0}, "at '/terminationGracePeriodSeconds': minimum: got 0, want 10"),
]


@pytest.mark.parametrize(("values", "said"), WRONG, ids=[json.dumps(values) for values, _ in WRONG])
def test_a_wrong_value_is_refused_and_named(values: dict[str, Any], said: str):
    done = try_helm("template", "kube9", str(CHART), values=values)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) < 10


NOTES = {
    "who may ask": ({}, "--role=kube9-operator-reader", True),
    "nothing of it once somebody may": ({"reader.subjects": [GROUP]}, "--role=kube9-operator-reader", False),
    "what goes with the pod": ({"persistence.enabled": False}, "WARNING: persistence.enabled is false", True),
    "nothing of it where a claim is": ({}, "WARNING: persistence", False),
    "rights that are not given": ({"rbac.create": False}, "WARNING: rbac.create is false", True),
    "readers that are bound to nothing": ({"rbac.create": False, "reader.subjects": [GROUP]}, "no effect", True),
    "a recorder that is open to readers": ({"watch.namespace": "shop"}, "out of the container recorder", True),
    "one that is open by choice": ({"reader.restrictExec": False}, "reader.restrictExec is false", True),
    "the one namespace": ({"watch.namespace": "shop"}, "the events of the namespace shop", True),
    "questions about it alone, which are covered": ({"watch.namespace": "shop"}, "events list -n shop --since", True),
    "questions about all of them": ({}, "events list --since", True),
}


@pytest.mark.parametrize("what", NOTES)
def test_the_notes_tell(what: str):
    values, text, told = NOTES[what]
    notes = try_helm("install", "kube9", str(CHART), "--dry-run=client", "--namespace", "tools", values=values).stdout
    assert "kubectl -n tools exec kube9-operator-0 -- kube9 query" in notes
    assert (text in notes.partition("NOTES:")[2]) is told

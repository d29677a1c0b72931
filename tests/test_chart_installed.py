"""The chart installed on a real API server: what its accounts may do, whom it lets into which container, what an upgrade keeps.

No pod has to run for that: the API server admits an exec before it looks for the node.
"""

import json
import os
import re
from collections.abc import Iterator
from http.client import HTTPSConnection
from urllib.parse import urlencode

import charts
import pytest
from accounts import documented
from cluster.api import Api, wait_for
from cluster.operator_pod import CHART
from cluster.tools import helm, kubectl
from test_cluster import api  # noqa: F401 - a fixture

pytestmark = pytest.mark.cluster
POD = "kube9-operator-0"
STATUS = "kube9-operator-status"
RIGHT = re.compile(r"^(\S*) +\[(.*?)\] +\[(.*?)\] +\[(.*?)\]$", re.MULTILINE)
VALUES = {"image.repository": "test.local/none", "image.pullPolicy": "Never"}
Rights = set[tuple[str, str, str]]  # resource, the one name or nothing, verb


@pytest.fixture(scope="module")
def release(api: Api) -> Iterator[str]:  # noqa: F811
    """The namespace of a release, which enforces the restricted standard."""
    yield make_release("kube9-chart")
    helm("uninstall", "kube9", "--namespace", "kube9-chart")
    kubectl("delete", "namespace", "kube9-chart", "--wait=false")


def make_release(namespace: str, values: dict[str, object] | None = None) -> str:
    kubectl("create", "namespace", namespace)
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    assert deploy("install", namespace, values) == ""
    return namespace


def deploy(verb: str, namespace: str, values: dict[str, object] | None = None, name: str = "kube9") -> str:
    """Install or upgrade a release. Returns what is wrong."""
    return charts.try_helm(verb, name, str(CHART), "--namespace", namespace, values=VALUES | (values or {})).stderr


def get(namespace: str, *words: str) -> dict:
    return json.loads(kubectl("-n", namespace, "get", *words, "-o", "json"))


def test_the_pod_is_let_into_a_restricted_namespace(release: str):
    def pod() -> str:
        return kubectl("-n", release, "get", "pod", POD, "-o", "json", check=False)

    made = json.loads(str(wait_for("the pod is made", pod)))
    assert made["metadata"]["labels"]["app.kubernetes.io/name"] == "kube9-operator"
    tokens = {
        of["name"]: [mount["name"] for mount in of["volumeMounts"] if mount["mountPath"].startswith("/var/run/secrets")]
        for of in made["spec"]["containers"]
    }
    assert tokens == {"operator": [], "recorder": ["token"]}


# What the accounts may do.


def rights(user: str, namespace: str) -> Rights:
    """What `kubectl auth can-i --list` shows of resources."""
    shown = kubectl("auth", "can-i", "--list", "--as", user, "-n", namespace)
    return {
        (resource, name, verb)
        for resource, _, names, verbs in RIGHT.findall(shown)
        for name in (names.split() or [""])
        for verb in verbs.split()
        if resource
    }


def account(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


def given(namespace: str, name: str, within: str) -> Rights:
    """What an account may do and one that was given nothing may not."""
    return rights(account(namespace, name), within) - rights(account(namespace, "nobody"), within)


def on_the_page() -> Rights:
    """The rights that docs/permissions.md lists, as kubectl writes them."""
    found = set()
    for resource, rule in documented().items():
        (group,) = rule["apiGroups"]
        for verb in rule["verbs"]:
            found.add((f"{resource}.{group}" if group else resource, "kube-system" if verb == "get" else "", verb))
    return found


def test_the_recorder_may_do_what_the_page_lists_and_nothing_else(release: str):
    assert given(release, "kube9-operator", "default") == on_the_page()
    assert given(release, "kube9-operator", release) == on_the_page() | {("configmaps", STATUS, "patch")}


def test_the_notes_warn_of_nothing_where_a_policy_keeps_readers_out(release: str):
    notes = helm("get", "notes", "kube9", "--namespace", release)
    assert "The first commands" in notes
    assert "WARNING" not in notes


def test_an_account_that_is_given_nothing_has_nothing_that_shows(release: str):
    assert {resource for resource, *_ in rights(account(release, "nobody"), release)} == {
        "selfsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectreviews.authentication.k8s.io",
        "selfsubjectrulesreviews.authorization.k8s.io",
    }


def test_a_reader_may_find_the_pod_enter_it_and_read_the_status(release: str):
    kubectl(
        "-n", release, "create", "rolebinding", "may-look", "--role=kube9-operator-reader", f"--serviceaccount={release}:look"
    )
    assert given(release, "look", release) == {
        ("pods", "", "get"),
        ("pods", "", "list"),
        ("pods/exec", POD, "get"),
        ("pods/exec", POD, "create"),
        ("configmaps", STATUS, "get"),
    }
    assert given(release, "look", "default") == set()


def test_a_release_for_one_namespace_may_look_there_only(api: Api):  # noqa: F811
    watched = api.make_namespace("kube9-chart-shop")
    namespace = make_release("kube9-chart-one", {"watch.namespace": watched})
    try:
        own = {("namespaces", watched, "get")}
        expected = {right for right in on_the_page() if right[0] not in ("nodes", "namespaces")} | own
        assert given(namespace, "kube9-operator", watched) == expected
        assert given(namespace, "kube9-operator", namespace) == {("configmaps", STATUS, "patch")}
        assert given(namespace, "kube9-operator", "default") == set()
    finally:
        helm("uninstall", "kube9", "--namespace", namespace)


# Who may enter which container.


class Caller:
    """Asks for an exec as a service account that the reader Role is bound to, or as another."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:  # noqa: F811
        kubectl("-n", namespace, "create", "serviceaccount", name)
        self.server, self.context = api.server, api.context
        self.token = kubectl("-n", namespace, "create", "token", name).strip()

    def exec(self, container: str | None, *, how: str = "exec", method: str = "POST", upgrade: str = "", at: str) -> str:
        """What the API server says."""
        asked = (
            {"stdout": "true"}
            | ({"command": "true"} if how == "exec" else {})
            | ({"container": container} if container else {})
        )
        headers = {"Authorization": f"Bearer {self.token}"}
        if upgrade:
            headers |= {"Connection": "Upgrade", "Upgrade": upgrade}
        if upgrade == "websocket":
            headers |= {
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
            }
        else:
            headers |= {"X-Stream-Protocol-Version": "v4.channel.k8s.io"}
        connection = HTTPSConnection(self.server.removeprefix("https://"), context=self.context, timeout=30)
        try:
            connection.request(method, f"/api/v1/namespaces/{at}/pods/{POD}/{how}?{urlencode(asked)}", headers=headers)
            return json.loads(connection.getresponse().read())["message"]
        finally:
            connection.close()


LET_IN = "does not have a host assigned"  # the next thing that goes wrong, since there is no node
ROADS = {"spdy": ("POST", "SPDY/3.1"), "websocket": ("GET", "websocket")}


@pytest.fixture(scope="module")
def entered(release: str) -> str:
    """The namespace, once the pod is there and the policy is in force."""
    wait_for("the pod is made", lambda: kubectl("-n", release, "get", "pod", POD, check=False))
    return release


@pytest.fixture(scope="module")
def reader(api: Api, entered: str) -> Caller:  # noqa: F811
    caller = Caller(api, entered, "reader")
    kubectl(
        "-n", entered, "create", "rolebinding", "reader", "--role=kube9-operator-reader", f"--serviceaccount={entered}:reader"
    )
    wait_for("the binding is in force", lambda: LET_IN in caller.exec("operator", at=entered))
    wait_for("the policy is in force", lambda: LET_IN not in caller.exec("recorder", at=entered))
    return caller


@pytest.mark.parametrize("road", ROADS)
def test_without_the_role_nobody_enters(api: Api, entered: str, road: str):  # noqa: F811
    method, upgrade = ROADS[road]
    stranger = Caller(api, entered, f"stranger-{road}")
    said = stranger.exec("operator", method=method, upgrade=upgrade, at=entered)
    assert "cannot" in said
    assert 'resource "pods/exec"' in said


@pytest.mark.parametrize("road", ROADS)
def test_a_reader_enters_the_container_operator(reader: Caller, entered: str, road: str):
    method, upgrade = ROADS[road]
    assert LET_IN in reader.exec("operator", method=method, upgrade=upgrade, at=entered)


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("container", ["recorder", None, "another"])
def test_a_reader_enters_no_other_container(reader: Caller, entered: str, container: str | None, road: str):
    method, upgrade = ROADS[road]
    said = reader.exec(container, method=method, upgrade=upgrade, at=entered)
    assert "only the container operator may be entered: add -c operator" in said


def test_a_reader_may_not_attach(reader: Caller, entered: str):
    assert 'cannot create resource "pods/attach"' in reader.exec("operator", how="attach", upgrade="SPDY/3.1", at=entered)


@pytest.mark.parametrize("road", ROADS)
def test_either_verb_alone_is_not_enough_on_every_road(api: Api, entered: str, road: str):  # noqa: F811
    method, upgrade = ROADS[road]
    lets_in = {}
    for verb in ("get", "create"):
        name = f"only-{verb}-{road}"
        caller = Caller(api, entered, name)
        kubectl("-n", entered, "create", "role", name, f"--verb={verb}", "--resource=pods/exec", f"--resource-name={POD}")
        kubectl("-n", entered, "create", "rolebinding", name, f"--role={name}", f"--serviceaccount={entered}:{name}")
        wait_for(
            "the binding is in force", lambda name=name, verb=verb: ("pods/exec", POD, verb) in given(entered, name, entered)
        )
        lets_in[verb] = LET_IN in caller.exec("operator", method=method, upgrade=upgrade, at=entered)
    assert lets_in == {"get": False, "create": road == "spdy"}


def test_who_may_update_the_statefulset_enters_and_attaches_to_the_recorder(api: Api, reader: Caller, entered: str):  # noqa: F811
    for name, resource, passes in (("keeper", "statefulsets.apps", True), ("visitor", "deployments.apps", False)):
        caller = Caller(api, entered, name)
        kubectl("-n", entered, "create", "role", f"{name}-exec", "--verb=get,create", "--resource=pods/exec,pods/attach")
        kubectl("-n", entered, "create", "role", name, "--verb=update", f"--resource={resource}")
        for role in (name, f"{name}-exec"):
            kubectl("-n", entered, "create", "rolebinding", role, f"--role={role}", f"--serviceaccount={entered}:{name}")
        wait_for("the bindings are in force", lambda caller=caller: LET_IN in caller.exec("operator", at=entered))
        for how in ("exec", "attach"):
            assert (LET_IN in caller.exec("recorder", how=how, at=entered)) is passes
        assert LET_IN not in caller.exec(None, at=entered)


def test_the_policy_is_about_this_one_pod(api: Api, reader: Caller, entered: str):  # noqa: F811
    elsewhere = api.make_namespace("kube9-chart-elsewhere")
    containers = [{"name": name, "image": "test.local/none"} for name in ("operator", "recorder")]
    pod = {"metadata": {"name": POD}, "spec": {"containers": containers, "schedulerName": "nobody"}}
    wait_for("its account is made", lambda: kubectl("-n", elsewhere, "get", "sa", "default", check=False))
    api.request("POST", f"/api/v1/namespaces/{elsewhere}/pods", pod)
    caller = Caller(api, elsewhere, "reader")
    kubectl("-n", elsewhere, "create", "rolebinding", "reader", "--clusterrole=admin", f"--serviceaccount={elsewhere}:reader")
    assert wait_for("the other recorder is entered", lambda: LET_IN in caller.exec("recorder", at=elsewhere))
    kubectl("-n", elsewhere, "delete", "pod", POD, "--wait=false")


# What stays.


def status(namespace: str) -> dict:
    return get(namespace, "configmap", STATUS).get("data", {})


def test_an_upgrade_and_a_rollback_leave_what_the_recorder_wrote(release: str):
    assert status(release) == {}
    recorder = Api(os.environ["KUBECONFIG"])
    recorder.token = kubectl("-n", release, "create", "token", "kube9-operator").strip()
    told = {"status": '{"health": "healthy"}'}
    recorder.request("PATCH", f"/api/v1/namespaces/{release}/configmaps/{STATUS}", {"data": told})
    recorder.close()
    assert deploy("upgrade", release, {"extraLabels": {"a": "b"}}) == ""
    assert "a" in get(release, "configmap", STATUS)["metadata"]["labels"]
    assert status(release) == told
    helm("rollback", "kube9", "1", "--namespace", release)
    assert "a" not in get(release, "configmap", STATUS)["metadata"]["labels"]
    assert status(release) == told


def test_the_claim_outlives_its_release_and_is_taken_up_again(api: Api):  # noqa: F811
    namespace = make_release("kube9-chart-again")
    uid = get(namespace, "pvc", "kube9-operator-data")["metadata"]["uid"]
    helm("uninstall", "kube9", "--namespace", namespace)
    kinds = "sts,svc,cm,sa,role,rolebinding"
    left = {of["metadata"]["name"] for of in get(namespace, kinds)["items"]} - {"default", "kube-root-ca.crt"}
    assert left == set()
    assert "kube9-operator-data" in deploy("install", namespace, name="another")
    assert deploy("install", namespace) == ""
    assert get(namespace, "pvc", "kube9-operator-data")["metadata"]["uid"] == uid
    helm("uninstall", "kube9", "--namespace", namespace)


def test_two_releases_in_two_namespaces_share_nothing():
    here, there = (
        {(of["metadata"].get("namespace"), name) for name, of in charts.render(namespace=namespace).items()}
        for namespace in ("kube9-chart", "kube9-chart-two")
    )
    assert len([name for namespace, name in here if namespace is None]) == 4
    assert here & there == set()

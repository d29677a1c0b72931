"""The status ConfigMap on a real API server, with an account that may patch this one object and no other."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import RBAC, Account, account, documented  # noqa: F401 - a fixture
from cluster.api import Api
from conftest import Kube9
from loopback import Serving
from test_cluster import api, rows  # noqa: F401 - a fixture

from kube9 import apiserver, responses, status_map

# Python's ssl forgets to close a socket that is ended from another thread.
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")]
NAME = "kube9-operator-status"


@pytest.fixture
def namespace(api: Api, account: Account) -> str:  # noqa: F811
    """One with the ConfigMap as the chart makes it, with a key of somebody else's, and another ConfigMap."""
    made = api.make_namespace(f"of-{account.name}")
    for name in (NAME, "another"):
        api.request("POST", f"/api/v1/namespaces/{made}/configmaps", {"metadata": {"name": name}, "data": {"kept": "as it is"}})
    return made


@pytest.fixture
def serving(kube9: Kube9, account: Account, namespace: str) -> Iterator[Serving]:  # noqa: F811
    account.may(documented())
    running = Serving(kube9, account, "--status-configmap", NAME, env={"POD_NAMESPACE": namespace})
    yield running
    running.close()


def grant(admin: Api, account: Account, namespace: str) -> None:  # noqa: F811
    """Let the account patch the one ConfigMap."""
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [NAME], "verbs": ["patch"]}
    admin.request("POST", f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": "status"}, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "namespace": "default", "name": account.name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "status"}
    binding = {"metadata": {"name": "status"}, "subjects": [subject], "roleRef": role}
    admin.request("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", binding)


@pytest.mark.scenario("REC-31")
def test_the_status_is_published_once_the_account_may(
    serving: Serving,
    api: Api,  # noqa: F811
    account: Account,  # noqa: F811
    namespace: str,
    kube9: Kube9,
) -> None:
    def data() -> dict:
        return api.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{NAME}")["data"]

    def status() -> dict:
        return json.loads(data().get("status", "{}"))

    serving.until("the refusal is told", lambda: "let this account patch" in serving.log.read_text())
    assert "Forbidden" in serving.log.read_text()
    api.make_event(namespace, "meanwhile")
    serving.until("recording goes on", lambda: rows(kube9, namespace) == [("meanwhile", 1)])
    assert data() == {"kept": "as it is"}
    grant(api, account, namespace)
    serving.until("it is published", status)
    assert status()["health"] == "healthy"
    assert (data()["namespace"], data()["kept"]) == (namespace, "as it is")
    assert serving.stop() == 0
    assert (status()["health"], status()["namespace"]) == ("unhealthy", namespace)
    assert serving.log.read_text().count("the status is ") == 2  # not published, and published again


def test_the_account_may_do_nothing_else(account: Account, api: Api, namespace: str) -> None:  # noqa: F811
    grant(api, account, namespace)
    connected = apiserver.connect(str(account.kubeconfig))
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    connected.patch(f"{path}/{NAME}", {"data": {"status": "{}"}})
    for refused in (lambda: connected.patch(f"{path}/another", {}), lambda: connected.get(f"{path}/{NAME}")):
        with pytest.raises(responses.Refused, match="403"):
            refused()
    connected.stop()
    gc.collect()


@pytest.mark.scenario("REC-31")
def test_a_start_that_is_refused_and_a_map_that_is_not_there(
    kube9: Kube9,
    account: Account,  # noqa: F811
    api: Api,  # noqa: F811
    namespace: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    grant(api, account, namespace)
    kube9.db.write_bytes(b"no database " * 1000)
    config = str(account.kubeconfig)
    done = kube9("serve", "--kubeconfig", config, "--status-configmap", f"{namespace}/{NAME}")
    assert done.code == 1
    found = api.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{NAME}")["data"]
    assert json.loads(found["status"])["error"].startswith("not a database")
    api.request("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/{NAME}")
    assert not status_map.open_map(f"{namespace}/{NAME}", config).publish("healthy", [])
    assert f"kubectl create configmap {NAME} -n {namespace}" in caplog.text
    gc.collect()

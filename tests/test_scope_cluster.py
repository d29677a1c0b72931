"""`kube9 serve --namespace` on a real API server, with a Role in that namespace and no other right."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import Account, Rules, documented
from cluster.api import Api, wait_for
from conftest import Kube9
from loopback import Serving
from test_cluster import api, rows  # noqa: F401 - a fixture

from kube9.resources import WATCHED

pytestmark = pytest.mark.cluster
numbers = itertools.count()


def role(namespace: str) -> Rules:
    """The rules of docs/permissions.md for one namespace, by resource."""
    rules = documented("## One namespace alone")
    return rules | {"namespaces": rules["namespaces"] | {"resourceNames": [namespace]}}


@pytest.fixture
def namespace(api: Api) -> str:  # noqa: F811
    return api.make_namespace(f"alone-{next(numbers)}")


@pytest.fixture
def account(api: Api, namespace: str, tmp_path: Path) -> Account:  # noqa: F811
    return Account(api, f"recorder-of-{namespace}", tmp_path, namespace)


@pytest.fixture
def serving(kube9: Kube9, account: Account, namespace: str) -> Iterator[Serving]:
    account.may(role(namespace))
    running = Serving(kube9, account, "--namespace", namespace)
    yield running
    running.close()


def forbidden(serving: Serving) -> set[str]:
    return {watch["resource"] for watch in serving.json("/healthz")["watches"] if watch["forbidden"]}


def scale(api: Api, namespace: str, replicas: int) -> None:  # noqa: F811
    api.request("PATCH", f"/apis/apps/v1/namespaces/{namespace}/deployments/web", {"spec": {"replicas": replicas}})


def test_the_page_lists_what_is_watched() -> None:
    namespaced = {resource.name for resource in WATCHED if resource.namespaced}
    assert set(role("any")) == {"events", "namespaces", *namespaced}


@pytest.mark.scenario("REC-05")
def test_a_role_in_the_namespace_is_enough(serving: Serving, api: Api, kube9: Kube9, namespace: str) -> None:  # noqa: F811
    other = api.make_namespace(f"not-{namespace}")
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "none.local/none"}]}}
    web = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": pod}
    for each in (other, namespace):
        api.request("POST", f"/apis/apps/v1/namespaces/{each}/deployments", {"metadata": {"name": "web"}, "spec": web})
    serving.until("all is watched", lambda: serving.json("/healthz")["status"] == "healthy")
    assert {watch["resource"] for watch in serving.json("/healthz")["watches"]} == set(role(namespace)) - {"namespaces"}
    for each in (other, namespace):
        api.make_event(each, "seen")
        scale(api, each, 1)
    titles = "events", "list", "--type", "cluster", "--format", "csv", "--no-headers", "--fields", "object_namespace,title"
    wanted = {f"{namespace},Pod BackOff", f"{namespace},Deployment scaled"}
    wait_for("the namespace is recorded", lambda: wanted <= set(kube9.query(*titles).out.split("\r\n")))
    assert {line.partition(",")[0] for line in kube9.query(*titles).out.splitlines()} == {namespace}
    assert rows(kube9, other) == []
    status = kube9.query("status").json
    assert (status["namespace"], status["health"]) == (namespace, "healthy")
    for words in ((), ("-n", other)):
        refused = kube9.query("events", "list", "--since", "1h", "--require-coverage", "50%", *words)
        assert "outside the one namespace that was watched" in refused.error["details"]
    assert kube9.query("events", "list", "--since", "50m", "--require-coverage", "50%", "-n", namespace).code == 0
    assert serving.stop() == 0
    log = serving.log.read_text()
    assert not [word for word in ("refuse", "orbidden", "403", "WARNING", "ERROR") if word in log], log


@pytest.mark.scenario("REC-34")
def test_a_right_that_is_missing_stops_that_resource_alone(
    kube9: Kube9,
    account: Account,
    api: Api,  # noqa: F811
    namespace: str,
) -> None:
    every = role(namespace)
    account.may({resource: rule for resource, rule in every.items() if resource != "jobs"})
    serving = Serving(kube9, account, "--namespace", namespace)
    try:
        serving.until_ready()
        serving.until("it is refused", lambda: forbidden(serving) == {"jobs"})
        api.make_event(namespace, "meanwhile")
        wait_for("events go on", lambda: rows(kube9, namespace) == [("meanwhile", 1)])
        assert serving.stop() == 0
        account.may({resource: rule for resource, rule in every.items() if resource != "namespaces"})
        serving = Serving(kube9, account, "--namespace", namespace)
        serving.until("it waits", lambda: forbidden(serving) == {"events", *every} - {"namespaces"})
        account.may(every)
        serving.until_ready()
        assert serving.stop() == 0
    finally:
        serving.close()

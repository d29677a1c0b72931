"""Rights on a real API server: what docs/permissions.md lists is enough, and one that is taken away stops one watch."""

import gc
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.api import Api, wait_for
from conftest import ROOT, Kube9
from impatient import Impatient
from test_cluster import api, rows  # noqa: F401 - a fixture

from kube9.resources import WATCHED

# Python's ssl forgets to close a socket that is ended from another thread.
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROW = re.compile(r"\| (\S+) \| `(\S+)` \| ([a-z, ]+) \|")
numbers = itertools.count()
Rules = dict[str, dict]


def documented(heading: str = "# What kube9 must be allowed to do") -> Rules:
    """The rules below a heading of docs/permissions.md, by resource."""
    page = (ROOT / "docs" / "permissions.md").read_text()
    found = ROW.findall(page.partition(f"{heading}\n")[2].partition("\n## ")[0])
    return {
        resource: {"apiGroups": ["" if group == "core" else group], "resources": [resource], "verbs": verbs.split(", ")}
        for group, resource, verbs in found
    }


class Account:
    """A service account with a ClusterRole of its own, or a Role in one namespace, and a kubeconfig of it."""

    def __init__(self, admin: Api, name: str, folder: Path, namespace: str | None = None) -> None:
        self.admin, self.name, self.kubeconfig = admin, name, folder / "kubeconfig"
        kind, scope = ("Role", f"{RBAC}/namespaces/{namespace}/") if namespace else ("ClusterRole", f"{RBAC}/cluster")
        self._roles = f"{scope}roles"
        accounts = "/api/v1/namespaces/default/serviceaccounts"
        admin.request("POST", accounts, {"metadata": {"name": name}})
        token = admin.request("POST", f"{accounts}/{name}/token", {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        config = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
        config["users"][0]["user"] = {"token": token}
        self.kubeconfig.write_text(json.dumps(config))
        admin.request("POST", self._roles, {"metadata": {"name": name}, "rules": []})
        subject = {"kind": "ServiceAccount", "namespace": "default", "name": name}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        admin.request("POST", f"{scope}rolebindings", {"metadata": {"name": name}, "subjects": [subject], "roleRef": role})

    def may(self, rules: Rules) -> None:
        """Exactly so much, from now on."""
        self.admin.request("PATCH", f"{self._roles}/{self.name}", {"rules": list(rules.values())})


@pytest.fixture
def account(api: Api, tmp_path: Path) -> Account:  # noqa: F811
    return Account(api, f"recorder-{next(numbers)}", tmp_path)


@pytest.fixture
def recorder(kube9: Kube9, account: Account) -> Iterator[Impatient]:
    account.may(documented())
    running = Impatient(kube9, account.kubeconfig)
    wait_for("all is watched", lambda: running.json("/healthz")["status"] == "healthy")
    yield running
    running.stop()
    gc.collect()  # while the warning is left out


def test_the_page_lists_what_is_watched() -> None:
    assert set(documented()) == {"events", *(resource.name for resource in WATCHED)}


@pytest.mark.scenario("REC-34")
@pytest.mark.parametrize("taken", ["pods", "namespaces", "events"])
def test_a_right_that_is_taken_away_and_comes_back(
    recorder: Impatient,
    account: Account,
    api: Api,  # noqa: F811
    kube9: Kube9,
    taken: str,
) -> None:
    namespace = api.make_namespace(f"refused-{taken}")
    needed = taken == "events"
    account.may({resource: rule for resource, rule in documented().items() if resource != taken})
    wait_for("it is refused", lambda: recorder.forbidden())
    assert recorder.forbidden() == {taken}
    assert recorder.ready() is not needed
    told = recorder.json("/readyz")
    assert told["status"] == "degraded"
    (problem,) = told["problems"]
    assert problem.startswith(f"{taken}: the API server refuses: HTTP 403 Forbidden: ")
    wait_for("the heartbeat tells it", lambda: recorder.status()["problems"])
    assert recorder.status()["health"] == "degraded"
    assert recorder.status()["watch"][taken]["forbidden"] is True
    metrics = recorder.get("/metrics")[1].decode()
    assert f'kube9_watch_forbidden{{resource="{taken}"}} 1.0' in metrics
    assert metrics.count("kube9_watch_forbidden{") == metrics.count("kube9_watch_connected{") == len(documented())
    assert f"kube9_ready {0.0 if needed else 1.0}" in metrics
    api.make_event(namespace, "meanwhile")
    if not needed:
        wait_for("events go on", lambda: rows(kube9, namespace))
        until = events_watch(recorder)["proven_at"]
        wait_for("and a silence is proven", lambda: events_watch(recorder)["proven_at"] > until)
        assert "forbidden" not in events_watch(recorder)["failures"]
    account.may(documented())
    wait_for("it is watched again", lambda: recorder.json("/healthz")["status"] == "healthy")
    wait_for("what happened meanwhile is recorded", lambda: rows(kube9, namespace) == [("meanwhile", 1)])
    wait_for("the heartbeat tells that too", lambda: recorder.status()["health"] == "healthy")
    (gap,) = wait_for("the gap is told", lambda: gaps(kube9))
    assert (gap["resource"], gap["recovered"]) == (taken, True)


def events_watch(recorder: Impatient) -> dict:
    return recorder.json("/healthz")["watches"][0]


def gaps(kube9: Kube9) -> list[dict]:
    found = kube9.query("events", "list", "--since", "1h").json["coverage"]["gaps"]
    return [gap for gap in found if gap["cause"] == "forbidden"]


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_neither_verb_serves_without_the_other(kube9: Kube9, account: Account, verb: str) -> None:
    every = documented()
    account.may({resource: rule | {"verbs": [v for v in rule["verbs"] if v != verb]} for resource, rule in every.items()})
    running = Impatient(kube9, account.kubeconfig)
    try:
        wait_for("all is refused", lambda: running.forbidden() == set(every))
        account.may(every)
        wait_for("all is watched", lambda: running.json("/healthz")["status"] == "healthy")
    finally:
        running.stop()
        gc.collect()

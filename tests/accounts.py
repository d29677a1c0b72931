"""Service accounts of the test cluster, with the rights that docs/permissions.md lists, or others."""

import itertools
import json
import os
import re
from pathlib import Path

import pytest
from cluster.api import Api
from conftest import ROOT

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
def account(api: Api, tmp_path: Path) -> Account:
    return Account(api, f"recorder-{next(numbers)}", tmp_path)

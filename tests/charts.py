"""The chart, rendered by the real helm, as objects."""

import json
from collections.abc import Iterable
from functools import cache
from subprocess import CompletedProcess

import yaml
from cluster.operator_pod import CHART
from cluster.tools import run

POLICIES = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
Objects = dict[str, dict]


def nested(values: dict[str, object]) -> dict:
    """Values by dotted name as helm reads them out of a file."""
    found: dict = {}
    for name, value in values.items():
        *folders, last = name.split(".")
        inner = found
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[last] = value
    return found


def try_helm(*words: str, values: dict[str, object] | None = None) -> CompletedProcess[str]:
    """How a command of helm ends, with values by dotted name where it takes some."""
    given = ["--values", "-"] if values is not None else []
    return run(["helm", *words, *given], 120, json.dumps(nested(values or {})))


def render(values: dict[str, object] | None = None, namespace: str = "kube9-system", policies: bool = True) -> Objects:
    """What the chart makes of values: KIND/NAME -> object. For reading only.

    Args:
        values: by dotted name; the others are the defaults.
        namespace: of the release.
        policies: whether the cluster knows admission policies.
    """
    return _render(json.dumps(nested(values or {})), namespace, policies)


@cache
def _render(values: str, namespace: str, policies: bool) -> Objects:
    known = ["--api-versions", POLICIES] if policies else []
    done = run(["helm", "template", "kube9", str(CHART), "--namespace", namespace, *known, "--values", "-"], 120, values)
    assert done.returncode == 0, done.stderr
    return {f"{of['kind']}/{of['metadata']['name']}": of for of in yaml.safe_load_all(done.stdout) if of}


def look(objects: Objects, name: str, path: Iterable[str]) -> object:
    """What stands in an object at a path, where an item of a list is picked by its name or number; None for nothing."""
    found: object = objects.get(name)
    for part in path:
        if isinstance(found, list):
            by_name = {item["name"]: item for item in found if isinstance(item, dict) and "name" in item}
            found = found[int(part)] if part.isdigit() else by_name.get(part)
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return None
    return found

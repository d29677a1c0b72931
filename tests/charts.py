"""The chart, rendered by the real helm, as objects."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable

import yaml
from conftest import ROOT

CHART = ROOT / "chart"
POLICIES = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
Objects = dict[str, dict]


def run(*words: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A program of the cluster, such as helm; its stderr is in what pytest shows when it fails."""
    done = subprocess.run([*words], capture_output=True, text=True, input=input, timeout=120, check=False)
    assert done.returncode == 0 or not check, f"{words}: {done.stderr}"
    return done


def kubectl(*words: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """kubectl of the cluster around this process."""
    return run(os.environ["KUBECTL"], *words, input=input, check=check)


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


def helm(*words: str, values: dict[str, object] | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command of helm, with values by dotted name."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(nested(values or {}), file)
        file.flush()
        return run("helm", *words, *(["--values", file.name] if values is not None else []), check=check)


def render(values: dict[str, object] | None = None, namespace: str = "kube9-system", policies: bool = True) -> Objects:
    """What the chart makes of values: KIND/NAME -> object.

    Args:
        values: by dotted name; the others are the defaults.
        namespace: of the release.
        policies: whether the cluster knows admission policies.
    """
    words = ["template", "kube9", str(CHART), "--namespace", namespace, *(["--api-versions", POLICIES] if policies else [])]
    found = yaml.safe_load_all(helm(*words, values=values or {}).stdout)
    return {f"{of['kind']}/{of['metadata']['name']}": of for of in found if of}


def look(objects: Objects, name: str, path: Iterable[str]) -> object:
    """What stands in an object at a path, where an item of a list is picked by its name or number; None for nothing."""
    found: object = objects.get(name)
    for part in path:
        if isinstance(found, list):
            found = next((item for item in found if isinstance(item, dict) and item.get("name") == part), None) or (
                found[int(part)] if part.isdigit() and int(part) < len(found) else None
            )
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return None
    return found

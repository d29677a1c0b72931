"""kube9 on the test node as people run it: its image and its chart, in a namespace that enforces restricted Pod Security."""

import json
import os
import shutil
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen
from typing import Any

from cluster.api import wait_for
from cluster.containers import Container
from cluster.kube9_images import ROOT, import_image
from cluster.tools import helm, kubectl, run

CHART = ROOT / "chart"
POD = "kube9-operator-0"
USER = 65532


class Operator:
    """A release of the chart. `folder` is where its volume lies on this machine.

    Args:
        namespace: where it is installed; made here, and its Pod Security is enforced.
        release: the name of the helm release.
        storage_class: of its volume.
    """

    def __init__(self, namespace: str = "kube9-system", release: str = "kube9-operator", *, storage_class: str = "") -> None:
        self.namespace, self.release, self.storage_class = namespace, release, storage_class
        self.folder = Path(os.environ["CLUSTER_DIR"]) / "volumes" / namespace
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chown(self.folder, USER, USER)  # what fsGroup does for a volume that a provisioner makes
        if not kubectl("get", "namespace", namespace, check=False):
            kubectl("create", "namespace", namespace)
        labels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn")]
        kubectl("label", "--overwrite", "namespace", namespace, *labels)
        self._make_volume()

    def install(self, *words: str, kind: str = "kube9", chart: Path = CHART, wait: bool = True, **values: Any) -> str:
        """`helm upgrade --install`, and wait until it is ready. Returns helm's notes.

        Args:
            words: more for helm.
            kind: which image, as in kube9_images.
            chart: the chart's folder.
            wait: whether it is to get ready.
            values: of the chart, by their first part.
        """
        name, _, tag = import_image(kind).rpartition(":")
        given = {
            "image": {"repository": name, "tag": tag, "pullPolicy": "Never"},
            "persistence": {"storageClassName": self.storage_class},
        }
        for key, value in values.items():
            given[key] = given.get(key, {}) | value if isinstance(value, dict) else value
        command = ["upgrade", "--install", self.release, str(chart), "--namespace", self.namespace, "--values", "-"]
        notes = helm(*command, *words, stdin=json.dumps(given))
        if wait:
            self.until_ready()
        return notes

    def revision(self) -> int:
        """The number of the release's newest revision."""
        return int(json.loads(helm("history", self.release, "--namespace", self.namespace, "--output", "json"))[-1]["revision"])

    def until_ready(self, seconds: float = 90) -> None:
        """Wait until the rollout is done and both containers are ready."""
        target = ("rollout", "status", "statefulset/kube9-operator", f"--timeout={seconds:.0f}s")
        done = run([os.environ["KUBECTL"], "-n", self.namespace, *target], seconds + 10)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.describe()}"

    def describe(self) -> str:
        """What kubectl knows of the pod, and the last lines of its log."""
        found = self.kubectl("describe", "pod", POD, check=False)
        return found + self.kubectl("logs", POD, "-c", "recorder", "--tail=50", check=False)

    def kubectl(self, *words: str, check: bool = True, stdin: str | None = None, seconds: float = 60) -> str:
        """Kubectl in its namespace; what it printed."""
        return kubectl("-n", self.namespace, *words, check=check, stdin=stdin, seconds=seconds)

    def execute(
        self, *words: str, container: str = "operator", kubeconfig: Path | None = None, seconds: float = 60
    ) -> CompletedProcess[str]:
        """`kubectl exec` of a command in the pod; as the user of a kubeconfig, else as the admin."""
        user = [] if kubeconfig is None else [f"--kubeconfig={kubeconfig}"]
        command = [os.environ["KUBECTL"], *user, "-n", self.namespace, "exec", POD, "-c", container, "--", *words]
        return run(command, seconds)

    def begin(self, *words: str) -> Popen[str]:
        """A kubectl that goes on; its stdin is open."""
        pipes = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE}
        return Popen([os.environ["KUBECTL"], "-n", self.namespace, *words], text=True, **pipes)

    def account(self, name: str, folder: Path) -> Path:
        """A kubeconfig of a service account of its namespace, which is made where it is not there."""
        if not self.kubectl("get", "serviceaccount", name, check=False):
            self.kubectl("create", "serviceaccount", name)
        token = self.kubectl("create", "token", name).strip()  # by the API's TokenRequest
        config = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
        config["users"][0]["user"] = {"token": token}
        path = folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def query(self, *words: str) -> Any:
        """The JSON answer of `kube9-operator query …` in the pod."""
        done = self.execute("kube9-operator", "query", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def pod(self) -> Any:
        """The pod as the API server has it."""
        return json.loads(self.kubectl("get", "pod", POD, "-o", "json"))

    def container(self, name: str, pod: str = POD) -> Any:
        """The status of a container; empty while the kubelet has none."""
        found = json.loads(self.kubectl("get", "pod", pod, "-o", "json", check=False) or "{}")
        statuses = found.get("status", {}).get("containerStatuses", [])
        return next((status for status in statuses if status["name"] == name), {})

    def claim(self) -> tuple[str, str]:
        """Uid of its volume claim, and the volume that it is bound to."""
        found = json.loads(self.kubectl("get", "pvc", "kube9-operator-data", "-o", "json"))
        assert found["status"]["phase"] == "Bound"
        return found["metadata"]["uid"], found["spec"]["volumeName"]

    def restarts(self, container: str) -> int:
        """How often the kubelet started a container again."""
        return int(self.container(container)["restartCount"])

    def inside(self, container: str) -> Container:
        """A container as the node has it."""
        return Container(self.container(container)["containerID"].partition("//")[2])

    def probe(self, path: str) -> str:
        """What the recorder answers at a path such as livez; nothing where it answers no 200."""
        return kubectl("get", "--raw", f"/api/v1/namespaces/{self.namespace}/pods/{POD}:8080/proxy/{path}", check=False)

    def events(self, *words: str) -> list[Any]:
        """All events of `query events list` in the pod, however many."""
        done = self.execute("kube9", "query", "events", "list", "--all", "--format", "jsonl", *words)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def gaps(self) -> list[Any]:
        """The stretches of the last hour that were not watched, from the first recording on."""
        found = self.query("events", "list", "--since", "1h", "--limit", "1")["coverage"]["gaps"]
        return [gap for gap in found if gap["cause"] != "before_first_recording"]

    def status(self) -> Any:
        """The JSON in the status ConfigMap; None before the first."""
        data = json.loads(self.kubectl("get", "configmap", "kube9-operator-status", "-o", "json")).get("data") or {}
        return json.loads(data["status"]) if "status" in data else None

    def remove(self, *, wait: bool = True) -> None:
        """Uninstall it, and throw its data away. Without `wait` that goes on behind it; use the namespace no more."""
        helm("uninstall", self.release, "--namespace", self.namespace, *(["--wait", "--timeout=60s"] if wait else []))
        kubectl("delete", "namespace", self.namespace, f"--wait={wait}".lower(), seconds=90)
        kubectl("delete", "pv", f"kube9-{self.namespace}", "--ignore-not-found", f"--wait={wait}".lower())
        if wait:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _make_volume(self) -> None:
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"kube9-{self.namespace}"},
            "spec": {
                "capacity": {"storage": "5Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": self.storage_class,
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": str(self.folder)},
                "claimRef": {"namespace": self.namespace, "name": "kube9-operator-data"},
            },
        }
        kubectl("apply", "-f", "-", stdin=json.dumps(volume))


def wait_for_service_account(namespace: str) -> None:
    """A new namespace has its default account a moment later."""
    wait_for("its service account", lambda: kubectl("-n", namespace, "get", "serviceaccount", "default", check=False))

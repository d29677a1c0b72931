"""A command in the operator's pod, by `kubectl exec`: which pod, what came of it, and why there was no answer.

The chart's pod has a fixed name, so one call of kubectl is enough; a pod is looked for only where that fails, which costs half
as much again. kubectl ends with the exit code of the command and a last line that says so; without that line it has failed
itself.
"""

import select

from kube9 import errors, kubectl
from kube9.caller import CALLER, SILENCE_S
from kube9.kubectl import ERR, OUT, Child, Place

POD = "kube9-operator-0"
CONTAINER = "operator"
PROGRAM = "kube9"  # which writes UTF-8; kube9-operator writes JSON in ASCII, for the extension
LABEL = "app.kubernetes.io/name=kube9-operator"
LOOKED_FOR_S = 30.0  # for finding the pod
TRAILER = b"command terminated with exit code "
KILLED = (137, 143)  # by SIGKILL, by SIGTERM: nothing was said then
WHY_KILLED = "it took more memory than it may: ask for less; or the pod was stopped: try again"
# How lines begin that kubectl writes when it fails itself. kube9's own last words are held back with them, to the end.
LAST_WORDS = (b"E", b"error:", b"Unable to connect", b"The connection to the server")
ROLE = "bind the Role kube9-operator-reader of namespace {}, which the chart makes (get and list of pods, create of pods/exec)"
INSTALLED = "is kube9 installed there? --operator-namespace names another"
AWAY = "try again, or look at the network and at the context"
# What kubectl says when it fails, in part; our error, its message, and what to do. {} is the namespace.
FAILURES: tuple[tuple[str, type[errors.Kube9Error], str, str], ...] = (
    ("Forbidden", errors.PermissionDenied, "the cluster does not let you ask the operator", ROLE),
    ("logged in to the server", errors.PermissionDenied, "the cluster does not know who you are", "log in again"),
    ("getting credentials", errors.PermissionDenied, "kubectl got no credentials", "log in again"),
    ('namespaces "', errors.Unavailable, "there is no namespace {}", INSTALLED),
    ("context was not found", errors.Unavailable, "there is no such context", "kubectl config get-contexts lists them"),
    ('context "', errors.Unavailable, "there is no such context", "kubectl config get-contexts lists them"),
    ("error loading config file", errors.Unavailable, "the kubeconfig cannot be read", "--kubeconfig or $KUBECONFIG names it"),
    ("invalid configuration", errors.Unavailable, "the kubeconfig is not whole", "--kubeconfig or $KUBECONFIG names it"),
    ("Unable to connect", errors.Unavailable, "the API server cannot be reached", AWAY),
    ("connection to the server", errors.Unavailable, "the API server cannot be reached", AWAY),
    ("executable file not found", errors.Unavailable, f"the operator's container has no {PROGRAM}", INSTALLED),
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any


class Exec:
    """A command that runs in the operator's pod; a context manager that ends it there and here.

    Args:
        place: where the operator runs.
        words: the words behind the name of the program, which get there as they are.
        environment: further variables of the command, each as NAME=VALUE.

    Raises:
        Unavailable, InvalidArgument: as `kubectl.Child`.
    """

    def __init__(self, place: Place, words: list[str], environment: list[str] | None = None) -> None:
        self.poll = select.poll()
        self._place, self._pod, self._looked = place, POD, False
        self._command = ["env", f"{CALLER}={SILENCE_S}", *(environment or []), PROGRAM, *words]
        self._start()

    def _start(self) -> None:
        self._begun, self._said = False, b""
        target = ["exec", "--stdin", *self._place.words(), f"--container={CONTAINER}", self._pod]
        self._child = Child([*target, "--", *self._command], self.poll)

    def __enter__(self) -> "Exec":
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: BaseException | None, trace: "TracebackType | None") -> None:
        self._child.end()

    def send(self, data: bytes) -> None:
        """Write to the stdin of the command."""
        self._child.send(data)

    def read(self, timeout_s: float) -> "tuple[kubectl.Arrived, int | None]":
        """What comes within so many seconds, as `kubectl.Child.read` has it, and at the end the exit code of the command.

        Raises:
            PermissionDenied, Unavailable: there is no answer, or no whole one, because of what stands between.
        """
        found = []
        for kind, data in self._child.read(timeout_s):
            if kind == ERR:
                data = self._let_through(data)
            self._begun = self._begun or kind == OUT
            if data or kind >= 0:
                found.append((kind, data))
        code = self._child.code
        if code is None:
            return found, None
        trailer = TRAILER + b"%d\n" % code
        if code and not self._said.endswith(trailer):
            self._fail(code)
            return found, None
        if code in KILLED:
            raise errors.Unavailable("the query was killed in the operator's pod", WHY_KILLED)
        said = self._said[: -len(trailer)] if code else self._said
        if said:
            found.append((ERR, said))
            self._said = trailer if code else b""
        return found, code

    def _let_through(self, data: bytes) -> bytes:
        """What of stderr is surely the command's; the rest waits for the end, which tells whose it is."""
        self._said += data
        at = 0
        for line in self._said.splitlines(keepends=True):
            if line.startswith(LAST_WORDS) or TRAILER in line or not line.endswith(b"\n"):
                break
            at += len(line)
        passed, self._said = self._said[:at], self._said[at:]
        return passed

    def _fail(self, code: int) -> None:
        """kubectl has failed itself: try another pod, where none of the answer has come yet, or raise."""
        lines = self._said.decode(errors="replace").splitlines()
        said = "\n".join(line for line in lines if not (line[:1] == "E" and line[1:2].isdigit()))  # klog repeats itself
        error = failure(self._place, said)
        if error is None and not self._begun and not self._looked:
            self._looked = True
            pod = find(self._place)
            if pod != self._pod:
                self._child.end()
                self._pod = pod
                self._start()
                return
        how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
        what = "the answer broke off" if self._begun else "the operator could not be asked"
        raise error or errors.Unavailable(what, f"try again\nkubectl: {said.strip() or how}")


def run(place: Place, words: list[str], timeout_s: float) -> bytes | None:
    """What a command writes to stdout; None where it fails, or is not done in so many seconds. Raises as `Exec`."""
    import time

    until = time.monotonic() + timeout_s
    written = b""
    with Exec(place, words) as command:
        code = None
        while code is None and (left := until - time.monotonic()) > 0:
            arrived, code = command.read(min(left, kubectl.LOOK_S))
            written += b"".join(data for kind, data in arrived if kind == OUT)
    return written if code == 0 else None


def failure(place: Place, said: str) -> errors.Kube9Error | None:
    """The error for what kubectl said when it failed; None where it may have been about the pod."""
    for part, error, message, todo in FAILURES:
        if part in said:
            return error(message.format(place.namespace), f"{todo.format(place.namespace)}\nkubectl: {said.strip()}")
    return None


def find(place: Place) -> str:
    """The name of the operator's pod: the newest whose container is ready.

    Raises:
        PermissionDenied, Unavailable: there is none, or it cannot be looked for.
    """
    from json import loads  # 4 ms, on the way to an error in most cases

    # --raw: without a look at what the server has besides, which is as many requests again
    path = f"/api/v1/namespaces/{place.namespace}/pods?labelSelector={LABEL.replace('/', '%2F').replace('=', '%3D')}"
    code, out, err = kubectl.run(["get", *place.words(), "--raw", path], LOOKED_FOR_S)
    if code is None:
        raise errors.Unavailable("the API server does not answer", f"within {LOOKED_FOR_S:.0f} s: {AWAY}")
    said = err.decode(errors="replace")
    if code:
        raise failure(place, said) or errors.Unavailable(
            "the operator's pod could not be looked for", f"kubectl: {said.strip()}"
        )
    try:
        pods = sorted(loads(out)["items"], key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    except (ValueError, KeyError, TypeError):
        raise errors.Unavailable("the API server's answer is no list of pods", path) from None
    if not pods:
        what = f"there is no operator in namespace {place.namespace}"
        raise errors.Unavailable(what, f"no pod there has the label {LABEL}: {INSTALLED}")
    for pod in pods:
        if _container(pod).get("ready") and "deletionTimestamp" not in pod["metadata"]:
            return str(pod["metadata"]["name"])
    why = f"kubectl describe pod -n {place.namespace} {pods[0]['metadata']['name']}"
    states = "; ".join(f"{pod['metadata']['name']}: {_state(pod)}" for pod in pods)
    raise errors.Unavailable("the operator's pod is not ready", f"{states}: try again, or see {why}")


def _container(pod: "dict[str, Any]") -> "dict[str, Any]":
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return next((status for status in statuses if status.get("name") == CONTAINER), {})


def _state(pod: "dict[str, Any]") -> str:
    """How the pod's container is, in a few words."""
    if "deletionTimestamp" in pod["metadata"]:
        return "it is being deleted"
    for kind, about in (_container(pod).get("state") or {}).items():
        return f"{kind} {about.get('reason', '')}".strip()
    return str(pod.get("status", {}).get("phase", "unknown"))

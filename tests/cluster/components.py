"""The parts of the test cluster: killed, held, and started again."""

import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cluster.api import connect, wait_for

CLUSTER = Path(__file__).parent / "cluster.py"
KUBELET = ("10.89.0.1", 10250)
numbers = itertools.count()


def kill(*names: str) -> None:
    """Kill components of the cluster, and wait until they are gone: until then they hold their ports."""
    killed = _signal(signal.SIGKILL, names)
    wait_for("they are gone", lambda: not any(_lives(pid) for pid in killed))


def start(*names: str, flags: tuple[str, ...] = ()) -> None:
    """Start them again, with more flags from now on, and wait for the API server."""
    for name in names:
        subprocess.run([sys.executable, str(CLUSTER), "start", name, *flags], check=True)

    def ready() -> bool:
        try:
            with closing(connect()) as asking:
                asking.make_namespace("probe-of-the-tests")  # its admission plugins are ready later than its answers
                asking.make_event("probe-of-the-tests", f"ready-{next(numbers)}")
        except (OSError, RuntimeError):
            return False
        return True

    wait_for("the API server takes events", ready)


def start_node() -> None:
    """Start containerd and the kubelet, which ends where containerd is not ready yet: again and again, as an init does."""
    start("containerd")

    def answers() -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(KUBELET) == 0

    def stays() -> bool:
        start("kubelet")
        try:
            return bool(wait_for("the kubelet answers", answers, 3))
        except AssertionError:
            return False

    wait_for("the kubelet stays", stays)


@contextmanager
def held(*names: str) -> Iterator[None]:
    """Components that hang: they take connections, because the kernel does, and answer nothing."""
    _signal(signal.SIGSTOP, names)
    try:
        yield
    finally:
        _signal(signal.SIGCONT, names)


def _signal(number: int, names: tuple[str, ...]) -> list[int]:
    """Signal components. Returns the pids of those that there were."""
    found = []
    for name, pid in [line.split() for line in Path(os.environ["CLUSTER_PIDS"]).read_text().splitlines()]:
        if name in names:
            try:
                os.kill(int(pid), number)
            except ProcessLookupError:
                continue  # it was killed before
            found.append(int(pid))
    return found


def _lives(pid: int) -> bool:
    """Whether a process has anything left; one that nobody has waited for has not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"

"""A container of the test node, seen from the node: what its cgroup counts, and the end of its processes."""

import os
import signal
import subprocess
from pathlib import Path

MEMORY = Path("/sys/fs/cgroup/memory/k8s.io")  # the node runs cgroup v1


class Container:
    """A container of containerd's, by its id."""

    def __init__(self, identity: str) -> None:
        self.identity, self._cgroup = identity, MEMORY / identity

    def kill(self) -> None:
        """`kill -9` of all its processes, as the kernel or a power cut does it: nobody is told."""
        for pid in self._processes():
            os.kill(pid, signal.SIGKILL)

    def peak_bytes(self) -> int:
        """The most memory that it had since it began, or since `forget_peak`: its processes, and what it put into caches."""
        return int((self._cgroup / "memory.max_usage_in_bytes").read_text())

    def forget_peak(self) -> None:
        """Begin to look for the peak anew."""
        (self._cgroup / "memory.max_usage_in_bytes").write_text("0")

    def working_bytes(self) -> int:
        """What it has now and the kernel could not take back at once, as the kubelet counts it."""
        usage = int((self._cgroup / "memory.usage_in_bytes").read_text())
        return usage - self.counted("total_inactive_file")

    def counted(self, name: str) -> int:
        """One number of memory.stat, in bytes."""
        lines = dict(line.split() for line in (self._cgroup / "memory.stat").read_text().splitlines())
        return int(lines[name])

    def _processes(self) -> list[int]:
        return [int(pid) for pid in (self._cgroup / "cgroup.procs").read_text().split()]


def all_of_the_node() -> list[Container]:
    """Every container, those that hold the network of a pod among them."""
    command = ["ctr", "-a", os.environ["CONTAINERD_ADDRESS"], "-n", "k8s.io", "containers", "list", "--quiet"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.split()
    return [Container(identity) for identity in found if (MEMORY / identity).exists()]

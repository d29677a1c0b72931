"""What a node does to the pod: it is killed, starved and cut off, comes back by itself, and nothing is lost or told twice."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import components
from cluster.api import Api, wait_for
from cluster.containers import all_of_the_node
from cluster.operator_pod import POD, USER, Operator
from test_cluster import api  # noqa: F401 - a fixture

pytestmark = pytest.mark.node
MIB = 1024 * 1024
VOLUME_MIB = 32
MANY_EVENTS, MANY_PODS = 30_000, 1_000
# Processes of 20 MiB each, one after the other: none is as large as the recorder, which the kernel therefore ends.
EAT = """
for each in 1 2 3 4 5 6 7 8 9 10; do
  python3 -IS -c 'import time; eaten = b"x" * (20 << 20); time.sleep(60)' &
  sleep 0.5
done
wait
"""


class Made:
    """Events of a namespace of its own, made without a pause while something happens."""

    def __init__(self, api: Api, **changes: object) -> None:  # noqa: F811
        self.api, self.namespace, self.changes = api, api.make_namespace(f"survives-{time.time_ns()}"), changes
        self.names: list[str] = []

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """Make them in the background, beginning before and ending after what happens."""
        enough, begun = threading.Event(), threading.Event()

        def make() -> None:
            while not enough.wait(0.01):
                name = f"made-{len(self.names)}"
                self.api.make_event(self.namespace, name, **self.changes)
                self.names.append(name)
                begun.set()

        with ThreadPoolExecutor(1) as pool:
            making = pool.submit(make)
            begun.wait(30)
            try:
                yield
            finally:
                enough.set()
        making.result()

    def are_there_once(self, operator: Operator) -> None:
        """Wait until all are recorded, each in one row."""

        def rows() -> list[tuple[str, int]]:
            done = operator.execute("true")
            return (
                sorted((e["object_name"], e["count"]) for e in operator.events("-n", self.namespace))
                if not done.returncode
                else []
            )

        wait_for("all are recorded", lambda: len(rows()) >= len(self.names))
        assert rows() == sorted((name, 1) for name in self.names)


@pytest.fixture
def made(api: Api) -> Made:  # noqa: F811
    return Made(api)


def is_back(operator: Operator, before: str) -> bool:
    """Whether the recorder is another one than before, and ready."""
    found = operator.container("recorder")
    return found.get("ready", False) and found["containerID"] != before


def new_gaps(operator: Operator, before: list, cause: str) -> list:
    """The gaps of a cause that were not there before."""
    known = {gap["from"] for gap in before}
    return [gap for gap in operator.gaps() if gap["cause"] == cause and gap["from"] not in known]


def survived(operator: Operator, made: Made, before: tuple[str, list], cause: str = "not_running") -> None:
    """It is back, with all that was made, and says what it missed and that it has been recovered."""
    identity, gaps = before
    wait_for("it is back", lambda: is_back(operator, identity), 120)
    made.are_there_once(operator)
    found = wait_for("the gap is told", lambda: new_gaps(operator, gaps, cause))
    assert all(gap["recovered"] for gap in found)
    wait_for("it is healthy", lambda: operator.query("status")["health"] == "healthy")


def recorder(operator: Operator) -> tuple[str, list]:
    """Which recorder it is, and the gaps that are known."""
    wait_for("it is ready", lambda: operator.container("recorder").get("ready"))
    return operator.container("recorder")["containerID"], operator.gaps()


@pytest.mark.scenario("REC-29", "COV-05")
def test_a_recorder_that_is_killed(operator: Operator, made: Made) -> None:
    before, asked = recorder(operator), operator.restarts("operator")
    with made.meanwhile():
        operator.inside("recorder").kill()
        wait_for("it is back", lambda: is_back(operator, before[0]))
    survived(operator, made, before)
    assert operator.restarts("operator") == asked


@pytest.mark.scenario("REC-29")
def test_a_pod_that_is_deleted_without_grace(operator: Operator, made: Made) -> None:
    before, uid = recorder(operator), operator.pod()["metadata"]["uid"]
    with made.meanwhile():
        operator.kubectl("delete", "pod", POD, "--force", "--grace-period=0")
        wait_for("it is back", lambda: is_back(operator, before[0]), 120)
    assert operator.pod()["metadata"]["uid"] != uid
    survived(operator, made, before)


def test_a_recorder_that_the_kernel_kills_for_want_of_memory(operator: Operator, made: Made) -> None:
    before = recorder(operator)
    with made.meanwhile():
        eaters = operator.begin("exec", POD, "-c", "recorder", "--", "sh", "-c", EAT)
        wait_for("it is back", lambda: is_back(operator, before[0]), 90)
        eaters.communicate(timeout=60)
    end = operator.container("recorder")["lastState"]["terminated"]
    assert (end["reason"], end["exitCode"]) == ("OOMKilled", 137)
    survived(operator, made, before)
    kills = wait_for("it tells of itself", lambda: operator.events("--object-name", POD, "--reason", "OOMKilled"))
    assert {kill["metadata"]["container"] for kill in kills} == {"recorder"}


@pytest.mark.parametrize("lost", ["kubelet and containerd", "all that ran"])
def test_a_node_that_is_restarted(operator: Operator, made: Made, lost: str) -> None:
    before = recorder(operator)
    with made.meanwhile():
        containers = all_of_the_node()
        components.kill("kubelet", "containerd")
        if lost == "all that ran":
            for container in containers:
                container.kill()
        components.start_node()
        if lost == "all that ran":
            wait_for("it is back", lambda: is_back(operator, before[0]), 120)
        else:
            wait_for("an exec", lambda: operator.execute("true").returncode == 0)
    if lost == "all that ran":
        survived(operator, made, before)
    else:
        made.are_there_once(operator)
        assert recorder(operator) == before, "it went on: nothing is missing"


def test_it_lives_within_its_memory(operator: Operator, api: Api) -> None:  # noqa: F811
    namespace = api.make_namespace("crowded")
    before, restarts = recorder(operator)[0], operator.restarts("recorder")
    for index in range(MANY_PODS):  # nobody schedules them: they are objects to watch, and nothing runs
        spec = {"schedulerName": "nobody", "containers": [{"name": "idle", "image": "none.invalid/idle:1"}]}
        api.request("POST", f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": f"pod-{index}"}, "spec": spec})
    api.make_events(namespace, MANY_EVENTS)

    def recorded() -> int:
        return operator.query("events", "list", "-n", namespace, "--limit", "1")["pagination"]["total"]

    wait_for("all is recorded", lambda: recorded() == MANY_EVENTS, 120)
    assert operator.container("recorder")["containerID"] == before
    inside = operator.inside("recorder")
    print(f"recorder, {MANY_EVENTS} events as they came: peak {inside.peak_bytes() / MIB:.0f} MiB", end=", ")
    print(f"working set {inside.working_bytes() / MIB:.0f} MiB")
    inside.kill()
    wait_for("it is back", lambda: is_back(operator, before), 120)
    wait_for("it is healthy", lambda: operator.query("status")["health"] == "healthy")
    assert operator.restarts("recorder") == restarts + 1
    assert operator.container("recorder")["lastState"]["terminated"]["reason"] == "Error", (
        "it was this kill, and none for memory"
    )
    inside = operator.inside("recorder")
    print(f"recorder, a start with {MANY_EVENTS} events: peak {inside.peak_bytes() / MIB:.0f} MiB", end=", ")
    print(f"working set {inside.working_bytes() / MIB:.0f} MiB")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Operator]:
    """A release whose volume is a file system of 32 MB. It leaves out what other tests made so many of."""
    folder = Path(os.environ["CLUSTER_DIR"]) / "volumes" / "kube9-small"
    folder.mkdir(parents=True, exist_ok=True)
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(VOLUME_MIB * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", disk], check=True, timeout=30)
    subprocess.run(["mount", "-o", "loop", disk, folder], check=True, timeout=30)
    os.chown(folder, USER, USER)
    running = Operator("kube9-small")
    running.install(rules={"files": {"rules.yaml": "version: 1\nrules: [{reason: BackOff, record: false}]\n"}})
    yield running
    running.kubectl("delete", "statefulset", "kube9-operator", "--wait")
    wait_for("its pod is gone", lambda: not running.kubectl("get", "pod", POD, check=False))
    subprocess.run(["umount", "--lazy", folder], check=True, timeout=30)


def fill(operator: Operator) -> Path:
    """Leave no room on the volume. Returns what takes it."""
    ballast = operator.folder / "ballast"
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (MIB, 4096, 1):
            try:
                while os.write(file, b"x" * size):
                    pass
            except OSError:
                continue
    finally:
        os.close(file)
    return ballast


@pytest.mark.scenario("REC-27", "DB-15")
def test_a_full_volume(small: Operator, api: Api) -> None:  # noqa: F811
    made = Made(api, reason="Unhealthy")
    before = recorder(small)
    ballast = fill(small)
    with made.meanwhile():
        wait_for("it is not ready", lambda: not small.probe("readyz"))
        assert small.probe("livez"), "a restart would not help"
        assert small.events() is not None, "questions are answered"
        # Whatever restarts it meanwhile, it then waits for room, too, and does not restart in a loop.
        small.inside("recorder").kill()
        wait_for("another one runs", lambda: small.restarts("recorder") and small.probe("livez"), 90)
        wait_for("and is not ready", lambda: not small.probe("readyz"))
        waiting = len(made.names)
        wait_for("much waits for room", lambda: len(made.names) > waiting + 300)
        ballast.unlink()
        wait_for("it is back", lambda: is_back(small, before[0]), 120)
    made.are_there_once(small)
    assert small.restarts("recorder") == 1, small.describe()
    found = wait_for("the gap is told", lambda: new_gaps(small, before[1], "storage_unavailable"))
    assert all(gap["recovered"] for gap in found)

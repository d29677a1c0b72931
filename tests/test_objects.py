"""Any history of objects, any break in reading it, any content: each change is told once, and nothing fails."""

import copy
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import (
    START,
    Recorded,
    autoscaler,
    claim,
    deployment,
    end,
    endpoint_slice,
    later,
    looping,
    make,
    namespace,
    node,
    pod,
    recording,
    running,
)

from kube9 import endpoints
from kube9.resources import WATCHED, Resource

NAMES = ("a", "b", "c")
ADDED, REMOVED, SCALED = "Node added to cluster", "Node removed from cluster", "Deployment scaled"
# What happens in the cluster, or to who records it; the number says to which object, or how far.
ACTIONS = ("create", "change", "delete", "replace", "read", "read", "list", "break off", "restart")
HISTORIES = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5)), max_size=40)


class Cluster:
    """Nodes, and deployments of the same names and uids, with every change that was made to them."""

    def __init__(self) -> None:
        self.present: dict[str, tuple[str, int, int]] = {}  # uid, replicas, version
        self.lines: list[tuple[str, str, tuple[str, int, int]]] = []
        self.version = 1

    def put(self, name: str, uid: str, replicas: int) -> None:
        self.version += 1
        self.present[name] = (uid, replicas, self.version)
        self.lines.append(("put", name, self.present[name]))

    def delete(self, name: str) -> None:
        self.version += 1
        uid, replicas, _ = self.present.pop(name)
        self.lines.append(("delete", name, (uid, replicas, self.version)))

    def act(self, action: str, name: str) -> None:
        uid, replicas, _ = self.present.get(name, ("", 1, 0))
        if action in ("delete", "replace") and uid:
            self.delete(name)
        if action == "replace" or (action == "create" and not uid):
            self.put(name, f"uid-{self.version}", replicas)
        if action == "change" and uid:
            self.put(name, uid, replicas + 1)


class Expected:
    """What must have been told, by what was read: plain sets and lists."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}
        self.seen: dict[str, list[int]] = {}  # the replicas of each uid, as they were read
        self.first: set[str] = set()  # what was there when recording began
        self.grounded = False

    def read(self, name: str, item: tuple[str, int, int], listed: bool) -> None:
        uid, replicas, version = item
        if version < self.newest.get(name, 0) and not listed:
            return  # a line that is older than what a list told of this name
        if uid not in self.seen and not self.grounded and name not in self.newest:
            self.first.add(uid)
        self.newest[name] = version
        self.seen.setdefault(uid, []).append(replicas)


class Reader:
    """Reads the cluster as a watch does: lists, then lines from where the last whole list or line was."""

    def __init__(self, cluster: Cluster, recorded: Recorded, expected: Expected) -> None:
        self.cluster, self.recorded, self.expected = cluster, recorded, expected
        self.position: int | None = None

    def act(self, action: str, number: int) -> None:
        self.recorded.wait(1)
        if action == "restart":
            self.recorded.restart()
        elif action == "break off":
            self.list(size=1, pages=number)
        elif action == "list" or self.position is None:
            self.list(size=number + 1)
        else:
            self.read(number)

    def list(self, size: int, pages: int | None = None) -> None:
        items = sorted(self.cluster.present.items())
        if pages is not None and pages * size >= max(len(items), 1):
            pages = None
        for name, item in items if pages is None else items[: pages * size]:
            self.expected.read(name, item, listed=True)
        for resource, made in (("nodes", self.nodes), ("deployments", self.deployments)):
            self.recorded.relist(resource, *(made(name, item) for name, item in items), size=size, pages=pages)
        if pages is None:
            self.position = len(self.cluster.lines)
            self.expected.grounded = True

    def read(self, count: int) -> None:
        assert self.position is not None
        lines = self.cluster.lines[self.position : self.position + count]
        self.position += len(lines)
        for kind, name, item in lines:
            if kind == "put":
                self.expected.read(name, item, listed=False)
        for resource, made in (("nodes", self.nodes), ("deployments", self.deployments)):
            present = [made(name, item) for kind, name, item in lines if kind == "put"]
            gone = tuple(made(name, item) for kind, name, item in lines if kind == "delete")
            self.recorded.lines(resource, *present, gone=gone)

    @staticmethod
    def nodes(name: str, item: tuple[str, int, int]) -> dict:
        return node(name, uid=item[0], version=item[2])

    @staticmethod
    def deployments(name: str, item: tuple[str, int, int]) -> dict:
        return deployment(name, item[1], uid=item[0], version=item[2])


@pytest.mark.scenario("REC-37")
@settings(max_examples=150, deadline=None)
@given(HISTORIES)
def test_each_change_is_told_once_whatever_happens_to_the_reading(history: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, recording(Path(folder) / "kube9.db") as recorded:
        cluster, expected = Cluster(), Expected()
        reader = Reader(cluster, recorded, expected)
        for action, number in history:
            cluster.act(action, NAMES[number % 3])
            if action in ("read", "list", "break off", "restart"):
                reader.act(action, number)
        reader.act("list", 1)
        check(recorded, cluster, expected)


def check(recorded: Recorded, cluster: Cluster, expected: Expected) -> None:
    rows = recorded.connection.execute("SELECT title, event_name, metadata FROM events").fetchall()
    uids = {title: sorted(name.split(":")[2] for found, name, _ in rows if found == title) for title in (ADDED, REMOVED)}
    assert uids[ADDED] == sorted(expected.seen.keys() - expected.first)
    assert uids[REMOVED] == sorted(expected.seen.keys() - {uid for uid, _, _ in cluster.present.values()})
    scaled = defaultdict(list)
    for row in recorded.rows(SCALED):
        metadata = row["metadata"]
        scaled[row["event_name"].split(":")[2]].append((metadata["previous_replicas"], metadata["new_replicas"]))
    for uid, replicas in expected.seen.items():
        steps = [(one, other) for one, other in itertools.pairwise(replicas) if one != other]
        assert sorted(scaled[uid]) == sorted(steps)
    assert recorded.known("nodes").keys() == cluster.present.keys()


@pytest.mark.scenario("REC-15")
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 70)), min_size=1, max_size=20))
def test_the_highest_number_of_the_last_minute(steps: list[tuple[int, int]]) -> None:
    known: dict = dict(endpoints.NOTHING)
    held: list[tuple[int, int]] = []  # each number with the second up to which it held
    second, number = 0, 0
    for count, seconds in steps:
        second += seconds
        held.append((second, number))
        number = count
        highest = max(before for until, before in [*held, (second, number)] if until > second - 60)
        known |= {"slices": 1, "ready": {"IPv4": number}}
        known, event = endpoints.fall(known, ("prod", "web"), later(second))
        assert (event is not None) == (number * 2 < highest)
        if event:
            assert event.metadata["previous_endpoints"] == highest
            return  # whether it may be told again is another rule


def test_the_documentation_says_what_is_derived(tmp_path: Path) -> None:
    with recording(tmp_path / "kube9.db") as recorded:
        for resource in ("nodes", "namespaces"):
            recorded.relist(resource)
        recorded.lines("nodes", node("a"))
        recorded.lines("nodes", gone=(node("a"),))
        recorded.lines("namespaces", namespace("a"))
        recorded.lines("namespaces", gone=(namespace("a"),))
        recorded.lines("deployments", deployment("a", 1), deployment("a", 2, version=2))
        recorded.lines("horizontalpodautoscalers", autoscaler("a", 1, 1), autoscaler("a", 1, 2, later(5), version=2))
        recorded.lines("pods", pod("a", looping(3, later(9), reason="OOMKilled")))
        recorded.lines("endpointslices", endpoint_slice("a", 3))
        recorded.wait(1)
        recorded.lines("endpointslices", endpoint_slice("a", 1, version=2))
        derived = {
            (
                row["title"],
                row["severity"],
                row["object_kind"],
                row["reason"],
                ", ".join(f"`{fact}`" for fact in row["metadata"]),
            )
            for row in recorded.rows()
        }
    lines = (ROOT / "docs" / "derived.md").read_text().splitlines()
    table = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("|")]
    assert set(table[2:]) == derived


SAMPLES = {
    "nodes": node("a"),
    "namespaces": namespace("a", ending=START),
    "replicasets": make("a", owner=("Deployment", "web")),
    "jobs": make("a", owner=("CronJob", "web")),
    "deployments": deployment("a", 3),
    "pods": pod("a", looping(3, later(9), reason="OOMKilled"), running(START, 1, end(later(5))), owner=("ReplicaSet", "rs")),
    "persistentvolumeclaims": claim("a"),
    "endpointslices": endpoint_slice("a", 3),
    "horizontalpodautoscalers": autoscaler("a", 2, 4, later(5)),
}
ODD = (
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "\ud800",
    "\0",
    "9" * 5000,
    [],
    {},
    [None],
    [[]],
    {"a": {}},
    "0001-01-01T00:00:00Z",
)


def paths(value: object, path: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, part in inner for deeper in paths(part, (*path, key)))]


@pytest.mark.parametrize("resource", [resource.name for resource in WATCHED])
def test_odd_objects_are_taken(tmp_path: Path, resource: str) -> None:
    sample = SAMPLES[resource]
    with recording(tmp_path / "kube9.db") as recorded:
        recorded.relist(resource, sample)
        for path in paths(sample)[1:]:
            for odd in ODD:
                changed = copy.deepcopy(sample)
                part = changed
                for key in path[:-1]:
                    part = part[key]
                part[path[-1]] = odd
                recorded.lines(resource, changed, sample, gone=(changed,))
        assert len(recorded.rows()) < 10_000


def test_every_watched_resource_is_tried_with_odd_objects() -> None:
    assert SAMPLES.keys() == {resource.name for resource in WATCHED}


@pytest.mark.parametrize("resource", WATCHED, ids=lambda resource: resource.name)
def test_what_a_watch_says_beside_objects_is_read(resource: Resource) -> None:
    status = {"kind": "Status", "metadata": {}, "status": "Failure", "message": "too old", "reason": "Expired", "code": 410}
    bookmark = {"kind": "Any", "metadata": {"resourceVersion": "12746", "creationTimestamp": None}, "spec": {}, "status": {}}
    lines = [{"type": "BOOKMARK", "object": bookmark}, {"type": "ERROR", "object": status}]
    (_, marked), (_, failed) = resource.wire.lines("\n".join(map(json.dumps, lines)).encode())
    assert marked["metadata"]["resourceVersion"] == "12746"
    assert (failed["code"], failed["reason"], failed["message"]) == (410, "Expired", "too old")


@pytest.mark.parametrize("resource", WATCHED, ids=lambda resource: resource.name)
def test_only_the_wanted_fields_are_decoded(resource: Resource) -> None:
    sample = copy.deepcopy(SAMPLES[resource.name])
    sample["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    for part in ("spec", "status"):
        sample.setdefault(part, {})["unwanted"] = "x" * 1000
    (read,) = resource.wire.page(json.dumps({"items": [sample]}).encode()).objects
    assert "managedFields" not in read["metadata"]
    assert "unwanted" not in json.dumps(read)
    assert resource.seen([read]) == resource.seen([sample])


SCALER = """
import sys
sys.path[:0] = ["tests"]
from pathlib import Path
from recorded import Recorded, deployment
recorder = Recorded(Path(sys.argv[1]))
found = recorder.connection.execute("SELECT resource_version FROM watch_position").fetchone()
if not found:
    recorder.relist("deployments", deployment("web", 0, version=0))
recorder.version = number = int(found[0]) if found else recorder.version
print("ready", flush=True)
while True:
    number += 1
    recorder.lines("deployments", deployment("web", number, version=number))
"""


@pytest.mark.scenario("REC-37")
def test_a_kill_at_any_moment_neither_repeats_nor_misses_a_change(tmp_path: Path) -> None:
    path = tmp_path / "kube9.db"
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", SCALER, str(path)], stdout=subprocess.PIPE, cwd=ROOT) as scaler:
            assert scaler.stdout
            assert scaler.stdout.readline() == b"ready\n"
            time.sleep(random.uniform(0.05, 0.2))
            scaler.kill()
    with recording(path) as recorded:
        steps = sorted((row["metadata"]["previous_replicas"], row["metadata"]["new_replicas"]) for row in recorded.rows())
        ((last,),) = recorded.connection.execute("SELECT resource_version FROM watch_position")
    assert len(steps) > 5
    assert steps == [(0, steps[0][1]), *[(number, number + 1) for number in range(steps[0][1], int(last))]]


def test_a_pod_takes_about_two_hundred_bytes(tmp_path: Path) -> None:
    with recording(tmp_path / "kube9.db") as recorded:
        owner = ("ReplicaSet", "checkout-service-7d4b9c5f6")
        uid = "8c5cb9b1-5c1d-4c59-9b7e-{:012}"
        pods = [
            pod(f"checkout-service-7d4b9c5f6-{number:05}", owner=owner, uid=uid.format(number), version=123_456_789)
            for number in range(2000)
        ]

        def pages() -> int:
            return recorded.connection.execute(
                "SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count"
            ).fetchone()[0]

        before = pages()
        recorded.relist("pods", *pods)
        ((page,),) = recorded.connection.execute("PRAGMA page_size")
        assert (pages() - before) * page / len(pods) < 260
        recorded.wait(1)
        recorded.relist("pods", *pods)  # a list without a change
        recorded.wait(1)
        recorded.relist("pods")
        assert recorded.known("pods") == {}


def test_resources_of_one_namespace_have_a_path() -> None:
    for resource in WATCHED:
        assert resource.path() == f"{resource.root}/{resource.name}"
        if resource.namespaced:
            assert resource.path("prod") == f"{resource.root}/namespaces/prod/{resource.name}"
        else:
            with pytest.raises(ValueError, match="in no namespace"):
                resource.path("prod")

"""Watched objects as the API server sends them, and a recorder that is given them page by page."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kube9 import migrations, times
from kube9.model import Batch, Event, Objects, Position
from kube9.resources import WATCHED
from kube9.upsert import write

START = "2026-03-01T10:00:00.000Z"
CLUSTER = "here"
BY_NAME = {resource.name: resource for resource in WATCHED}


def later(seconds: float, since: str = START) -> str:
    return times.iso(times.parse(since, 0) + round(seconds * 1000))


def second(time: str) -> str:
    """A time as the API server writes it."""
    return time[:19] + "Z"


class Recorded:
    """A database on disk that objects are recorded into, by a writer that can be started again at any moment."""

    def __init__(self, path: Path) -> None:
        self.path, self.now, self.version = str(path), START, 100
        self.cluster, self.namespace = CLUSTER, None
        self.connection = migrations.open_writer(self.path)

    def close(self) -> None:
        self.connection.close()

    def restart(self) -> None:
        self.connection.close()
        self.connection = migrations.open_writer(self.path)

    def watch(self, namespace: str | None) -> None:
        """From now on this namespace alone, or the whole cluster."""
        self.cluster, self.namespace = f"uid-of-{namespace}" if namespace else CLUSTER, namespace

    def wait(self, seconds: float) -> None:
        self.now = later(seconds, self.now)

    def lines(self, resource: str, *present: dict, gone: tuple = (), events: tuple[Event, ...] = ()) -> None:
        """Lines of a watch."""
        self._write(resource, present, gone, events=list(events))

    def relist(self, resource: str, *present: dict, size: int = 500, pages: int | None = None) -> None:
        """A list in pages of a size; only the first `pages` of them, when it breaks off."""
        parts = [present[start : start + size] for start in range(0, len(present), size)] or [()]
        for number, part in enumerate(parts[:pages]):
            self._write(resource, part, listed=True, whole=number == len(parts) - 1, at=self.now)

    def events(self, *events: Event) -> None:
        write(self.connection, [Batch(list(events), "watch", self.cluster, namespace=self.namespace)])

    def _write(
        self,
        resource: str,
        present: tuple,
        gone: tuple = (),
        *,
        listed: bool = False,
        whole: bool = False,
        at: str | None = None,
        events: list[Event] | None = None,
    ) -> None:
        # Through the wire, because that decides which fields there are.
        wire = BY_NAME[resource].wire
        read = wire.page(json.dumps({"items": [*present, *gone]}).encode()).objects
        seen = BY_NAME[resource].seen(read[: len(present)], read[len(present) :])
        self.version += 1
        position = Position(resource, str(self.version)) if whole or not listed else None
        objects = Objects(resource, seen, at or self.now, listed, whole)
        write(self.connection, [Batch(events or [], "watch", self.cluster, position, None, objects, self.namespace)])

    def rows(self, title: str | None = None) -> list[dict]:
        cursor = self.connection.execute("SELECT * FROM events ORDER BY created_at, id")
        cursor.row_factory = sqlite3.Row
        found = [dict(row) | {"metadata": json.loads(row["metadata"] or "{}")} for row in cursor]
        return [row for row in found if title in (None, row["title"])]

    def titles(self) -> list[tuple[str, str]]:
        return [(row["title"], row["object_name"]) for row in self.rows()]

    def known(self, resource: str) -> dict[str, dict]:
        found = self.connection.execute("SELECT name, state FROM watched_objects WHERE resource = ?", (resource,))
        return {name: json.loads(state) for name, state in found}


@contextmanager
def recording(path: Path) -> Iterator[Recorded]:
    recorder = Recorded(path)
    yield recorder
    recorder.close()


def make(name: str, namespace: str | None = "prod", *, uid: str = "", version: int = 1, owner: tuple | None = None) -> dict:
    metadata = {
        "name": name,
        "uid": uid or f"uid-of-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": second(START),
    }
    if namespace:
        metadata["namespace"] = namespace
    if owner:
        kind, owner_name = owner
        metadata["ownerReferences"] = [
            {"kind": "Backup", "name": "no-controller", "uid": "b"},
            {"kind": kind, "name": owner_name, "uid": "o", "controller": True},
        ]
    return {"metadata": metadata}


def node(name: str, *, made: str = START, zone: str | None = "eu-1a", **options) -> dict:
    made_node = make(name, None, **options)
    made_node["metadata"] |= {
        "creationTimestamp": second(made),
        "labels": {"topology.kubernetes.io/zone": zone} if zone else {},
    }
    return made_node | {"status": {"capacity": {"cpu": "4", "memory": "16Gi", "pods": "110"}}}


def namespace(name: str, *, made: str = START, ending: str | None = None, **options) -> dict:
    made_namespace = make(name, None, **options)
    made_namespace["metadata"] |= {"creationTimestamp": second(made)} | (
        {"deletionTimestamp": second(ending)} if ending else {}
    )
    return made_namespace | {"status": {"phase": "Terminating" if ending else "Active"}}


def deployment(name: str, replicas: int | None, **options) -> dict:
    spec = {} if replicas is None else {"replicas": replicas}
    return make(name, **options) | {"spec": spec, "status": {"replicas": 1}}


def autoscaler(name: str, current: int, desired: int, scaled: str | None = None, **options) -> dict:
    status = {"currentReplicas": current, "desiredReplicas": desired} | ({"lastScaleTime": second(scaled)} if scaled else {})
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "metrics": metrics}
    return make(name, **options) | {"spec": spec, "status": status}


def claim(name: str, size: str | None = "10Gi", storage_class: str | None = "fast", **options) -> dict:
    spec: dict = {"resources": {"requests": {"storage": size}}} if size else {}
    return make(name, **options) | {"spec": spec | ({} if storage_class is None else {"storageClassName": storage_class})}


def endpoint_slice(name: str, ready: int, unready: int = 0, *, service: str = "web", family: str = "IPv4", **options) -> dict:
    made = make(name, **options)
    made["metadata"]["labels"] = {"kubernetes.io/service-name": service}
    endpoints = [{"conditions": {"ready": True}}] * ready + [{"conditions": {"ready": False}}] * unready
    return made | {"addressType": family, "endpoints": endpoints}


def pod(name: str, *containers: dict, limit: str | None = "64Mi", **options) -> dict:
    names = [status["name"] for status in containers] or ["web"]
    resources = {"limits": {"memory": limit}} if limit else {}
    spec = {"nodeName": "node-1", "containers": [{"name": each, "resources": resources} for each in names]}
    return make(name, **options) | {"spec": spec, "status": {"containerStatuses": list(containers)}}


def end(finished: str, *, started: str | None = None, reason: str = "Error", code: int = 1) -> dict:
    began = started or later(-1, finished)
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": second(began), "finishedAt": second(finished)}}


def looping(restarts: int, crashed: str, name: str = "web", **of_end) -> dict:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    return {"name": name, "restartCount": restarts, "state": waiting, "lastState": end(crashed, **of_end)}


def running(started: str, restarts: int = 0, last: dict | None = None, name: str = "web") -> dict:
    state = {"running": {"startedAt": second(started)}}
    return {"name": name, "restartCount": restarts, "state": state, "lastState": last or {}}

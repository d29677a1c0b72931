"""Databases of made-up events for the benchmarks: 30 days, 60 namespaces of skewed size, a dozen reasons."""

import random
from pathlib import Path

from kube9 import migrations, rules, times
from kube9.model import Batch
from kube9.normalise import normalise
from kube9.upsert import write

DAY_MS = times.DAY_MS
REASONS = [
    ("Warning", "BackOff", "Back-off restarting failed container {name} in pod {pod}_{namespace}({uid})"),
    ("Warning", "Unhealthy", "Readiness probe failed: Get http://10.244.0.{byte}:8080/ready: dial tcp: connection refused"),
    ("Warning", "FailedScheduling", "0/{byte} nodes are available: {byte} Insufficient cpu. preemption: not helpful."),
    ("Warning", "FailedMount", 'MountVolume.SetUp failed for volume "config" : configmap "{name}-config" not found'),
    ("Warning", "Failed", 'Failed to pull image "registry.test.invalid/{name}:{byte}": manifest unknown'),
    ("Normal", "Scheduled", "Successfully assigned {namespace}/{pod} to node-{byte}"),
    ("Normal", "Pulled", 'Container image "registry.test.invalid/{name}:1.{byte}" already present on machine'),
    ("Normal", "Created", "Created container {name}"),
    ("Normal", "Started", "Started container {name}"),
    ("Normal", "Killing", "Stopping container {name}"),
    ("Normal", "SuccessfulCreate", "Created pod: {pod}"),
    ("Normal", "ScalingReplicaSet", "Scaled up replica set {name}-{byte} to {byte}"),
]
KINDS = {"SuccessfulCreate": "ReplicaSet", "ScalingReplicaSet": "Deployment"}


def database(path: Path, count: int, days: float = 30.0) -> Path:
    """A database of so many events that end now; made once a day, since their ages matter."""
    if path.exists() and times.now_ms() / 1000 - path.stat().st_mtime < 3600:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    connection = migrations.open_writer(str(path))
    connection.execute("PRAGMA synchronous=OFF")
    known, now, source = rules.built_in(), times.now_ms(), random.Random(9)
    for start in range(0, count, 10_000):
        size = min(10_000, count - start)
        events = [normalise(event(source, now, (start + index) / count, days), known) for index in range(size)]
        write(connection, [Batch(events, "import", "00000000-0000-4000-8000-000000000000")])
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def event(source: random.Random, now: int, age: float, days: float) -> dict[str, object]:
    """One core/v1 Event; `age` runs from 0, the oldest, to 1."""
    kind_of_event, reason, message = source.choices(REASONS, weights=[9, 8, 3, 3, 2, 9, 9, 9, 9, 5, 4, 2])[0]
    namespace = f"team-{int(60 * source.random() ** 3)}"
    name = f"service-{source.randrange(40)}"
    pod = f"{name}-{source.getrandbits(40):010x}-{source.getrandbits(20):05x}"
    uid = f"{source.getrandbits(32):08x}-0000-4000-8000-{source.getrandbits(48):012x}"
    first = now - int((1 - age) * days * DAY_MS)
    repeats = source.choice([1, 1, 1, 1, 1, 3, 12]) if kind_of_event == "Warning" else 1
    last = min(now, first + (repeats - 1) * 60_000)
    subject = KINDS.get(reason, "Pod")
    words = {"name": name, "pod": pod, "namespace": namespace, "uid": uid, "byte": source.randrange(1, 250)}
    return {
        "metadata": {"name": f"{pod}.{source.getrandbits(60):016x}", "namespace": namespace, "uid": uid},
        "involvedObject": {"kind": subject, "namespace": namespace, "name": pod if subject == "Pod" else name},
        "type": kind_of_event,
        "reason": reason,
        "message": message.format(**words),
        "source": {"component": "kubelet", "host": f"node-{source.randrange(100)}"},
        "firstTimestamp": times.iso(first - first % 1000),
        "lastTimestamp": times.iso(last - last % 1000),
        "count": repeats,
    }

"""What the coverage adds to an answer: reading it beside the rows, with 10,000 stretches of watching in the database.

    python bench/coverage.py [--stretches N] [--rounds N]

Printed are medians: of the time on the clock, and of the processor's, which other work on the machine does not change. Each
round opens the file anew, as a command does.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from kube9 import coverage, migrations, store, times

SEVERITIES = ["info", "warning", "error", "critical"]
RESOURCES = ["events", "nodes", "namespaces", "pods", "deployments", "endpointslices", "claims", "autoscalers"]
EVERY_MS, WATCHED_MS, DAY_MS = 260_000, 200_000, 86_400_000
STRETCH = "INSERT INTO coverage (resource, from_at, to_at, cause, recovered_from) VALUES (?, ?, ?, 'not_running', ?)"
BEAT = "INSERT INTO heartbeat VALUES (1, ?, ?, 1, '0', 'healthy', 0, 0, ?, '[]', NULL)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stretches", type=int, default=10_000, help="of each resource")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    now_ms = times.now_ms()
    windows = {"1h": now_ms - 3_600_000, "24h": now_ms - DAY_MS, "from the first recording": None}
    for resources in (RESOURCES[:1], RESOURCES):
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "kube9.db")
            fill(path, resources, options.stretches, now_ms)
            for name, since_ms in windows.items():
                found = measure(path, since_ms, now_ms, options.rounds)
                label = f"{len(resources)} × {options.stretches:,} stretches, {name}"
                clock, processor = (statistics.median(times_ms) for times_ms in zip(*found, strict=True))
                print(f"{label:50} {clock:5.2f} ms, {processor:5.2f} ms of the processor")


def fill(path: str, resources: list[str], stretches: int, now_ms: int) -> None:
    """A database whose recorder was killed every few minutes, until now."""
    migrations.migrate(path)
    connection = migrations.open_writer(path)
    connection.execute("BEGIN")
    for number in range(stretches, 0, -1):
        first = now_ms - number * EVERY_MS
        row = (times.iso(first), times.iso(first + WATCHED_MS), times.iso(first - EVERY_MS + WATCHED_MS))
        connection.executemany(STRETCH, [(resource, *row) for resource in resources])
    connection.execute(BEAT, (times.iso(now_ms), times.iso(now_ms), json.dumps({resource: {} for resource in resources})))
    connection.execute("COMMIT")
    connection.close()


def measure(path: str, since_ms: int | None, now_ms: int, rounds: int) -> list[tuple[float, float]]:
    """Milliseconds of each reading of the coverage, of the clock and of the processor."""
    found = []
    since = None if since_ms is None else times.iso(since_ms)
    for _ in range(rounds):
        with store.open_reader(path) as reader:
            reader.connection.execute("SELECT 1 FROM events LIMIT 1").fetchall()  # the schema is read for the rows anyway
            started, worked = time.perf_counter(), time.thread_time()
            coverage.read(reader.connection, since, None, severities=SEVERITIES, now_ms=now_ms)
            found.append(((time.perf_counter() - started) * 1000, (time.thread_time() - worked) * 1000))
    return found


if __name__ == "__main__":
    main()

"""Killed again and again under load: is anything lost, twice, or counted wrong?

    APISERVER_FLAGS=--event-ttl=20s python tests/cluster/cluster.py run -- .venv/bin/python bench/kill.py \\
        [--kills 100] [--victim recorder|server|both ...] [--rate 400]

`kube9 serve` is killed with `kill -9` at random moments (the API server likewise), while events are created, repeated,
expire, and are created again under the same name with another uid (bench/load.py). Afterwards each event must have
exactly one row with its newest count, its occurrences must sum up to that count, and each gap in the coverage must be
recovered. Exit code 1 when anything is wrong.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import load  # noqa: E402
from cluster.api import connect  # noqa: E402

from kube9 import times  # noqa: E402

OCCURRENCES = "SELECT event_id, sum(count) FROM occurrences GROUP BY event_id"
ROWS = """
SELECT id, object_name, event_name, created_at, count, last_seen_at
FROM events
WHERE event_namespace IS NULL AND object_namespace = ?
"""
GAPS = """
SELECT later.from_at, later.cause, later.recovered_from,
       (SELECT max(earlier.to_at) FROM coverage AS earlier WHERE earlier.resource = 'events' AND earlier.id < later.id)
FROM coverage AS later
WHERE later.resource = 'events'
ORDER BY later.id
"""
CATCH_UP_S = 120.0


def main() -> int:
    """Kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--victim", choices=("recorder", "server", "both"), nargs="+", default=["recorder"], help="in turn")
    parser.add_argument("--rate", type=float, default=400)
    parser.add_argument("--ttl", type=float, default=20, help="the API server's --event-ttl, in seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        database, truth = Path(work, "kube9.db"), Path(work, "truth.json")
        recorder = start(database, options.ttl)
        loader = subprocess.Popen(
            [
                sys.executable,
                str(ROOT / "bench" / "load.py"),
                str(truth),
                "--rate",
                str(options.rate),
                "--ttl",
                str(options.ttl),
            ]
        )
        try:
            time.sleep(3)
            killed_at = ""
            for number, victim in enumerate(islice(cycle(options.victim), options.kills)):
                if number % 5:  # the others are killed wherever they are, often before they have connected
                    wait_until(recorder, lambda before=killed_at: watched_until(database) > before)
                time.sleep(random.uniform(0, 1.5))
                killed_at = times.iso(times.now_ms())
                if victim in ("server", "both"):
                    kill_server(together=recorder if victim == "both" else None)
                if victim in ("recorder", "both"):
                    recorder.kill()
                    recorder.wait()
                    recorder = start(database, options.ttl)
                print(f"\r{number + 1} kills", end="", file=sys.stderr, flush=True)
            time.sleep(2)
            loader.send_signal(signal.SIGTERM)
            loader.wait(120)
            wrong = compare(json.loads(truth.read_text()), database, options)
        finally:
            for process in (loader, recorder):
                process.kill()
                process.wait()
    return 1 if wrong else 0


def wait_until(recorder: subprocess.Popen, condition: Callable[[], bool]) -> None:
    """Wait for the condition while the recorder runs, at most 30 s."""
    deadline = time.monotonic() + 30
    while recorder.poll() is None and not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def watched_until(database: Path) -> str:
    """Up to when events have been read; empty when it did not begin yet."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT max(to_at) FROM coverage WHERE resource = 'events'").fetchone()[0] or ""
    except sqlite3.Error:
        return ""


def start(database: Path, ttl_s: float) -> subprocess.Popen:
    """A `kube9 serve` that records everything."""
    environment = os.environ | {"KUBE9_RECORD": "all", "KUBE9_EVENT_TTL": f"{ttl_s:.0f}s", "HEALTH_PORT": "0"}
    command = [sys.executable, "-m", "kube9", "serve", "--db", str(database), "--log-level", "error"]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def kill_server(together: subprocess.Popen | None) -> None:
    """Kill the API server, and the recorder with it, and start the server again."""
    pids = [line.split() for line in Path(os.environ["CLUSTER_PIDS"]).read_text().splitlines()]
    os.kill(int([pid for name, pid in pids if name == "kube-apiserver"][-1]), signal.SIGKILL)
    if together:
        together.kill()
    time.sleep(random.uniform(0, 0.5))
    program = [sys.executable, str(ROOT / "tests" / "cluster" / "cluster.py"), "start", "kube-apiserver"]
    subprocess.run(program, check=True)
    api, deadline = connect(), time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            api.request("GET", "/api/v1/namespaces/kube-system")
            return
        except (OSError, RuntimeError):
            api.forget()
            time.sleep(0.2)
    raise SystemExit("the API server did not start again")


def compare(truth: dict, database: Path, options: argparse.Namespace) -> list[str]:
    """Wait until all is recorded, or for so long; then tell what differs. Prints the summary."""
    expected = {name: (full(created), count, full(last)) for name, (created, count, last, _) in truth["events"].items()}
    deadline, found = time.monotonic() + CATCH_UP_S, {}
    while time.monotonic() < deadline:
        rows, occurrences, gaps = read(database)
        found = {name: facts for name, *facts in rows}
        if {name: tuple(facts[1:]) for name, facts in found.items()} == expected:
            break
        time.sleep(0.5)
    lost = [name for name in expected if name not in found]
    twice = len(rows) - len(found)
    strange = [name for name in found if name not in expected]
    miscounted = [name for name in expected if name in found and tuple(found[name][1:]) != expected[name]]
    sums = [name for name, (key, _, count, _) in found.items() if occurrences.get(key, count) != count]
    causes: dict[str, int] = {}
    open_gaps = 0
    for _, cause, recovered_from, before in gaps:
        if before is not None:
            causes[cause] = causes.get(cause, 0) + 1
            open_gaps += recovered_from is None or recovered_from > before
    made = truth["counts"]
    seconds = made.pop("seconds")
    made_text = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in made.items())
    gaps_text = ", ".join(f"{number} {cause}" for cause, number in causes.items()) or "none"
    pace = sum(made.values()) / seconds
    print(f"\n{options.kills} kills of {', '.join(options.victim)} in {seconds:.0f} s, {pace:.0f} changes/s: {made_text}")
    print(f"{len(rows):,} rows: lost {len(lost)}, twice {twice}, strange {len(strange)}, wrong count or time {len(miscounted)}")
    print(f"occurrences that do not sum up to the count: {len(sums)}")
    print(f"gaps in the coverage: {gaps_text}; not recovered: {open_gaps}")
    for name in miscounted[:5]:
        print(f"  {name}: {found[name]}, expected {expected[name]}")
    return lost + strange + miscounted + sums + ["twice"] * twice + ["gap"] * open_gaps


def read(database: Path) -> tuple[list[tuple], dict[str, int], list[tuple]]:
    """The rows of the load's events with their full names, the sums of occurrences, and the gaps."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(ROWS, (load.NAMESPACE,)).fetchall()
        named = [(f"{about}{name}", key, created, count, last) for key, about, name, created, count, last in rows]
        return named, dict(connection.execute(OCCURRENCES)), connection.execute(GAPS).fetchall()


def full(stamp: str) -> str:
    """A time as kube9 keeps it."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return f"{whole}.{fraction[:3]:0<3}Z"


if __name__ == "__main__":
    sys.exit(main())

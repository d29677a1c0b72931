"""How soon an event of the API server is a row that a query sees: milliseconds from its creation to the answer.

    python tests/cluster/cluster.py run -- .venv/bin/python bench/latency.py [--events N]

Each event is created alone, and `db.events.list` is asked again and again until it shows it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from cluster.api import connect, wait_for  # noqa: E402

import kube9  # noqa: E402

GIVE_UP_S = 30.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200)
    options = parser.parse_args()
    api = connect()
    namespace = api.make_namespace("latency")
    with tempfile.TemporaryDirectory() as work:
        database = os.path.join(work, "kube9.db")
        serve = [sys.executable, "-m", "kube9", "serve", "--db", database, "--log-level", "warning"]
        recorder = subprocess.Popen(serve, cwd=ROOT)
        try:
            wait_for("the database", lambda: os.path.exists(database) and healthy(database))
            found = [delay_ms(api, database, namespace, f"web-{index}") for index in range(options.events)]
        finally:
            recorder.terminate()
            recorder.wait(30)
    api.close()
    ordered = sorted(found)
    print(
        f"{len(found)} events, created -> shown: median {statistics.median(found):.0f} ms, "
        f"p99 {ordered[int(len(ordered) * 0.99)]:.0f} ms, longest {ordered[-1]:.0f} ms"
    )
    return 0


def healthy(database: str) -> bool:
    """Whether the recorder is connected."""
    try:
        return kube9.connect(database).status().health == "healthy"
    except kube9.Kube9Error:
        return False


def delay_ms(api, database: str, namespace: str, name: str) -> float:
    """Create one event and wait until a query shows it."""
    with kube9.connect(database) as db:
        started = time.perf_counter()
        api.make_event(namespace, name)
        while time.perf_counter() - started < GIVE_UP_S:
            if db.events.list(object_namespace=namespace, object_name=name).events:
                return (time.perf_counter() - started) * 1000
    raise SystemExit(f"{namespace}/{name} was not recorded within {GIVE_UP_S} s")


if __name__ == "__main__":
    sys.exit(main())

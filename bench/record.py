"""How long `record()` holds up its caller, in microseconds.

    python bench/record.py [--calls N]

In each state the same insight is recorded again and again, once every half a millisecond, as a program would that has
other work to do; `full speed` records without a pause.
"""

import argparse
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import kube9
from kube9.recording import Recorder

PAUSE_S = 0.0005


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5_000)
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, {options.calls} calls in each state\n")
    print(f"{'':44}{'p50':>8}{'p99':>8}{'p99.9':>8}{'max':>9}")
    with tempfile.TemporaryDirectory() as work:
        for name, state, pause_s in STATES:
            database = os.path.join(work, f"{name}.db")
            with kube9.recorder(database) as recorder, state(recorder, database):
                found = sorted(measured(recorder, options.calls, pause_s))
            shown = "".join(f"{found[int(len(found) * part)]:8.1f}" for part in (0.5, 0.99, 0.999))
            print(f"{name:44}{shown}{found[-1]:9.1f}")
    return 0


def measured(recorder: Recorder, calls: int, pause_s: float) -> Iterator[float]:
    """Microseconds of each call."""
    for number in range(calls):
        before = time.perf_counter_ns()
        recorder.record(
            "insight",
            "Requests of web are far above what it uses",
            description="It asks for 2 CPUs and has used at most 140m in the last 7 days.",
            object_kind="Deployment",
            object_namespace="shop",
            object_name="web",
            insight_id=f"cost-{number}",
            category="cost",
            metadata={"requested": "2", "used": "140m", "days": 7},
        )
        yield (time.perf_counter_ns() - before) / 1000
        if pause_s:
            time.sleep(pause_s)


@contextmanager
def idle(*_: object) -> Iterator[None]:
    """Nothing else goes on."""
    yield


@contextmanager
def locked(recorder: Recorder, database: str) -> Iterator[None]:
    """Another process holds the database, and 1,000 events wait."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        while not recorder.dropped:
            recorder.record("system", "fill")
        yield


@contextmanager
def serving(_: Recorder, database: str) -> Iterator[None]:
    """Another recorder writes as fast as it can in a thread of this process."""
    with kube9.recorder(database) as other, beside(lambda: other.record("system", "beside") and time.sleep(0.0001)):
        yield


@contextmanager
def computing(*_: object) -> Iterator[None]:
    """A thread computes, and lets go of the interpreter every 5 ms at most."""
    with beside(lambda: sum(range(1000))):
        yield


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Does some work again and again in a thread."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


STATES = [
    ("idle", idle, PAUSE_S),
    ("full speed", idle, 0.0),
    ("another recorder writes in this process", serving, PAUSE_S),
    ("a full lane, the database is locked", locked, PAUSE_S),
    ("a thread computes", computing, PAUSE_S),
    ("a thread computes, full speed", computing, 0.0),
]

if __name__ == "__main__":
    sys.exit(main())

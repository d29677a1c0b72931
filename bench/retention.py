"""How long a writer and a reader wait while retention deletes 100,000 events, beside the same without it.

    python bench/retention.py [--rows N] [--old N] [--rate N] [--rounds N] [--work DIR]

One process records events at a steady rate, with the recorder's own writer and its retention; another asks for the newest
fifty twenty times a second. A wait begins when its turn came, whatever the one before took. Both kinds of runs take turns on
copies of one database, and are as long as retention took in the first of each round.
"""

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import corpus

from kube9 import bind, fresh, query, rules, times
from kube9.cleanup import Cleanup
from kube9.counts import Counts
from kube9.model import Batch
from kube9.normalise import normalise
from kube9.retention import FOR_EVER, Policy
from kube9.writer import Writer

ROOT = Path(__file__).resolve().parent.parent
WRITES_EVERY_S, READS_EVERY_S = 0.01, 0.05
CLUSTER = "00000000-0000-4000-8000-000000000000"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--old", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=ROOT / ".bench", help="where the databases are made")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(options.read)))
        return 0
    base = corpus.database(options.work / f"retention-{options.rows}.db", options.rows)
    kept_ms = times.now_ms() - as_watched(base, options.old)
    waits: dict[tuple[str, bool], list[float]] = {(who, on): [] for who in ("writer", "reader") for on in (False, True)}
    took, deleted = [], []
    with tempfile.TemporaryDirectory(dir=base.parent) as work:
        for number in range(options.rounds):
            seconds = 0.0
            for on in (True, False):
                path = Path(work, f"{number}-{on}.db")
                shutil.copyfile(base, path)
                written, asked, gone, seconds = run(path, options.rate, Policy(kept_ms, None) if on else FOR_EVER, seconds)
                waits["writer", on] += written
                waits["reader", on] += asked
                if on:
                    took.append(seconds)
                    deleted.append(gone)
                path.unlink()
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, {options.rounds} rounds of each, in turns")
    print(
        f"retention of {statistics.mean(deleted):,.0f} of {options.rows:,} events beside {options.rate:,} inserts/s: "
        f"{statistics.mean(took):.1f} s"
    )
    print("                              median ms     p99   p99.9  longest")
    for who in ("writer", "reader"):
        for on in (False, True):
            figures = [percentile(waits[who, on], part) for part in (0.5, 0.99, 0.999, 1)]
            named = f"{who}, {'with' if on else 'without'} retention"
            print(f"{named:30}" + "".join(f"{ms:9.1f}" for ms in figures))
        ratio = percentile(waits[who, True], 0.999) / percentile(waits[who, False], 0.999)
        print(f"{who}, p99.9 with / without: {ratio:.2f}")
    return 0


def as_watched(path: Path, old: int) -> int:
    """Let the events be watched ones; gives when the newest of so many info and warning events was last seen."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE events SET origin = 'watch' WHERE origin <> 'watch'")
        order = "SELECT last_seen_at FROM events WHERE severity IN ('info', 'warning') ORDER BY last_seen_at"
        ((at,),) = connection.execute(f"{order} LIMIT 1 OFFSET ?", (old,)).fetchall()
    return times.ms(at)


def run(path: Path, rate: int, policy: Policy, seconds: float) -> tuple[list[float], list[float], int, float]:
    """Write and read until retention is done, or so long. Gives the waits of both, the events deleted, and the seconds."""
    counts = Counts()
    cleanup = Cleanup(policy, counts)
    writer = Writer(str(path), chores=[cleanup.chore], counts=counts)
    command = [sys.executable, __file__, "--read", str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    known, size, number = rules.built_in(), max(1, round(rate * WRITES_EVERY_S)), 0

    def write() -> None:
        nonlocal number
        events = [made._replace(name=f"{made.name}{number + index}") for index, made in enumerate(ready)]
        number += size
        writer.put(Batch(events, "watch", CLUSTER))
        writer.flush()

    source = corpus.random.Random(1)
    ready = [normalise(corpus.event(source, times.now_ms(), 1.0, 0.0), known) for _ in range(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as reader:
        assert reader.stdout.readline() == "ready\n"
        writer.start()
        started = time.perf_counter()

        def over() -> bool:
            return time.perf_counter() - started >= seconds if seconds else counts.cleaned_at_s > 0

        written = in_turns(write, WRITES_EVERY_S, over)
        lasted = time.perf_counter() - started
        asked = json.loads(reader.communicate("\n")[0])
    writer.close()
    return written, asked, counts.cleaned, lasted


def read(path: Path) -> list[float]:
    """Ask for the newest fifty until standard input ends."""
    plan = fresh.current()
    print("ready", flush=True)
    os.set_blocking(sys.stdin.fileno(), False)

    def ask() -> None:
        query.run(str(path), bind.bind(plan, plan["queries"]["events list"], {"since": "24h"}, times.now_ms()), 30)

    return in_turns(ask, READS_EVERY_S, lambda: bool(sys.stdin.buffer.raw.read(1)))


def in_turns(do: Callable[[], None], every_s: float, over: Callable[[], bool]) -> list[float]:
    """Do something every so many seconds until it is over; how long each took from when its turn came, in milliseconds."""
    waits, turn = [], time.perf_counter()
    while not over():
        time.sleep(max(0.0, turn - time.perf_counter()))
        do()
        waits.append((time.perf_counter() - turn) * 1000)
        turn += every_s
    return waits


def percentile(waits: list[float], part: float) -> float:
    """The wait that such a part of all is not longer than."""
    found = sorted(waits)
    return found[min(len(found) - 1, int(len(found) * part))]


if __name__ == "__main__":
    sys.exit(main())

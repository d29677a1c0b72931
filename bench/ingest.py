"""How fast events become committed rows: HTTP watch -> rows, in one `kube9 serve`, beside a bare `executemany`.

    python bench/ingest.py [--events N] [--listed N] [--rounds N]

A server with its answers ready (bench/canned_server.py) runs on the other core. Its events are made up and as long as
real ones. The bare `executemany` puts the same rows into the same table, 5,000 in a transaction, without looking at them.
The three take turns; printed are medians. Memory is what `serve` holds after the last event.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path

from kube9 import migrations

ROOT = Path(__file__).resolve().parent.parent
BENCH = Path(__file__).resolve().parent
CHUNK = 5000  # as many as a transaction of the recorder takes at the most
GIVE_UP_S = 600.0
ENVIRONMENT = {"KUBE9_RECORD": "all", "HEALTH_PORT": "0"}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--listed", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    watched, bare, first_start, thrown_away, memory = [], [], [], [], []
    with tempfile.TemporaryDirectory() as work:
        for number in range(options.rounds):
            database = Path(work, f"{number}.db")
            with server(0, options.events) as address, recorder(address, database) as process:
                watched.append(rate(database, options.events))
                memory.append(memory_mib(process.pid))
            bare.append(executemany(database, Path(work, f"{number}-bare.db")))
            listed = Path(work, f"{number}-listed.db")
            with server(options.listed, 0) as address:
                started = time.perf_counter()
                with recorder(address, listed):
                    rate(listed, options.listed)
                    first_start.append(time.perf_counter() - started)
                thrown_away.append(min(read_away(address, 500), read_away(address, 5000)))
    ingest, insert = statistics.median(watched), statistics.median(bare)
    about = f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
    print(f"{about}, medians of {options.rounds}")
    print(f"watch -> committed rows, {options.events:,} events     {ingest:10,.0f} events/s")
    print(f"bare executemany of the same rows             {insert:10,.0f} events/s   ratio {ingest / insert:.2f}")
    start, away = statistics.median(first_start), statistics.median(thrown_away)
    print(f"first start against {options.listed:,} listed events       {start:10.2f} s")
    print(f"reading them and throwing them away           {away:10.2f} s          ratio {start / away:.2f}")
    print(f"memory of serve after {options.events:,} events      {statistics.median(memory):10.1f} MiB")
    return 0


@contextmanager
def server(listed: int, watched: int):
    """A canned server; gives its address."""
    command = [sys.executable, str(BENCH / "canned_server.py"), "--listed", str(listed), "--watched", str(watched)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@contextmanager
def recorder(address: str, database: Path):
    """A `kube9 serve` of the server at this address."""
    config = database.with_suffix(".kubeconfig")
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": address}}],
                "users": [{"name": "u", "user": {"token": "none"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    command = [sys.executable, "-m", "kube9", "serve", "--db", str(database), "--log-level", "error"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | ENVIRONMENT | {"KUBECONFIG": str(config)})
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def rate(database: Path, events: int) -> float:
    """Wait until so many events are committed. Returns events a second from the first look that found some."""
    first_at, first, deadline = 0.0, 0, time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        rows = changes(database)
        now = time.perf_counter()
        if rows and not first_at:
            first_at, first = now, rows
        if rows >= events:
            return (rows - first) / (now - first_at) if now > first_at else 0.0
        time.sleep(0.1)
    raise SystemExit(f"{database}: {changes(database):,} of {events:,} events after {GIVE_UP_S:.0f} s")


def changes(database: Path) -> int:
    """How many rows were added or updated."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT value FROM counters WHERE name = 'change_seq'").fetchone()[0]
    except sqlite3.Error:
        return 0


def executemany(database: Path, other: Path) -> float:
    """Put the same rows into the same table of another file. Returns rows a second."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT * FROM events ORDER BY rowid").fetchall()
        clusters = connection.execute("SELECT id, uid FROM clusters").fetchall()
    insert = f"INSERT INTO events VALUES ({', '.join('?' * len(rows[0]))})"
    connection = migrations.open_writer(str(other))
    connection.executemany("INSERT INTO clusters (id, uid) VALUES (?, ?)", clusters)
    started = time.perf_counter()
    for start in range(0, len(rows), CHUNK):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows[start : start + CHUNK])
        connection.execute("COMMIT")
    seconds = time.perf_counter() - started
    connection.close()
    return len(rows) / seconds


def read_away(address: str, size: int) -> float:
    """Read the whole list in pages of this size and keep nothing. Returns seconds."""
    started, token = time.perf_counter(), "0"
    while token:
        with urllib.request.urlopen(f"{address}/api/v1/events?limit={size}&continue={token}") as answer:
            body = answer.read()
        found = json.loads(body)["metadata"].get("continue")
        token = found or ""
    return time.perf_counter() - started


def memory_mib(pid: int) -> float:
    """What a process holds, in MiB (resident set)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    sys.exit(main())

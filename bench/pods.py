"""Does the memory of a recorder grow with the pods of its cluster?

    python tests/cluster/cluster.py run -- .venv/bin/python bench/pods.py [--pods 20000]

The resident set of a real `kube9 serve` beside a real API server: with 20 pods; after so many more were created while it
watched; and of another one that lists them all from the beginning. Exit code 1 when either takes over 20 MB more.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from cluster.api import Api, connect, wait_for  # noqa: E402

NAMESPACE = "many-pods"
FEW = 20
MOST_MB = 20.0
SETTLE_S = 15.0  # heartbeats, and what was read is given back
CONTAINER = {"name": "web", "image": "test.local/web:1", "env": [{"name": "TIER", "value": "free"}]}


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=20_000)
    options = parser.parse_args()
    api = connect()
    api.make_namespace(NAMESPACE)
    wait_for("the service account is there", lambda: accounts(api))
    make_pods(api, range(FEW))
    with tempfile.TemporaryDirectory() as work:
        few, rose = measure(
            Path(work, "watched.db"), FEW, then=lambda: make_pods(api, range(FEW, options.pods)), to=options.pods
        )
        listed, _ = measure(Path(work, "listed.db"), options.pods)
    print(f"{'':30}  resident     most")
    for name, (resident, most) in (
        (f"{FEW} pods", few),
        (f"{options.pods:,} watched", rose),
        (f"{options.pods:,} listed", listed),
    ):
        print(f"{name:30} {resident:6.1f} MB {most:6.1f} MB")
    more = max(resident for resident, _ in (rose, listed)) - few[0]
    print(f"{more:.1f} MB more; at most {MOST_MB:.0f} MB")
    return 1 if more > MOST_MB else 0


def measure(database: Path, pods: int, then=None, to: int = 0) -> tuple[tuple[float, float], tuple[float, float]]:
    """Memory of a recorder that knows so many pods; and after `then`, when it knows so many as `to`."""
    environment = os.environ | {"HEALTH_PORT": "0"}
    command = [sys.executable, "-m", "kube9", "serve", "--db", str(database), "--log-level", "error"]
    recorder = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        wait_for(f"it knows {pods} pods", lambda: known(database) == pods, 300)
        time.sleep(SETTLE_S)
        before = after = memory(recorder.pid)
        if then:
            then()
            wait_for(f"it knows {to} pods", lambda: known(database) == to, 300)
            time.sleep(SETTLE_S)
            after = memory(recorder.pid)
        return before, after
    finally:
        recorder.terminate()
        recorder.wait()


def memory(pid: int) -> tuple[float, float]:
    """Resident set and its highest value so far, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return int(found["VmRSS"].split()[0]) / 1024, int(found["VmHWM"].split()[0]) / 1024


def known(database: Path) -> int:
    """How many pods a recorder knows."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            sql = "SELECT count(*) FROM watched_objects WHERE resource = 'pods' AND namespace = ?"
            return connection.execute(sql, (NAMESPACE,)).fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # it is being made


def accounts(api: Api) -> list[dict]:
    """The service accounts, without which no pod is taken."""
    return api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts")["items"]


def make_pods(api: Api, numbers: range) -> None:
    """Create pods that nobody schedules."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"

    def make(number: int) -> None:
        labels = {"app": f"web-{number % 200}", "tier": "free"}
        spec = {"schedulerName": "nobody", "containers": [CONTAINER]}
        api.request("POST", path, {"metadata": {"name": f"web-{number}", "labels": labels}, "spec": spec})

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(make, numbers):
            pass


if __name__ == "__main__":
    sys.exit(main())

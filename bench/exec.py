"""What a question costs through `kubectl exec`, beside an exec that does nothing, in the same pod, in turn.

    python tests/cluster/kube9_images.py
    python tests/cluster/cluster.py run --node -- .venv/bin/python bench/exec.py [--rounds N] [--events N] [--at-once N]

The chart is installed on the test node, and asked with everything as people have it: kubectl, the API server, the
kubelet, containerd and runc. The last lines say what the container `operator` needs at its peak for so many at once.
"""

import argparse
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from cluster.api import connect, wait_for  # noqa: E402
from cluster.operator_pod import POD, Operator  # noqa: E402

NOTHING = "exec true"
COMMANDS = {
    NOTHING: ["true"],
    "exec python3 -c pass": ["python3", "-c", "pass"],
    "exec kube9 query events list": ["kube9", "query", "events", "list"],
    "exec … --type cluster --since 24h": ["kube9", "query", "events", "list", "--type", "cluster", "--since", "24h"],
}
MIB = 1024 * 1024


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=50)
    options = parser.parse_args()
    operator = Operator()
    operator.install()
    record(operator, options.events)
    compare(operator, options.rounds)
    crowd(operator, options.at_once)
    return 0


def record(operator: Operator, count: int) -> None:
    """Have so many events recorded."""
    api = connect()
    namespace = api.make_namespace("measured")
    api.make_events(namespace, count)
    api.close()
    words = ("events", "list", "-n", namespace, "--limit", "1")
    wait_for("all is recorded", lambda: operator.query(*words)["pagination"]["total"] == count)


def compare(operator: Operator, rounds: int) -> None:
    """Each command once a round, so that all meet the same noise."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, words in COMMANDS.items():
            started = time.perf_counter()
            done = operator.execute(*words)
            taken[name].append((time.perf_counter() - started) * 1000)
            if done.returncode:
                raise SystemExit(done.stderr)
    base = statistics.median(taken[NOTHING])
    print(f"{rounds} rounds in turn{'':25} median ms  lowest ms  × {NOTHING}")
    for name, times in taken.items():
        middle = statistics.median(times)
        print(f"{name:40} {middle:9.0f} {min(times):10.0f} {middle / base:10.2f}")


def crowd(operator: Operator, count: int) -> None:
    """Many questions at once, and as many that follow, which stay in memory together."""
    inside = operator.inside("operator")
    inside.forget_peak()
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(operator.execute, "kube9", "query", "events", "list", seconds=300) for _ in range(count)]
    failed = [future.result().stderr for future in asked if future.result().returncode]
    print(f"{count} at once: {len(failed)} failed, operator's peak {inside.peak_bytes() / MIB:.0f} MiB")
    for form in ("jsonl", "table"):
        inside.forget_peak()
        follow = ["exec", "-i", POD, "-c", "operator", "--", "kube9", "query", "events", "list", "--watch", "-o", form]
        followers = [operator.begin(*follow) for _ in range(count)]
        shown = sum(bool(follower.stdout and follower.stdout.readline()) for follower in followers)
        peak = inside.peak_bytes() / MIB
        for follower in followers:
            end(follower)
        print(f"{count} that follow as {form}: {count - shown} failed, operator's peak {peak:.0f} MiB")


def end(follower: "subprocess.Popen[str]") -> None:
    """Close its stdin, which ends it in the pod too."""
    follower.communicate(timeout=120)


if __name__ == "__main__":
    sys.exit(main())

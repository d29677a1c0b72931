"""How fast a query is as a whole process: beside the bare interpreter and kubectl, in one run.

    make bench                         or: python bench/start_up.py [--rows N] [--runs N] [--kubectl PROGRAM]

The commands take turns (A B C, A B C, …), so that a change of the machine's speed meets all alike; printed are medians
and the median of the ratios round by round. Peak memory is the operating system's, of one run each.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import corpus

from kube9 import bind, fresh, paging, query, times

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 3
PAGE = 10_000  # of 50 rows


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--kubectl", default=_kubectl(), help="by default the one of the test cluster, else the one on PATH")
    options = parser.parse_args()
    print(f"making {options.rows:,} events over 30 days, or taking those of the last hour", file=sys.stderr)
    database = corpus.database(ROOT / ".bench" / f"{options.rows}.db", options.rows)
    program = str(Path(sys.executable).with_name("kube9"))
    python = sys.executable
    listing = [program, "query", "events", "list", "--db", str(database)]
    commands = {
        "python -c 'import sqlite3, json'": [python, "-c", "import sqlite3, json"],
        "python -c pass": [python, "-c", "pass"],
        "kube9 … list --type cluster --since 24h --limit 50": [
            *listing,
            "--type",
            "cluster",
            "--since",
            "24h",
            "--limit",
            "50",
        ],
        "kube9 … list --limit 50": [*listing, "--limit", "50"],
        "kube9 … list --severity error --limit 50": [*listing, "--severity", "error", "--limit", "50"],
        "kube9 … list --format table": [*listing, "--format", "table"],
        "kube9 … summary": [program, "query", "events", "summary", "--db", str(database)],
        "kube9 … timeline": [program, "query", "events", "timeline", "--db", str(database)],
        "kube9 … noisy": [program, "query", "events", "noisy", "--db", str(database)],
        f"kube9 … list --page-token (page {PAGE:,})": [*listing, "--page-token", deep_token(database, PAGE)],
        "kube9 … list --page-token (page 2)": [*listing, "--page-token", deep_token(database, 2)],
    }
    if options.kubectl:
        commands["kubectl version --client"] = [options.kubectl, "version", "--client"]
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, {options.runs} rounds")
    show(measure(commands, options.runs), {name: peak_mib(command) for name, command in commands.items()})
    return 0


def deep_token(database: Path, page: int) -> str:
    """The token of a page of the list, reached by walking there in this process."""
    plan = fresh.current()
    asked = bind.bind(plan, plan["queries"]["events list"], {}, times.now_ms())
    for number, answer in enumerate(paging.pages(lambda asked: query.run(str(database), asked, 30), asked), 2):
        if number == page:
            return answer.next_page_token
    raise SystemExit(f"{database} has no page {page}")


def measure(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Milliseconds of each run of each command, in turns."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for index in range(WARM_UP + runs):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
            if index >= WARM_UP:
                found[name].append((time.perf_counter() - started) * 1000)
    return found


def show(measured: dict[str, list[float]], peaks: dict[str, float]) -> None:
    """One table: medians, and the ratio to the first command and to kubectl."""
    first, *_ = measured
    kubectl = measured.get("kubectl version --client")
    print(f"{'':52} {'median ms':>10} {'× sqlite3+json':>15} {'× kubectl':>10} {'peak MiB':>9}")
    for name, found in measured.items():
        against = f"{_ratio(found, kubectl):10.2f}" if kubectl else f"{'-':>10}"
        print(f"{name:52} {statistics.median(found):10.1f} {_ratio(found, measured[first]):15.2f} {against} {peaks[name]:9.1f}")


def peak_mib(command: list[str]) -> float:
    """Peak resident memory of a command, in MiB, measured in a child of its own so that runs do not mix."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True, env=environment())
    return int(done.stdout) / (1024 if sys.platform != "darwin" else 1024 * 1024)


def environment() -> dict[str, str]:
    """As a user has it: bytecode may be kept."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _ratio(found: list[float], reference: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(found, reference, strict=True))


def _kubectl() -> str | None:
    cache = Path(os.environ.get("KUBE9_CLUSTER_CACHE", Path.home() / ".cache/kube9-cluster"))
    built = cache / "bin" / "kubectl"
    return str(built) if built.exists() else shutil.which("kubectl")


if __name__ == "__main__":
    sys.exit(main())

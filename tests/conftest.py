"""Fixtures, the list of proven scenarios, and the rule that nothing is skipped silently in CI."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest
from installed import operator  # noqa: F401 - a fixture

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
SAMPLE = TESTS / "data" / "sample-events.json"
SHARED_EVENTS = ROOT.parent / "shared" / "events"

# A job in the background starts with Ctrl-C ignored, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests that CI may skip: id -> why. Anything else that is skipped there is a failure.
MAY_SKIP: dict[str, str] = {
    "tests/test_serve.py::test_a_database_that_goes_away_costs_nothing_but_time[read-only]": "needs root, and chattr",
}

# What a mark needs: the variable that cluster.py sets, and how it is asked to.
NEEDS = {"cluster": ("CLUSTER_DIR", ""), "node": ("CONTAINERD_ADDRESS", "--node ")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--scenarios",
        nargs="?",
        const="list",
        choices=("list", "strict"),
        help="list the scenarios with the tests that prove each; strict fails when one is open",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--scenarios"):
        config.option.collectonly = True
        config.option.verbose = min(config.option.verbose, -2)


def scenarios() -> dict[str, str]:
    """Id and title of every scenario."""
    lines = (TESTS / "scenarios.txt").read_text().splitlines()
    return dict(line.split("  ", 1) for line in lines)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    known = scenarios()
    for item in items:
        for mark in item.iter_markers("scenario"):
            unknown = set(mark.args) - set(known)
            if unknown:
                raise pytest.UsageError(f"{item.nodeid}: no scenario {', '.join(sorted(unknown))}")


@pytest.hookimpl(tryfirst=True)  # before its fixtures are made
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark, (variable, option) in NEEDS.items():
        if item.get_closest_marker(mark) and variable not in os.environ:
            pytest.skip(f"needs a {mark}: tests/cluster/cluster.py run {option}-- pytest")


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.getoption("--scenarios"):
        return
    proofs: dict[str, list[str]] = defaultdict(list)
    for item in session.items:
        for mark in item.iter_markers("scenario"):
            for scenario in mark.args:
                name = item.nodeid.partition("[")[0]
                if name not in proofs[scenario]:
                    proofs[scenario].append(name)
    known = scenarios()
    for scenario, title in known.items():
        print(f"{scenario:8} {'proven' if proofs[scenario] else 'open  '}  {title}")
        for name in proofs[scenario]:
            print(f"{'':17} {name}")
    still_open = [scenario for scenario in known if not proofs[scenario]]
    print(f"{len(known) - len(still_open)} proven, {len(still_open)} open")
    if still_open and session.config.getoption("--scenarios") == "strict":
        raise pytest.UsageError(f"open scenarios: {', '.join(still_open)}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and item.nodeid not in MAY_SKIP and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, and not named in MAY_SKIP: {report.longrepr}"


class Result:
    """What a finished command said."""

    def __init__(self, done: subprocess.CompletedProcess) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        return json.loads(self.err)

    def __repr__(self) -> str:
        return f"exit {self.code}\nstdout: {self.out[:2000]}\nstderr: {self.err[:2000]}"


class Kube9:
    """Runs the program as a user does: a new process, a database by --db, nothing else from this machine."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.db = folder / "kube9.db"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "XDG_CACHE_HOME": str(cache),
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "120",
            "HEALTH_PORT": "0",  # another test may have the usual one
            "EVENT_RETENTION_INFO_WARNING_DAYS": "never",  # the events of most tests are old
            "EVENT_RETENTION_ERROR_CRITICAL_DAYS": "never",
        }

    def command(self, *words: str, db: bool = True) -> list[str]:
        return [sys.executable, "-m", "kube9", *map(str, words), *(["--db", str(self.db)] if db else [])]

    def __call__(
        self, *words, db: bool = True, input: bytes | None = None, env: dict | None = None, timeout: float = 60
    ) -> Result:
        done = subprocess.run(
            self.command(*words, db=db), capture_output=True, input=input, env=self.env | (env or {}), timeout=timeout, cwd=ROOT
        )
        return Result(subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode()))

    def query(self, *words, **options) -> Result:
        return self("query", *words, **options)

    def events(self, *words, **options) -> list[dict]:
        """The events of `query events list`, which must succeed."""
        result = self.query("events", "list", *words, **options)
        assert result.code == 0, result
        return result.json["events"]

    def start(self, *words, **options) -> subprocess.Popen:
        return subprocess.Popen(self.command(*words), env=self.env | options.pop("env", {}), cwd=ROOT, **options)

    def record(self, *events: dict) -> None:
        """Import events, given as Event objects."""
        done = self("import", "-", input=json.dumps({"kind": "List", "items": events}).encode())
        assert done.code == 0, done


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of the compiled plan for all tests, and none of this machine's."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def kube9(tmp_path: Path, cache: Path) -> Kube9:
    return Kube9(tmp_path, cache)


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    """A database with the built-in sample. For reading only."""
    runner = Kube9(tmp_path_factory.mktemp("sampled"), cache)
    done = runner("import", SAMPLE)
    assert done.code == 0, done
    return runner


@pytest.fixture(scope="session")
def shared_events() -> Path:
    if not SHARED_EVENTS.is_dir():
        pytest.skip("the public dumps are not beside this checkout")
    return SHARED_EVENTS


def rows(path: Path, sql: str) -> list[tuple]:
    """What SQL finds in a database, read beside kube9."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def make_event(name: str = "web-0.17b2c4", namespace: str | None = "prod", **changes) -> dict:
    """A core/v1 Event object as the kubelet writes it, with changes to its fields."""
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": "2026-03-01T10:00:05Z"},
        "involvedObject": {"kind": "Pod", "name": name.partition(".")[0]},
        "reason": "BackOff",
        "message": "Back-off restarting failed container web in pod web-0_prod(b9c1)",
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2026-03-01T10:00:00Z",
        "lastTimestamp": "2026-03-01T10:05:00Z",
        "count": 3,
        "type": "Warning",
    }
    if namespace is not None:
        event["metadata"]["namespace"] = event["involvedObject"]["namespace"] = namespace
    return event | changes

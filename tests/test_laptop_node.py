"""From a laptop, through the real kubectl and the real exec path, to the chart's pod; and what stays behind there."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cluster.api import Api, wait_for
from cluster.operator_pod import Operator
from cluster.tools import kubectl
from conftest import ROOT, Kube9, make_event
from laptop import kubectl_of

import kube9 as library
from kube9 import errors

pytestmark = [pytest.mark.node, pytest.mark.scenario("LIB-07")]
NAMESPACE = "observed"
PROCESSES = """
import os, sys
for pid in os.listdir("/proc"):
    if pid.isdigit() and int(pid) != os.getpid():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                print(file.read().replace(b"\\0", b" ").decode())
        except OSError:
            pass
"""
WAIT_S = 30
MANY = 20_000


@pytest.fixture(scope="module")
def operator() -> Iterator[Operator]:
    operator = Operator(NAMESPACE)
    operator.install()
    yield operator
    operator.remove()


@pytest.fixture(scope="module")
def laptop(operator: Operator, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    """Runs kube9 beside the cluster, with programs that kubectl finds as plugins."""
    folder = tmp_path_factory.mktemp("laptop")
    plugin = folder / "kubectl-kube9"
    plugin.write_text(
        f"#!{sys.executable}\nimport sys\nfrom kube9.__main__ import kubectl_plugin\nsys.exit(kubectl_plugin())\n"
    )
    plugin.chmod(0o755)
    runner = Kube9(folder, cache)
    tools = Path(os.environ["KUBECTL"]).parent
    runner.env |= {
        "KUBECONFIG": os.environ["KUBECONFIG"],
        "PATH": f"{folder}:{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    return runner


def far(runner: Kube9, *words: str) -> list[str]:
    return runner.command("--operator-namespace", NAMESPACE, "query", *words, db=False)


def ask(runner: Kube9, *words: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(far(runner, *words), env=runner.env, cwd=ROOT, capture_output=True, timeout=60, **options)


def left_behind(operator: Operator) -> list[str]:
    """The command lines of queries that run in the container that is asked."""
    done = operator.execute("python3", "-c", PROCESSES)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if " query " in line]


def none_is_left(operator: Operator) -> None:
    wait_for("nothing runs in the pod", lambda: not left_behind(operator) or None, WAIT_S)


@pytest.fixture(scope="module")
def many(operator: Operator, cache: Path) -> int:
    """So many events that the pipes and sockets on the way do not hold them: else a query is done before anybody goes away."""
    beside = Kube9(operator.folder, cache)  # writes into the volume, which is a folder of this machine
    beside.record(*(make_event(f"web-{number}.1", "busy", message=f"{number} {'x' * 1000}") for number in range(MANY)))
    assert operator.query("events", "list", "-n", "busy", "--limit", "1")["pagination"]["total"] == MANY
    return MANY


@pytest.mark.parametrize(
    "words",
    [
        "status --fields version",
        "events list -n busy --until 2026-06-01 --limit 3",
        "events list --limit 0",
        "events get nope -o table",
    ],
)
def test_the_answer_is_the_one_that_an_exec_gives(operator: Operator, laptop: Kube9, words: str) -> None:
    there = operator.execute("kube9", "query", *words.split())
    here = ask(laptop, *words.split())
    assert here.stdout.decode() == there.stdout
    assert here.returncode == there.returncode
    assert here.stderr.decode() == there.stderr.replace(f"command terminated with exit code {there.returncode}\n", "")


def test_as_a_plugin_of_kubectl(operator: Operator, laptop: Kube9) -> None:
    command = ["kubectl", "kube9", "--operator-namespace", NAMESPACE, "query", "status"]
    done = subprocess.run(command, env=laptop.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == library.__version__


# How it ends.


def start(laptop: Kube9, *words: str, **options) -> subprocess.Popen:
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(far(laptop, *words), env=laptop.env, cwd=ROOT, **options)


def interrupt(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == 130


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait(WAIT_S)


def kill_kubectl(process: subprocess.Popen) -> None:
    os.kill(kubectl_of(process), signal.SIGKILL)
    process.stdout.read()
    assert process.wait(WAIT_S) == 1
    assert json.loads(process.stderr.read())["code"] == "UNAVAILABLE"


def close_stdout(process: subprocess.Popen) -> None:
    process.stdout.close()
    assert process.wait(WAIT_S) == 0
    assert process.stderr.read() == b""


def close_stdin(process: subprocess.Popen) -> None:
    process.stdin.close()
    assert process.wait(WAIT_S) == 0


ENDS = [interrupt, kill, kill_kubectl, close_stdout]


@pytest.mark.parametrize("end", [*ENDS, close_stdin])
def test_a_watch_leaves_nothing_behind(operator: Operator, laptop: Kube9, many: int, end: Callable) -> None:
    with start(laptop, "events", "list", "--watch", "-n", "busy", "--limit", "2") as process:
        assert process.stdout.readline()
        assert len(left_behind(operator)) == 1
        end(process)
    none_is_left(operator)


@pytest.mark.parametrize("end", ENDS)
def test_a_walk_that_nobody_reads_leaves_nothing_behind(operator: Operator, laptop: Kube9, many: int, end: Callable) -> None:
    with start(laptop, "events", "list", "--all", "-n", "busy", "--fields", "metadata,description,id,title") as process:
        assert process.stdout.read(1)
        time.sleep(1)  # until each pipe on the way is full
        assert len(left_behind(operator)) == 1
        end(process)
    none_is_left(operator)


def test_head_leaves_nothing_behind(operator: Operator, laptop: Kube9, many: int) -> None:
    command = ["bash", "-c", 'set -o pipefail; "$@" | head -2', "bash", *far(laptop, "events", "list", "--all", "-n", "busy")]
    done = subprocess.run(command, env=laptop.env, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 2)
    none_is_left(operator)


# The library.


@pytest.fixture
def db(operator: Operator, laptop: Kube9, monkeypatch: pytest.MonkeyPatch) -> Iterator[library.Client]:
    monkeypatch.setenv("KUBECONFIG", laptop.env["KUBECONFIG"])
    with library.connect(f"kubectl://{NAMESPACE}") as db:
        yield db


def test_the_library_asks_and_walks_and_watches(operator: Operator, db: library.Client, many: int) -> None:
    page = db.events.list(object_namespace="busy", limit=5)
    assert (len(page), page.pagination.total) == (5, many)
    assert len({event.id for event in db.events.list_all(object_namespace="busy")}) == many
    watch = db.events.watch(object_namespace="later", timeout=60)
    with closing(Api(os.environ["KUBECONFIG"])) as api:
        api.make_event(api.make_namespace("later"), "made-0")
    assert next(watch).object_name == "made-0"
    watch.close()
    none_is_left(operator)
    with pytest.raises(errors.NotFound):
        db.events.get("evt_nope")
    with pytest.raises(errors.DeadlineExceeded):
        db.events.list(timeout=0.01)
    none_is_left(operator)


# Who may.


@pytest.fixture
def account(operator: Operator, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a service account that nothing is granted to."""
    kubectl("create", "serviceaccount", "asker", "-n", "default")
    token = kubectl("create", "token", "asker", "-n", "default").strip()
    config = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "asker.kubeconfig"
    path.write_text(json.dumps(config))
    yield path
    operator.kubectl("delete", "rolebinding", "asker", "--ignore-not-found")
    kubectl("delete", "serviceaccount", "asker", "-n", "default")


@pytest.mark.scenario("CLI-23")
def test_without_the_role_it_is_refused_and_with_it_answered(operator: Operator, laptop: Kube9, account: Path) -> None:
    command = laptop.command("--kubeconfig", str(account), "--operator-namespace", NAMESPACE, "query", "status", db=False)

    def asked() -> subprocess.CompletedProcess:
        return subprocess.run(command, env=laptop.env, cwd=ROOT, capture_output=True, text=True, timeout=60)

    refused = asked()
    assert refused.returncode == 3
    error = json.loads(refused.stderr)
    assert error["code"] == "PERMISSION_DENIED"
    assert "pods/exec" in error["details"]
    assert "kube9-operator-reader" in error["details"]
    operator.kubectl("create", "rolebinding", "asker", "--role=kube9-operator-reader", "--serviceaccount=default:asker")
    wait_for("the right is known", lambda: asked().returncode == 0 or None)
    with library.connect(f"kubectl://{NAMESPACE}?kubeconfig={account}") as db:
        assert db.status().version == library.__version__
    unready = subprocess.run(
        laptop.command("--kubeconfig", str(account), "query", "status", db=False),
        env=laptop.env,
        cwd=ROOT,
        capture_output=True,
        timeout=60,
    )
    assert unready.returncode == 3  # in another namespace it says nothing

"""From a laptop, by kubectl: the words reach the pod as they were typed, and what comes back is passed on as it is.

kubectl is a stand-in here; tests/test_laptop_node.py has the real one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster.api import wait_for
from conftest import ROOT, Kube9, Result, make_event
from laptop import FAR, Laptop, kubectl_of
from test_start_up import HEAVY
from test_tables import on_terminal

from kube9.caller import CALLER, END_OF_INPUT
from kube9.version import __version__

pytestmark = pytest.mark.scenario("LIB-07")
UNTIL = "--until 2026-11-21T12:00:00Z"  # else what is covered ends at the present
POD = "kube9-operator-0"
WAIT_S = 30


@pytest.fixture
def laptop(tmp_path: Path, sampled: Kube9) -> Laptop:
    return Laptop(tmp_path, sampled)


ANSWERED = [
    f"events list --limit 3 {UNTIL}",
    f"events list --severity error,critical --format yaml --limit 2 {UNTIL}",
    f"events list --all --format csv --fields id,title {UNTIL}",
    f"events list --format table --limit 4 {UNTIL}",
    f"events list --format wide --reason none {UNTIL}",
    f"events list --color always -o table {UNTIL}",
    f"events summary -o table {UNTIL}",
    "status --fields version,database_path",
    "events list --limit 0",
    "events list --limit 0 --format table",
    "events list --sevrity error",
    "events get evt_nope",
    "events get evt_nope -o wide",
    "events list --require-coverage 100%",
    "no-such-query",
    "events list --watch --format json",
]


@pytest.mark.parametrize("line", ANSWERED)
def test_the_answer_and_the_exit_code_are_those_of_the_pod(laptop: Laptop, sampled: Kube9, line: str) -> None:
    near = sampled.query(*line.split(), db=False, env={"DB_PATH": str(sampled.db.parent)})
    far = laptop.query(*line.split())
    assert (far.code, far.out, far.err) == (near.code, near.out, near.err.replace("__main__.py", "kube9"))


ODD = [
    "two words", "it's", 'say "hi"', "line\nbreak", "$(touch x)", "`touch x`", "; touch x", "a && b", "|", "*", "~root",
    "$HOME", "-rf", "--", "--context=other", "", "  ", "ünï–🔥", "back\\slash", "a=b", "\t", "%s", "\x1b[31m",
]  # fmt: skip


def test_odd_words_get_there_as_they_are(laptop: Laptop) -> None:
    laptop.ask("events", "list", "--contains", *ODD)
    assert laptop.carried() == ["query", "events", "list", "--contains", *ODD]


@pytest.mark.parametrize(
    "text", ["two words", "it's", 'say "hi"', "line\nbreak", "$(touch x)", "-rf", "ünï–🔥", "%s", "\x1b[31m"]
)
def test_odd_values_are_looked_for(tmp_path: Path, cache: Path, text: str) -> None:
    there = Kube9(tmp_path / "there", cache)
    there.db.parent.mkdir()
    there.record(make_event("odd.1", message=f"before {text} behind"), make_event("plain.1"))
    done = Laptop(tmp_path, there).ask("events", "list", f"--contains={text}", "--fields", "object_name")
    assert done.json["events"] == [{"object_name": "odd"}], done


def test_the_pod_is_asked_by_its_name_in_one_call(laptop: Laptop) -> None:
    laptop.ask("status")
    (words,) = laptop.calls()
    expected = ["exec", "--stdin", "--context=far", "--namespace=observed", "--container=operator", POD, "--"]
    assert words[: len(expected)] == expected
    assert words[len(expected) :] == ["env", f"{CALLER}=120", "kube9", "query", "status"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--context", "c"], ["--context=c", "--namespace=kube9-system"]),
        (["--context=-c d"], ["--context=-c d", "--namespace=kube9-system"]),
        (["--operator-namespace=n"], ["--namespace=n"]),
        (["--kubeconfig", "/a b", "--operator-namespace", "n-1"], ["--kubeconfig=/a b", "--namespace=n-1"]),
    ],
)
def test_the_options_before_the_command_say_where(laptop: Laptop, options: list[str], expected: list[str]) -> None:
    command = Kube9.command(laptop, *options, "query", "status", db=False)
    assert subprocess.run(command, env=laptop.env, cwd=ROOT, capture_output=True).returncode == 0
    (words,) = laptop.calls()
    assert words[2 : words.index("--container=operator")] == expected


def near(laptop: Laptop, *words: str, **env: str) -> Result:
    """Kube9 with exactly these words."""
    done = subprocess.run(
        Kube9.command(laptop, *words, db=False), env=laptop.env | env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return Result(done)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--context c serve", "`serve` cannot be asked"),
        ("--context c record health x", "`record` cannot be asked"),
        ("--context c spec show status", "`spec` cannot be asked"),
        ("--operator-namespace n", "there is no command"),
        ("--operator-namespace n --db x query status", "--db stands before"),
        ("--operator-namespace N query status", "no name of a namespace"),
        ("--operator-namespace=-n query status", "no name of a namespace"),
        ("--operator-namespace= query status", "no name of a namespace"),
        ("--operator-namespace a/b query status", "no name of a namespace"),
        (f"--operator-namespace {'n' * 64} query status", "no name of a namespace"),
        ("--context= query status", "context is empty"),
        ("--context a --context b query status", "given twice"),
        ("--operator-namespace", "has no value"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_error(laptop: Laptop, line: str, said: str) -> None:
    done = near(laptop, *line.split(" "))
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert laptop.calls() == []


def test_without_a_command_these_are_options_of_the_recorder(laptop: Laptop) -> None:
    done = near(laptop, "--context", "nowhere", "--kubeconfig", "/nonexistent")
    assert done.code == 1
    assert "/nonexistent" in done.err
    assert laptop.calls() == []


# When kubectl itself fails.

FORBIDDEN = (
    'Error from server (Forbidden): pods "kube9-operator-0" is forbidden: User "joe" cannot create resource "pods/exec" in API '
    'group "" in the namespace "observed"'
)
KLOG = 'E1121 20:17:23.321873     166 memcache.go:265] "Unhandled Error" err="couldn\'t get current server API group list"'
FAILURES = {
    FORBIDDEN: ("PERMISSION_DENIED", "does not let you ask"),
    "error: You must be logged in to the server (Unauthorized)": ("PERMISSION_DENIED", "who you are"),
    "Unable to connect to the server: getting credentials: exec: executable aws failed with exit code 255": (
        "PERMISSION_DENIED",
        "no credentials",
    ),
    'error: context "far" does not exist': ("UNAVAILABLE", "no such context"),
    "Error in configuration: context was not found for specified context: far": ("UNAVAILABLE", "no such context"),
    'error: error loading config file "/x": yaml: line 1: did not find expected': ("UNAVAILABLE", "kubeconfig cannot be read"),
    'Error from server (NotFound): namespaces "observed" not found': ("UNAVAILABLE", "no namespace observed"),
    "Unable to connect to the server: dial tcp 10.0.0.1:443: i/o timeout": ("UNAVAILABLE", "cannot be reached"),
    f"{KLOG}\nThe connection to the server localhost:8080 was refused - did you specify the right host or port?": (
        "UNAVAILABLE",
        "cannot be reached",
    ),
    'error: Internal error occurred: exec: "kube9": executable file not found in $PATH: unknown': (
        "UNAVAILABLE",
        "has no kube9",
    ),
    "error: something that nobody has seen before": ("UNAVAILABLE", "could not be looked for"),
}


@pytest.mark.parametrize("said", FAILURES)
@pytest.mark.parametrize("form", ["json", "table"])
def test_a_failure_of_kubectl_is_one_error_of_kube9(laptop: Laptop, said: str, form: str) -> None:
    code, message = FAILURES[said]
    done = laptop.ask("status", "--format", form, env={"STAND_IN_FAILS": said})
    assert (done.code, done.out) == (3 if code == "PERMISSION_DENIED" else 1, "")
    if form == "json":
        assert done.err.count("\n") == 1
        assert done.error["code"] == code
        assert message in done.error["error"]
        assert said.splitlines()[-1] in done.error["details"]
    else:
        assert done.err.startswith("error: ")
        assert message in done.err
    assert "E1121" not in done.err


def test_the_role_that_is_missing_is_named(laptop: Laptop) -> None:
    done = laptop.ask("status", env={"STAND_IN_FAILS": FORBIDDEN})
    assert "Role kube9-operator-reader of namespace observed" in done.error["details"]


def test_without_kubectl_it_says_so(laptop: Laptop) -> None:
    done = laptop.ask("status", env={"KUBECTL": "/nonexistent/kubectl"})
    assert (done.code, done.error["code"]) == (1, "UNAVAILABLE")
    assert "/nonexistent/kubectl" in done.error["details"]


def pod(name: str, created: str, **changes) -> dict:
    status = {"containerStatuses": [{"name": "recorder", "ready": True}, {"name": "operator", "ready": True}]}
    found = {"metadata": {"name": name, "creationTimestamp": created}, "status": status}
    if changes.get("deleted"):
        found["metadata"]["deletionTimestamp"] = created
    if "state" in changes:
        status["containerStatuses"][1] |= {"ready": False, "state": changes["state"]}
    return found


WAITING = {"waiting": {"reason": "ImagePullBackOff"}}


def test_a_pod_of_another_name_is_found_the_newest_that_is_ready(laptop: Laptop) -> None:
    pods = [
        pod("older", "2026-11-20T10:00:00Z"),
        pod("newest-unready", "2026-11-21T12:00:00Z", state=WAITING),
        pod("newest-gone", "2026-11-21T11:00:00Z", deleted=True),
        pod("right", "2026-11-21T10:00:00Z"),
    ]
    done = laptop.ask("status", env={"STAND_IN_PODS": json.dumps(pods)})
    assert done.code == 0, done
    assert [words[0] for words in laptop.calls()] == ["exec", "get", "exec"]
    assert "right" in laptop.calls()[-1]


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([], "app.kubernetes.io/name=kube9-operator"),
        ([pod("web", "2026-11-20T10:00:00Z", state=WAITING)], "web: waiting ImagePullBackOff"),
        ([pod("web", "2026-11-20T10:00:00Z", deleted=True)], "web: it is being deleted"),
        ([pod(POD, "2026-11-20T10:00:00Z", state={"running": {}})], f"{POD}: running"),
    ],
    ids=["none", "unready", "going", "running"],
)
def test_without_a_pod_that_is_ready_it_says_what_there_is(laptop: Laptop, pods: list, said: str) -> None:
    done = laptop.ask("status", env={"STAND_IN_PODS": json.dumps(pods)})
    assert (done.code, done.out, done.error["code"]) == (1, "", "UNAVAILABLE")
    assert said in done.error["details"]
    assert not pods or f"kubectl describe pod -n observed {pods[0]['metadata']['name']}" in done.error["details"]


RUN = """
import os, sys
def leave(code):
    sys.stderr.write(" ".join(sys.modules))
    sys.stderr.flush()
    leave_now(code)
leave_now, os._exit = os._exit, leave
from kube9.__main__ import main
sys.exit(main())
"""


def test_nothing_heavy_is_imported_on_the_way(laptop: Laptop) -> None:
    command = [sys.executable, "-c", RUN, *FAR, "query", "status"]
    done = subprocess.run(command, env=laptop.env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "kube9.laptop" in done.stderr.split()
    assert HEAVY & set(done.stderr.split()) == set()


# On a terminal.


@pytest.mark.parametrize(
    "line", [f"events list --format table {UNTIL} --limit 9", "events get evt_nope -o table", "events list --limit 1 -o csv"]
)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_on_a_terminal_it_looks_as_it_would_here(laptop: Laptop, sampled: Kube9, line: str, width: int) -> None:
    assert on_terminal(laptop, *line.split(), width=width) == on_terminal(sampled, *line.split(), width=width)


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "60"}, {"COLORTERM": "truecolor"}], ids=str)
def test_what_says_how_a_terminal_is_counts_there_too(laptop: Laptop, sampled: Kube9, env: dict) -> None:
    line = ["events", "list", "--format", "table", "--severity", "error"]
    assert on_terminal(laptop, *line, **env) == on_terminal(sampled, *line, **env)


# How it ends.


@contextmanager
def started(laptop: Laptop, *words: str, **options) -> Iterator[subprocess.Popen]:
    options = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "start_new_session": True,
    } | options
    with subprocess.Popen(laptop.command("query", *words), env=laptop.env, cwd=ROOT, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def there(laptop: Laptop) -> list[int]:
    """The processes of queries in what stands for the pod."""
    mark, found = f"STAND_IN_LOG={laptop.log}".encode(), []
    for entry in Path("/proc").iterdir():
        try:
            if mark in (entry / "environ").read_bytes() and CALLER.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def nobody_is_left(laptop: Laptop) -> None:
    wait_for("nothing is left behind", lambda: not there(laptop) or None, WAIT_S)


def interrupt(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == 130
    assert process.stderr.read() == b""


def interrupt_all(process: subprocess.Popen) -> None:
    """Ctrl-C on a terminal, which kubectl gets too."""
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(WAIT_S) == 130
    assert process.stderr.read() == b""


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait(WAIT_S)


def close_stdout(process: subprocess.Popen) -> None:
    process.stdout.close()
    assert process.wait(WAIT_S) == 0
    assert process.stderr.read() == b""


@pytest.mark.parametrize("end", [interrupt, interrupt_all, kill, close_stdout])
@pytest.mark.parametrize("words", ["--watch --limit 1", "--all"])
def test_whoever_goes_away_the_query_ends(tmp_path: Path, cache: Path, words: str, end: Callable) -> None:
    pod = Kube9(tmp_path / "there", cache)
    pod.db.parent.mkdir()
    pod.record(*(make_event(f"web-{number}.1", message="x" * 900) for number in range(400)))
    laptop = Laptop(tmp_path, pod)
    with started(laptop, "events", "list", *words.split()) as process:
        assert process.stdout.read(1)
        assert there(laptop)
        end(process)
        nobody_is_left(laptop)


def test_an_answer_that_breaks_off_is_an_error(laptop: Laptop) -> None:
    with started(laptop, "events", "list", "--watch", "--limit", "1") as process:
        assert process.stdout.readline()
        os.kill(kubectl_of(process), signal.SIGKILL)
        assert process.wait(WAIT_S) == 1
        error = json.loads(process.stderr.read())
        assert (error["error"], error["code"]) == ("the answer broke off", "UNAVAILABLE")
        assert "signal 9" in error["details"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_query_that_is_killed_in_the_pod_is_an_error(laptop: Laptop, how: signal.Signals) -> None:
    with started(laptop, "events", "list", "--watch", "--limit", "1") as process:
        assert process.stdout.readline()
        (query,) = there(laptop)
        os.kill(query, how)
        assert process.wait(WAIT_S) == 1
        error = json.loads(process.stderr.read())
        assert (error["error"], error["code"]) == ("the query was killed in the operator's pod", "UNAVAILABLE")


def test_a_watch_ends_with_the_stdin_of_its_caller(laptop: Laptop) -> None:
    with started(laptop, "events", "list", "--watch", "--limit", "1") as process:
        assert process.stdout.readline()
        process.stdin.write(b"typed\n")
        process.stdin.flush()
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(WAIT_S) == 0
        assert process.stderr.read() == b""


def test_the_input_of_others_is_not_read(laptop: Laptop) -> None:
    script = 'printf "a\\nb\\n" | { "$@" >/dev/null; cat; }'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *laptop.command("query", "status")],
        env=laptop.env,
        cwd=ROOT,
        capture_output=True,
        timeout=60,
    )
    assert done.stdout == b"a\nb\n"


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_it_works_with_closed_descriptors(laptop: Laptop, closed: str) -> None:
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *laptop.command("query", "status")]
    done = subprocess.run(command, env=laptop.env, cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["version"] == __version__


# The side of the pod.


@contextmanager
def called(sampled: Kube9, *words: str, silence: str = "120") -> Iterator[subprocess.Popen]:
    """A query whose caller has said that its stdin tells."""
    env = sampled.env | {CALLER: silence}
    command = sampled.command("query", *words)
    with subprocess.Popen(command, env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_caller_that_is_silent_too_long_has_gone(sampled: Kube9) -> None:
    with called(sampled, "events", "list", "--watch", silence="1") as process:
        assert process.wait(WAIT_S) == 1


def test_a_caller_that_is_heard_of_is_there(sampled: Kube9) -> None:
    with called(sampled, "events", "list", "--watch", silence="2") as process:
        for _ in range(8):
            process.stdin.write(b"\n")
            process.stdin.flush()
            time.sleep(0.5)
        assert process.poll() is None
        process.stdin.write(END_OF_INPUT)
        process.stdin.flush()
        assert process.wait(WAIT_S) == 0


def test_without_a_caller_stdin_says_nothing_to_a_query(sampled: Kube9) -> None:
    done = subprocess.run(sampled.command("query", "status"), env=sampled.env, cwd=ROOT, input=b"", capture_output=True)
    assert done.returncode == 0


# The plugin.


def plugin(laptop: Laptop, *words: str, name: str = "kubectl-kube9", **env: str) -> Result:
    command = [str(laptop.db.parent / name), *words]
    return Result(subprocess.run(command, env=laptop.env | env, cwd=ROOT, capture_output=True, text=True, timeout=60))


def test_the_plugin_asks_the_current_context_and_the_usual_namespace(laptop: Laptop) -> None:
    done = plugin(laptop, "query", "status")
    assert done.json["version"] == __version__
    (words,) = laptop.calls()
    assert words[2:4] == ["--namespace=kube9-system", "--container=operator"]


@pytest.mark.parametrize("line", ["", "--help", "-h", "help", "--context c --help", "--operator-namespace n -h"])
def test_the_plugin_explains_itself(laptop: Laptop, line: str) -> None:
    done = plugin(laptop, *line.split())
    assert (done.code, done.err) == (0, "")
    assert "--operator-namespace" in done.out
    assert laptop.calls() == []


def test_the_plugin_has_a_version(laptop: Laptop) -> None:
    assert plugin(laptop, "--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("line", "todo"),
    [
        ("events list", "query events list"),
        ("staus", "query staus"),
        ("-n kube9-system query status", "--operator-namespace"),
        ("--namespace=kube9-system query status", "--operator-namespace"),
    ],
)
def test_the_plugin_says_how_it_is_asked(laptop: Laptop, line: str, todo: str) -> None:
    done = plugin(laptop, *line.split())
    assert (done.code, done.out) == (1, "")
    assert todo in done.err
    assert "works here" not in done.err  # of commands that do
    assert laptop.calls() == []


@pytest.mark.parametrize("line", ["--context c status", "events list --operator-namespace=n", "status --kubeconfig f"])
def test_where_to_ask_is_said_before_the_query(laptop: Laptop, line: str) -> None:
    done = laptop.ask(*line.split())
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    assert "goes before `query`" in done.error["error"]


@pytest.mark.parametrize("line", ["serve", "events list", "--db x query status", "import -"])
def test_the_plugin_says_what_it_cannot_do(laptop: Laptop, line: str) -> None:
    done = plugin(laptop, *line.split())
    assert (done.code, done.out) == (1, "")
    assert "query" in done.err
    assert laptop.calls() == []


# Completion.


def completed(laptop: Laptop, *words: str) -> list[str]:
    done = near(laptop, "__complete", *words)
    assert (done.code, done.err) == (0, "")
    return done.out.splitlines()


def test_the_operator_completes_its_own_values(laptop: Laptop) -> None:
    assert completed(laptop, "--context", "far", "query", "events", "list", "--severity", "er") == ["words", "error"]
    assert laptop.carried() == ["__complete", "query", "events", "list", "--severity", "er"]
    names = completed(laptop, *FAR, "query", "events", "list", "--for", "pod/che")
    assert "pod/checkout" in names


def test_without_an_operator_what_is_known_here_is_offered(laptop: Laptop) -> None:
    laptop.env["STAND_IN_FAILS"] = "error: no"
    assert completed(laptop, "--context", "far", "query", "events", "list", "--severity", "er") == ["words", "error"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--context far |", ["words", "query\tAsk what was recorded"]),
        ("--operator-|", ["words", "--operator-namespace\tnamespace in which the operator runs; by default kube9-system"]),
        ("--operator-namespace |", ["words", "kube9-system"]),
        ("--operator-namespace=k|", ["words", "--operator-namespace=kube9-system"]),
        ("--context |", ["words", "far", "farther"]),
        ("--context=fart|", ["words", "--context=farther"]),
        ("--kubeconfig |", ["files"]),
        ("--context far serve |", []),
    ],
)
def test_the_options_before_the_command_are_completed(laptop: Laptop, line: str, expected: list[str]) -> None:
    assert completed(laptop, *line.removesuffix("|").split(" ")) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("|", ["query\tAsk what was recorded", ":4"]),
        ("query events list --severity er|", ["error", ":4"]),
        ("query events list --for po|", ["pod/", ":6"]),
        ("--kubeconfig |", [":0"]),
        ("serve |", [":4"]),
    ],
)
def test_kubectl_completes_the_plugin(laptop: Laptop, line: str, expected: list[str]) -> None:
    done = plugin(laptop, *line.removesuffix("|").split(" "), name="kubectl_complete-kube9")
    assert (done.code, done.err, done.out.splitlines()) == (0, "", expected)


def test_kubectl_completes_the_options_of_the_plugin(laptop: Laptop) -> None:
    done = plugin(laptop, "--context", "far", "--", name="kubectl_complete-kube9")
    assert [line.partition("\t")[0] for line in done.out.splitlines()] == ["--kubeconfig", "--operator-namespace", ":4"]

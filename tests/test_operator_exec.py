"""What an exec into `operator` can do, and what it cannot: chart/README.md says it for people."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster.api import Api, wait_for
from cluster.operator_pod import POD, USER, Operator
from test_cluster import api  # noqa: F401 - a fixture

pytestmark = pytest.mark.node
AT_ONCE = 50
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
# Asks the API server as anybody could who reaches it: https with a certificate that nobody checks.
ASK_THE_API_SERVER = """
import json, os, ssl, urllib.error, urllib.request
context = ssl._create_unverified_context()
try:
    urllib.request.urlopen(f"https://{os.environ['KUBERNETES_SERVICE_HOST']}/api/v1/namespaces", context=context, timeout=10)
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)["message"])
"""
# A reader of SQLite's must lock bytes of the -shm; nobody can forbid it this one (https://www.sqlite.org/walformat.html#locks).
HOLD_THE_WRITE_LOCK = """
import fcntl, sys
file = open("/data/kube9.db-shm", "rb")
fcntl.lockf(file, fcntl.LOCK_SH, 1, 120)
print("held", flush=True)
sys.stdin.read()
"""
WRITE_THE_DATABASE = """
import sqlite3
sqlite3.connect("/data/kube9.db", isolation_level=None).execute("DELETE FROM events")
"""


def script(operator: Operator, text: str, container: str = "operator") -> "subprocess.CompletedProcess[str]":
    """A script of Python's in the pod."""
    return operator.execute("python3", "-c", text, container=container)


def said(done: "subprocess.CompletedProcess[str]") -> dict:
    """The error of kube9 on stderr; kubectl adds a line of its own."""
    return json.loads(done.stderr.splitlines()[0])


@pytest.fixture
def unharmed(operator: Operator) -> Iterator[None]:
    """A test that the recorder does not notice: it is the same process, and no stretch of time is missing."""

    def noticed() -> tuple:
        return operator.inside("recorder").identity, operator.restarts("recorder"), operator.gaps()

    before = noticed()
    yield
    assert noticed() == before


def test_there_is_no_token(operator: Operator) -> None:
    assert operator.execute("test", "-e", TOKEN).returncode == 1
    assert operator.execute("test", "-e", TOKEN, container="recorder").returncode == 0
    found = operator.execute("find", "/var/run", "/run", "-name", "token*").stdout
    assert found == ""


def test_the_api_server_takes_it_for_nobody(operator: Operator) -> None:
    done = script(operator, ASK_THE_API_SERVER)
    code, _, message = done.stdout.partition(" ")
    assert code in ("401", "403"), done.stderr
    assert "system:anonymous" in message or code == "401"


def test_it_is_an_ordinary_user_without_capabilities(operator: Operator) -> None:
    for container in ("operator", "recorder"):
        assert operator.execute("id", "-u", container=container).stdout.strip() == str(USER)
        lines = operator.execute("cat", "/proc/self/status", container=container).stdout.splitlines()
        told = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert {told[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert told["NoNewPrivs"] == "1"
        assert told["Seccomp"] == "2"


def test_it_sees_no_process_of_the_recorder(operator: Operator) -> None:
    found = operator.execute("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    assert "sleep" in found
    assert "serve" not in found


def test_it_can_write_nowhere_but_in_memory(operator: Operator) -> None:
    everywhere = "find / -path /proc -prune -o -type d -writable -print 2>/dev/null"
    assert set(operator.execute("sh", "-c", everywhere).stdout.split()) == {"/tmp", "/dev/shm", "/dev/mqueue"}
    assert operator.execute("touch", "/tmp/it").returncode == 0
    for path in ("/it", "/usr/local/bin/it", "/opt/kube9/it", "/data/it"):
        assert "Read-only file system" in operator.execute("touch", path).stderr


def test_it_can_neither_alter_nor_remove_what_is_recorded(operator: Operator) -> None:
    before = {event["id"] for event in operator.events()}
    assert before
    written = script(operator, WRITE_THE_DATABASE)
    assert "readonly database" in written.stderr
    for words in (
        ["rm", "-f", "/data/kube9.db"],
        ["sh", "-c", ": > /data/kube9.db-wal"],
        ["mv", "/data/kube9.db", "/tmp/mine"],
    ):
        done = operator.execute(*words)
        assert done.returncode
        assert "Read-only file system" in done.stderr
    recorded = operator.execute("kube9", "record", "health", "Written from an exec")
    assert recorded.returncode == 3
    assert recorded.stderr.startswith("error: the database may not be written")
    assert before <= {event["id"] for event in operator.events()}


def test_many_at_once_while_it_records(operator: Operator, api: Api, unharmed: None) -> None:  # noqa: F811
    namespace = api.make_namespace("busy")
    inside = operator.inside("operator")
    inside.forget_peak()
    forms = ("json", "table", "yaml", "csv", "jsonl")
    with ThreadPoolExecutor(AT_ONCE + 1) as pool:
        made = pool.submit(api.make_events, namespace, 1000)
        asked = [
            pool.submit(operator.execute, "kube9", "query", "events", "list", "-o", forms[index % len(forms)], seconds=180)
            for index in range(AT_ONCE)
        ]
        made.result()
        answers = [future.result() for future in asked]
    assert [answer.stderr for answer in answers if answer.returncode] == []
    wait_for("all is recorded", lambda: len(operator.events("-n", namespace)) >= 1000)
    names = [event["object_name"] for event in operator.events("-n", namespace)]
    assert sorted(names) == sorted(f"made-{index}" for index in range(1000))
    assert operator.restarts("operator") == 0
    print(f"operator at its peak, {AT_ONCE} execs at once: {inside.peak_bytes() / 2**20:.0f} MiB")


def test_a_lock_that_an_exec_holds_delays_the_recorder_and_loses_nothing(operator: Operator, api: Api) -> None:  # noqa: F811
    namespace = api.make_namespace("held-up")
    recorder = operator.inside("recorder").identity
    holder = operator.begin("exec", "-i", POD, "-c", "operator", "--", "python3", "-c", HOLD_THE_WRITE_LOCK)
    assert holder.stdout.readline() == "held\n"
    api.make_event(namespace, "meanwhile")
    wait_for("the write fails", lambda: not operator.probe("readyz"))
    assert operator.events("-n", namespace) == []
    holder.communicate(timeout=30)
    wait_for("it is written", lambda: operator.events("-n", namespace))
    wait_for("it is ready", lambda: operator.probe("readyz"))
    assert operator.inside("recorder").identity == recorder


def test_a_query_that_wants_much_memory_is_refused(operator: Operator, unharmed: None) -> None:
    done = operator.execute("kube9", "query", "hungry", "rows")
    assert done.returncode == 1
    assert said(done)["code"] in ("UNAVAILABLE", "INVALID_ARGUMENT")


def test_who_eats_all_memory_is_killed_and_the_recorder_goes_on(operator: Operator, api: Api, unharmed: None) -> None:  # noqa: F811
    namespace = api.make_namespace("hungry")
    done = script(operator, "b'x' * (1 << 31)")
    assert done.returncode == 137
    api.make_event(namespace, "afterwards")
    wait_for("it records", lambda: operator.execute("true").returncode == 0 and operator.events("-n", namespace))


def test_a_full_tmp_is_told_by_the_query_that_needs_it(operator: Operator, api: Api, unharmed: None) -> None:  # noqa: F811
    namespace = api.make_namespace("shuffled")
    api.make_events(namespace, 500)
    wait_for("something to sort", lambda: len(operator.events("-n", namespace)) == 500)
    words = ("kube9", "query", "some", "shuffled", "--limit", "1")
    assert operator.execute(*words).returncode == 0
    operator.execute("sh", "-c", "cat /dev/zero > /tmp/ballast")
    try:
        done = operator.execute(*words)
        assert done.returncode == 1
        error = said(done)
        assert error["code"] == "UNAVAILABLE"
        assert error["error"] == "the disk is full"
        assert operator.query("events", "list")["events"], "plain questions need no room"
    finally:
        operator.execute("rm", "/tmp/ballast")
    assert operator.execute(*words).returncode == 0

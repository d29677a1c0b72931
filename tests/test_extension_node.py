"""The VS Code extension's own library against the chart on a real node: its exec, its rights, its pieces of output."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster.api import Api, wait_for
from cluster.operator_pod import POD, Operator
from cluster.tools import run
from conftest import TESTS
from test_extension import PAGE, command

pytestmark = [pytest.mark.node, pytest.mark.scenario("CLI-16")]
CLIENT = TESTS / "extension"
NAMESPACE = "kube9-extension"
MANY = 1000  # as many as an answer may hold
MESSAGE = "Führt 日本語 🔥 aus … " * 20
LIST = ["kube9-operator", "query", "events", "list"]


class Extension:
    """Asks as a service account, through `@kubernetes/client-node`."""

    def __init__(self, operator: Operator, account: str, folder: Path) -> None:
        operator.kubectl("create", "serviceaccount", account)
        config = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
        config["users"][0]["user"] = {"token": operator.kubectl("create", "token", account).strip()}
        self.kubeconfig = folder / f"{account}.kubeconfig"
        self.kubeconfig.write_text(json.dumps(config))

    def __call__(self, *commands: str, together: bool = False) -> list[dict[str, Any]]:
        """What came of each command line."""
        answer = self.attempt(*commands, together=together)
        assert answer.keys() == {"pod", "answers"}, answer
        assert answer["pod"] == POD
        return answer["answers"]

    def attempt(self, *commands: str, together: bool = False) -> dict[str, Any]:
        """The same, or what is in its way."""
        asked = json.dumps({"commands": commands, "together": together})
        done = run(["node", str(CLIENT / "client.js"), str(self.kubeconfig), NAMESPACE], 120, asked)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def read(self, *commands: str, together: bool = False) -> list[Any]:
        """The JSON of each answer; an error is none."""
        answers = self(*commands, together=together)
        for answer in answers:
            assert (answer["status"], answer["exitCode"], answer["stderr"]) == ("Success", 0, ""), answer
        return [json.loads(answer["stdout"]) for answer in answers]


@pytest.fixture(scope="module")
def operator() -> Iterator[Operator]:
    """The chart, and 1,000 events and one more in the namespace `many`, whose messages are of characters of several bytes."""
    if not (CLIENT / "node_modules").is_dir():
        pytest.fail(f"npm ci in {CLIENT}, outside of the cluster, brings the extension's library")
    found = Operator(NAMESPACE)
    found.install(reader={"subjects": [{"kind": "ServiceAccount", "name": "viewer"}]})
    api = Api(os.environ["KUBECONFIG"])
    try:
        api.make_namespace("many")
        api.make_namespace("few")
        api.make_events("many", MANY + 1, message=MESSAGE)
    finally:
        api.close()
    wait_for("all are recorded", lambda: total(found, "many") == MANY + 1)
    yield found
    found.remove()


def total(operator: Operator, namespace: str) -> int:
    return operator.query("events", "list", "-n", namespace, "--limit", "1")["pagination"]["total"]


@pytest.fixture(scope="module")
def viewer(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Extension:
    """An account that is bound to the reader's Role by the chart's values."""
    return Extension(operator, "viewer", tmp_path_factory.mktemp("viewer"))


@pytest.fixture
def make_event() -> Iterator[Any]:
    api = Api(os.environ["KUBECONFIG"])
    yield api.make_event
    api.close()


# What it sends, and what it reads.

LINES = [
    command(),
    command(limit=25),
    command(object_namespace="many"),
    command(object_namespace="many", type="cluster", since="2026-01-02T03:04:05.678Z", object_kind="Pod", limit=25),
    command(object_namespace="kube-system", object_kind="Deployment"),
    command(since="2999-01-01T00:00:00.000Z"),
    command(object_namespace="';--"),
    command(since="24h", min_severity="warning", limit=100),
    "kube9-operator query status",
    "kube9-operator query capabilities",
]


def test_each_line_gets_through_the_library_what_kubectl_gets(
    operator: Operator, viewer: Extension, capsys: pytest.CaptureFixture[str]
):
    answers = viewer(*LINES)
    for line, answer in zip(LINES, answers, strict=True):
        assert (answer["status"], answer["exitCode"], answer["stderr"]) == ("Success", 0, ""), answer
        found = json.loads(answer["stdout"])
        if "events" in found:
            settled = "many" in line or not found["events"]  # the cluster goes on meanwhile
            told = operator.query(*line.split(" ")[2:])
            assert not settled or found["events"] == told["events"]
            assert found.keys() == told.keys()
    assert len(json.loads(answers[3]["stdout"])["events"]) == 25
    assert json.loads(answers[1]["stdout"])["pagination"]["returned"] > 0
    with capsys.disabled():
        print(f"\nend to end through the library: {[answer['milliseconds'] for answer in answers]} ms")


def test_its_way_of_decoding_spoils_nothing(viewer: Extension):
    (answer,) = viewer(command(object_namespace="many", limit=100))
    assert len(answer["chunks"]) > 1
    assert "\ufffd" not in answer["stdout"]
    assert {event["description"] for event in json.loads(answer["stdout"])["events"]} == {MESSAGE}


def test_a_large_answer_arrives_whole_every_time(viewer: Extension, capsys: pytest.CaptureFixture[str]):
    answers = viewer(*[command(object_namespace="many", limit=MANY)] * 20)
    first = json.loads(answers[0]["stdout"])
    assert (len(first["events"]), first["pagination"]["total"]) == (MANY, MANY + 1)
    for answer in answers:
        assert (answer["status"], answer["stderr"]) == ("Success", ""), answer
        assert answer["bytes"] == len(answer["stdout"]) == sum(answer["chunks"]) > 1_000_000
        assert json.loads(answer["stdout"])["events"] == first["events"]
    with capsys.disabled():
        print(f"\n{MANY} events, {answers[0]['bytes']:,} bytes: {[answer['milliseconds'] for answer in answers]} ms")


def test_ten_at_once_all_get_their_answer(viewer: Extension, capsys: pytest.CaptureFixture[str]):
    limits = [1 + 111 * number for number in range(10)]
    found = viewer(*(command(object_namespace="many", limit=limit) for limit in limits), together=True)
    assert [answer["status"] for answer in found] == ["Success"] * 10, found
    assert [json.loads(answer["stdout"])["pagination"]["returned"] for answer in found] == limits
    with capsys.disabled():
        print(f"\nten at once: {[answer['milliseconds'] for answer in found]} ms")


@pytest.mark.scenario("CLI-29")
def test_only_what_is_new_comes_after_a_token(viewer: Extension, make_event: Any):
    make_event("few", "old")
    line = command(object_namespace="few", limit=25)
    (first,) = wait_for("the event is recorded", lambda: (found := viewer.read(line)) and found[0]["events"] and found)
    make_event("few", "new")
    after = command(object_namespace="few", limit=25, after=first["pagination"]["sync_token"])
    (second,) = wait_for("the next is recorded", lambda: (found := viewer.read(after)) and found[0]["events"] and found)
    assert [event["object_name"] for event in first["events"]] == ["old"]
    assert [event["object_name"] for event in second["events"]] == ["new"]


# How it sees an error.


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (command(type="Warning"), "INVALID_ARGUMENT", "cluster, operator"),
        (command(colour="red"), "INVALID_ARGUMENT", "--colour"),
        (command(object_namespace="a b"), "INVALID_ARGUMENT", 'unexpected "b"'),
        ("kube9-operator query events get evt_none", "NOT_FOUND", "evt_none"),
        ("kube9-operator query evnts list", "INVALID_ARGUMENT", "events"),
    ],
)
def test_a_mistake_is_a_failure_with_what_stderr_says(viewer: Extension, line: str, code: str, said: str):
    (answer,) = viewer(line)
    assert (answer["status"], answer["exitCode"], answer["stdout"]) == ("Failure", 1, ""), answer
    error = json.loads(answer["stderr"])
    assert error["code"] == code
    assert said in error["error"] + error["details"]


def test_who_has_no_role_learns_that_from_the_library(operator: Operator, tmp_path: Path):
    stranger = Extension(operator, "stranger", tmp_path)
    assert "403" in stranger.attempt(command())["problem"]
    operator.kubectl("create", "role", "lister", "--verb=list", "--resource=pods")
    operator.kubectl("create", "rolebinding", "lister", "--role=lister", f"--serviceaccount={NAMESPACE}:stranger")
    said = wait_for("it may list", lambda: "Forbidden" not in (found := stranger.attempt(command())["problem"]) and found)
    assert f"`{said}`" in PAGE["How it sees an error"]


# Following.


def programs(operator: Operator) -> list[str]:
    """The command lines of kube9 that run in the container `operator`."""
    script = "for process in /proc/[0-9]*; do tr '\\0' ' ' < $process/cmdline; echo; done"
    return [line for line in operator.execute("sh", "-c", script).stdout.splitlines() if "kube9" in line]


@pytest.mark.scenario("CLI-30")
def test_following_that_nothing_could_end_is_refused(operator: Operator, viewer: Extension):
    line = " ".join([*LIST, "--watch", "--format=jsonl"])
    (answer,) = viewer(line)
    assert (answer["status"], answer["exitCode"], answer["stdout"]) == ("Failure", 1, ""), answer
    assert "-i" in json.loads(answer["stderr"])["details"]
    done = operator.execute(*line.split(" "))  # of kubectl, without -i
    assert (done.returncode, done.stdout) == (1, "")
    assert '"code": "INVALID_ARGUMENT"' in done.stderr
    assert programs(operator) == []


@pytest.mark.scenario("CLI-30")
def test_following_with_a_stdin_goes_on_until_its_caller_goes(operator: Operator):
    words = [os.environ["KUBECTL"], "-n", NAMESPACE, "exec", "-i", POD, "--", *LIST, "--watch", "--limit=1", "--format=name"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"evt_")
        assert process.poll() is None
        assert len(programs(operator)) == 1
        process.kill()
    wait_for("nothing is left in the pod", lambda: not programs(operator))

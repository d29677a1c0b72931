"""The rules: what is recorded, how grave it is, what a wrong file is told, and that no rule can fail or hang."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE, Kube9, make_event
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kube9 import errors, expressions, plan, rulebook, rules
from kube9.normalise import normalise
from kube9.rules import LOOKED_AT, MOST_STEPS
from kube9.selection import Selection

RULES = rules.built_in()
DEFAULT, EVERYTHING = Selection(RULES), Selection(RULES, everything=True)
POD, NODE = {"kind": "Pod", "namespace": "prod", "name": "web-0"}, {"kind": "Node", "name": "node-1"}
CLAIM = {"kind": "PersistentVolumeClaim", "namespace": "prod", "name": "data"}
PAGE = (ROOT / "docs" / "reasons.md").read_text()


def event(reason: str, type: str = "Warning", message: str = "it happened", of: dict = POD, **changes) -> dict:
    return make_event(reason=reason, type=type, message=message, involvedObject=of, **changes)


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes rules with a file of the user's own beside those of kube9."""

    def load(*texts: str) -> rules.Rules:
        folder = tmp_path / "rules"
        folder.mkdir(exist_ok=True)
        for number, text in enumerate(texts):
            written(folder, text, f"{number}.yaml")
        monkeypatch.setenv(rules.OWN, str(folder))
        return rules.load()

    return load


# Severity, title and what is read out of the message.

QUOTA = (
    'Error creating: pods "web-1" is forbidden: exceeded quota: small, '
    "requested: pods=1,limits.cpu=2, used: pods=3, limited: pods=3"
)
PROBED = "Container web failed liveness probe, will be restarted"
TITLES = {
    "a node that is not ready": (("NodeNotReady", "Normal", "it is NodeNotReady", NODE), "critical", "Node NotReady", {}),
    "a pod of a node that is not ready": (("NodeNotReady", "Warning", "Node is not ready"), "warning", "Pod NodeNotReady", {}),
    "a kill for memory by the kernel": (
        ("OOMKilling", "Warning", "Memory cgroup out of memory: Killed process 4711 (java) total-vm:146704kB", NODE),
        "critical",
        "Node OOMKilling",
        {"process": "java", "pid": "4711"},
    ),
    "a kill for memory by an older kernel": (
        ("OOMKilling", "Warning", "Kill process 4711 (java) score 969 or sacrifice child", NODE),
        "critical",
        "Node OOMKilling",
        {"process": "java", "pid": "4711"},
    ),
    "a node out of memory": (
        ("SystemOOM", "Warning", "System OOM encountered, victim process: java, pid: 4711", NODE),
        "critical",
        "Node SystemOOM",
        {"process": "java", "pid": "4711"},
    ),
    "a quota": (
        ("FailedCreate", "Warning", QUOTA, {"kind": "ReplicaSet", "namespace": "prod", "name": "web"}),
        "warning",
        "Resource quota exceeded",
        {"quota": "small", "resource": "pods", "requested": "1", "quota_limit": "3"},
    ),
    "another failure to create": (("FailedCreate", "Warning", "Error creating: denied"), "warning", "Pod FailedCreate", {}),
    "a claim whose volume cannot be made": (
        ("ProvisioningFailed", "Warning", 'storageclass.storage.k8s.io "fast" not found', CLAIM),
        "error",
        "PVC binding failed",
        {"storage_class": "fast"},
    ),
    "a claim that no volume fits": (
        ("FailedBinding", "Normal", "no persistent volumes available for this claim and no storage class is set", CLAIM),
        "error",
        "PVC binding failed",
        {},
    ),
    "a claim with a size": (
        ("ProvisioningFailed", "Warning", 'StorageClass "fast": requested size 20Gi is more than there is', CLAIM),
        "error",
        "PVC binding failed",
        {"storage_class": "fast", "requested_size": "20Gi"},
    ),
    "an autoscaler": (
        ("SuccessfulRescale", "Normal", "New size: 5; reason: cpu resource utilization (percentage of request) above target"),
        "info",
        "Pod SuccessfulRescale",
        {"new": "5", "metric": "cpu resource utilization (percentage of request)"},
    ),
    "an autoscaler whose reason is another": (
        ("SuccessfulRescale", "Normal", "(combined from similar events): New size: 1; reason: All metrics below target"),
        "info",
        "Pod SuccessfulRescale",
        {"new": "1", "metric": "All metrics"},
    ),
    "an autoscaler that says no more": (("SuccessfulRescale", "Normal", "New size: 5"), "info", "Pod SuccessfulRescale", {}),
    "a rollout": (("ScalingReplicaSet", "Normal", "Scaled up replica set web to 3"), "info", "Pod ScalingReplicaSet", {}),
    "a probe": (("Unhealthy", "Warning", "Readiness probe failed: 503"), "warning", "Pod Unhealthy", {"probe": "Readiness"}),
    "a kill": (("Killing", "Normal", "Stopping container web"), "info", "Pod Killing", {}),
    "a kill for a probe": (
        ("Killing", "Normal", PROBED),
        "warning",
        "Container failed its probe",
        {"probe": "liveness"},
    ),
    "an eviction": (("Evicted", "Warning", "The node was low on resource: memory."), "error", "Pod evicted", {}),
    "an eviction by an autoscaler": (("Evicted", "Normal", "Evicted pod: Underutilized"), "info", "Pod evicted", {}),
    "a job that gave up": (
        ("BackoffLimitExceeded", "Warning", "Job has reached the specified backoff limit", {"kind": "Job", "name": "nightly"}),
        "error",
        "Job failed",
        {},
    ),
    "a container that cannot start": (("Failed", "Warning", 'Error: configmap "web" not found'), "warning", "Pod Failed", {}),
    "a certificate": (("Failed", "Warning", "it failed", {"kind": "Order", "name": "web"}), "error", "Order Failed", {}),
    "lost data": (("ClaimLost", "Warning", "the volume is gone", CLAIM), "critical", "PersistentVolumeClaim ClaimLost", {}),
    "a warning by its type only": (("FastControllerResync", "Warning", "60s"), "info", "Pod FastControllerResync", {}),
}  # fmt: skip


@pytest.mark.scenario("REC-02", "REC-06", "REC-11", "REC-12")
@pytest.mark.parametrize("case", TITLES)
def test_an_event_gets_the_severity_the_title_and_the_facts_that_it_should(case: str) -> None:
    (reason, type_name, message, *of), severity, title, facts = TITLES[case]
    found = normalise(event(reason, type_name, message, *of), RULES)
    assert (found.severity, found.title) == (severity, title)
    assert {name: value for name, value in found.metadata.items() if name != "type"} == facts


IMAGES = [
    ("Failed", "Warning", 'Failed to pull image "registry.test/web:1": rpc error: code = NotFound'),
    ("BackOff", "Normal", 'Back-off pulling image "registry.test/web:1"'),
    ("BackOff", "Normal", '(combined from similar events): Back-off pulling image "registry.test/web:1"'),
    ("ErrImageNeverPull", "Warning", 'Container image "registry.test/web:1" is not present with pull policy of Never'),
]


@pytest.mark.scenario("REC-06")
@pytest.mark.parametrize(("reason", "type_name", "message"), IMAGES)
def test_a_failed_pull_is_recorded_whatever_its_type(kube9: Kube9, reason: str, type_name: str, message: str) -> None:
    kube9("import", "-", "--record", "default", input=json.dumps(event(reason, type_name, message)).encode())
    (found,) = kube9.events()
    assert (found["severity"], found["title"], found["metadata"]["image"]) == (
        "error",
        "Image pull failed",
        "registry.test/web:1",
    )
    assert found["metadata"]["reason"] == reason


# What is recorded.

RECORDED = ["ScalingReplicaSet", "Scheduled", "Killing", "TaintManagerEviction", "Preempted", "NodeNotReady", "NodeReady"]
RECORDED += ["RegisteredNode", "NodeNotSchedulable", "SuccessfulAttachVolume", "ProvisioningSucceeded", "SuccessfulRescale"]
RECORDED += ["NodeHasDiskPressure", "LeaderElection", "Completed", "SuccessfulDelete", "FailedBinding", "Rebooted"]
CHATTER = ["Pulling", "Pulled", "Created", "Started", "Provisioning", "SuccessfulMountVolume", "AnOperatorsOwn", ""]


@pytest.mark.scenario("REC-30")
def test_by_default_what_changes_what_runs_is_recorded_and_no_chatter() -> None:
    normal = {reason: DEFAULT.recorded(event(reason, "Normal")) for reason in RECORDED + CHATTER}
    assert normal == dict.fromkeys(RECORDED, True) | dict.fromkeys(CHATTER, False)


@pytest.mark.scenario("REC-30")
@pytest.mark.parametrize("type_name", ["Warning", "Error", "Odd", "", None])
def test_by_default_whatever_is_not_normal_is_recorded(type_name: str | None) -> None:
    assert all(DEFAULT.recorded(event(reason, "Normal") | {"type": type_name}) for reason in RECORDED + CHATTER)


def test_no_rule_of_kube9_leaves_a_warning_out() -> None:
    assert {matcher.rule.record for matcher in RULES.record.values()} == {True}


SELECTIONS = [
    ([], {"Started", "Scheduled", "Unhealthy"}),  # an import takes all
    (["--record", "default"], {"Scheduled", "Unhealthy"}),
    (["--record", "default", "--record-reason", "Started,Synced"], {"Started", "Scheduled", "Unhealthy"}),
    (["--record", "default", "--record-reason", "Synced", "--record-reason", "Started"], {"Started", "Scheduled", "Unhealthy"}),
    (["--record", "default", "--skip-reason", "Unhealthy, Scheduled"], set()),
    (["--skip-reason", "Unhealthy"], {"Started", "Scheduled"}),
]


@pytest.mark.scenario("REC-30")
@pytest.mark.parametrize(("words", "reasons"), SELECTIONS)
def test_an_import_takes_everything_unless_it_is_told_otherwise(kube9: Kube9, words: list[str], reasons: set) -> None:
    made = [event(reason, "Warning" if reason == "Unhealthy" else "Normal") for reason in ("Started", "Scheduled", "Unhealthy")]
    for number, one in enumerate(made):
        one["metadata"] = {**one["metadata"], "name": f"web-0.{number}"}
    dump = json.dumps({"kind": "List", "items": made}).encode()
    # A recorder's environment is not an import's.
    done = kube9("import", "-", *words, "--format", "json", input=dump, env={"KUBE9_RECORD": "default"})
    assert {found["reason"] for found in kube9.events()} == reasons
    assert done.json.get("left_out", 0) == 3 - len(reasons)
    assert ("left_out" in done.json) == bool(words)


def test_what_is_left_out_is_said(kube9: Kube9) -> None:
    done = kube9("import", "-", "--record", "default", input=json.dumps(event("Started", "Normal")).encode())
    assert done.out == "imported 0 events: 0 added, 0 updated, 0 unchanged; 1 left out\n"


def test_a_reason_cannot_be_added_and_left_out(kube9: Kube9) -> None:
    done = kube9("import", SAMPLE, "--record-reason", "Started", "--skip-reason", "Pulled,Started", "--format", "json")
    assert (done.code, done.error["code"]) == (1, "INVALID_ARGUMENT")
    assert done.error["error"] == "--record-reason and --skip-reason both name Started"
    assert not kube9.db.exists()


class Cluster:
    """An API server over HTTP that has these events and nothing else, and to which nothing more happens."""

    def __init__(self, folder: Path, *events: dict) -> None:
        self.over = over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                if "watch=" in query:
                    self.send_response(422 if "sendInitialEvents" in query else 200)
                    self.end_headers()
                    self.close_connection = True
                    over.wait(0 if "sendInitialEvents" in query else 60)
                    return
                items = list(events) if path == "/api/v1/events" else []
                body = json.dumps({"metadata": {"uid": "u-1", "resourceVersion": "9"}, "items": items}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{self._http.server_port}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        self.config = folder / "kubeconfig"
        self.config.write_text(
            json.dumps(
                {"current-context": "c", "clusters": [cluster], "contexts": [context], "users": [{"name": "u", "user": {}}]}
            )
        )

    def close(self) -> None:
        self.over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


STARTED, SCHEDULED, UNHEALTHY, MARKER = (
    event("Started", "Normal"), event("Scheduled", "Normal"), event("Unhealthy"), event("AllRead"),
)  # fmt: skip


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = [STARTED, SCHEDULED, UNHEALTHY, MARKER]
    for number, one in enumerate(made):
        one["metadata"] = {**one["metadata"], "name": f"web-0.{number}", "resourceVersion": str(number + 1)}
    running = Cluster(tmp_path, *made)
    yield running
    running.close()


def served(kube9: Kube9, cluster: Cluster, *words: str, env: dict[str, str]) -> tuple[set[str], str]:
    """The reasons of the cluster that `serve` records, but the last one, and its log."""
    process = kube9.start("serve", "--kubeconfig", str(cluster.config), *words, env=env, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while not (kube9.db.exists() and "AllRead" in kube9.query("events", "list").out):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.terminate()
        _, log = process.communicate(timeout=30)
    return {found["reason"] for found in kube9.events("--type", "cluster")} - {"AllRead"}, log


@pytest.mark.scenario("REC-30")
@pytest.mark.parametrize(
    ("words", "env", "reasons"),
    [
        ([], {}, {"Scheduled", "Unhealthy"}),
        ([], {"KUBE9_RECORD": "all"}, {"Started", "Scheduled", "Unhealthy"}),
        ([], {"KUBE9_RECORD_REASONS": "Synced, Started", "KUBE9_SKIP_REASONS": "Unhealthy"}, {"Started", "Scheduled"}),
        (["--record", "default", "--skip-reason", "Scheduled"], {"KUBE9_RECORD": "all"}, {"Unhealthy"}),
    ],
)
def test_the_recorder_takes_what_its_options_and_its_environment_say(
    kube9: Kube9, cluster: Cluster, words: list[str], env: dict, reasons: set
) -> None:
    assert served(kube9, cluster, *words, env=env)[0] == reasons


@pytest.mark.scenario("REC-38")
def test_recording_goes_on_beside_a_wrong_file(kube9: Kube9, cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    written(folder, "version: 1\nrules:\n  - {reason: Unhealthy, sverity: info}\n", "wrong.yaml")
    written(folder, "version: 1\nrules:\n  - {reason: Started, record: true, title: Container started}\n", "right.yaml")
    reasons, log = served(kube9, cluster, env={"KUBE9_RULES": str(folder)})
    assert reasons == {"Started", "Scheduled", "Unhealthy"}
    assert {found["title"] for found in kube9.events()} >= {"Container started", "Pod Unhealthy"}
    assert f'{folder}/wrong.yaml:3:25: no key "sverity" here; did you mean "severity"?' in log


# The users' own rules.


@pytest.mark.scenario("REC-38")
def test_a_users_rule_wins_and_what_it_leaves_open_is_kube9s(own) -> None:
    known = own("version: 1\nrules:\n  - {reason: NodeNotReady, severity: warning}\n")
    told = known.match("NodeNotReady", "Node", "")
    assert (told.severity, told.title) == ("warning", "Node NotReady")
    assert [place.rpartition("/")[2].partition(":")[0] for place in told.places] == ["0.yaml", "rules.yaml"]


def test_facts_of_both_are_kept_and_the_users_win(own) -> None:
    known = own('version: 1\nrules:\n  - {reason: BackOff, extract: [\'image "(?P<image>[a-z]+)\', "(?P<how>Back-off)"]}\n')
    assert known.match("BackOff", "Pod", 'Back-off pulling image "web:1"').facts == {"image": "web", "how": "Back-off"}


def test_a_users_rule_for_any_reason_is_asked_for_every_event(own) -> None:
    known = own("version: 1\nrules:\n  - {message: disk is (?P<what>full), severity: critical}\n")
    for reason in ("Scheduled", "AnOperatorsOwn", None):
        assert known.match(reason, "Pod", "the disk is full").severity == "critical"
        assert known.match(reason, "Pod", "all is well").severity is None


def test_a_users_rule_can_record_and_leave_out(own) -> None:
    known = own("version: 1\nrules:\n  - {reason: [Started, Synced], record: true}\n  - {reason: Unhealthy, record: false}\n")
    chosen = Selection(known)
    assert [chosen.recorded(event(reason, "Normal")) for reason in ("Started", "Synced", "Pulled")] == [True, True, False]
    assert not chosen.recorded(event("Unhealthy", "Warning"))
    assert Selection(known, add=["Unhealthy"]).recorded(event("Unhealthy", "Warning"))
    assert not Selection(known, skip=["Started"]).recorded(event("Started", "Normal"))
    assert Selection(known, everything=True).recorded(event("Unhealthy", "Warning"))


def test_a_users_types_and_kinds_are_added(own) -> None:
    known = own("version: 1\nseverities: {Alert: critical, Warning: error}\ncluster_scoped: [Tenant]\n")
    of = {"kind": "Tenant", "namespace": "default", "name": "blue"}
    assert normalise(event("X", "Alert", of=of), known).severity == "critical"
    assert normalise(event("X", "Warning", of=of), known).severity == "error"
    assert normalise(event("X", "Warning", of=of), known).object_namespace is None
    assert known.cluster_scoped >= RULES.cluster_scoped


def test_a_wrong_file_takes_no_other_down(own) -> None:
    known = own(
        "version: 1\nrules:\n  - {reason: A, severity: wild}\n", "version: 1\nrules:\n  - {reason: B, severity: error}\n"
    )
    (problem,) = known.problems
    assert re.search(r"0\.yaml:3:27: must be .*'critical', found 'wild'$", problem)
    assert known.match("A", None, "").severity is None
    assert known.match("B", None, "").severity == "error"
    assert known.match("NodeNotReady", "Node", "").severity == "critical"


def test_what_another_file_takes_is_told_and_both_are_used(own) -> None:
    known = own(
        "version: 1\nrules:\n  - {reason: A, severity: error}\n", "version: 1\nrules:\n  - {reason: [A, B], title: Second}\n"
    )
    (problem,) = known.problems
    assert re.search(r"1\.yaml:3:1: A can never match here, because .*0\.yaml:3 takes all of it$", problem)
    assert (known.match("A", None, "").title, known.match("B", None, "").title) == (None, "Second")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", ":1:1: is not UTF-8 text: "),
        (b"version: 1\nrules: [\n", ":3:1: "),
        (b"#" * (plan.MOST_BYTES + 1), f":1:1: has {plan.MOST_BYTES + 1} bytes"),
        (
            b"version: 1\nrules: [" + b"{kind: A, title: A}, " * (rules.MOST_RULES + 1) + b"]",
            ":2:1: at most 500 rules are read, not 501",
        ),
    ],
    ids=["no text", "no YAML", "large", "many"],
)
def test_a_file_that_cannot_be_taken_is_a_problem(tmp_path: Path, monkeypatch, content: bytes, said: str) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    monkeypatch.setenv(rules.OWN, str(tmp_path / "mine.yaml"))
    known = rules.load()
    assert known.problems
    assert all(problem.startswith(f"{tmp_path}/mine.yaml{said}") for problem in known.problems)
    assert known.match("NodeNotReady", "Node", "").severity == "critical"


def test_a_place_that_is_not_there_is_a_problem(monkeypatch) -> None:
    monkeypatch.setenv(rules.OWN, "/nowhere/rules")
    assert rules.load().problems == ["/nowhere/rules:1:1: cannot be read: No such file or directory"]


def test_without_own_files_there_is_no_problem(monkeypatch) -> None:
    monkeypatch.delenv(rules.OWN, raising=False)
    assert rules.load() is RULES
    assert RULES.problems == []


# Mistakes. What is replaced, by what (‹ marks the place that must be named), and what must be said.

BASE = """\
version: 1
severities: {Alert: critical}
cluster_scoped: [Tenant]
rules:
  - reason: Unhealthy
    kind: Pod
    message: ^Readiness
    severity: info
    title: Not ready
    extract: ['HTTP (?P<code>[0-9]+)']
    why: slow to start
  - reason: [Unhealthy, Slow]
    severity: error
  - {reason: Started, record: true}
"""
MISTAKES = {
    "key of the file": ("severities:", "‹sverities:", 'no key "sverities" here; did you mean "severities"?'),
    "key of a rule": ("    severity: info", "    ‹sverity: info", 'no key "sverity" here; did you mean "severity"?'),
    "severity": ("severity: info", "severity: ‹warn", "must be 'info', 'warning', 'error' or 'critical', found 'warn'"),
    "severity of a type": ("Alert: critical", "Alert: ‹grave", "'critical', found 'grave'"),
    "version": ("version: 1", "version: ‹2", "must be 1, found 2"),
    "version missing": ("version: 1\n", "", 'the key "version" is missing'),
    "expression": ("message: ^Readiness", "message: ‹^(Readiness", "not a regular expression (missing ), unterminated"),
    "expression that hangs": ("message: ^Readiness", "message: ‹(a+)+b", "could take too long on some messages: make repeats"),
    "extract that hangs": ("['HTTP (?P<code>[0-9]+)']", "[‹'(?P<code>.*) .* (?P<end>.*)']", "could take too long"),
    "extract that reads nothing": ("['HTTP (?P<code>[0-9]+)']", "[‹'HTTP [0-9]+']", "reads nothing: it has no group"),
    "extract that is none": ("['HTTP (?P<code>[0-9]+)']", "[‹'HTTP (?P<code>[0-9]+']", "not a regular expression"),
    "extract of a taken name": ("(?P<code>[0-9]+)']", "(?P<code>[0-9]+)', ‹'(?P<count>[0-9])']", "a group count, which"),
    "expression too long": ("message: ^Readiness", f"message: ‹{'x' * 1001}", "is too long"),
    "title empty": ("title: Not ready", 'title: ‹""', "must not be empty"),
    "title too long": ("title: Not ready", f"title: ‹{'x' * 201}", "is too long"),
    "reason empty": ("reason: [Unhealthy, Slow]", 'reason: [Unhealthy, ‹""]', "must not be empty"),
    "reason no text": ("reason: [Unhealthy, Slow]", "reason: [Unhealthy, ‹7]", "must be text, found 7"),
    "reason twice": ("reason: [Unhealthy, Slow]", "reason: [Slow, Unhealthy, ‹Slow]", "Slow stands there twice"),
    "record no truth": ("record: true", "record: ‹maybe", "must be true or false, found 'maybe'"),
    "record and kind": ("- {reason: Started, record", "- ‹{reason: Started, kind: Pod, record", "record goes by the"),
    "record without reason": ("- {reason: Started, record: true}", "- ‹{kind: Pod, record: true}", "record goes by the reason"),
    "no condition": ("- {reason: Started, record: true}", "- ‹{severity: info}", "a rule needs one of reason, kind, message"),
    "says nothing": ("- {reason: Started, record: true}", "- ‹{reason: Started}", "a rule says nothing without one of title"),
    "reason that is taken": (
        "{reason: Started, record: true}",
        "{reason: [Started, ‹Slow], kind: Pod, severity: info}",
        "Slow can never match here, because the rule of line 12 takes all of it",
    ),
    "rule that is taken": (
        "{reason: Started, record: true}",
        "{kind: [Pod, Node], severity: info}\n  - ‹{kind: Pod, severity: error}",
        "this rule can never match, because the rule of line 14 takes all of it",
    ),
    "same conditions": (
        "  - reason: [Unh",
        "  - {reason: ‹Unhealthy, kind: Pod, message: ^Readiness, title: A}\n  - reason: [Unh",
        "Unhealthy can never match here, because the rule of line 5 takes all of it",
    ),
    "rules no list": ("rules:\n", "rules: ‹7\n_:\n", "must be a list, found 7"),
    "kinds no list": ("cluster_scoped: [Tenant]", "‹cluster_scoped: {Tenant: 1}", "must be a list, found a mapping"),
    "key twice": ("    title: Not ready", "    ‹reason: A", 'duplicate key "reason"'),
    "merge": ("    title: Not ready", "    ‹<<: {a: 1}", "<< is not taken here"),
}  # fmt: skip


def problems(text: str) -> list[str]:
    with pytest.raises(errors.SpecError) as caught:
        rules.read("mine.yaml", text)
    return caught.value.problems


def test_a_right_file_has_no_mistake() -> None:
    assert rules.read("mine.yaml", BASE).places == ["mine.yaml:5", "mine.yaml:12", "mine.yaml:14"]


@pytest.mark.scenario("REC-38")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(mistake: str) -> None:
    old, new, said = MISTAKES[mistake]
    assert old in BASE
    text = BASE.replace(old, new, 1)
    before, mark, _ = text.partition("‹")
    found = problems(text.replace("‹", ""))
    where = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}" if mark else "1:1"
    assert [one for one in found if one.startswith(f"mine.yaml:{where}: ") and said in one], found
    assert len(found) == (2 if mistake == "rules no list" else 1)


@pytest.mark.scenario("REC-38")
def test_every_mistake_of_a_file_comes_at_once_in_its_order() -> None:
    wrong = ["severity of a type", "key of a rule", "expression that hangs", "extract that reads nothing", "record no truth"]
    text = BASE
    for mistake in wrong:
        text = text.replace(MISTAKES[mistake][0], MISTAKES[mistake][1].replace("‹", ""), 1)
    found = problems(text)
    assert len(found) == len(wrong)
    assert [int(problem.split(":")[1]) for problem in found] == sorted(int(problem.split(":")[1]) for problem in found)


# Expressions that could hang the recorder.


@pytest.mark.parametrize(
    "hanging",
    [
        r"(a+)+b",
        r"(a*)*b",
        r"(?:a|a)*b",
        r"(?:a?){40}b",
        r".*a.*b",
        r"(\w+) (\w+)",
        r"^(?:.*,){9}x",
        r"(a)?\1*\1*x",
        r"(?m)^.*a.*b",
        r"(?:|){40}x",
        r"(?:(?:a*)*?()b|c)",
    ],
)
def test_an_expression_that_can_take_too_long_is_refused(hanging: str) -> None:
    assert expressions.steps(hanging, LOOKED_AT) > MOST_STEPS


@pytest.mark.parametrize(
    "quick",
    [r"failed", r".*b", r"^.*a.*b", r"(?:ab)*c", r"[a-z]++ [a-z]++ x", r"(?>a+b)c", r"(\w{1,30})=(\w{1,30})", r"(?:a{1,3}b)*+c",
     r"(?=.*x)y", r"(a)?(?(1)b|c)", r"(?i)disk", r"(?:foo|bar)*+x"],
)  # fmt: skip
def test_an_expression_that_cannot_is_taken(quick: str) -> None:
    assert expressions.steps(quick, LOOKED_AT) <= MOST_STEPS


PIECES = st.sampled_from(["a", "b", ".", "[ab]", "(?:a|b)", "(?:a|ab)", "(?:|a)", "(?:|)", "(a)", "^", "$", r"\w"])
REPEATS = st.sampled_from(["", "", "*", "+", "?", "*?", "*+", "{0,9}", "{2,3}", "++"])


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.tuples(PIECES, REPEATS), min_size=1, max_size=4), around=REPEATS, end=st.sampled_from(["", "x", "b"]))
def test_what_is_taken_ends(parts: list[tuple[str, str]], around: str, end: str) -> None:
    expression = f"(?:{''.join(piece + repeat for piece, repeat in parts if piece not in '^$' or not repeat)}){around}{end}"
    if expressions.steps(expression, 400) <= 4 * 400**2:  # the same bound for a shorter text, so that the test is quick
        for text in ("a" * 400, "ab" * 200, "a" * 399 + "b", "a\n" * 200):
            with suppress(SystemError):  # a defect of `re`
                re.search(expression, text)  # one that grew like a power would not come back


# Nothing an event holds makes a rule fail.

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
REASONS = st.sampled_from(sorted(RULES.record)) | ANY_TEXT
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | REASONS,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(ANY_TEXT, part, max_size=3),
    max_leaves=5,
)


def test_a_defect_of_the_library_of_expressions_is_no_end_of_recording(own) -> None:
    expression = "(?>(?:(?>(?>a)(?:(a)|b)))++)"  # SystemError on "aaab", up to Python 3.11 at least
    given = f"{{reason: A, message: '{expression}', severity: error}}"
    known = own(f"version: 1\nrules:\n  - {given}\n  - {{reason: A, title: All the same}}\n")
    assert known.problems == []
    told = known.match("A", "Pod", "aaab")
    assert told.severity == "error" or told.title == "All the same"


@settings(max_examples=200, deadline=None)
@given(junk=st.dictionaries(st.sampled_from(["reason", "type", "message", "note", "involvedObject", "metadata"]), JUNK))
@example(junk={"reason": ["BackOff"], "type": {"Normal": 1}, "message": {"a": 1}, "involvedObject": [1]})
def test_the_rules_never_fail_whatever_an_event_holds(junk: dict) -> None:
    for chosen in (DEFAULT, EVERYTHING):
        found = rulebook.tried(chosen, make_event() | junk)
        assert found["recorded"] in (True, False)
        assert found["because"]
        assert rulebook.said(found)
        json.dumps(found)


@pytest.mark.parametrize(
    "text", ["a" * LOOKED_AT, "exceeded quota: " * 256, 'image "' * 585, "requested " * 409, "pod=" * 1024]
)
def test_long_messages_made_for_it_keep_no_rule_of_kube9_busy(text: str) -> None:
    for reason in sorted(RULES._by_reason):
        RULES.match(reason, "Pod", text[:LOOKED_AT])


# The commands.


@pytest.mark.scenario("REC-38")
def test_rules_check_finds_no_mistake_in_the_shipped_file(kube9: Kube9) -> None:
    done = kube9("rules", "check", db=False)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"rules.yaml: {len(RULES.layers[1])} rules, no mistakes\n"


@pytest.mark.scenario("REC-38")
def test_rules_check_prints_every_problem_and_exits_1(kube9: Kube9, tmp_path: Path) -> None:
    file = written(tmp_path, BASE.replace("severity: info", "severity: warn").replace("kind: Pod", "knid: Pod"))
    for words, env in (([file], {}), ([], {"KUBE9_RULES": str(file)})):
        done = kube9("rules", "check", *words, db=False, env=env)
        assert (done.code, done.out) == (1, "")
        assert [line.partition(": ")[0] for line in done.err.splitlines()] == [f"{file}:6:5", f"{file}:8:15"]


def test_rules_check_counts_what_is_right(kube9: Kube9, tmp_path: Path) -> None:
    file = written(tmp_path, BASE)
    assert kube9("rules", "check", file, db=False).out == f"{file}: 3 rules, no mistakes\n"
    assert kube9("rules", "check", tmp_path / "none.yaml", "-o", "json", db=False).code == 1


@pytest.mark.scenario("REC-38")
def test_rules_test_shows_what_would_be_stored(kube9: Kube9) -> None:
    shown = kube9("rules", "test", db=False, input=json.dumps(make_event()).encode()).json
    kube9.record(make_event())
    (stored,) = kube9.events()
    assert (shown["recorded"], shown["because"].endswith("says so")) == (True, True)
    assert [re.sub(r"\d+", "N", place) for place in shown["rules"]] == ["rules.yaml:N"]
    common = stored.keys() & shown["event"].keys() - {"metadata"}
    assert {"id", "severity", "title", "object_kind", "created_at", "count", "reason"} <= common
    assert {key: shown["event"][key] for key in common} == {key: stored[key] for key in common}
    assert shown["event"]["metadata"].items() <= stored["metadata"].items()


@pytest.mark.parametrize(
    ("words", "env", "recorded", "because"),
    [
        ([], {}, False, "its type is Normal, and no rule says to record its reason"),
        (["--record", "all"], {}, True, "--record all takes every event"),
        (["--record-reason", "Started"], {}, True, "--record-reason names Started"),
        (["--record", "all", "--skip-reason", "Started"], {}, False, "--skip-reason names Started"),
        ([], {"KUBE9_RECORD": "all"}, True, "--record all takes every event"),
    ],
)
def test_rules_test_says_why(kube9: Kube9, words: list[str], env: dict, recorded: bool, because: str) -> None:
    source = json.dumps(event("Started", "Normal")).encode()
    shown = kube9("rules", "test", "-", *words, db=False, input=source, env=env).json
    assert (shown["recorded"], shown["because"]) == (recorded, because)


@pytest.mark.scenario("REC-38")
def test_rules_test_reads_lists_and_lines_and_says_it_to_people(kube9: Kube9, tmp_path: Path) -> None:
    file = written(tmp_path, "version: 1\nrules:\n  - {reason: BackOff, severity: critical}\n")
    dump = json.dumps({"kind": "List", "items": [make_event(), event("Started", "Normal")]}) + json.dumps(make_event(type=None))
    done = kube9("rules", "test", "--format", "text", db=False, input=dump.encode(), env={"KUBE9_RULES": str(file)})
    lines = done.out.splitlines()
    assert [line for line in lines if line[0] != " "] == [
        next(line for line in lines if line.startswith("recorded: rules.yaml:")),
        "left out: its type is Normal, and no rule says to record its reason",
        next(line for line in lines if line.startswith("recorded: rules.yaml:")),
    ]
    assert lines[1] == "  critical, Pod BackOff, Pod/prod/web-0"
    assert lines[2].startswith(f"  by {file}:3, rules.yaml:")


@pytest.mark.parametrize("data", [b"", b"{}", b'{"kind": "Pod"}', b'{"kind": "Ev'])
def test_rules_test_of_no_event_is_an_error(kube9: Kube9, data: bytes) -> None:
    done = kube9("rules", "test", "-o", "json", db=False, input=data)
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")


def test_a_wrong_file_of_ones_own_is_said_beside_the_answer(kube9: Kube9, tmp_path: Path) -> None:
    file = written(tmp_path, "version: 1\nrules: 7\n")
    for words in (["test"], ["show", "BackOff"]):
        done = kube9("rules", *words, db=False, input=json.dumps(make_event()).encode(), env={"KUBE9_RULES": str(file)})
        assert (done.code, done.err) == (0, f"rules left out: {file}:2:8: must be a list, found 7\n")
        assert done.out


def test_rules_show_tells_all_about_a_reason(kube9: Kube9) -> None:
    found = kube9("rules", "show", "BackOff", "-o", "json", db=False).json
    assert [entry["title"] for entry in found] == ["Image pull failed", "Pod BackOff", None]
    assert {entry["recorded"] for entry in found} == {"yes"}
    text = kube9("rules", "show", "BackOff", db=False).out
    assert "BackOff of Pod: error, recorded: yes\n  title:   Image pull failed\n" in text
    assert len(kube9("rules", "show", "-o", "json", db=False).json) > 400


def test_rules_show_names_the_nearest_reason(kube9: Kube9) -> None:
    done = kube9("rules", "show", "BackOf", "-o", "json", db=False)
    assert (done.code, done.error["code"]) == (1, "NOT_FOUND")
    assert done.error["error"] == 'no rule is about the reason "BackOf"; did you mean "BackOff"?'


# The page of the documentation.


def test_the_page_is_the_one_that_the_program_writes(kube9: Kube9) -> None:
    assert rulebook.page(RULES) == PAGE, "make generate"
    assert kube9("rules", "show", "--format", "markdown", db=False).out == PAGE


def test_every_reason_stands_on_the_page_with_a_why() -> None:
    named = {f"`{reason}`" for matcher in RULES.layers[1] for reason in matcher.rule.reason}
    rows = [line.split(" | ") for line in PAGE.partition("## The reasons")[2].splitlines() if line.startswith("| `")]
    assert {row[0].removeprefix("| ") for row in rows} == named
    assert all(len(row) == 6 and row[-1].removesuffix(" |") for row in rows)


def test_the_example_of_the_page_does_what_it_says(own) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    known = own(text)
    assert known.problems == []
    assert known.match("Unhealthy", "Pod", "Readiness probe failed").severity == "info"
    assert known.match("Unhealthy", "Pod", "Liveness probe failed").severity is None
    told = known.match("FailoverCompleted", "Cluster", "done, new primary is db-2")
    assert (told.severity, told.title, told.facts) == ("critical", "Database failed over", {"primary": "db-2"})
    assert Selection(known).recorded(event("FailoverCompleted", "Normal"))


def test_every_option_and_name_of_the_environment_on_the_page_is_there(kube9: Kube9) -> None:
    told = " ".join(kube9("serve", "--help", db=False).out.split())
    for name in (
        "--record",
        "--record-reason",
        "--skip-reason",
        "KUBE9_RECORD]",
        "KUBE9_RECORD_REASONS]",
        "KUBE9_SKIP_REASONS]",
    ):
        assert name in told.replace("_ ", "_")
        assert name.strip("]") in PAGE


# Real events.


@pytest.fixture(scope="session")
def real(shared_events: Path) -> list[dict]:
    files = [file for file in sorted(shared_events.glob("*.json")) if "as-events" not in file.name]
    return [source for file in files for source in json.loads(file.read_text())["items"]]


def test_the_counts_of_the_page_are_those_of_the_dumps(real: list[dict]) -> None:
    normal = [source for source in real if source.get("type") == "Normal"]
    recorded = [source for source in normal if DEFAULT.recorded(source)]
    assert {"events": len(real), "normal": len(normal), "normal and recorded": len(recorded)} == rulebook.COUNTED
    assert all(DEFAULT.recorded(source) for source in real if source.get("type") != "Normal")


def test_every_reason_of_the_dumps_is_known_or_decided_by_a_default(real: list[dict]) -> None:
    named = {reason for matcher in RULES.layers[1] for reason in matcher.rule.reason}
    for source in {source.get("reason"): source for source in real if source.get("reason") not in named}.values():
        found = rulebook.tried(DEFAULT, source)
        assert found["rules"] == []
        assert found["recorded"] == (source.get("type") != "Normal")
        assert found["because"].startswith("its type is ")
        assert found["event"]["severity"] == RULES.severities.get(source.get("type") or "Normal", "warning")
    components = ("kubelet", "default-scheduler", "deployment-controller", "job-controller", "horizontal-pod-autoscaler")
    kubernetes = {source["reason"] for source in real if (source.get("source") or {}).get("component") in components}
    assert kubernetes - named == set()  # of Kubernetes' own none is left to a default


@pytest.mark.scenario("REC-30")
def test_of_real_events_just_the_selected_ones_are_recorded(kube9: Kube9, shared_events: Path) -> None:
    file = shared_events / "replicatedhq__troubleshoot__3.json"
    sources = json.loads(file.read_text())["items"]
    done = kube9("import", file, "--record", "default", "--format", "json").json
    assert done["left_out"] == sum(not DEFAULT.recorded(source) for source in sources)
    assert done["added"] + done["updated"] + done["unchanged"] + done["left_out"] == len(sources)
    assert 0 < done["left_out"] < len(sources)


def test_a_file_without_end_is_not_read_to_its_end(kube9: Kube9) -> None:
    done = kube9("rules", "check", "/dev/zero", db=False)
    assert (done.code, done.out) == (1, "")
    assert "/dev/zero: is too long" in done.err

"""What was redacted is counted, and said once a minute without the secret; `kube9 redact test` shows what would be."""

import json
import logging
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ROOT, Kube9, make_event

from kube9 import redact, rules
from kube9.clock import Clock
from kube9.counts import Counts
from kube9.intake import Intake
from kube9.redactions import EVERY_S, Redactions, summary
from kube9.selection import Selection


class Stopped(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


def secrets(message: str) -> list[redact.Secret]:
    found: list[redact.Secret] = []
    redact.text(message, found)
    return found


@pytest.mark.scenario("REC-24")
def test_one_warning_a_minute_says_which_event_and_what_kind(caplog: pytest.LogCaptureFixture):
    clock, counts = Stopped(), Counts()
    redactions = Redactions(clock, counts)
    caplog.set_level(logging.WARNING, "kube9.redact")
    found = secrets("password=hunter2 token=abc.def9")
    for number in range(100):
        redactions.note(found, f"default/web.{number}")
    clock.seconds += EVERY_S
    redactions.note(found[:1], "default/last")
    assert counts.redacted == 201
    first, last = (record.getMessage() for record in caplog.records)
    assert "2 secrets (1 password, 1 token) in the event default/web.0" in first
    assert "1 secret (1 password) in the event default/last" in last
    assert "198 more" in last
    assert "hunter2" not in first + last


def test_nothing_found_is_nothing_said(caplog: pytest.LogCaptureFixture):
    counts = Counts()
    redactions = Redactions(Stopped(), counts)
    redactions.note(secrets("token: not found"), "default/web")
    assert (counts.redacted, caplog.records) == (0, [])


def test_threads_lose_no_count():
    counts = Counts()
    redactions = Redactions(Stopped(), counts)
    found = secrets("password=hunter2")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: redactions.note(found, str(number)), range(5_000)))
    assert counts.redacted == 5_000


def test_what_was_found_is_told_by_line_and_column():
    found = secrets("one\npassword=x y\ntwo token=abc1, db-password: p4ss\n\nAKIA" + "IOSFODNN7" + "EXAMPLE")
    assert found == [("password", "2:10"), ("token", "3:11"), ("password", "3:36"), ("AWS key", "5:1")]


def test_a_secret_inside_another_is_one():
    assert secrets("password=AKIA" + "IOSFODNN7EXAMPLE-and-more") == [("password", "1:10")]


def test_in_a_value_the_place_is_the_path():
    data = {
        "spec": {"env": [{"name": "DB_PASSWORD", "value": "x"}], "args": ["--token", "y", "-v"], "note": "a\ntoken=abc1"},
        "dbPass": "z",
        "auth": "YXBwOmh1bnRlcjI=",
        "login": {"user": "app", "pass": "w"},
        "sessionId": "s",
    }
    found: list[redact.Secret] = []
    redact.value(data, found)
    assert found == [
        ("password", "spec.env[0].value"),
        ("token", "spec.args[1]"),
        ("token", "spec.note:2:7"),
        ("password", "dbPass"),
        ("docker config", "auth"),
        ("password", "login.pass"),
        ("session", "sessionId"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"pass": 12, "fail": 3},
        {"pass": "2", "fail": "0"},
        {"auth": "oidc"},
        {"auth": "enabled"},
        {"bypass": "yes", "compass": "north"},
        {"sessionAffinity": "None"},
        {"cookieName": "route"},
    ],
)
def test_what_only_looks_like_a_secrets_key_stays(data: redact.JSON):
    assert redact.value(data) is data


def test_what_is_nested_too_deeply_to_be_looked_into_is_taken_out():
    data: redact.JSON = "password=hunter2"
    for _ in range(10_000):
        data = [data]
    found: list[redact.Secret] = []
    assert "hunter2" not in json.dumps(redact.value(data, found))
    assert found == [("nested too deeply", "[0]" * 100)]


def test_a_summary_counts_by_kind():
    assert summary([]) == "no secrets"
    assert summary(secrets("token=abc1 token=abc2 password=x")) == "3 secrets (1 password, 2 token)"


def redact_test(kube9: Kube9, given: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = kube9.command("redact", "test", *words, db=False)
    return subprocess.run(command, input=given, env=kube9.env, cwd=ROOT, capture_output=True)


@pytest.mark.scenario("REC-24")
def test_the_command_redacts_text_and_says_on_stderr_what_it_found(kube9: Kube9):
    done = redact_test(kube9, b"login with password=hunter2 failed\nfor ever\n")
    assert (done.returncode, done.stdout) == (0, b"login with password=[REDACTED] failed\nfor ever\n")
    assert done.stderr == b"redacted 1 secret (1 password)\n  1:21: password\n"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ('{"a": {"password": "x"}, "b": "token=abc1 y"}', '{"a": {"password": "[REDACTED]"}, "b": "token=[REDACTED] y"}'),
        ('{"password": "x"}\n{"password": "y"}', '{"password": "[REDACTED]"}\n{"password": "[REDACTED]"}'),
        (
            "apiVersion: v1\nkind: Secret\ndata:\n  password: aGk=\n",
            "apiVersion: v1\nkind: Secret\ndata:\n  password: '[REDACTED]'",
        ),
        ("[warn] password=x", "[warn] password=[REDACTED]"),
        ("kind: {broken password=x", "kind: {broken password=[REDACTED]"),
        ("plain", "plain"),
    ],
    ids=["JSON", "lines of JSON", "YAML", "not JSON", "not YAML", "text"],
)
def test_the_command_knows_the_form_of_its_input(kube9: Kube9, given: str, shown: str):
    done = redact_test(kube9, given.encode())
    assert (done.returncode, done.stdout.decode()) == (0, f"{shown}\n")


def test_the_command_gives_json(kube9: Kube9):
    done = redact_test(kube9, b'{"a": {"password": "x"}}', "--format", "json")
    assert json.loads(done.stdout) == {
        "redacted": {"a": {"password": "[REDACTED]"}},
        "found": [{"kind": "password", "place": "a.password"}],
    }
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("given", "words", "error"),
    [
        (b"\xff", [], "standard input is not UTF-8"),
        (b"x", ["--input", "json"], "the input is not JSON"),
        (b"a: [", ["--input", "yaml"], "the input is not YAML"),
        (b"[" * 100_000, ["--input", "json"], "the input is not JSON"),
    ],
)
def test_an_input_that_cannot_be_read_is_one_clear_error(kube9: Kube9, given: bytes, words: list[str], error: str):
    done = redact_test(kube9, given, *words)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(f"error: {error}\n")
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.scenario("REC-24")
def test_an_event_that_comes_in_with_a_secret_is_counted_and_told_without_it(caplog: pytest.LogCaptureFixture) -> None:
    counts = Counts()
    intake = Intake(Selection(rules.built_in(), everything=True), counts, Clock())
    with caplog.at_level(logging.WARNING):
        first, second = intake.events([make_event(message="login with password=hunter2-99 failed"), make_event("db-0.1")])
    assert (first.description, counts.redacted) == ("login with password=[REDACTED] failed", 1)
    assert second.description == make_event()["message"]
    (said,) = [record.getMessage() for record in caplog.records]
    assert "prod/web-0.17b2c4" in said
    assert "hunter2" not in said

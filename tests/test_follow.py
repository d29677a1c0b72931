"""Following: the page, then what arrives, until the reader goes away, stdin ends or Ctrl-C; each as a real process."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Kube9, make_event

from kube9 import migrations, rules, times
from kube9.model import Batch, Event
from kube9.normalise import normalise
from kube9.upsert import write

WAIT_S = 60  # for what comes within a second, on a busy machine
PLAIN = normalise(make_event(count=1, firstTimestamp=None, lastTimestamp=None), rules.built_in())
START = times.parse("2026-03-01T10:00:00Z", 0)
FORMS = ["jsonl", "csv", "name", "table", "wide"]


def event(name: str, second: int = 0, **changes: Any) -> Event:
    moment = times.iso(START + 1000 * second)
    return PLAIN._replace(**{"name": f"{name}.1", "object_name": name, "created_at": moment, "last_seen_at": moment} | changes)


@pytest.fixture
def writer(kube9: Kube9) -> Iterator[sqlite3.Connection]:
    """The connection of a recorder, which stays open."""
    with closing(migrations.open_writer(str(kube9.db))) as connection:
        yield connection


def commit(connection: sqlite3.Connection, *events: Event) -> None:
    write(connection, [Batch(list(events), "watch", "here")])


class Following:
    """A running `events list --watch` and what it has printed so far."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.out = self.err = b""
        self._more = threading.Condition()
        self._threads = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", process.stdout), ("err", process.stderr))
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, name: str, stream: Any) -> None:
        while chunk := os.read(stream.fileno(), 65536):
            with self._more:
                setattr(self, name, getattr(self, name) + chunk)
                self._more.notify_all()
        with self._more:
            self._more.notify_all()

    @property
    def lines(self) -> list[str]:
        """The lines of stdout that are whole."""
        return self.out.decode().split("\n")[:-1]

    def wait(self, holds: Callable[[list[str]], bool]) -> list[str]:
        """The lines, as soon as this holds of them."""
        deadline = time.monotonic() + WAIT_S
        with self._more:
            while not holds(self.lines):
                assert self.process.poll() is None, self
                assert time.monotonic() < deadline, self
                self._more.wait(1)
            return self.lines

    def wait_for(self, *names: str) -> list[str]:
        """The lines, as soon as each of these is in one."""
        return self.wait(lambda lines: all(any(name in line for line in lines) for name in names))

    def end(self) -> tuple[int, str]:
        """The exit code and stderr, when it ends by itself."""
        code = self.process.wait(WAIT_S)
        for thread in self._threads:
            thread.join(WAIT_S)
        return code, self.err.decode()

    def __repr__(self) -> str:
        return f"exit {self.process.poll()}\nstdout: {self.out.decode()[-2000:]}\nstderr: {self.err.decode()[-2000:]}"


@contextmanager
def following(
    runner: Kube9, *words: str, flag: str = "--watch", command: list[str] | None = None, **options: Any
) -> Iterator[Following]:
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    whole = [*(command or []), *runner.command("query", "events", "list", flag, *words)]
    with subprocess.Popen(whole, env=runner.env, cwd=ROOT, **options) as process:
        follower = Following(process)
        try:
            yield follower
        finally:
            process.kill()
            follower.end()


def names_in(lines: list[str], form: str, ids: dict[str, str]) -> list[str]:
    """The names of the objects in what was printed."""
    if form == "jsonl":
        return [json.loads(line)["object_name"] for line in lines]
    if form == "name":
        return [ids[line] for line in lines]
    if form == "csv":
        return [row["object_name"] for row in csv.DictReader(line + "\n" for line in lines)]
    assert lines[0].startswith("LAST SEEN")
    return [next(word.rpartition("/")[2] for word in line.split() if word.startswith("prod/pod/")) for line in lines[1:]]


def ids_of(runner: Kube9) -> dict[str, str]:
    return {row["id"]: row["object_name"] for row in runner.events("--limit", "1000")}


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("form", FORMS)
def test_the_page_comes_oldest_first_and_then_what_arrives(kube9: Kube9, writer: sqlite3.Connection, form: str):
    commit(writer, *(event(f"old-{number}", number) for number in range(9)))
    with following(kube9, "--format", form, "--limit", "4") as follower:
        follower.wait(lambda lines: len(lines) == 4 + (form in ("csv", "table", "wide")))
        commit(writer, event("new-0", 20))
        follower.wait(lambda lines: len(lines) == 5 + (form in ("csv", "table", "wide")))
        commit(writer, event("old-2", 2, last_seen_at="2026-03-01T11:00:00.000Z", count=2), event("new-1", 1))
        commit(writer, event("new-0", 20, last_seen_at="2026-03-01T11:01:00.000Z", count=2))
        lines = follower.wait(lambda lines: len(lines) == 8 + (form in ("csv", "table", "wide")))
        expected = ["old-5", "old-6", "old-7", "old-8", "new-0", "old-2", "new-1", "new-0"]
        assert names_in(lines, form, ids_of(kube9)) == expected
        assert follower.err == b""
        assert follower.process.poll() is None


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("form", FORMS)
def test_following_begins_with_nothing_too(kube9: Kube9, writer: sqlite3.Connection, form: str):
    with following(kube9, "--format", form) as follower:
        commit(writer, event("first"))
        lines = follower.wait(lambda lines: len(lines) == 1 + (form in ("csv", "table", "wide")))
        assert names_in(lines, form, ids_of(kube9)) == ["first"]
        # Said where nothing was found, which depends on what came first: the look or the event.
        assert follower.err in (b"", *([b"covered nothing: nobody ever watched\n"] if form in ("table", "wide") else []))


def test_following_without_a_format_is_in_lines_of_json(kube9: Kube9, writer: sqlite3.Connection):
    commit(writer, event("first"))
    with following(kube9, flag="-w") as follower:
        assert [json.loads(line)["object_name"] for line in follower.wait(lambda lines: len(lines) == 1)] == ["first"]


def test_a_repeated_event_comes_as_it_is_now(kube9: Kube9, writer: sqlite3.Connection):
    commit(writer, event("web"))
    with following(kube9, "--fields", "count,last_seen_at") as follower:
        for count in (2, 3, 4):
            follower.wait(lambda lines, seen=count: len(lines) == seen - 1)
            commit(writer, event("web", count=count, last_seen_at=f"2026-03-01T11:00:0{count}.000Z"))
        lines = follower.wait(lambda lines: len(lines) == 4)
    found = [json.loads(line) for line in lines]
    assert [row["count"] for row in found] == [1, 2, 3, 4]
    assert found[3] == {"count": 4, "last_seen_at": "2026-03-01T11:00:04.000Z"}


FILTERS: list[tuple[list[str], dict[str, Any]]] = [
    (["--severity", "error,critical"], {"severity": "error"}),
    (["--min-severity", "error"], {"severity": "critical"}),
    (["-n", "shop"], {"object_namespace": "shop"}),
    (["--kind", "node"], {"object_kind": "Node"}),
    (["--for", "deploy/web"], {"object_kind": "Deployment", "object_name": "web"}),
    (["--reason", "Evicted", "--since", "2026-02-01"], {"reason": "Evicted"}),
    (["--contains", "oom"], {"title": "Pod OOMKilled"}),
    (["--min-count", "5"], {"count": 7}),
    (["--type", "operator"], {"event_type": "operator"}),
    (["--node", "node-9", "--sort", "created_at"], {"node": "node-9"}),
]


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize(("words", "changes"), FILTERS, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_filters_hold_for_what_arrives(kube9: Kube9, writer: sqlite3.Connection, words: list[str], changes: dict[str, Any]):
    commit(writer, event("no-0"), event("yes-0", 1, **changes))
    with following(kube9, *words, "--fields", "id,created_at") as follower:
        for number in (1, 2):
            follower.wait(lambda lines, size=number: len(lines) == size)
            commit(writer, *(event(f"no-{number}{n}", 5) for n in range(9)), event(f"yes-{number}", number + 1, **changes))
        lines = follower.wait(lambda lines: len(lines) >= 3)
    assert [json.loads(line)["created_at"][17:19] for line in lines] == ["01", "02", "03"]


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("size", [1, 750, 3000])
def test_a_burst_arrives_whole_and_once(kube9: Kube9, writer: sqlite3.Connection, size: int):
    commit(writer, event("before"))
    burst = [event(f"burst-{number}", number) for number in range(3000)]
    with following(kube9, "--fields", "object_name") as follower:
        follower.wait_for("before")
        for start in range(0, 3000, size):
            commit(writer, *burst[start : start + size])
        commit(writer, event("behind"))
        lines = follower.wait_for("behind")
    assert [json.loads(line)["object_name"] for line in lines] == ["before", *(f"burst-{n}" for n in range(3000)), "behind"]


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("missed", [3, 120, 2500])
def test_following_after_a_token_begins_with_what_was_missed(kube9: Kube9, writer: sqlite3.Connection, missed: int):
    commit(writer, event("known"))
    token = kube9.query("events", "list").json["pagination"]["sync_token"]
    commit(writer, *(event(f"missed-{number}", number) for number in range(missed)))
    with following(kube9, "--after", token, "--fields", "object_name") as follower:
        follower.wait(lambda lines: len(lines) >= missed)
        commit(writer, event("new"))
        lines = follower.wait_for('"new"')
    assert [json.loads(line)["object_name"] for line in lines] == [*(f"missed-{n}" for n in range(missed)), "new"]


def test_importing_processes_are_followed_from_before_to_behind_each_other(kube9: Kube9):
    kube9.record(make_event("zero.1"))  # and nobody has the file open
    with following(kube9, "--fields", "object_name") as follower:
        follower.wait_for("zero")
        for number in range(4):
            kube9.record(make_event(f"pod-{number}.1"), make_event(f"pod-{number}.2"))
        lines = follower.wait(lambda lines: len(lines) >= 9)
    found = Counter(json.loads(line)["object_name"] for line in lines)
    assert found == {"zero": 1} | {f"pod-{number}": 2 for number in range(4)}


# How it ends.


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("form", FORMS)
def test_ctrl_c_ends_it_with_130_and_no_word(kube9: Kube9, writer: sqlite3.Connection, form: str):
    commit(writer, event("web"))
    with following(kube9, "--format", form) as follower:
        follower.wait(lambda lines: len(lines) == 1 + (form in ("csv", "table", "wide")))
        follower.process.send_signal(signal.SIGINT)
        assert follower.end() == (130, "")


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("pause_s", [0.005, 0.02, 0.05, 0.1])
def test_a_second_ctrl_c_changes_nothing(kube9: Kube9, writer: sqlite3.Connection, pause_s: float):
    commit(writer, event("web"))
    with following(kube9) as follower:
        follower.wait_for("web")
        follower.process.send_signal(signal.SIGINT)
        time.sleep(pause_s)  # as a finger would; it may meet the program at any step of its end
        follower.process.send_signal(signal.SIGINT)
        assert follower.end() == (130, "")


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("form", FORMS)
def test_it_ends_silently_when_its_reader_goes_away_though_nothing_arrives(kube9: Kube9, writer: sqlite3.Connection, form: str):
    commit(writer, event("web"))
    words = kube9.command("query", "events", "list", "--watch", "--format", form)
    with subprocess.Popen(
        words, env=kube9.env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read(1)
            process.stdout.close()
            assert process.wait(WAIT_S) == 0
            assert process.stderr.read() == b""
        finally:
            process.kill()


@pytest.mark.scenario("CLI-30")
def test_head_ends_it_with_the_next_line(kube9: Kube9, writer: sqlite3.Connection):
    commit(writer, *(event(f"web-{number}", number) for number in range(5)))
    script = 'set -o pipefail; "$@" </dev/null | head -2'
    command = ["bash", "-c", script, "bash", *kube9.command("query", "events", "list", "--watch", "--fields", "object_name")]
    done = subprocess.run(command, env=kube9.env, cwd=ROOT, capture_output=True, timeout=WAIT_S, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == '{"object_name":"web-0"}\n{"object_name":"web-1"}\n'


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("typed", [b"", b"some words\nthat say nothing\n"])
def test_it_ends_when_the_pipe_on_stdin_ends(kube9: Kube9, writer: sqlite3.Connection, typed: bytes):
    commit(writer, event("web"))
    with following(kube9, stdin=subprocess.PIPE) as follower:
        follower.wait_for("web")
        stdin = follower.process.stdin
        assert stdin is not None
        stdin.write(typed)
        stdin.flush()
        commit(writer, event("later"))  # what is typed ends nothing
        follower.wait_for("later")
        stdin.close()
        assert follower.end() == (0, "")


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("stdin", ["</dev/null", "<&-", "<queries.yaml"])
def test_a_stdin_that_is_no_pipe_ends_nothing(kube9: Kube9, writer: sqlite3.Connection, stdin: str):
    commit(writer, event("web"))
    with following(kube9, command=["sh", "-c", f'exec "$@" {stdin}', "sh"]) as follower:
        for number in range(3):
            follower.wait(lambda lines, size=number + 1: len(lines) == size)
            commit(writer, event(f"later-{number}"))
        follower.wait_for("later-2")
        follower.process.send_signal(signal.SIGINT)
        assert follower.end() == (130, "")


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_document_cannot_be_followed(kube9: Kube9, form: str):
    done = kube9.query("events", "list", "--watch", "--format", form)  # there is no database, which would be another error
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    assert "jsonl" in done.error["details"]


@pytest.mark.parametrize("words", ["events summary --watch", "events noisy -w", "status --watch", "events list --watch --all"])
def test_only_what_arrives_can_be_followed_and_has_no_end(kube9: Kube9, words: str):
    done = kube9.query(*words.split())
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")


@pytest.mark.scenario("CLI-30")
@pytest.mark.parametrize("form", ["jsonl", "table"])
@pytest.mark.parametrize("change", ["replaced", "restored", "removed", "spoilt"])
def test_a_database_that_is_replaced_under_it_is_one_error(kube9: Kube9, tmp_path: Path, change: str, form: str):
    kube9.record(make_event("old.1"))
    copy = kube9.db.read_bytes()
    kube9.record(make_event("newer.1"), make_event("newest.1"))
    other = Kube9(tmp_path / "other", Path(kube9.env["XDG_CACHE_HOME"]))
    other.record(make_event("other.1"), *(make_event(f"more-{number}.1") for number in range(9)))
    with following(kube9, "--format", form) as follower:
        follower.wait_for("old", "newer", "newest")
        if change == "removed":
            kube9.db.unlink()
        elif change == "replaced":
            os.replace(other.db, kube9.db)
        else:
            other.db.write_bytes(copy if change == "restored" else b"no database" * 1000)
            os.replace(other.db, kube9.db)
        code, said = follower.end()
        assert "other" not in follower.out.decode()
    expected = {"removed": "UNAVAILABLE", "spoilt": "DATA_LOSS"}.get(change, "FAILED_PRECONDITION")
    assert code == 1
    if form == "jsonl":
        assert said.count("\n") == 1
        assert json.loads(said)["code"] == expected
    else:
        covered, error = said.split("\n", 1)
        assert covered.startswith("covered nothing of ")
        assert error.startswith("error: ")
        assert "Traceback" not in said

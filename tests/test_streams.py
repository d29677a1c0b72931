"""Streams: `--all` gives every row page by page, in little memory, and holds up nobody when its reader stops."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Kube9, make_event, rows

from kube9 import migrations, rules, times
from kube9.model import Batch, Event
from kube9.normalise import normalise
from kube9.upsert import write

WAIT_S = 120
FEW, STALLED, MANY = 2_000, 3_000, 60_000
START = times.parse("2026-03-01T10:00:00Z", 0)
PLAIN = normalise(make_event(count=1, firstTimestamp=None, lastTimestamp=None), rules.built_in())
FORMS = ["jsonl", "csv", "name", "table"]
NOTHING = "covered nothing: nobody ever watched\nNo events found\n"


def event(number: int, **changes: Any) -> Event:
    moment = times.iso(START + 1000 * number)
    name = f"web-{number}"
    return PLAIN._replace(**{"name": f"{name}.1", "object_name": name, "created_at": moment, "last_seen_at": moment} | changes)


def filled(folder: Path, cache: Path, size: int) -> Kube9:
    runner = Kube9(folder, cache)
    with closing(migrations.open_writer(str(runner.db))) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for start in range(0, size, 10_000):
            write(connection, [Batch([event(start + index) for index in range(min(size - start, 10_000))], "watch")])
    return runner


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    return filled(tmp_path_factory.mktemp("few"), cache, FEW)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    return filled(tmp_path_factory.mktemp("many"), cache, MANY)


def listed(runner: Kube9, *words: Any, form: str = "jsonl") -> list[str]:
    """The lines of `events list --all`, which must succeed without a word."""
    done = runner.query("events", "list", "--all", "--format", form, *words)
    assert (done.code, done.err) == (0, ""), done
    return done.out.splitlines()


def newest(size: int, form: str, runner: Kube9) -> list[str]:
    """What names each row in a form, newest first."""
    if form == "name":
        return [key for (key,) in rows(runner.db, f"SELECT id FROM events ORDER BY last_seen_at DESC, id DESC LIMIT {size}")]
    return [f"web-{number}" for number in reversed(range(size))]


def names_in(lines: list[str], form: str) -> list[str]:
    if form == "jsonl":
        return [json.loads(line)["object_name"] for line in lines]
    if form == "csv":
        return [row["object_name"] for row in csv.DictReader(lines)]
    if form == "name":
        return lines
    assert lines[0].startswith("LAST SEEN")
    return [next(word.rpartition("/")[2] for word in line.split() if "/pod/" in word) for line in lines[1:]]


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", FORMS)
def test_all_gives_every_row_once_and_in_order(few: Kube9, form: str):
    assert names_in(listed(few, form=form), form) == newest(FEW, form, few)


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize(
    "words", [["--sort", "created_at"], ["--severity", "warning"], ["--since", "2026-02-01"], ["-n", "prod"]]
)
def test_all_takes_filters_and_an_order(few: Kube9, words: list[str]):
    assert names_in(listed(few, *words), "jsonl") == newest(FEW, "jsonl", few)
    assert listed(few, *words, "--object-name", "web-7", "--fields", "object_name") == ['{"object_name":"web-7"}']


def test_all_goes_on_from_where_it_is_told(few: Kube9):
    assert names_in(listed(few, "--offset", "1500"), "jsonl") == newest(FEW, "jsonl", few)[1500:]
    token = few.query("events", "list", "--limit", "600").json["pagination"]["next_page_token"]
    assert names_in(listed(few, "--page-token", token), "jsonl") == newest(FEW, "jsonl", few)[600:]


@pytest.mark.scenario("CLI-29")
def test_all_gives_all_that_is_new(kube9: Kube9):
    with closing(migrations.open_writer(str(kube9.db))) as connection:
        write(connection, [Batch([event(number) for number in range(9)], "watch")])
        token = kube9.query("events", "list").json["pagination"]["sync_token"]
        write(connection, [Batch([event(number) for number in range(9, 2600)], "watch")])
    assert names_in(listed(kube9, "--after", token), "jsonl") == [f"web-{number}" for number in range(9, 2600)]


@pytest.mark.parametrize("form", FORMS)
def test_all_of_nothing_is_nothing(few: Kube9, form: str):
    done = few.query("events", "list", "--all", "-n", "nowhere", "--format", form)
    assert done.code == 0
    assert (done.out.count("\n"), done.err) == {"csv": (1, ""), "table": (0, NOTHING)}.get(form, (0, ""))


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("name", ["summary --by reason,namespace", "noisy", "reasons", "timeline --interval 30d"])
def test_all_is_for_what_is_counted_too(few: Kube9, name: str):
    words = [*f"events {name}".split(), "--since", "2026-01-01", "--until", "2026-12-01"]
    done = few.query(*words, "--all")
    page = few.query(*words, "--limit", "1000").json
    (key,) = page.keys() - {"pagination", "coverage"}
    found = [json.loads(line) for line in done.out.splitlines()]
    assert len(found) == page["pagination"]["total"]
    assert found[:1000] == page[key]
    assert len({json.dumps(row) for row in found}) == len(found)


@pytest.mark.scenario("CLI-27")
def test_all_without_a_format_is_in_lines_of_json(few: Kube9):
    done = few.query("events", "list", "--all")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == listed(few)


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_all_is_no_document(kube9: Kube9, form: str):
    done = kube9.query("events", "list", "--all", "--format", form)  # there is no database, which would be another error
    assert (done.code, done.out, done.err.count("\n"), done.error["code"]) == (1, "", 1, "INVALID_ARGUMENT")
    assert "jsonl" in done.error["details"]


def test_all_and_a_limit_exclude_each_other(few: Kube9):
    done = few.query("events", "list", "--all", "--limit", "5")
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    assert "--all" in done.error["error"]
    assert "--limit" in done.error["error"]


# A reader that stops reading.


def stalled(runner: Kube9, form: str) -> subprocess.Popen:
    """A stream whose first lines are read, and which waits for its reader from then on: a page does not fit into the pipe."""
    words = ["query", "events", "list", "--all", "--format", form]
    process = runner.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, pipesize=4096)
    assert process.stdout is not None
    seen = b""
    while seen.count(b"\n") < 2:
        chunk = process.stdout.read(1)  # so that all but two lines stay in the pipe
        assert chunk, process.communicate()
        seen += chunk
    process.first = seen.decode()  # type: ignore[attr-defined]
    return process


@pytest.fixture
def stalling(tmp_path: Path, cache: Path) -> Kube9:
    return filled(tmp_path, cache, STALLED)


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", FORMS)
def test_a_reader_that_stops_holds_up_neither_the_writer_nor_the_log(stalling: Kube9, form: str):
    path = str(stalling.db)
    with closing(migrations.open_writer(path, busy_timeout_s=0)) as connection:
        write(connection, [Batch([event(STALLED)], "watch")])  # so that there is a -wal, and reading is from it
        assert os.path.getsize(f"{path}-wal") > 0
        with stalled(stalling, form) as process:
            try:
                assert process.stdout is not None
                assert process.stderr is not None
                assert process.poll() is None
                changed = [event(number, count=9, last_seen_at="2026-03-08T10:00:00.000Z") for number in range(50)]
                write(connection, [Batch([*changed, event(STALLED + 1)], "watch")])
                connection.execute("DELETE FROM events WHERE object_name IN ('web-60', 'web-61')")
                assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
                assert os.path.getsize(f"{path}-wal") == 0
                assert process.poll() is None
                lines = (process.first + process.stdout.read().decode()).splitlines()
                assert (process.wait(WAIT_S), process.stderr.read()) == (0, b"")
            finally:
                process.kill()
    if form == "name":
        assert len(lines) == len(set(lines)) == STALLED + 2 - 2
    else:  # what was there at page 1 and stayed as it was, each once, and then what changed meanwhile
        stayed = [n for n in range(STALLED, 49, -1) if n not in (60, 61)]
        assert names_in(lines, form) == [f"web-{n}" for n in (*stayed, *range(50), STALLED + 1)]


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", FORMS)
def test_the_first_line_comes_before_the_last_row_is_read(stalling: Kube9, form: str):
    with stalled(stalling, form) as process:
        try:
            with closing(migrations.open_writer(str(stalling.db), busy_timeout_s=0)) as connection:
                connection.execute("DELETE FROM events WHERE object_name = 'web-0'")  # the last row
            assert process.stdout is not None
            last = names_in((process.first + process.stdout.read().decode()).splitlines(), form)
            assert len(last) == STALLED - 1
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()


@pytest.mark.scenario("CLI-27", "CLI-30")
@pytest.mark.parametrize("form", FORMS)
def test_head_ends_it_silently(many: Kube9, form: str):
    command = many.command("query", "events", "list", "--all", "--format", form)
    script = 'set -o pipefail; "$@" | head -1'
    done = subprocess.run(["bash", "-c", script, "bash", *command], env=many.env, cwd=ROOT, capture_output=True, timeout=WAIT_S)
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)


MEASURE = """
import resource, subprocess, sys
lines = 0
with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE) as process:
    for _ in process.stdout:
        lines += 1
print(process.returncode, lines, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_kib(runner: Kube9, form: str, lines: int) -> int:
    """The most memory that a stream takes. Measured by a small process of its own: a child counts its parent's size too."""
    command = [sys.executable, "-S", "-c", MEASURE, *runner.command("query", "events", "list", "--all", "--format", form)]
    done = subprocess.run(command, env=runner.env, cwd=ROOT, capture_output=True, timeout=WAIT_S, text=True)
    code, counted, size = map(int, done.stdout.split())
    assert (code, counted, done.stderr) == (0, lines, "")
    return size


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", ["jsonl", "csv", "name"])
def test_memory_does_not_grow_with_the_rows(few: Kube9, many: Kube9, form: str):
    header = form == "csv"
    small, large = peak_kib(few, form, FEW + header), peak_kib(many, form, MANY + header)
    assert small > 10_000  # it is the stream that was measured
    assert large < small + 4096


@pytest.mark.scenario("CLI-27")
def test_a_stream_beside_a_writing_process_gives_every_row_that_stays(kube9: Kube9):
    script = """
import sys
from kube9 import migrations
from kube9.model import Batch
from kube9.upsert import write
from test_streams import event
connection = migrations.open_writer(sys.argv[1])
for number in range(5000, 1_000_000):
    changed = event(number % 1000, count=number, last_seen_at=f"2026-03-09T10:00:00.{number % 1000:03}Z")
    write(connection, [Batch([event(number), changed], "watch")])
    connection.execute("DELETE FROM events WHERE object_name = ?", (f"web-{1000 + number % 1000}",))
    if number == 5020:
        print("ready", flush=True)
"""
    with closing(migrations.open_writer(str(kube9.db))) as connection:
        write(connection, [Batch([event(number) for number in range(5000)], "watch")])
    paths = f"{ROOT / 'tests'}:{ROOT}"
    command = [sys.executable, "-c", script, str(kube9.db)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=kube9.env | {"PYTHONPATH": paths}
    ) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            found = Counter(names_in(listed(kube9), "jsonl"))
            assert writer.poll() is None
        finally:
            writer.kill()
    assert {found[f"web-{number}"] for number in range(2000, 5000)} == {1}
    assert {f"web-{number}" for number in range(1000)} <= found.keys()  # which go on changing

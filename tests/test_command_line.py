"""The command line as a process: both ways of reading it agree, and what is wrong is said in one place and one form."""

import contextlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest
from conftest import ROOT, Kube9, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from kube9 import argv, cli, compiler, errors
from kube9.version import __version__

PLAN = compiler.compile_text("queries.yaml", (ROOT / "queries.yaml").read_text(), "key")
QUERIES = sorted(PLAN["queries"])
WORDS = [
    "x",
    "0",
    "5",
    "1001",
    "error",
    "bad",
    "error,info",
    "cluster",
    "1h",
    "json",
    "yaml",
    "table",
    "a=b",
    "=",
    "help",
    "None",
]
MEANT = ["[1]", '["error"]', "{}", '{"a": 1}', "ä b", "*", "null", "1_0", "@x"]  # that a library could take for its own
ODD = ["", "-", "--", "-x", "-n", "--help", "-h", "--version", "--type", "-1h", "-5"]


@st.composite
def lines(draw) -> list[str]:
    """A command line out of real flags in any spelling, values good and odd, positions, and words that belong nowhere."""
    name, plain = draw(st.sampled_from(QUERIES)), draw(st.booleans())
    params = PLAN["queries"][name]["params"] | PLAN["queries"][name]["options"]
    flags = [flag for param in params.values() for flag in param["flags"]] + ([] if plain else ["--nope", "-x"])
    value = st.sampled_from(WORDS) | st.sampled_from(MEANT) | st.text(min_size=1, max_size=4)
    value = value if plain else value | st.sampled_from(ODD)
    parts = []
    for flag in draw(st.lists(st.sampled_from(flags), max_size=4, unique=plain)):
        found = draw(value)
        forms = [[flag, found], [f"{flag}={found}"]] + ([] if plain else [[flag + found], [flag]])
        parts.append(draw(st.sampled_from(forms)))
    positions = sum(not param["flags"] for param in params.values())
    for _ in range(positions + (0 if plain else draw(st.integers(-1, 1)))):
        parts.insert(draw(st.integers(0, len(parts))), [draw(value)])
    return ["query", *name.split(), *(word for part in parts for word in part)]


def the_full_way(words: list[str]):
    with contextlib.redirect_stdout(io.StringIO()):  # help and version are printed
        try:
            return cli.read(PLAN, words)
        except errors.InvalidArgument as error:
            return error


@settings(max_examples=1000, deadline=None)
@given(lines())
def test_what_the_fast_reader_takes_the_full_one_reads_the_same(words):
    fast = argv.read(PLAN, words)
    if fast is not None:
        full = the_full_way(words)
        assert isinstance(full, cli.Request), (words, full)
        assert (full.query, full.given, full.options) == fast


@pytest.mark.parametrize("words", ["status", "events list", "events list -n shop --severity=error,info", "events get x"])
def test_the_fast_reader_takes_the_plain_queries(words: str):
    assert argv.read(PLAN, ["query", *words.split()])


FULL_WAY = "import sys; from kube9.cli import run; sys.argv[0] = 'kube9'; sys.exit(run(sys.argv[1:]))"


@pytest.mark.parametrize(
    "words",
    [
        "query events list --limit 3 --until 2026-11-21T12:00:00Z",  # else what is covered ends at each one's present
        "query events list --severity error,critical -n shop --limit=1000 --until 2026-11-21T12:00:00Z",
        "query events list --since 2020-01-01 --until 2020-01-02",
        "query events list --format yaml --limit 2 --until 2026-11-21T12:00:00Z",
        "query events list --format table --limit 2",
        "query events list --severity bad",
        "query events list --limit 0 --format table",
        "query events get evt_nope",
        "query events list --type=[1]",
        "query status",
    ],
)
def test_both_ways_print_the_same(sampled: Kube9, words: str):
    sampled("query", "status")  # compiles the plan, without which there is no fast way
    full = subprocess.run(
        [sys.executable, "-c", FULL_WAY, *words.split(), "--db", sampled.db], env=sampled.env, cwd=ROOT, capture_output=True
    )
    fast = sampled(*words.split())
    assert (fast.code, fast.out, fast.err) == (full.returncode, full.stdout.decode(), full.stderr.decode())


LIST = "query events list "
WRONG = {  # a command line, and what must be said
    LIST + "--severity bad": ["bad", "info, warning, error, critical"],
    LIST + "--severity eror": ["did you mean error"],
    LIST + "--severity error,": ['""', "info, warning, error, critical"],
    LIST + "--type clustr": ["did you mean cluster", "operator, insight"],
    LIST + "--sevrity error": ["--sevrity", "--severity"],
    LIST + "--severity": ["--severity"],
    LIST + "--since yore": ["yore", "24h"],
    LIST + "--since=": ["since", "24h"],
    LIST + "--since 2025-02-30": ["2025-02-30", "day"],
    LIST + "--since 2025-01-01T00:00+99": ["offset", "+02:00"],
    LIST + "--limit 0": ["1", "1000"],
    LIST + "--limit 1001": ["1", "1000"],
    LIST + "--limit many": ["many", "whole number"],
    LIST + "--offset -1": ["-1"],
    LIST + "--since 1h --until 2h": ["since", "until"],
    LIST + "--limit 1 --limit 2": ["--limit"],
    LIST + "--format xml": ["xml", "json, yaml, table"],
    LIST + "--timeout soon": ["soon", "5s"],
    LIST + "--timeout 2025-01-01": ["2025-01-01", "5s"],
    LIST + "stray": ["stray"],
    "query events get": ["ID"],
    "query events get ": ["id"],
    "query events lst": ["lst", "list"],
    "query event list": ["event", "events"],
}


@pytest.mark.scenario("CLI-17")
@pytest.mark.parametrize("line", WRONG)
def test_bad_input_is_one_json_error_and_no_database_is_missed(kube9: Kube9, line: str):
    done = kube9(*line.split(" "), db=False, env={"DB_PATH": str(kube9.db.parent)})
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert set(done.error) == {"error", "details", "code"}
    assert done.error["code"] == "INVALID_ARGUMENT"
    said = f"{done.error['error']} {done.error['details']}"
    assert not [words for words in WRONG[line] if words not in said], said
    assert not kube9.db.exists()


@pytest.mark.parametrize("line", [LIST + "--timeout soon", LIST + "stray", LIST + "--since 2025-01-01T00:00+99"])
def test_a_message_reads_as_a_sentence(kube9: Kube9, line: str):
    said = kube9(*line.split()).error["error"]
    assert "yesterday" not in said or "timeout" not in said  # a time limit is no point in time
    assert "['" not in said  # no list as Python writes it
    assert " is the offset is " not in said


def test_an_empty_name_of_a_file_is_refused(sampled: Kube9):
    done = sampled("query", "status", "--db", "", db=False)
    assert (done.code, done.error["code"]) == (1, "INVALID_ARGUMENT")


def test_a_mistake_in_a_table_query_is_told_in_words(kube9: Kube9):
    for spelling in (["--format", "table"], ["-o", "table"], ["-o=table"], ["--format=table"]):
        done = kube9.query("events", "list", "--limit", "0", *spelling)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("error: limit")


@pytest.mark.scenario("CLI-11")
def test_one_event_is_shown_whole(sampled: Kube9):
    for event in sampled.events("--limit", "20"):
        assert sampled.query("events", "get", event["id"]).json == event


@pytest.mark.scenario("CLI-12")
def test_an_unknown_id_is_not_found(sampled: Kube9):
    done = sampled.query("events", "get", "evt_20200101_000000_000000")
    assert (done.code, done.out) == (1, "")
    assert "evt_20200101_000000_000000" in done.error["details"]
    expected = {"error": "Event not found", "code": "NOT_FOUND", "event_id": "evt_20200101_000000_000000"}
    assert done.error == expected | {"details": done.error["details"]}


@pytest.mark.scenario("CLI-21")
def test_the_version(kube9: Kube9):
    done = kube9("--version", db=False)
    assert (done.code, done.out, done.err) == (0, f"{__version__}\n", "")


LEVELS = [[], ["query"], ["query", "events"], *(["query", *name.split()] for name in QUERIES), ["serve"], ["import"], ["db"],
          ["db", "migrate"], ["spec"], ["spec", "check"]]  # fmt: skip


@pytest.mark.scenario("CLI-22")
@pytest.mark.parametrize("level", LEVELS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_level_has_help(kube9: Kube9, level: list[str], flag: str):
    done = kube9(*level, flag, db=False)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: kube9{''.join(f' {word}' for word in level)} ")
    for below in LEVELS:
        if below[:-1] == level and below:
            assert f" {below[-1]} " in done.out


@pytest.mark.scenario("CLI-22")
@pytest.mark.parametrize("name", QUERIES)
def test_help_names_options_values_defaults_and_examples(kube9: Kube9, name: str):
    shown = " ".join(kube9("query", *name.split(), "--help", db=False, env={"COLUMNS": "300"}).out.split())
    declared = PLAN["queries"][name]
    for param in (declared["params"] | declared["options"]).values():
        known = [*param["flags"], *(param["choices"] or []), param["doc"]]
        assert not [words for words in known if words not in shown]
        if param["default"] is not None:
            default = param["default"]
            assert f"default: {','.join(default) if isinstance(default, list) else default}" in shown
    assert not [example for example in declared["examples"] if example not in shown]


def files(folder) -> dict:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "home"}


def other_program(path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")


PLACES = {
    "missing": (lambda path: None, "UNAVAILABLE"),
    "empty": (lambda path: path.touch(), "UNAVAILABLE"),
    "directory": (lambda path: path.mkdir(), "UNAVAILABLE"),
    "zeros": (lambda path: path.write_bytes(bytes(8192)), "DATA_LOSS"),
    "text": (lambda path: path.write_text("not a database\n" * 100), "DATA_LOSS"),
    "another program's": (other_program, "FAILED_PRECONDITION"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("words", ["status", "events list", "events get x", "events list -o yaml"])
def test_what_is_no_database_is_named_and_left_alone(kube9: Kube9, place: str, words: str):
    make, code = PLACES[place]
    make(kube9.db)
    before = files(kube9.db.parent)
    done = kube9.query(*words.split())
    assert (done.code, done.out, done.error["code"]) == (1, "", code)
    assert str(kube9.db) in done.error["details"]
    assert files(kube9.db.parent) == before


@pytest.mark.scenario("CLI-26")
def test_a_database_that_the_user_may_not_read_is_permission_denied(kube9: Kube9):
    kube9.record()
    kube9.db.chmod(0)
    command = kube9.command("query", "events", "list")
    if os.geteuid() == 0:  # root reads all, unless these capabilities are taken away
        assert shutil.which("setpriv"), "setpriv is part of util-linux"
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = Result(subprocess.run(command, env=kube9.env, cwd=ROOT, capture_output=True, text=True))
    assert (done.code, done.out, done.error["code"]) == (3, "", "PERMISSION_DENIED")
    assert str(kube9.db) in done.error["details"]


FORMATS = ["json", "yaml", "table"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_reader_that_goes_away_is_no_error(sampled: Kube9, form: str):
    process = sampled.start(*LIST.split(), "--limit", "1000", "-o", form, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    _, said = process.communicate()
    assert (process.returncode, said) == (0, b"")


@pytest.mark.parametrize("line", [*(LIST + f"-o {form}" for form in FORMATS), "--help", "spec check"])
def test_a_full_disk_is_one_clear_error(sampled: Kube9, line: str):
    command = sampled.command(*line.split(), db="query" in line)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, env=sampled.env, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_a_closed_stdout_is_one_clear_error(sampled: Kube9):
    command = ["sh", "-c", '"$@" >&-', "sh", *sampled.command(*LIST.split())]
    done = subprocess.run(command, env=sampled.env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("line", "code"), [(LIST, 0), ("query events get nope", 1), ("query events list -n nope -o table", 0)])
def test_a_closed_stderr_changes_neither_the_answer_nor_the_exit_code(sampled: Kube9, line: str, code: int):
    command = ["sh", "-c", '"$@" 2>&-', "sh", *sampled.command(*line.split())]
    done = subprocess.run(command, env=sampled.env, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, bool(done.stdout), done.stderr) == (code, line == LIST, "")


@pytest.mark.parametrize("content", [b"just text", b"[1, 2]", b"a: [", b"contexts: 5", b"\x9b"])
def test_a_file_that_is_no_kubeconfig_is_one_clear_error(kube9: Kube9, content: bytes):
    file = kube9.db.with_name("config")
    file.write_bytes(content)
    done = kube9("serve", "--kubeconfig", str(file), "--health-port", "0")
    assert done.code == 1
    assert done.err.startswith(f"error: no cluster to connect to\n  {file} is no kubeconfig: ")
    assert "Traceback" not in done.err
    assert not kube9.db.exists()

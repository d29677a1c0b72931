"""What is printed: JSON to the letter, YAML that any reader takes the same, tables that no event can disturb."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from conftest import ROOT, TESTS, Kube9, make_event
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from kube9 import render

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=500, deadline=None)
@given(VALUES, st.booleans(), st.integers(0, 4), st.sampled_from([(",", ":"), (", ", ": "), (" , ", "\t:\n")]))
@example({"a": {}, "b": [], "c": [[]], "d": [{}]}, False, 0, (",", ":"))
@example('\\"', False, 1, (",", ":"))
@example({"\\\\": '{"'}, False, 1, (",", ":"))
def test_json_is_indented_as_the_json_module_does(value, ascii_only, depth, separators):
    pad = "  " * depth
    compact = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
    indented = json.dumps(value, ensure_ascii=ascii_only, indent=2)  # strings hold no bare line breaks
    assert render.reindent(compact, pad) == indented.replace("\n", "\n" + pad)


@pytest.mark.scenario("CLI-13")
@pytest.mark.parametrize(
    "words", ["status", "events list --limit 1000", "events list --limit 1", "events list -n nowhere", "events get {id}"]
)
@pytest.mark.parametrize("spelling", [[], ["--format", "json"], ["-o", "json"]], ids=str)
def test_json_is_what_the_json_module_writes(sampled: Kube9, words: str, spelling: list[str]):
    (event,) = sampled.events("--limit", "1")
    done = sampled.query(*words.format(id=event["id"]).split(), *spelling)
    assert done.err == ""
    assert done.out == json.dumps(done.json, indent=2, ensure_ascii=False) + "\n"


AMBIGUOUS = [
    "1", "01", "1.0", "1e3", "0x1F", "0o17", "1_000", "-1", "+1", ".5", "1:30", "190:20:30", ".inf", "NaN", ".nan", "true",
    "True", "yes", "no", "on", "off", "y", "n", "null", "Null", "~", "", " ", "2025-12-01", "2025-12-01T10:30:00Z", "=", "<<",
    "-", "- a", "?", "? a", ":", "a: b", "a:", "#", "a #b", "!", "!!int 1", "&a", "*a", "|", ">", "%", "@", "`", "{", "[", "{}",
    "[]", "'", '"', "'a'", "a\nb", "a\n", "\n", "\ta", " a", "a ", "---", "...", "--- a", "\u0085", "\u2028", "\ufeff", "\x00",
    "\x07", "\x1b[31m", "🔥", "日本", "\u202e", "\\n", "word", "many words", "infinity", "a" * 200, "long words " * 90,
]  # fmt: skip


@pytest.fixture(scope="module")
def ambiguous(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    runner = Kube9(tmp_path_factory.mktemp("ambiguous"), cache)
    runner.record(*(make_event(f"{number}.1", message=text, reason=text) for number, text in enumerate(AMBIGUOUS)))
    return runner


@pytest.mark.scenario("CLI-14")
@pytest.mark.parametrize(
    "words",
    ["status", "events list --limit 1000 --until 2026-09-01", "events list -n nowhere --until 2026-09-01", "events get {id}"],
)
def test_yaml_holds_the_same_data_as_json(ambiguous: Kube9, words: str):
    (event,) = ambiguous.events("--limit", "1")
    command = words.format(id=event["id"]).split()
    expected = ambiguous.query(*command).json
    written = ambiguous.query(*command, "--format", "yaml").out
    assert YAML(typ="safe", pure=True).load(written) == expected  # YAML 1.2
    assert yaml.safe_load(written) == expected  # YAML 1.1, where yes is true and 1:30 is 90


def test_the_keys_of_yaml_are_plain_words(sampled: Kube9):
    written = sampled.query("events", "list", "--limit", "1", "--format", "yaml").out
    keys = re.findall(r'(?m)^[- ]*("?[\w.]+"?):', written)
    assert len(keys) > 20
    assert not [key for key in keys if '"' in key]


def aged(name: str, last: float, first: float = 0, **changes) -> dict:
    """An event seen last, and first, so many minutes ago."""
    now = datetime.now(UTC)
    # a moment more than asked, so that an age does not turn while the test runs
    ago = [(now - timedelta(minutes=age, seconds=0.3)).isoformat().replace("+00:00", "Z") for age in (first or last, last)]
    return make_event(f"{name}.1", **({"firstTimestamp": ago[0], "lastTimestamp": ago[1], "count": 1} | changes))


HOUR, DAY, EVENTS = 60, 1440, 7
EVIL = "\x1b[31mred\x1b[0m\x9b1m\x07\r\n\u202eover\u2066\u200b\u2028[bold]markup[/bold]"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    runner = Kube9(tmp_path_factory.mktemp("people"), cache)
    runner.record(
        aged("web", 12, 72, count=12),
        aged("db", 3 * HOUR + 20, type="Normal", reason="Pulled"),
        aged("node-1", 5 * DAY + 4 * HOUR, involvedObject={"kind": "Node", "name": "node-1"}, reason="NodeNotReady"),
        aged("日本語", 30 * DAY, reason="失敗"),
        aged("🔥", 41 * DAY, reason="Fire🔥", involvedObject={"kind": "Pod", "name": "🔥", "namespace": "shop"}),
        aged("e", 50 * DAY, reason="e\u0301te\u0301"),
        aged("evil", 60 * DAY, reason=EVIL),
    )
    return runner


TABLE = ["query", "events", "list", "--format", "table"]


def test_a_piped_table_is_this_text(people: Kube9):
    shown = people(*TABLE).out
    without_times = re.sub(r"evt_\d{8}_\d{6}_\w{6}", "evt_YYYYMMDD_HHMMSS_xxxxxx", shown)
    assert without_times == (TESTS / "golden" / "events.txt").read_text()


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    marks = sum(unicodedata.combining(char) > 0 for char in text)
    return len(text) - marks + sum(unicodedata.east_asian_width(char) in "WF" for char in text)


@pytest.mark.parametrize("shown", ["piped", "terminal"])
def test_columns_are_aligned_for_wide_characters(people: Kube9, shown: str):
    text = people(*TABLE).out if shown == "piped" else uncoloured(on_terminal(people, *TABLE, width=200))
    header, *rows = [line for line in text.splitlines() if line.strip()]
    for title, pattern in {"TYPE": r"\bcluster\b", "OBJECT": r"(prod/|shop/|node/)", "ID": r"\bevt_"}.items():
        places = {columns(row[: re.search(pattern, row).start()]) for row in rows[:EVENTS]}
        assert places == {header.index(title)}


def test_a_table_is_not_cut_when_piped(kube9: Kube9):
    kube9.record(aged("n" * 200, 20, message="m" * 900, reason="r" * 128))
    shown = kube9(*TABLE).out
    assert "n" * 200 in shown
    assert "r" * 128 in shown
    assert "…" not in shown


def test_no_event_steers_a_terminal(people: Kube9):
    (evil,) = people.events("--object-name", "evil")
    for words in (TABLE, ["query", "events", "get", evil["id"], "--format", "table"]):
        shown = people(*words).out
        left = {char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs")}
        assert left <= {"\n"}
        assert "[bold]markup[/bold]" in shown  # nor is it taken for markup of ours


def test_an_event_takes_one_line_of_a_table(people: Kube9):
    assert len(people(*TABLE).out.splitlines()) == 1 + EVENTS


def test_no_events_is_said_on_stderr(people: Kube9):
    done = people(*TABLE, "-n", "nowhere")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("No events found\ncovered nothing of ")


def test_namespaces_are_shown_when_there_are_several(people: Kube9):
    assert "prod/pod/web" in people(*TABLE).out
    one = people(*TABLE, "-n", "prod").out
    assert "pod/web" in one
    assert "prod/pod/web" not in one


def on_terminal(runner: Kube9, *words: str, width: int, **env: str) -> str:
    """What a command writes to a terminal of a width; stdout and stderr are both the terminal."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    known = {name: value for name, value in runner.env.items() if name != "COLUMNS"} | {"TERM": "xterm-256color"} | env
    process = subprocess.Popen(runner.command(*words), env=known, cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    written = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(master, 65536):
            written += part
    os.close(master)
    assert process.wait() == 0
    return written.decode()


def uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_on_a_terminal_lines_are_cut_to_its_width(people: Kube9, width: int):
    *lines, covered = uncoloured(on_terminal(people, *TABLE, width=width)).splitlines()
    assert covered.startswith("covered ")
    assert len(lines) == 1 + EVENTS
    assert max(columns(line) for line in lines) <= width


@pytest.mark.parametrize("width", [80, 120, 200])
def test_what_tells_an_event_apart_is_never_cut_away(kube9: Kube9, width: int):
    kube9.record(aged("n" * 200, 20, reason="r" * 128), aged("web", 30))
    shown = uncoloured(on_terminal(kube9, *TABLE, width=width))
    header, *rows, _ = shown.splitlines()
    assert [title for title in ("LAST SEEN", "SEVERITY", "OBJECT", "TITLE") if title not in header] == []
    assert all(re.search(r"\bwarning\b", row) for row in rows)
    for event_id in re.findall(r"evt_\w*", shown):  # an id that is shown is whole, so that `events get` takes it
        assert re.fullmatch(r"evt_\d{8}_\d{6}_\w{6}", event_id)


def test_severities_are_coloured_on_a_terminal(people: Kube9):
    shown = on_terminal(people, *TABLE, width=200)
    assert "\x1b[33mwarning" in shown  # yellow
    assert "\x1b[1;31mcritical" in shown  # bold red


def test_there_is_no_colour_when_piped(people: Kube9):
    assert "\x1b" not in people(*TABLE).out


def test_no_color_is_obeyed_on_a_terminal(people: Kube9):
    # https://no-color.org asks for no colour; bold is none
    codes = re.findall(r"\x1b\[([\d;]*)m", on_terminal(people, *TABLE, width=200, NO_COLOR="1"))
    assert {code for found in codes for code in found.split(";")} <= {"", "0", "1"}


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": "unknown"}], ids=str)
def test_a_dumb_terminal_gets_no_escapes(people: Kube9, env: dict):
    assert "\x1b" not in on_terminal(people, *TABLE, width=200, **env)

"""Tables in a real terminal and in a pipe: aligned, cut, coloured, and out of reach of what an event's text holds."""

import contextlib
import fcntl
import json
import os
import pty
import re
import selectors
import struct
import subprocess
import termios
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from conftest import ROOT, Kube9, make_event
from rich.cells import cell_len

LIST = ["events", "list"]
WIDTHS = [40, 80, 120, 200]


class Shown(NamedTuple):
    """What a command wrote to its terminal: one for stdout and one for stderr, so that a test can tell them apart."""

    code: int
    out: str
    err: str


def on_terminal(runner: Kube9, *words: str, width: int = 80, **env: str) -> Shown:
    """Run a query on a terminal of a width."""
    masters, terminals = zip(pty.openpty(), pty.openpty(), strict=True)
    for terminal in terminals:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    known = {name: value for name, value in runner.env.items() if name != "COLUMNS"} | {"TERM": "xterm-256color"} | env
    command = runner.command("query", *words)
    out, err = terminals
    process = subprocess.Popen(command, env=known, cwd=ROOT, stdin=out, stdout=out, stderr=err, start_new_session=True)
    for terminal in terminals:
        os.close(terminal)
    written = dict.fromkeys(masters, b"")
    with selectors.DefaultSelector() as selector:
        for master in masters:
            selector.register(master, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                part = b""
                with contextlib.suppress(OSError):  # the other end is closed
                    part = os.read(key.fd, 65536)
                written[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    texts = (text.decode().replace("\r\n", "\n") for text in written.values())
    return Shown(process.wait(), *texts)


def uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


AGE = 9 * 60 + 20  # minutes; 9h as a table has it, and for long enough that it does not turn while a test runs


def ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def aged(name: str, minutes: float, **changes) -> dict:
    moment = ago(minutes)
    return make_event(f"{name}.1", **({"firstTimestamp": moment, "lastTimestamp": moment, "count": 1} | changes))


ALPHABETS = {
    "ascii": "plain-name",
    "cjk": "日本語のポッド",
    "hangul": "한국어",
    "emoji": "🔥🚒",
    "skin": "👍🏽ok",
    "family": "👨‍👩‍👧end",
    "flag": "🇩🇪x",
    "selector": "❤️x",
    "half width": "ｱｲｳ",
    "full width": "ＡＢＣ",
    "combining": "e\u0301te\u0301",
    "many marks": "z" + "\u0301" * 8,
    "arabic": "مرحبا",
    "thai": "ภาษาไทย",
    "long": "word " * 30,
    "long cjk": "漢字" * 60,
    "long emoji": "🔥" * 90,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    """Events in many scripts, of several namespaces, with counts of one to seven digits."""
    runner = Kube9(tmp_path_factory.mktemp("world"), cache)
    sources = []
    for number, text in enumerate(ALPHABETS.values()):
        involved = {"kind": "Pod", "name": text.strip(), "namespace": f"ns-{number % 3}"}
        more = {"reason": text, "message": text, "involvedObject": involved, "count": 10 ** (number % 7)}
        sources.append(aged(f"world-{number}", AGE + number, **more))
    sources.append(aged("node", AGE, involvedObject={"kind": "Node", "name": "node-1"}, reason="NodeNotReady"))
    runner.record(*sources)
    return runner


TABLES = {
    "list": LIST,
    "noisy": ["events", "noisy"],
    "reasons": ["events", "reasons"],
    "summary": ["events", "summary", "--by", "type,severity,reason,namespace,kind"],
    "timeline": ["events", "timeline"],
    "fields": [*LIST, "--fields", "object_name,count,id,title,metadata"],
    "status": ["status"],
}


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("form", ["table", "wide"])
@pytest.mark.parametrize("name", TABLES)
def test_no_line_is_wider_than_the_terminal(world: Kube9, name: str, form: str, width: int):
    shown = on_terminal(world, *TABLES[name], "--format", form, width=width)
    assert shown.code == 0, shown
    lines = uncoloured(shown.out).splitlines()
    assert len(lines) > 1
    assert [line for line in lines if cell_len(line) > width] == []


NUMBERS = {"COUNT": "count", "EVENTS": "events", "OCCURRENCES": "occurrences", "OBJECTS": "objects", "CRITICAL": "critical"}


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("form", ["table", "wide"])
@pytest.mark.parametrize("name", ["list", "noisy", "reasons", "summary", "timeline", "fields"])
def test_a_number_is_whole_or_not_shown_at_all(world: Kube9, name: str, form: str, width: int):
    rows = next(iter(world.query(*TABLES[name]).json.values()))
    header, *lines = uncoloured(on_terminal(world, *TABLES[name], "--format", form, width=width).out).splitlines()
    titles = header.split()
    numbers = [title for title, key in NUMBERS.items() if key in rows[0]]
    assert [title for title in titles if title.endswith("…") and any(whole.startswith(title[:-1]) for whole in numbers)] == []
    for title in set(numbers) & set(titles):
        end = header.index(title) + len(title)
        assert [cell_before(line, end) for line in lines] == [str(row[NUMBERS[title]]) for row in rows]


def cell_before(line: str, end: int) -> str:
    """The word that ends at a column."""
    return cut_cells(line, end)[0].split(" ")[-1]


def cut_cells(text: str, width: int) -> tuple[str, str]:
    """A line in two at a column; fails where a character would be cut in half."""
    for index in range(len(text) + 1):
        rest = text[index:]
        if cell_len(text[:index]) == width and not (rest and cell_len(text[: index + 1]) == width):
            return text[:index], rest
    assert cell_len(text) < width, f"{text!r} has no border at {width}"
    return text, ""


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("where", ["pipe", "terminal"])
@pytest.mark.parametrize("form", ["table", "wide"])
def test_columns_are_aligned_whatever_is_in_them(world: Kube9, form: str, where: str):
    words = [*LIST, "--format", form]
    text = world.query(*words).out if where == "pipe" else uncoloured(on_terminal(world, *words, width=200).out)
    header, *lines = text.splitlines()
    assert len(lines) == len(ALPHABETS) + 1
    for title in re.split(" {2,}", header.strip()):
        at = header.index(title)
        for line in lines:
            before, _ = cut_cells(line, at)
            assert before[-2:] in ("", "  ") or title == "COUNT", (title, line)


@pytest.mark.scenario("CLI-15")
def test_a_pipe_gets_every_cell_whole(world: Kube9):
    events = {event["id"]: event for event in world.events()}
    header, *lines = world.query(*LIST, "--format", "wide").out.splitlines()
    for line in lines:
        event = events[re.search(r"evt_\w{22}", line)[0]]
        cells = {}
        for title in ("OBJECT", "TITLE", "REASON", "DESCRIPTION"):
            rest = cut_cells(line, header.index(title))[1]
            cells[title] = rest[: len(printable(event["title"] if title == "TITLE" else event["description"] or ""))]
        assert cells["TITLE"] == printable(event["title"])
        assert cells["DESCRIPTION"].rstrip() == printable(event["description"] or "").rstrip()
    assert "…" not in "".join(lines)


def printable(text: str) -> str:
    """A text as a table has it: characters that join others are left out."""
    return text.replace("\u200d", "")


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_text_is_cut_with_an_ellipsis_at_the_width(world: Kube9, width: int):
    (long,) = world.events("--object-name", ALPHABETS["long"].strip())
    words = [*LIST, "--object-name", long["object_name"], "--format", "table", "--fields", "count,title"]
    (_, line) = uncoloured(on_terminal(world, *words, width=width).out).splitlines()
    if cell_len(f"{'COUNT'}  {long['title']}") > width:
        assert line.endswith("…")
        assert cell_len(line) == width
    else:
        assert line.endswith(long["title"].strip())


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("query", [LIST, ["events", "noisy"]], ids=" ".join)
@pytest.mark.parametrize("width", [None, 200])
def test_the_namespace_is_shown_where_there_are_several(world: Kube9, query: list[str], width: int | None):
    def shown(*words: str) -> str:
        words = (*query, *words, "--format", "table")
        return on_terminal(world, *words, width=width).out if width else world.query(*words).out

    several, one = shown(), shown("-n", "ns-0")
    assert "ns-0/pod/plain-name" in several
    assert " node/node-1" in several  # and no slash before it
    assert " pod/plain-name" in one
    assert "ns-0" not in one


COLOURED = [  # --color, NO_COLOR, terminal -> colours
    ([], {}, True, True),
    ([], {}, False, False),
    ([], {"NO_COLOR": "1"}, True, False),
    ([], {"NO_COLOR": ""}, True, True),  # https://no-color.org: when it is not an empty string
    (["--color", "auto"], {}, True, True),
    (["--color", "auto"], {}, False, False),
    (["--color", "never"], {}, True, False),
    (["--color", "never"], {}, False, False),
    (["--color", "always"], {}, True, True),
    (["--color", "always"], {}, False, True),
    (["--color", "always"], {"NO_COLOR": "1"}, True, True),  # what is asked for on the command line comes first
    (["--color", "always"], {"NO_COLOR": "1"}, False, True),
    (["--color", "never"], {"FORCE_COLOR": "1"}, False, False),
]


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize(("words", "env", "terminal", "coloured"), COLOURED)
def test_colours_are_there_when_they_are_wanted(world: Kube9, words, env, terminal, coloured):
    command = [*LIST, "--format", "table", *words]
    shown = on_terminal(world, *command, width=200, **env).out if terminal else world.query(*command, env=env).out
    assert ("\x1b[33mwarning" in shown) == coloured  # yellow
    assert ("\x1b[1;31mcritical" in shown) == coloured  # bold red
    if "never" in words or not terminal:
        assert coloured or "\x1b" not in shown


def test_colours_change_nothing_else(world: Kube9):
    plain = world.query(*LIST, "--format", "wide").out
    assert uncoloured(world.query(*LIST, "--format", "wide", "--color", "always").out) == plain


@pytest.mark.parametrize("words", [[*LIST, "--fields", "id,severity"], ["events", "get", "{id}"], ["status"]], ids=str)
def test_no_line_ends_in_blanks(world: Kube9, words: list[str]):
    (node,) = world.events("--kind", "node")
    command = [word.format(id=node["id"]) for word in words]
    for colour in ("never", "always"):
        lines = uncoloured(world.query(*command, "--format", "table", "--color", colour).out).splitlines()
        assert [line for line in lines if line != line.rstrip()] == []


HOSTILE = {
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "title": "\x1b]0;owned\x1b\\",
    "link": "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\",
    "clear": "\x1b[2J\x1b[H",
    "colour": "\x1b[31mred\x1b[0m",
    "report": "\x1b[6n\x1b[c\x1b[5n",
    "request": "\x1bP1$r0m\x1b\\\x1bP+q544e\x1b\\",
    "privacy": "\x1b^pm\x1b\\\x1b_apc\x1b\\\x1bXsos\x1b\\",
    "reset": "\x1bc\x1b7\x1b(0",
    "c1": "\x9b31m\x9d0;owned\x9c\x90q\x9c\x85\x8d\x84",
    "bell": "\x07\x07",
    "backspace": "\x08\x08\x7f\x7f",
    "return": "\rover\x0b\x0c",
    "override": "\u202egnp.exe\u202d\u202c",
    "isolate": "\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "invisible": "\u200b\u200c\u2060\ufeff\u00ad\u180e",
    "tags": "\U000e0001\U000e0041\ufff9\ufffb",
    "lines": "\n\r\n\u2028\u2029\x1c\x1d\x1e\x1f",
    "zero": "\x00\x01\x1a",
    "markup": "[bold red]no[/] :fire:",
}
COLUMNS = {
    "namespace": lambda text: {"involvedObject": {"kind": "Pod", "name": "p", "namespace": text}},
    "kind": lambda text: {"involvedObject": {"kind": text, "name": "p", "namespace": "prod"}},
    "name": lambda text: {"involvedObject": {"kind": "Pod", "name": text, "namespace": "prod"}},
    "reason": lambda text: {"reason": text},
    "message": lambda text: {"message": text},
    "reporter": lambda text: {"source": {"component": text, "host": text}, "action": text},
    "uid": lambda text: {"metadata": {"name": f"n{text}", "namespace": "prod", "uid": text}},
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    runner = Kube9(tmp_path_factory.mktemp("hostile"), cache)
    sources = []
    for text in HOSTILE.values():
        for column, change in COLUMNS.items():
            sources.append(aged(f"{column}-{len(sources)}", AGE + len(sources) / 6, **change(f"a{text}z")))
    runner.record(*sources)
    return runner


def steering(text: str) -> set[str]:
    """The characters of a text that could steer a terminal, or turn what stands beside them."""
    return {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")} - {"\n"}


TEXTS = "object_kind,object_namespace,object_name,reason,component,node,uid,description,metadata"
SHOWING = {
    "list": LIST,
    "every text": [*LIST, "--fields", TEXTS],
    "noisy": ["events", "noisy"],
    "reasons": ["events", "reasons"],
    "summary": ["events", "summary", "--by", "reason,namespace,kind"],
}


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("name", SHOWING)
def test_no_text_of_an_event_steers_a_terminal(hostile: Kube9, name: str):
    words = [*SHOWING[name], "--limit", "1000"]
    rows = next(iter(hostile.query(*words).json.values()))
    for form in ("table", "wide"):
        shown = [hostile.query(*words, "--format", form)]
        shown += [on_terminal(hostile, *words, "--format", form, "--color", "never", width=width) for width in (80, 200)]
        assert [done.code for done in shown] == [0, 0, 0]
        assert [steering(done.out + done.err) for done in shown] == [set(), set(), set()]
        assert len(shown[0].out.splitlines()) == 1 + len(rows)  # a line each: no text makes another


@pytest.mark.scenario("CLI-15")
def test_no_text_of_an_event_steers_a_terminal_that_is_written_page_by_page(hostile: Kube9):
    shown = on_terminal(hostile, *LIST, "--all", "--format", "table", "--color", "never", width=80)
    assert shown.code == 0
    assert len(shown.out.splitlines()) == 1 + len(HOSTILE) * len(COLUMNS)
    assert steering(shown.out + shown.err) == set()


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_one_event_with_its_whole_text_is_as_safe(hostile: Kube9, text: str):
    events = hostile.events("--limit", "1000")
    (event,) = [found for found in events if found["description"] == f"a{text}z".replace("\0", "\ufffd")]
    shown = on_terminal(hostile, "events", "get", event["id"], "--format", "table", "--color", "never", width=100)
    assert shown.code == 0
    assert steering(shown.out) == set()


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("form", ["json", "yaml", "jsonl", "csv", "name"])
def test_what_is_for_programs_is_as_safe_where_a_terminal_shows_it(hostile: Kube9, form: str):
    words = [*LIST, "--limit", "1000", "--format", form]
    shown = on_terminal(hostile, *words, width=200)
    assert shown.code == 0
    assert steering(shown.out.replace("\r\n", "\n")) == set()
    if form == "json":
        assert json.loads(shown.out)["events"] == hostile.query(*words).json["events"]


def test_markup_is_text(hostile: Kube9):
    assert "a[bold red]no[/] :fire:z" in hostile.query(*SHOWING["reasons"], "--limit", "1000", "--format", "table").out


SAID = {  # words -> what of them comes back in the error
    "id": ["events", "get", "{}"],
    "severity": [*LIST, "--severity", "{}"],
    "time": [*LIST, "--since", "{}"],
    "number": [*LIST, "--limit", "{}"],
    "token": [*LIST, "--page-token", "{}"],
    "field": [*LIST, "--fields", "{}"],
    "option": [*LIST, "--x{}"],
    "word": [*LIST, "{}"],
    "command": ["{}"],
    "format": [*LIST, "--format", "{}"],
}


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize("name", SAID)
def test_no_text_of_an_error_steers_a_terminal(hostile: Kube9, name: str, form: str):
    # What was typed may come from a file or a name in the cluster; NUL and lone surrogates no argument can have.
    evil = "a" + "".join(HOSTILE.values()).replace("\x00", "") + "z"
    words = [word.format(evil) for word in SAID[name]]
    shown = on_terminal(hostile, *words, *([] if name == "format" else ["--format", form]), width=200)
    assert (shown.code, shown.out) == (1, "")
    assert steering(shown.err) == set()
    assert "INVALID_ARGUMENT" in shown.err or "NOT_FOUND" in shown.err or shown.err.startswith("error: ")


@pytest.mark.scenario("CLI-15")
def test_an_error_in_json_still_says_what_was_typed(hostile: Kube9):
    evil = "a" + "".join(HOSTILE.values()).replace("\x00", "") + "\U0001f525z"
    error = hostile.query("events", "get", evil).error
    assert error["event_id"] == evil
    assert "🔥" in hostile.query("events", "get", evil).err  # what is harmless stays as it is


@pytest.mark.scenario("CLI-15")
def test_the_name_of_a_database_does_not_steer_a_terminal(hostile: Kube9, tmp_path):
    evil = "".join(HOSTILE[name] for name in ("clipboard", "c1", "override", "invisible"))
    other = Kube9(tmp_path, tmp_path)
    other.db, other.env = tmp_path / evil, hostile.env
    for form in ("table", "json"):
        shown = on_terminal(other, *LIST, "--format", form)
        assert (shown.code, shown.out) == (1, "")
        assert steering(shown.err) == set()


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("form", ["table", "wide"])
@pytest.mark.parametrize(
    ("query", "plural"),
    [("list", "events"), ("noisy", "noisy objects"), ("reasons", "reason counts"), ("summary", "event counts")],
)
def test_what_is_not_there_is_said_on_stderr(world: Kube9, query: str, plural: str, form: str):
    words = ["events", query, "-n", "nowhere", "--format", form]
    said = f"No {plural} found\n"
    done = world.query(*words)
    assert (done.code, done.out) == (0, "")
    assert re.fullmatch(f"{said}covered nothing of .*\n", done.err)
    code, out, err = on_terminal(world, *words)
    assert (code, out) == (0, "")
    assert err.startswith(said)
    assert 'nothing recorded has "nowhere"' in err  # for a person only
    assert world.query(*words, "--no-headers").out == ""


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("form", ["table", "wide"])
def test_that_there_is_more_is_said_on_stderr(world: Kube9, form: str):
    whole = world.query(*LIST, "--format", form)
    covered = whole.err
    assert (whole.code, covered.startswith("covered nothing of ")) == (0, True)
    total = len(whole.out.splitlines()) - 1
    first = world.query(*LIST, "--format", form, "--limit", "4")
    assert len(first.out.splitlines()) == 5
    assert first.err.startswith(f"1 to 4 of {total};")
    middle = world.query(*LIST, "--format", form, "--limit", "4", "--offset", "8")
    assert middle.err.startswith(f"9 to 12 of {total};")
    shown = on_terminal(world, *LIST, "--format", form, "--limit", "4", width=200)
    assert shown.err == first.err
    assert first.err.strip() not in shown.out
    every = world.query(*LIST, "--format", form, "--all")
    assert (len(every.out.splitlines()), len(every.err.splitlines())) == (total + 1, 1)


@pytest.mark.scenario("CLI-15")
@pytest.mark.parametrize("where", ["pipe", "terminal"])
@pytest.mark.parametrize(
    ("words", "titles"),
    [
        (LIST, {"COUNT": "count"}),
        ([*LIST, "--fields", "title,change_seq,count"], {"CHANGE SEQ": "change_seq", "COUNT": "count"}),
        (["events", "summary", "--by", "reason"], {"EVENTS": "events", "OCCURRENCES": "occurrences"}),
        (["events", "noisy"], {"EVENTS": "events", "OCCURRENCES": "occurrences"}),
        (["events", "reasons"], {"OBJECTS": "objects", "OCCURRENCES": "occurrences"}),
    ],
    ids=["list", "fields", "summary", "noisy", "reasons"],
)
def test_numbers_end_in_one_column(world: Kube9, words: list[str], titles: dict[str, str], where: str):
    rows = next(iter(world.query(*words).json.values()))
    table = [*words, "--format", "wide"]
    text = world.query(*table).out if where == "pipe" else uncoloured(on_terminal(world, *table, width=400).out)
    header, *lines = text.splitlines()
    for title, key in titles.items():
        end = header.index(title) + len(title)
        assert [cell_before(line, end) for line in lines] == [str(row[key]) for row in rows]


@pytest.mark.parametrize(
    ("by", "titles"),
    [
        ([], ["SEVERITY"]),
        (["--by", "type"], ["TYPE"]),
        (["--by", "reason,kind"], ["REASON", "KIND"]),
        (["--by", "namespace", "--by", "severity"], ["SEVERITY", "NAMESPACE"]),
        (["--by", "kind,namespace,reason,severity,type"], ["TYPE", "SEVERITY", "REASON", "NAMESPACE", "KIND"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["table", "wide"])
def test_a_summary_shows_what_it_counts_by(world: Kube9, by: list[str], titles: list[str], form: str):
    header = world.query("events", "summary", *by, "--format", form).out.splitlines()[0]
    assert header.split() == ["EVENTS", "OCCURRENCES", *titles]


BARS = {60: 8, 180: 4, 300: 1}  # minutes ago -> events


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    runner = Kube9(tmp_path_factory.mktemp("bars"), cache)
    runner.record(*(aged(f"bar-{at}-{number}", at) for at, many in BARS.items() for number in range(many)))
    return runner


@pytest.mark.parametrize("width", [None, 200, 100, 80])
def test_a_timeline_has_bars_in_proportion(bars: Kube9, width: int | None):
    words = ["events", "timeline", "--since", "8h", "--interval", "1h"]
    rows = bars.query(*words).json["event_intervals"]
    assert sorted(row["events"] for row in rows if row["events"]) == sorted(BARS.values())
    table = [*words, "--format", "table"]
    text = uncoloured(on_terminal(bars, *table, width=width).out) if width else bars.query(*table).out
    header, *lines = text.splitlines()
    assert header.split() == ["START", "EVENTS", "INFO", "WARNING", "ERROR", "CRITICAL", "COVERED"]
    assert len(lines) == len(rows)
    lengths = {row["events"]: line.count("█") for row, line in zip(rows, lines, strict=True)}
    longest = lengths[8]
    assert longest >= 8
    assert longest == 30 or width
    assert abs(lengths[4] - longest / 2) <= 1
    assert abs(lengths[1] - longest / 8) <= 1
    assert lengths[0] == 0
    assert "…" not in text
    assert [row["start"] for row in rows if row["start"][:16] not in text] == []


def test_headers_are_left_out_on_a_terminal_too(world: Kube9):
    whole = uncoloured(on_terminal(world, *LIST, "--format", "table").out).splitlines()
    bare = uncoloured(on_terminal(world, *LIST, "--format", "table", "--no-headers").out).splitlines()
    assert bare == whole[1:]


def test_an_error_for_people_is_no_json(world: Kube9):
    done = world.query(*LIST, "--severity", "eror", "--format", "table")
    assert done.err.startswith("error: ")
    assert "did you mean error?" in done.err
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.err)

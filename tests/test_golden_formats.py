"""Each format of an answer, byte by byte, over a few odd events; and the same data in all of them."""

import csv
import io
import json
import os
import re
import sqlite3
from contextlib import closing

import pytest
import yaml
from conftest import TESTS, Kube9, make_event
from ruamel.yaml import YAML

UNTIL = "--until=2026-01-01"  # without it the coverage goes up to the present
COVERED = "covered nothing of 609d23h; gaps until 2025-07-28 04:05 UTC (known from imported files only), "
COVERED += "since 2025-07-28 04:05 UTC (before the first recording)\n"
FORMATS = ["json", "yaml", "jsonl", "csv", "name", "table", "wide"]
LIST = ["events", "list"]
NESTED = {
    "list": [1, -2.5, 1e300, True, None, {"deep": [[], {}]}],
    "text": 'a "b"\n🔥\\',
    "yes": "no",
    "1": "2025-12-01",
    "": " ",
    "Null": "null",
    "a: b": "1:30",
}


def event(number: int, **changes) -> dict:
    """An event of a day of its own; what began first was seen last, so that the two orders differ."""
    times = {"firstTimestamp": f"2024-05-{number:02}T01:02:03Z", "lastTimestamp": f"2025-07-{30 - number:02}T04:05:06Z"}
    return make_event(f"pod-{number}.1", **(times | {"count": number} | changes))


ODD = [
    event(1, reason="Plain", message="nothing odd", count=1234567, lastTimestamp="2024-05-01T01:12:03Z"),
    event(2, reason='"Quoted"\nTwice', message='say "hi", then ""; \'bye\'', source={"component": "a,b", "host": '"'}),
    event(3, reason="Lines", message="one\ntwo\r\nthree\rfour\tfive\n\n  six\n"),
    event(4, reason="🔥", message="👨‍👩‍👧 e\u0301 ❤️", involvedObject={"kind": "Pod", "name": "日本語", "namespace": "本番"}),
    event(5, reason="007", message="1e3", source={"component": "0x1F", "host": "1_000"}),
    event(6, reason="yes", message="null", source={"component": "~", "host": "No"}, type="Normal"),
    event(7, reason="2025-12-01", message="2025-12-01T10:30:00Z", source={"component": "-", "host": "=x"}),
    event(8, reason="NodeNotReady", message=None, involvedObject={"kind": "Node", "name": "node-1"}, source={}),
    event(9, reason="Failed", message=" Error: ErrImagePull ", type="Normal"),
]
# What an import takes from the clock, or cannot say. Timestamps of the recording and the database's own number are fixed.
FIXED = (
    "UPDATE events SET recorded_at = '2025-08-01T00:00:00.000Z'",
    "UPDATE events SET owner_kind = 'Deployment', owner_name = 'web' WHERE reason = 'Plain'",
    "UPDATE counters SET value = 0xc0ffee WHERE name = 'lineage'",
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    runner = Kube9(tmp_path_factory.mktemp("odd"), cache)
    runner.record(*ODD)
    with closing(sqlite3.connect(runner.db)) as connection, connection:
        for statement in FIXED:
            connection.execute(statement)
        nested = json.dumps(NESTED, ensure_ascii=False, separators=(",", ":"))
        connection.execute("UPDATE events SET metadata = ? WHERE reason = 'Lines'", [nested])
    return runner


@pytest.fixture(scope="module")
def events(odd: Kube9) -> list[dict]:
    """The events as JSON has them."""
    return odd.events()


def without_ages(text: str) -> str:
    """A table without its first column, which says how long ago."""
    header, *rows = text.splitlines()
    assert header.startswith("LAST SEEN ")
    start = header.index("SEVERITY")
    assert [row for row in rows if not re.fullmatch(r"(\d+y)?\d+d( \(x\d+ over \w+\))? +", row[:start])] == []
    return "".join(f"{line[start:]}\n" for line in (header, *rows))


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", FORMATS)
def test_an_answer_is_its_golden_file(odd: Kube9, form: str):
    done = odd.query(*LIST, UNTIL, "--format", form)
    assert (done.code, done.err) == (0, COVERED if form in ("table", "wide") else "")
    shown = without_ages(done.out) if form in ("table", "wide") else done.out
    golden = TESTS / "golden" / f"odd.{form}"
    if os.environ.get("GOLDEN") == "write":
        golden.write_bytes(shown.encode())
    assert shown.encode() == golden.read_bytes()


def of_json(value: object) -> str:
    """A value of JSON as csv has it."""
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | dict | list) else str(value)


def same(cell: str, value: object) -> bool:
    return json.loads(cell) == value if isinstance(value, dict | list) else cell == of_json(value)


WINDOW = ["--since=2024-01-01", UNTIL]
COMMANDS = {
    "list": [*LIST, UNTIL],
    "list of few fields": [*LIST, UNTIL, "--fields", "metadata,title,owner_name"],
    "second page": [*LIST, UNTIL, "--limit", "2", "--offset", "3"],
    "nothing": [*LIST, UNTIL, "-n", "nowhere"],
    "get": ["events", "get", "{id}"],
    "summary": ["events", "summary", "--by", "reason,namespace", *WINDOW],
    "noisy": ["events", "noisy", *WINDOW],
    "reasons": ["events", "reasons", *WINDOW],
    "timeline": ["events", "timeline", *WINDOW],
    "status": ["status"],
    "capabilities": ["capabilities"],
}
CHANGES = {"events_24h", "database_size_bytes"}


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest, events: list[dict]) -> list[str]:
    (lines,) = [found["id"] for found in events if found["reason"] == "Lines"]
    return [word.format(id=lines) for word in COMMANDS[request.param]]


def rows_of(document: dict) -> list[dict]:
    """The rows of a page, or the one thing that the answer is."""
    return next(iter(document.values())) if "pagination" in document else [document]


@pytest.mark.scenario("CLI-13")
def test_a_document_is_what_the_json_module_writes(odd: Kube9, command: list[str]):
    done = odd.query(*command)
    assert (done.code, done.err) == (0, "")
    assert done.out == json.dumps(done.json, indent=2, ensure_ascii=False) + "\n"


def yaml_1_1(text: str) -> object:
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 1)  # yes is true in it, and 1:30 is 90
    return reader.load(text)


@pytest.mark.scenario("CLI-14")
@pytest.mark.parametrize("read", [YAML(typ="safe", pure=True).load, yaml_1_1, yaml.safe_load], ids=["1.2", "1.1", "PyYAML"])
def test_yaml_is_read_as_the_same_data(odd: Kube9, command: list[str], read):
    expected = odd.query(*command).json
    assert read(odd.query(*command, "--format", "yaml").out) == expected


@pytest.mark.scenario("CLI-27")
def test_jsonl_is_the_same_data_a_row_a_line(odd: Kube9, command: list[str]):
    rows = rows_of(odd.query(*command).json)
    done = odd.query(*command, "--format", "jsonl")
    assert (done.code, done.err) == (0, "")
    lines = done.out.split("\n")
    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    assert found == rows
    assert [list(row) for row in found] == [list(row) for row in rows]


FIELD = r'(?:"(?:[^"]|"")*"|[^",\r\n]*)'
RFC_4180 = re.compile(rf"(?:{FIELD}(?:,{FIELD})*\r\n)*")


@pytest.mark.scenario("CLI-27")
def test_csv_is_the_same_data_by_rfc_4180(odd: Kube9, command: list[str]):
    rows = rows_of(odd.query(*command).json)
    done = odd.query(*command, "--format", "csv")
    assert (done.code, done.err) == (0, "")
    assert RFC_4180.fullmatch(done.out)
    header, *lines = csv.reader(io.StringIO(done.out, newline=""), strict=True)
    assert [list(row) for row in rows] in ([header] * len(rows), [])
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert [name for cell, name in zip(line, row, strict=True) if not same(cell, row[name])] == []


@pytest.mark.scenario("CLI-27")
def test_a_row_of_one_empty_value_is_a_row_of_csv_all_the_same(odd: Kube9, events: list[dict]):
    done = odd.query(*LIST, "--format", "csv", "--fields", "owner_name")
    found = list(csv.DictReader(io.StringIO(done.out, newline="")))  # leaves out lines that are empty
    assert [row["owner_name"] for row in found] == [found["owner_name"] or "" for found in events]


@pytest.mark.scenario("CLI-27")
def test_name_gives_ids_alone(odd: Kube9, events: list[dict]):
    done = odd.query(*LIST, "-o", "name")
    assert done.out == "".join(f"{found['id']}\n" for found in events)
    assert odd.query("events", "get", events[0]["id"], "-o", "name").out == events[0]["id"] + "\n"
    for each in events:
        assert odd.query("events", "get", each["id"]).json == each


def test_a_name_takes_one_line(odd: Kube9):
    names = odd.query("events", "reasons", *WINDOW, "-o", "name").out
    assert len(names.splitlines()) == len(ODD)  # one of them is of two lines
    assert '"Quoted" Twice' in names


@pytest.mark.scenario("CLI-13")
def test_the_keys_of_a_page_come_in_their_order(odd: Kube9):
    page = odd.query(*LIST, "--limit", "2").json
    assert list(page) == ["events", "pagination", "coverage"]
    keys = ["total", "limit", "offset", "returned", "next_page_token", "sync_token"]
    assert list(page["pagination"])[: len(keys)] == keys
    assert list(page["coverage"])[:5] == ["from", "to", "covered_seconds", "complete", "gaps"]
    assert page["pagination"]["total"] == len(ODD)


def test_coverage_names_the_window_asked_for(odd: Kube9):
    coverage = odd.query(*LIST, *WINDOW).json["coverage"]
    assert (coverage["from"], coverage["to"]) == ("2024-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z")


FEW = ["count", "title", "metadata", "id"]  # not the order of the whole


def first_row(form: str, text: str) -> list[str]:
    """The names of the fields of an answer, in their order."""
    if form == "csv":
        return text.split("\r\n")[0].split(",")
    if form in ("table", "wide"):
        return [name.lower().replace(" ", "_") for name in re.split(" {2,}", text.splitlines()[0].strip())]
    rows = (
        rows_of({"json": json.loads, "yaml": yaml.safe_load}[form](text))
        if form != "jsonl"
        else [json.loads(text.split("\n")[0])]
    )
    return list(rows[0])


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", [form for form in FORMATS if form != "name"])
@pytest.mark.parametrize(
    "words",
    [
        ["--fields", "count,title,metadata,id"],
        ["--fields", "count", "--fields", "title,metadata", "--fields=id"],
        ["--fields", "count,title,count,metadata,id,title"],  # each once
    ],
    ids=["commas", "repeated", "twice the same"],
)
def test_fields_come_in_the_order_they_were_asked_for(odd: Kube9, form: str, words: list[str]):
    done = odd.query(*LIST, UNTIL, "--format", form, *words)
    assert (done.code, done.err) == (0, COVERED if form in ("table", "wide") else "")
    assert first_row(form, done.out) == FEW


@pytest.mark.parametrize("form", ["json", "yaml", "jsonl", "csv"])
def test_fields_choose_from_one_thing_too(odd: Kube9, events: list[dict], form: str):
    done = odd.query("events", "get", events[0]["id"], "--format", form, "--fields", ",".join(FEW))
    assert first_row(form, done.out) == FEW


@pytest.mark.scenario("CLI-27")
def test_chosen_fields_have_their_values(odd: Kube9, events: list[dict]):
    chosen = [{name: found[name] for name in FEW} for found in events]
    assert odd.events("--fields", ",".join(FEW)) == chosen


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", FORMATS)
def test_an_unknown_field_is_refused_with_the_nearest(odd: Kube9, form: str):
    done = odd.query(*LIST, "--format", form, "--fields", "id,object_nam")
    assert (done.code, done.out) == (1, "")
    message = done.err if form in ("table", "wide") else done.error["error"]
    assert '"object_nam"' in message
    assert "did you mean object_name?" in message
    assert "last_seen_at" in message  # what is allowed


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", FORMATS)
def test_no_headers_leaves_out_the_header_alone(odd: Kube9, form: str):
    whole = odd.query(*LIST, UNTIL, "--format", form).out
    bare = odd.query(*LIST, UNTIL, "--format", form, "--no-headers").out
    end = {"csv": "\r\n", "table": "\n", "wide": "\n"}.get(form)
    assert bare == (whole.partition(end)[2] if end else whole)


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize(("order", "key"), [("created_at", "created_at"), ("last_seen_at", "last_seen_at")])
def test_rows_are_sorted_as_asked(odd: Kube9, events: list[dict], order: str, key: str):
    expected = sorted(events, key=lambda found: (found[key], found["id"]), reverse=True)
    assert odd.events("--sort", order) == expected


def test_the_two_orders_differ(events: list[dict]):
    assert sorted(events, key=lambda found: found["created_at"], reverse=True) != events


@pytest.mark.scenario("CLI-27")
@pytest.mark.parametrize("form", ["jsonl", "csv", "name"])
def test_sorting_and_pages_are_the_same_in_each_format(odd: Kube9, form: str):
    words = [*LIST, "--format", form, "--sort", "created_at"]
    whole = odd.query(*words, "--no-headers").out
    pages = [odd.query(*words, "--no-headers", "--limit", "3", "--offset", str(start)).out for start in (0, 3, 6)]
    assert "".join(pages) == whole


@pytest.mark.parametrize(
    ("form", "expected"), [("jsonl", ""), ("name", ""), ("csv", "id,title\r\n"), ("table", ""), ("wide", "")]
)
def test_an_answer_without_rows_is_an_answer(odd: Kube9, form: str, expected: str):
    fields = ["--fields", "id,title"] if form == "csv" else []
    done = odd.query(*LIST, "-n", "nowhere", "--format", form, *fields)
    assert (done.code, done.out) == (0, expected)


OLD = """
version: 1
queries:
  old ways:
    summary: Count in an old way
    returns: page of OldCount
    fields: {object_name: string, events: integer}
    filters:
      pod: {column: object_name, deprecated: use --name}
      name: {column: object_name}
    sql: SELECT object_name, count(*) AS events FROM events WHERE {filters} GROUP BY object_name ORDER BY object_name
    deprecated: use `events noisy`
"""


@pytest.mark.scenario("CLI-13")
@pytest.mark.parametrize("form", [form for form in FORMATS if form != "name"])
def test_stdout_holds_the_document_alone(odd: Kube9, tmp_path, form: str):
    file = tmp_path / "old.yaml"
    file.write_text(OLD)
    env = {"KUBE9_QUERIES": str(file)}
    done = odd.query("old", "ways", "--pod", "pod-1", "--format", form, env=env)
    quiet = odd.query("old", "ways", "--name", "pod-1", "--format", form, env=env)
    assert (done.code, quiet.code) == (0, 0)
    assert done.out == quiet.out != ""
    said = done.err.splitlines()
    assert len(said) == 2
    assert "use `events noisy`" in said[0]
    assert "use --name" in said[1]
    if form not in ("table", "wide"):
        assert [list(json.loads(line)) for line in said] == [["warning"], ["warning"]]

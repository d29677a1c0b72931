"""What the VS Code extension sends and reads, as docs/extension.md has it: the program by the name that it calls."""

import json
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, Kube9, Result, make_event, rows
from test_docs import coded, sections, table

from kube9 import recording

pytestmark = pytest.mark.scenario("CLI-16")
PAGE = sections((ROOT / "docs" / "extension.md").read_text())
COMMAND = ["kube9-operator", "query", "events", "list"]
# Pieces of an answer as an exec hands them on, so small that many borders fall into characters.
PIECE = 7


class Extension:
    """Asks a database as the extension asks a pod. `folder` gets the program, made as the image makes it."""

    def __init__(self, kube9: Kube9, folder: Path) -> None:
        self.kube9, self.program = kube9, folder / "kube9-operator"
        self.program.write_text(
            f"#!{sys.executable} -I\nimport sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "from kube9.__main__ import main; sys.exit(main())\n"
        )
        self.program.chmod(0o755)

    def __call__(self, line: str) -> Result:
        """Run a command line, split on spaces, its values as the extension would put them in."""
        program, *words = line.split(" ")
        assert program == self.program.name
        env = self.kube9.env | {"DB_PATH": str(self.kube9.db.parent)}
        done = subprocess.run([self.program, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        return Result(subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode()))

    def read(self, **options: object) -> Any:
        """The answer to `events list` with these options; an error is none."""
        done = self(command(**options))
        assert (done.code, done.err) == (0, ""), done
        return done.json


def command(**options: object) -> str:
    """The extension's command line; an option that is None is left out."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    return " ".join([*COMMAND, *words, "--format=json"])


@pytest.fixture(scope="module")
def extension(sampled: Kube9, tmp_path_factory: pytest.TempPathFactory) -> Extension:
    """Before the built-in sample of real events. For reading only."""
    return Extension(sampled, tmp_path_factory.mktemp("program"))


@pytest.fixture
def empty(kube9: Kube9, tmp_path: Path) -> Extension:
    """Before a database of its own."""
    kube9.record()
    return Extension(kube9, tmp_path)


@pytest.fixture(scope="module")
def schema(sampled: Kube9) -> dict[str, Any]:
    return sampled("spec", "export", "json-schema", db=False).json


@pytest.fixture(scope="module")
def everything(extension: Extension) -> list[dict[str, Any]]:
    found = extension.read(limit=1000)
    assert found["pagination"]["total"] == len(found["events"]) > 30
    return found["events"]


def checked(answer: Any, schema: dict[str, Any]) -> Any:
    """An answer that is as documented."""
    jsonschema.validate(answer, {"$ref": "#/$defs/ListEventsResponse", "$defs": schema["$defs"]})
    pagination = answer["pagination"]
    assert pagination["returned"] == len(answer["events"]) <= min(pagination["limit"], pagination["total"])
    return answer


# What it sends.

CHOICES = list(product((False, True), repeat=5))


@pytest.mark.parametrize("chosen", CHOICES, ids=lambda chosen: "".join("01"[one] for one in chosen))
def test_every_combination_of_its_options(
    extension: Extension, everything: list[dict[str, Any]], schema: dict[str, Any], chosen: tuple[bool, ...]
):
    one = next(event for event in everything if event["object_kind"] == "Pod" and event["object_namespace"])
    since = everything[len(everything) // 2]["last_seen_at"]
    values = {
        "object_namespace": one["object_namespace"],
        "type": one["event_type"],
        "since": since,
        "object_kind": one["object_kind"],
        "limit": 2,
    }
    given = {name: value for (name, value), taken in zip(values.items(), chosen, strict=True) if taken}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", since)

    def holds(event: dict[str, Any]) -> bool:
        return all(
            event["last_seen_at"] >= value if name == "since" else event[name.replace("type", "event_type")] == value
            for name, value in given.items()
            if name != "limit"
        )

    expected = [event for event in everything if holds(event)]
    answer = checked(extension.read(**given), schema)
    limit = given.get("limit", 50)
    assert answer["events"] == expected[:limit]
    assert len(expected) > 2
    assert expected != everything or not given.keys() - {"limit", "type"}  # the sample is all of the cluster's
    pagination = answer["pagination"]
    assert (pagination["total"], pagination["limit"], pagination["offset"]) == (len(expected), limit, 0)


def test_the_order_of_options_says_nothing(extension: Extension):
    line = command(object_kind="Pod", since="2020-01-01T00:00:00.000Z", limit=25)
    program, query, events, verb, *options = line.split(" ")
    turned = extension(" ".join([program, query, events, verb, *reversed(options)]))
    assert turned.json["events"] == extension(line).json["events"] != []


def test_the_format_is_json_without_being_asked(extension: Extension):
    assert extension(" ".join(COMMAND)).json["events"] == extension.read()["events"]


def test_each_documented_option_is_in_the_line_and_in_the_capabilities(extension: Extension):
    found = extension("kube9-operator query capabilities").json
    assert found["contract_version"] == 1
    (listing,) = [query for query in found["queries"] if query["name"] == "events list"]
    known = {flag: parameter for parameter in listing["parameters"] for flag in parameter["options"]}
    documented = {coded(option): default for option, _, default in table(PAGE["What it sends"], "option")}
    (line,) = re.findall(r"^    (kube9-operator query .*)$", PAGE["What it sends"], flags=re.MULTILINE)
    assert [word.partition("=")[0] for word in line.split(" ")[4:]] != []
    assert {word.partition("=")[0] for word in line.split(" ")[4:]} == documented.keys() <= known.keys()
    for flag, default in documented.items():
        assert coded(default) == str(known[flag]["default"] or "")
    assert (known["--limit"]["minimum"], known["--limit"]["maximum"]) == (1, 1000)
    assert extension(line).code == 0
    beyond = set(re.findall(r"(?<!-)--[a-z-]+", PAGE["What it could have"]))
    assert {"--after", "--min-severity", "--for", "--watch"} <= beyond <= known.keys()


# What it reads.


def types_of(schema: dict[str, Any]) -> set[str]:
    return {one["type"] for one in schema.get("anyOf", [schema])}


@pytest.mark.parametrize(("header", "message"), [("field of an event", "Event"), ("field of `pagination`", "Pagination")])
def test_the_documented_fields_have_the_types_of_the_schema(schema: dict[str, Any], header: str, message: str):
    documented = {coded(name): set(kind.split(" or ")) for name, kind, _ in table(PAGE["What it reads"], header)}
    fields = schema["$defs"][message]["properties"]
    assert documented == {name: types_of(fields[name]) for name in documented}
    assert len(documented) == {"Event": 10, "Pagination": 4}[message]


def test_the_documented_fields_of_metadata_are_in_every_event_of_the_cluster(everything: list[dict[str, Any]]):
    python = {"string": str, "integer": int, "null": type(None)}
    documented = table(PAGE["What it reads"], "field of `metadata`")
    assert [coded(name) for name, *_ in documented] == ["reason", "count", "first_timestamp", "last_timestamp"]
    for event in everything:
        for name, kinds, _ in documented:
            assert isinstance(event["metadata"][coded(name)], tuple(python[kind] for kind in kinds.split(" or ")))
        assert event["metadata"]["first_timestamp"] == event["created_at"]
        assert event["metadata"]["last_timestamp"] == event["last_seen_at"]
        assert (event["metadata"]["reason"], event["metadata"]["count"]) == (event["reason"], event["count"])


def test_an_event_of_ones_own_has_the_metadata_that_it_was_recorded_with(empty: Extension, schema: dict[str, Any]):
    with recording.recorder(str(empty.kube9.db)) as recorder:
        recorder.record("health", "Backup is late", metadata={"hours": 30})
    (event,) = checked(empty.read(type="health"), schema)["events"]
    assert event["metadata"] == {"hours": 30}
    assert (event["object_kind"], event["object_namespace"], event["object_name"]) == (None, None, None)


@pytest.mark.parametrize(
    "nothing", [{"object_namespace": "none-such"}, {"type": "health"}, {"since": "2999-01-01T00:00:00.000Z"}]
)
def test_an_answer_may_be_empty(extension: Extension, schema: dict[str, Any], nothing: dict[str, Any]):
    answer = checked(extension.read(**nothing), schema)
    assert (answer["events"], answer["pagination"]["total"]) == ([], 0)


def test_so_may_the_database(empty: Extension, schema: dict[str, Any]):
    answer = checked(empty.read(limit=25, since="2026-01-02T03:04:05.678Z"), schema)
    assert (answer["events"], answer["pagination"]["total"]) == ([], 0)


def test_a_millisecond_more_leaves_an_event_out(empty: Extension):
    empty.kube9.record(make_event(firstTimestamp=None, lastTimestamp=None, count=None, eventTime="2026-01-02T03:04:05.678000Z"))
    assert len(empty.read(since="2026-01-02T03:04:05.678Z")["events"]) == 1
    assert empty.read(since="2026-01-02T03:04:05.679Z")["events"] == []


def test_text_survives_a_reader_that_decodes_it_piece_by_piece(empty: Extension, schema: dict[str, Any]):
    message = 'Führt 日本語 🔥👩\u200d👧 aus "und" mehr\\u2026 …\u2028'
    empty.kube9.record(make_event(message=message, reason="Größe", namespace="prod"))
    done = empty(command())
    data = done.out.encode()
    pieces = [data[start : start + PIECE].decode(errors="replace") for start in range(0, len(data), PIECE)]
    answer = checked(json.loads("".join(pieces)), schema)
    (event,) = answer["events"]
    assert (event["description"], event["reason"], event["metadata"]["reason"]) == (message, "Größe", "Größe")
    plain = empty.kube9.query("events", "list")  # the same data by the other name, for people and their grep
    assert plain.json["events"] == answer["events"]
    assert "日本語" in plain.out
    (line,) = empty(" ".join([*COMMAND, "--format=jsonl"])).out.splitlines()
    assert line.isascii()
    assert json.loads(line) == event


# How it sees an error.

REFUSED = [
    (command(type="Warning"), "cluster, operator, insight, assessment, health, system"),
    (command(limit=0), "between 1 and 1000"),
    (command(limit=1001), "between 1 and 1000"),
    (command(since="yore"), "yore"),
    (command(since=""), "24h"),
    (command(object_namespace=""), "empty"),
    (command(object_namespace="a b"), 'unexpected "b"'),
    (command(colour="red"), "--colour"),
    ("kube9-operator query event list", "event"),
    ("kube9-operator query events list  --limit=2", 'unexpected ""'),
]


@pytest.mark.parametrize(("line", "said"), REFUSED, ids=[line.removeprefix("kube9-operator ") for line, _ in REFUSED])
def test_a_mistake_is_json_on_stderr_and_a_failure(extension: Extension, schema: dict[str, Any], line: str, said: str):
    done = extension(line)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
    jsonschema.validate(done.error, schema["$defs"]["Error"])
    assert done.error["code"] == "INVALID_ARGUMENT"
    assert said in done.error["error"] + done.error["details"]


def test_the_documented_mistake_is_told_so(extension: Extension):
    (shown,) = re.findall(r"^    (\{.*\})$", PAGE["How it sees an error"], flags=re.MULTILINE)
    assert extension(command(limit=1001)).error == json.loads(shown)


@pytest.mark.parametrize(
    ("content", "code"), [(None, "UNAVAILABLE"), (b"no database" * 1000, "DATA_LOSS")], ids=["none", "spoilt"]
)
def test_a_database_that_cannot_be_read_is_a_failure(kube9: Kube9, tmp_path: Path, content: bytes | None, code: str):
    if content is not None:
        kube9.db.write_bytes(content)
    done = Extension(kube9, tmp_path)(command(limit=25))
    assert (done.code, done.out, done.error["code"]) == (1, "", code)
    assert str(kube9.db) in done.error["details"]


# What people type into its fields.

ODD = [
    "'", '"', "''", '"shop"', "a'b", "%", "sh%", "_hop", "*", "shop;", ";--", "shop'--", "'OR'1'='1", "`id`", "$(id)",
    "${HOME}", "$HOME", "|cat", ">x", "&", "\\", "\\n", "a=b", "=", "--limit=1", "-n", "shop,prod", "shop/prod", "../..",
    "SHOP", "日本", "🔥", "é", "e\u0301", "\u200b", "\u00a0", "\u202e", "NULL", "null", "{filters}", ":limit", "x" * 253,
]  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Extension:
    """Before a namespace of each odd name, and `shop`."""
    kube9 = Kube9(tmp_path_factory.mktemp("odd"), cache)
    kube9.record(*(make_event(f"web-{number}.1", namespace=name) for number, name in enumerate([*ODD, "shop"])))
    assert rows(kube9.db, "SELECT count(DISTINCT object_namespace) FROM events") == [(len(ODD) + 1,)]
    return Extension(kube9, tmp_path_factory.mktemp("program"))


@pytest.mark.scenario("CLI-25")
@pytest.mark.parametrize("name", ODD, ids=lambda name: ascii(name)[:20])
def test_an_odd_namespace_is_matched_as_it_is(odd: Extension, schema: dict[str, Any], name: str):
    answer = checked(odd.read(object_namespace=name, limit=25), schema)
    assert [event["object_namespace"] for event in answer["events"]] == [name]
    assert answer["pagination"]["total"] == 1


# What it could have.


@pytest.mark.scenario("CLI-29")
def test_only_what_is_new_comes_after_a_token(empty: Extension, schema: dict[str, Any]):
    kube9 = empty.kube9
    kube9.record(make_event("old.1"), make_event("other.1", namespace="other"))
    options = {"object_namespace": "prod", "object_kind": "Pod", "limit": 25}
    first = checked(empty.read(**options), schema)
    kube9.record(make_event("new.1"), make_event("other.2", namespace="other"))
    second = checked(empty.read(**options, after=first["pagination"]["sync_token"]), schema)
    assert [event["object_name"] for event in second["events"]] == ["new"]
    assert empty.read(**options, after=second["pagination"]["sync_token"])["events"] == []


def test_durations_and_filters_are_taken_in_the_line(extension: Extension, everything: list[dict[str, Any]]):
    found = extension.read(since="3650d", min_severity="error", reason=everything[0]["reason"])
    assert found["events"] == [
        event
        for event in everything
        if event["severity"] in ("error", "critical") and event["reason"] == everything[0]["reason"]
    ]
    assert extension.read(contains="back-off")["events"] == [
        event for event in everything if "back-off" in f"{event['title']}\n{event['description']}".lower()
    ]
    assert set(extension.read()["coverage"]) == {"from", "to", "covered_seconds", "complete", "gaps", "more_gaps"}

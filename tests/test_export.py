"""What `kube9 spec export` writes, checked by the real tools: a JSON Schema validator, tsc, and mypy."""

import ast
import copy
import inspect
import json
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import jsonschema
import pydantic
import pytest
from conftest import ROOT, SAMPLE, TESTS, Kube9

import kube9 as library
from kube9 import messages

STUB = ROOT / "kube9" / "__init__.pyi"
PROGRAM = TESTS / "data" / "library_client.py"
PROJECT = TESTS / "typescript"
OWN = r'''
version: 1
types:
  Colour: [red, "green */"]
messages:
  Thing:
    from: events
    fields:
      id: {type: string, doc: 'has """ and */ and \\ in it, and "quotes"'}
      class: {type: time, column: created_at}
      colour: {type: Colour, sql: "'red'"}
queries:
  things find-all:
    summary: Find all
    returns: page of Thing
    filters:
      id: {column: id, required: true, doc: "ends in \\"}
      old: {column: title, op: in, scan: table, deprecated: use another}
  whole:
    summary: "*/"
    returns: Thing
    arguments: {id: {column: id}}
'''


def export(runner: Kube9, form: str, **options) -> str:
    done = runner("spec", "export", form, db=False, **options)
    assert (done.code, done.err) == (0, ""), done
    return done.out


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that adds queries of one's own, with names and texts that are hard to write in other languages."""
    file = tmp_path_factory.mktemp("own") / "own.yaml"
    file.write_text(OWN)
    return {"KUBE9_QUERIES": str(file)}


# JSON Schema


@pytest.fixture(scope="module")
def schema(sampled: Kube9) -> dict:
    return json.loads(export(sampled, "json-schema"))


FORMATS = jsonschema.FormatChecker()
FORMATS.checks("date-time", raises=ValueError)(lambda found: not isinstance(found, str) or datetime.fromisoformat(found).tzinfo)


def wrong(schema: dict, name: str, value: object) -> list[str]:
    """What a validator finds wrong in a value that should be one of the schema's definitions."""
    assert name in schema["$defs"]
    validator = jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/{name}"}, format_checker=FORMATS)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def test_the_schema_is_a_json_schema(schema: dict, sampled: Kube9, own: dict[str, str]):
    for each in (schema, json.loads(export(sampled, "json-schema", env=own))):
        assert each["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
        jsonschema.Draft202012Validator.check_schema(each)


ANSWERS = {
    "events list": "ListEventsResponse",
    "events list --limit 1000": "ListEventsResponse",
    "events list --severity error,warning --since 2026-01-01 --kind Pod --limit 2": "ListEventsResponse",
    "events list -n nowhere": "ListEventsResponse",
    "events list --contains a": "ListEventsResponse",
    "events summary --since 2026-01-01": "SummaryEventsResponse",
    "events summary --since 2026-01-01 --by namespace,kind,type": "SummaryEventsResponse",
    "events noisy --since 2026-01-01": "NoisyEventsResponse",
    "events reasons --since 2026-01-01": "ReasonsEventsResponse",
    "events timeline --since 2026-11-20": "TimelineEventsResponse",
    "status": "StatusResponse",
    "capabilities": "CapabilitiesResponse",
}


@pytest.mark.scenario("SPEC-07")
@pytest.mark.parametrize("words", ANSWERS)
def test_answers_are_as_the_schema_says(schema: dict, sampled: Kube9, words: str):
    assert wrong(schema, ANSWERS[words], sampled.query(*words.split()).json) == []


@pytest.mark.scenario("SPEC-07")
def test_one_event_and_each_line_are_as_the_schema_says(schema: dict, sampled: Kube9):
    lines = sampled.query("events", "list", "--format", "jsonl", "--limit", "1000").out.splitlines()
    assert len(lines) == 132
    assert [wrong(schema, "Event", json.loads(line)) for line in lines] == [[]] * 132
    one = sampled.query("events", "get", json.loads(lines[0])["id"]).json
    assert wrong(schema, "GetEventsResponse", one) == []


def test_every_query_has_its_request_and_response(schema: dict, sampled: Kube9):
    tried = {" ".join(words.split(" -")[0].split()) for words in ANSWERS} | {"events get"}
    every = {query["name"] for query in sampled.query("capabilities").json["queries"]}
    assert tried <= every
    names = [messages.call_name({"name": name}) for name in every]
    assert {f"{name}{kind}" for name in names for kind in ("Request", "Response")} <= schema["$defs"].keys()


@pytest.mark.scenario("SPEC-07")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("events get evt_nope", "NOT_FOUND"),
        ("events list --severity bad", "INVALID_ARGUMENT"),
        ("events list --sevrity bad", "INVALID_ARGUMENT"),
        ("status --db /nowhere/at/all.db", "UNAVAILABLE"),
        (f"status --db {SAMPLE}", "DATA_LOSS"),
    ],
)
def test_errors_are_as_the_schema_says(schema: dict, sampled: Kube9, words: str, code: str):
    done = sampled.query(*words.split(), db="--db" not in words)
    assert done.error["code"] == code
    assert wrong(schema, "Error", done.error) == []


@pytest.mark.parametrize(
    "changed",
    [{"code": "NO_SUCH"}, {"code": None}, {"details": 3}, {"event_id": 3}],
    ids=str,
)
def test_a_wrong_error_is_refused(schema: dict, sampled: Kube9, changed: dict):
    error = sampled.query("events", "get", "evt_nope").error
    assert wrong(schema, "Error", error | changed)
    for left_out in ("error", "details", "code"):
        assert wrong(schema, "Error", {name: value for name, value in error.items() if name != left_out})


MISSING = object()


def changed(answer: object, path: str, value: object) -> object:
    """A copy of an answer with something else at a path, or nothing."""
    answer = copy.deepcopy(answer)
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    at = answer
    for part in above:
        at = at[part]
    if value is MISSING:
        del at[last]
    else:
        at[last] = value
    return answer


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("events", MISSING), ("pagination", MISSING), ("coverage", MISSING), ("coverage.from", MISSING),
        ("pagination.sync_token", MISSING), ("events.0.description", MISSING), ("events.0.owner_name", MISSING),
        ("events.0.severity", "eror"), ("events.0.severity", None), ("events.0.origin", "dream"), ("events.0.event_type", ""),
        ("events.0.count", "3"), ("events.0.count", 2.5), ("events.0.title", None), ("events.0.object_name", 3),
        ("events.0.created_at", "yesterday"), ("events.0.created_at", 3), ("events.0.metadata", None),
        ("events.0.metadata", []), ("events", {}), ("events", None), ("events.0", "text"), ("pagination.total", None),
        ("pagination.total_exact", 1), ("pagination.next_page_token", None), ("coverage", None), ("coverage.gaps", [{}]),
        ("coverage.complete", "yes"), ("coverage.to", "2026-13-01T00:00:00.000Z"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_answer_is_refused(schema: dict, sampled: Kube9, path: str, value: object):
    answer = sampled.query("events", "list", "--limit", "2").json
    assert wrong(schema, "ListEventsResponse", answer) == []
    found = wrong(schema, "ListEventsResponse", changed(answer, path, value))
    place = f"$.{path.rpartition('.')[0]}".rstrip(".").replace(".0", "[0]")
    assert found
    assert all(problem.startswith(place) for problem in found)


def test_a_gap_is_as_the_library_reads_it(schema: dict):
    gap = {
        "from": "2026-03-01T10:00:00.000Z", "to": "2026-03-01T10:05:00.000Z", "cause": "not running", "recovered": True,
        "resource": None, "severities": ["info"],
    }  # fmt: skip
    assert wrong(schema, "Gap", gap) == []
    assert json.loads(library.Gap.model_validate(gap).model_dump_json(by_alias=True)) == gap
    assert all(wrong(schema, "Gap", {name: gap[name] for name in gap if name != left_out}) for left_out in gap)


def test_answers_may_gain_keys_and_lack_none(schema: dict, sampled: Kube9):
    for name, declared in schema["$defs"].items():
        if name != "Error" and not name.endswith("Request") and "$ref" not in declared:
            assert declared["required"] == list(declared["properties"]), name
            assert "additionalProperties" not in declared, name
    answer = sampled.query("events", "list", "--limit", "1").json
    for path in ("new", "events.0.new", "pagination.new", "coverage.new"):
        assert wrong(schema, "ListEventsResponse", changed(answer, path, {"a": 1})) == []


REQUESTS = [
    ("ListEventsRequest", {}, True),
    ("ListEventsRequest", {"severity": "error", "since": "24h", "limit": 20, "only": None}, True),
    ("ListEventsRequest", {"severity": ["error", "info"], "reason": ["BackOff"], "until": "2026-03-01T10:00:00Z"}, True),
    ("ListEventsRequest", {"sevrity": "error"}, False),
    ("ListEventsRequest", {"severity": "eror"}, False),
    ("ListEventsRequest", {"severity": ["error", "eror"]}, False),
    ("ListEventsRequest", {"min_severity": ["error"]}, False),
    ("ListEventsRequest", {"limit": 0}, False),
    ("ListEventsRequest", {"limit": 1001}, False),
    ("ListEventsRequest", {"limit": "many"}, False),
    ("ListEventsRequest", {"object_name": 3}, False),
    ("GetEventsRequest", {"id": "evt_1"}, True),
    ("GetEventsRequest", {}, False),
    ("GetEventsRequest", {"id": None}, False),
    ("TimelineEventsRequest", {"interval": "1h"}, True),
    ("TimelineEventsRequest", {"interval": []}, False),
    ("SummaryEventsRequest", {"by": ["severity", "kind"]}, True),
    ("SummaryEventsRequest", {"by": "colour"}, False),
    ("StatusRequest", {}, True),
    ("StatusRequest", {"since": "1h"}, False),
]


@pytest.mark.parametrize(("name", "request_", "right"), REQUESTS, ids=str)
def test_the_schema_of_a_request_says_what_the_library_says(schema: dict, name: str, request_: dict, right: bool):
    assert (wrong(schema, name, request_) == []) == right
    try:
        getattr(library, name).model_validate(request_)
    except pydantic.ValidationError:
        assert not right
    else:
        assert right


@pytest.mark.parametrize("form", ["json-schema", "typescript", "stubs"])
def test_an_export_is_the_same_each_time(sampled: Kube9, form: str):
    assert len({export(sampled, form, env={"PYTHONHASHSEED": seed}) for seed in ("1", "2", "3")}) == 1


def test_queries_of_ones_own_are_exported(sampled: Kube9, own: dict[str, str]):
    found = json.loads(export(sampled, "json-schema", env=own))
    for words, name in (("things find-all --id x", "FindAllThingsResponse"), ("whole %", "WholeResponse")):
        one = sampled.events("--limit", "1")[0]["id"]
        done = sampled.query(*words.replace("%", one).split(), env=own)
        assert done.code == 0, done
        assert wrong(found, name, done.json) == []
    assert wrong(found, "Thing", {"id": "x", "class": "2026-03-01T10:00:00Z", "colour": "red"}) == []
    assert wrong(found, "Thing", {"id": "x", "class": "2026-03-01T10:00:00Z", "colour": "blue"})
    assert found["$defs"]["FindAllThingsRequest"]["properties"]["old"]["deprecated"] is True


def test_a_field_may_have_a_name_that_is_a_word_of_sql(sampled: Kube9, tmp_path: Path):
    file = tmp_path / "own.yaml"
    fields = "fields: {from: {type: time, column: created_at}, order: {type: integer, column: change_seq}}"
    file.write_text(
        f"version: 1\nmessages: {{Leg: {{from: events, {fields}}}}}\nqueries: {{legs: {{summary: a, returns: page of Leg}}}}"
    )
    own = {"KUBE9_QUERIES": str(file)}
    done = sampled.query("legs", env=own)
    assert done.code == 0, done
    assert wrong(json.loads(export(sampled, "json-schema", env=own)), "LegsResponse", done.json) == []


LEGS = """
version: 1
messages: {Leg: {from: events, fields: {id: string}}}
queries: {legs find: {summary: a, returns: page of Leg}}
"""


@pytest.mark.parametrize(
    ("right", "mistake"),
    [
        ("", ""),
        ("id: string", "model_config: {type: string, column: id}"), ("id: string", "model_dump: {type: string, column: id}"),
        ("id: string", "copy: {type: string, column: id}"), ("Leg", "Pagination"), ("Leg", "Error"), ("Leg", "Client"),
        ("Leg", "ListEventsResponse"), ("from: events", "from: events, plural: rows"), ("legs find", "close"),
        ("legs find", "events watch"), ("legs find", "events list-all"),
        ("page of Leg}", "page of Leg, filters: {model-dump: {column: id}}}"),
    ],
    ids=str,
)  # fmt: skip
def test_a_name_that_the_library_needs_is_refused(kube9: Kube9, tmp_path: Path, right: str, mistake: str):
    file = tmp_path / "own.yaml"
    file.write_text(LEGS.replace(right, mistake))
    done = kube9("spec", "check", file, "--own", db=False)
    assert (done.code, done.out) == ((1, "") if mistake else (0, f"{file}: 1 queries, no mistakes\n"))
    assert ("FindLegsResponse" in export(kube9, "stubs", env={"KUBE9_QUERIES": str(file)})) == (not mistake)


# TypeScript

WRONG_CLIENTS = [  # what is changed in the sample client, and what tsc says
    ("event.title", "event.titel", "error TS2551: Property 'titel' does not exist on type 'Event'"),
    ('["error", "critical"]', '["eror"]', "error TS2820: Type '\"eror\"' is not assignable to type 'Severity'"),
    ("limit: 3", "limt: 3", "error TS2561"),
    ("limit: 3", 'limit: "3"', "error TS2322: Type 'string' is not assignable to type 'number'"),
    ('ask("events list", request)', 'ask("event list", request)', "error TS2345"),
    ("event.object_namespace ?? ", "event.object_namespace; ", "error TS2322: Type 'string | null' is not assignable"),
    ("answer.pagination.total", "answer.pagination.totl", "error TS2551"),
    ('"INVALID_ARGUMENT"', '"INVALID"', "error TS2367"),
    ("{ since:", "{ sinc:", "error TS2561"),
]  # fmt: skip


class Compiler:
    """A project with the real tsc, the exported types and the sample client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def compile(self, *names: str) -> tuple[int, str]:
        """Compile these files only. Returns the exit code and what was said."""
        config = json.loads((self.folder / "tsconfig.json").read_text()) | {"files": list(names)}
        (self.folder / "this.json").write_text(json.dumps(config))
        tsc = [self.folder / "node_modules" / ".bin" / "tsc", "--project", "this.json", "--pretty", "false"]
        done = subprocess.run(tsc, cwd=self.folder, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(sampled: Kube9, tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    if not shutil.which("npm"):
        pytest.skip("npm is not there")
    folder = tmp_path_factory.mktemp("typescript") / "project"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (folder / "kube9.ts").write_text(export(sampled, "typescript"))
    return Compiler(folder)


@pytest.mark.registry
@pytest.mark.scenario("SPEC-07")
def test_a_typescript_client_compiles_and_reads_real_answers(project: Compiler, sampled: Kube9):
    assert project.compile("client.ts") == (0, "")
    command = ["node", "out/client.js", sys.executable, "-m", "kube9"]
    env = sampled.env | {"DB_PATH": str(sampled.db.parent), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=project.folder, env=env, capture_output=True, text=True, timeout=120)
    *lines, counts, health, refused = done.stdout.splitlines()
    bad = sampled.query("events", "list", "--severity", "error,critical", "--limit", "3").json
    assert lines == [
        f"{event['severity']} in {event['object_namespace'] or 'the cluster'}: {event['title']}" for event in bad["events"]
    ]
    assert len(lines) == 3
    assert counts == f"3 of {bad['pagination']['total']} false"
    assert health == "unhealthy"
    assert "yore" in refused


@pytest.fixture(scope="module")
def said_by_tsc(project: Compiler) -> str:
    """What tsc says of all wrong clients."""
    whole = (project.folder / "client.ts").read_text()
    for number, (right, mistake, _) in enumerate(WRONG_CLIENTS):
        assert right in whole
        (project.folder / f"wrong_{number}.ts").write_text(whole.replace(right, mistake))
    code, said = project.compile(*(f"wrong_{number}.ts" for number in range(len(WRONG_CLIENTS))))
    assert code != 0
    return said


@pytest.mark.registry
@pytest.mark.scenario("SPEC-07")
@pytest.mark.parametrize("number", range(len(WRONG_CLIENTS)), ids=lambda number: WRONG_CLIENTS[number][1])
def test_a_wrong_typescript_client_is_refused(said_by_tsc: str, number: int):
    lines = [line for line in said_by_tsc.splitlines() if line.startswith(f"wrong_{number}.ts")]
    assert WRONG_CLIENTS[number][2] in "\n".join(lines)


@pytest.mark.registry
def test_typescript_of_queries_of_ones_own_compiles(project: Compiler, sampled: Kube9, own: dict[str, str]):
    (project.folder / "own.ts").write_text(export(sampled, "typescript", env=own))
    use = 'import type { Commands, Thing } from "./own.js";\nconst thing: Thing = { id: "", class: "", colour: "green */" };\n'
    use += 'const page: Commands["things find-all"]["request"] = { id: "x" };\nconsole.log(thing, page);\n'
    (project.folder / "use.ts").write_text(use)
    assert project.compile("use.ts") == (0, "")


# Stubs


def test_the_stub_in_the_tree_is_the_one_that_is_exported(sampled: Kube9):
    assert STUB.read_text() == export(sampled, "stubs")


WRONG_PROGRAMS = [  # what is changed in the sample program, and what mypy says
    ("event.title", "event.titel", '"Event" has no attribute "titel"; maybe "title"?'),
    ("db.events.list(sev", "db.events.lst(sev", '"_EventsService" has no attribute "lst"; maybe "list"?'),
    ("db.status()", "db.statsu()", '"Client" has no attribute "statsu"; maybe "status"?'),
    ("db.events.timeline", "db.evnts.timeline", '"Client" has no attribute "evnts"; maybe "events"?'),
    ("limit=3", 'limit="3"', 'Argument "limit" to "list" of "_EventsService" has incompatible type "str"'),
    ("limit=3", "limt=3", 'Unexpected keyword argument "limt" for "list"'),
    ('["error", "critical"]', '["eror"]', "List item 0 has incompatible type \"Literal['eror']\""),
    ('severity={"critical"}', 'severity="critcal"', 'Argument "severity" to "watch" of "_EventsService" has incompatible type'),
    ('severity="warning", ', 'severty="warning", ', 'Unexpected keyword argument "severty" for "ListEventsRequest"'),
    ('severity="warning", ', 'severity="warn", ', 'Argument "severity" to "ListEventsRequest" has incompatible type'),
    ("request=request", "request=kube9.GetEventsRequest(id='x')", 'Argument "request" to "list"'),
    ('db.events.get("evt_nope")', "db.events.get()", 'All overload variants of "get" of "_EventsService" require'),
    ("page.pagination.total", "page.pagination.totl", '"Pagination" has no attribute "totl"'),
    ("page.coverage.from_", "page.coverage.begin", '"Coverage" has no attribute "begin"'),
    ("first: Event = page[0]", "first: str = page[0]", 'Incompatible types in assignment (expression has type "Event"'),
    ("first.created_at", "first.title", 'Incompatible types in assignment (expression has type "str", variable'),
    ("Iterator[Event] =", "Iterator[str] =", 'Incompatible types in assignment (expression has type "Iterator[Event]"'),
    ("row.start < row.end", "row.strat < row.end", '"EventInterval" has no attribute "strat"'),
    ("error.code", "error.cod", '"Kube9Error" has no attribute "cod"'),
    ("kube9.connect(path)", "kube9.conect(path)", 'Module has no attribute "conect"; maybe "connect"?'),
    ("import Event, ", "import Evnt, Event, ", 'Module "kube9" has no attribute "Evnt"; maybe "Event"'),
]  # fmt: skip


class Mypy:
    """mypy, strict, in a folder of its own with one cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *names: str, path: Path = ROOT) -> tuple[int, str]:
        command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=", *names]
        env = os.environ | {"MYPYPATH": str(path)}
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> Mypy:
    folder = tmp_path_factory.mktemp("mypy")
    shutil.copy(PROGRAM, folder)
    return Mypy(folder)


@pytest.mark.scenario("SPEC-07")
def test_a_program_over_the_library_is_typed_and_runs(mypy: Mypy, sampled: Kube9):
    assert mypy(PROGRAM.name) == (0, "")
    done = subprocess.run(
        [sys.executable, PROGRAM, sampled.db], env=sampled.env, capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    bad = sampled.query("events", "list", "--severity", "error,critical", "--limit", "3").json
    *titles, counts, asked, same, got, earlier, severities, watched, health, code = done.stdout.splitlines()
    assert titles == [f"{event['severity']}: {event['title']}" for event in bad["events"]]
    assert counts == f"{bad['pagination']['total']} 2026-01-01 00:00:00+00:00"
    assert asked == "2 warning"
    assert (same, got, watched) == ("True", "True", "[]")
    counted = sampled.query("events", "summary", "--since", "2026-01-01").json["event_counts"]
    assert severities.split() == sorted(row["severity"] for row in counted)
    assert set(json.loads(earlier.lower())) == {True}
    assert (health, code) == ("unhealthy 1", "NOT_FOUND")


@pytest.fixture(scope="module")
def said_by_mypy(mypy: Mypy) -> str:
    """What mypy says of all wrong programs."""
    whole = PROGRAM.read_text()
    for number, (right, mistake, _) in enumerate(WRONG_PROGRAMS):
        assert right in whole
        (mypy.folder / f"wrong_{number}.py").write_text(whole.replace(right, mistake))
    code, said = mypy(*(f"wrong_{number}.py" for number in range(len(WRONG_PROGRAMS))))
    assert code == 1
    return said


@pytest.mark.scenario("SPEC-07")
@pytest.mark.parametrize("number", range(len(WRONG_PROGRAMS)), ids=lambda number: WRONG_PROGRAMS[number][1])
def test_a_wrong_program_is_refused(said_by_mypy: str, number: int):
    lines = [line for line in said_by_mypy.splitlines() if line.startswith(f"wrong_{number}.py") and ": error:" in line]
    assert WRONG_PROGRAMS[number][2] in "\n".join(lines)


def test_the_stub_of_queries_of_ones_own_is_typed(mypy: Mypy, sampled: Kube9, own: dict[str, str]):
    package = mypy.folder / "own" / "kube9"
    shutil.copytree(ROOT / "kube9", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.pyi").write_text(export(sampled, "stubs", env=own))
    program = "import kube9\nfor thing in kube9.connect().things.find_all(id='x'):\n    print(thing.colour, thing.{})\n"
    (mypy.folder / "uses.py").write_text(program.format("id"))
    (mypy.folder / "misuses.py").write_text(program.format("di"))
    assert mypy("uses.py", path=package.parent) == (0, "")
    assert 'error: "Thing" has no attribute "di"' in mypy("misuses.py", path=package.parent)[1]


def declared_in_stub() -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ClassDef)}


def methods_of(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    """The public methods of a class in the stub; of overloads the first."""
    found: dict[str, ast.FunctionDef] = {}
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and not each.name.startswith("_"):
            found.setdefault(each.name, each)
    return found


def test_the_stub_has_the_methods_that_the_client_has(sampled: Kube9):
    stub = declared_in_stub()
    with library.connect(str(sampled.db)) as db:
        services = {name: value for name, value in vars(db).items() if isinstance(value, library.client.Service)}
        pairs = [(db, stub["Client"]), *((of, stub[f"_{name.capitalize()}Service"]) for name, of in services.items())]
        for owner, node in pairs:
            real = {name for name in dir(owner) if not name.startswith("_") and inspect.isroutine(getattr(owner, name))}
            assert methods_of(node).keys() == real
            for name in real - {"close"}:
                signature = inspect.signature(getattr(owner, name))
                arguments = methods_of(node)[name].args
                given = [argument.arg for argument in arguments.args[1:] + arguments.kwonlyargs]
                assert given == [param for param in signature.parameters if param in given]
                assert signature.parameters.keys() - given <= {"request"}
                for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
                    if default is not None and ast.unparse(default) != "...":
                        assert ast.literal_eval(default) == signature.parameters[argument.arg].default, (name, argument.arg)


def test_the_stub_has_the_fields_that_the_messages_have():
    for name, node in declared_in_stub().items():
        if not name.startswith("_") and name != "Client":
            fields = {each.target.id: each.value is None for each in node.body if isinstance(each, ast.AnnAssign)}
            model = getattr(library, name)
            assert fields == {field: of.is_required() for field, of in model.model_fields.items()}, name


def test_all_that_the_stub_names_is_there(sampled: Kube9):
    tree = ast.parse(STUB.read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    names += [alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names if alias.asname]
    public = [name for name in names if not name.startswith("_") or name == "__version__"]
    assert {"connect", "Client", "Event", "errors", "Kube9Error", "Pagination", "__version__"} <= set(public)
    public.sort(key=lambda name: name != "errors")  # looked at first, before another brings it
    code = f"import kube9; print([name for name in {public} if not hasattr(kube9, name)])"
    done = subprocess.run([sys.executable, "-c", code], env=sampled.env, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_wheel_has_the_stub_and_says_that_it_is_typed(tmp_path: Path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", tmp_path, ROOT], check=True, timeout=300)
    (wheel,) = tmp_path.glob("kube9-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {"kube9/py.typed", "kube9/__init__.py"} <= set(archive.namelist())
        assert archive.read("kube9/__init__.pyi").decode() == STUB.read_text()

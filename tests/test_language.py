"""The language of declared queries: each key works as a user types it, and each wrong one is named with its place."""

import ast
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT, Kube9, Result, rows

from kube9 import bind, compiler, errors, plan, query, times

SPEC = """\
version: 1
types:
  Grade: [info, warning, error, critical]
  Thing:
    column: events.object_kind
    spellings: {Pod: [po, pods], Deployment: [deploy]}
messages:
  Brief:
    from: events
    name: id
    fields:
      id: string
      severity: Grade
      title: string
      reason: string
      kind: {type: Thing, column: object_kind}
      object_namespace: string
      object_name: string
      count: integer
      created_at: time
      last_seen_at: time
      change_seq: integer
  Tally:
    from: events
    plural: tallies
    fields:
      severity: Grade
      object_kind: Thing
      events: {type: integer, sql: count(*)}
queries:
  briefs list:
    summary: List briefs
    returns: page of Brief
    filters:
      severity: {column: severity, op: in, flags: [-s], aliases: [--grade]}
      at-least: {column: severity, op: min, excludes: [severity]}
      starts: {column: object_name, op: prefix}
      says: {column: [title, reason], op: contains, scan: table}
      times: {column: count, op: min, scan: index}
      since: {column: last_seen_at, op: ">="}
      until: {column: created_at, op: "<", scan: index}
      about:
        parts: {kind: Thing, name: string}
        sql: object_kind = :about_kind AND object_name = :about_name
      once: {type: boolean, needs: [about], sql: count = 1}
      grave: {type: boolean, sql: "severity IN ('error', 'critical')"}
      why: {column: reason, deprecated: use --reason}
      reason: {column: reason, op: in}
    window: [since, until]
    order: {newest: [-last_seen_at, -id], oldest: [last_seen_at, id]}
    page: {default: 5, max: 1000, arrivals: change_seq}
    table:
      SEEN: seen(last_seen_at, count, created_at)
      OBJECT: object(kind, object_namespace, object_name)
      TITLE: title
    wide:
      AGE: age(created_at)
      SHARE: bar(count)
    narrow: [TITLE]
    examples: [kube9 query briefs list --about pod/web-0]
  briefs get:
    summary: Show one brief
    returns: Brief
    arguments: {id: {column: id}}
  briefs tally:
    summary: Count briefs
    returns: page of Tally
    filters:
      since: {column: last_seen_at, op: ">=", default: 100w}
      severity: {column: severity, op: in}
    group: {by: {severity: severity, kind: object_kind}, default: [severity]}
    order: [-events, severity, object_kind]
  briefs fixed:
    summary: Count briefs by severity
    returns: page of Tally
    filters:
      kind: {column: object_kind, required: true}
    group: [severity]
    order: [severity]
  briefs around:
    summary: Say what there is besides
    returns: Around
    fields: {now: time, version: string, path: string, size: integer, capabilities: array, problems: array}
    sql: |
      SELECT :now AS now, :program_version AS version, :database_path AS path, :database_size_bytes AS size,
        :capabilities AS capabilities, :query_problems AS problems
  briefs often:
    summary: List titles that come often
    returns: page of Often
    fields: {title: string, times: integer}
    filters:
      least: {type: integer, required: true}
      severity: {column: severity, op: in, type: Grade}
      since: {column: last_seen_at, op: ">=", type: time}
    sql: |
      SELECT title, count(*) AS times FROM events WHERE {filters}
      GROUP BY title HAVING count(*) >= :least ORDER BY times DESC, title
  briefs old:
    summary: List briefs as they were
    returns: page of Brief
    deprecated: use briefs list
    filters: {reason: {column: reason}}
"""
BUILT_IN = (ROOT / "queries.yaml").read_text()
LIST = "briefs list"

# What is replaced, by what (‹ marks the place that must be named), in which query or type, and what must be said.
MISTAKES = {
    "filter in excludes": (
        "excludes: [severity]", "excludes: [‹sevrity]", LIST, 'no filter "sevrity"; did you mean "severity"?',
    ),
    "filter in needs": ("needs: [about]", "needs: [‹abuot]", LIST, 'no filter "abuot"; did you mean "about"?'),
    "filter in window": (
        "window: [since, until]", "window: [since, ‹untill]", LIST, 'no filter "untill"; did you mean "until"?',
    ),
    "window of three": ("window: [since, until]", "‹window: [since, until, since]", LIST, "two filters"),
    "default of a time": ("default: 100w", "default: ‹yore", "briefs tally", '"yore"'),
    "default of a closed set": ("op: min, excl", "op: min, default: ‹eror, excl", LIST, '"eror"', "did you mean error?"),
    "default of a number": ("op: min, scan", 'op: min, default: ‹"many", scan', LIST, '"many" is not a whole number'),
    "min on a string": ("op: prefix", "op: ‹min", LIST, "min is for numbers and closed sets, and string is neither"),
    "group by no field": (
        "kind: object_kind}, d", "kind: ‹object_knd}, d", "briefs tally", 'no field "object_knd"', '"object_kind"?',
    ),
    "group by no field, fixed": ("group: [severity]", "group: [‹sevrity]", "briefs fixed", 'no field "sevrity"', '"severity"?'),
    "default of a group": (
        "default: [severity]", "default: [‹sevrity]", "briefs tally", '"sevrity" is not in by', '"severity"?',
    ),
    "group on a single answer": ("returns: Brief\n", "returns: Brief\n    ‹group: [severity]\n", "briefs get", "a group needs"),
    "page on a single answer": ("returns: Brief\n", "returns: Brief\n    ‹page: {}\n", "briefs get", "`returns: page of …`"),
    "window on a single answer": ("returns: Brief\n", "returns: Brief\n    ‹window: []\n", "briefs get", "two filters"),
    "wide column": ("SHARE: bar(count)", "SHARE: ‹bar(cuont)", LIST, 'no field "cuont"', 'did you mean "count"?'),
    "wide cell": ("AGE: age(created_at)", "AGE: ‹old(created_at)", LIST, "old(created_at)", "age(a)"),
    "fields of a cell": ("bar(count)", "‹bar(count, id)", LIST, "bar(a)"),
    "narrow column": ("narrow: [TITLE]", "narrow: [‹TITEL]", LIST, 'no column "TITEL" in the table; did you mean "TITLE"?'),
    "arrivals without an index": ("arrivals: change_seq", "arrivals: ‹uid", LIST, "no index begins with uid"),
    "arrivals by no column": ("arrivals: change_seq", "arrivals: ‹change_sec", LIST, 'did you mean "change_seq"?'),
    "scan unsaid": ("says: {column: [title, reason], op: contains, scan: table}", "‹node: {column: node}", LIST, "scan: table"),
    "scan unsaid, in its sql": (
        "grave: {type: boolean, sql: \"severity IN ('error', 'critical')\"}", "‹n: {sql: node = :n}", LIST, "all of events",
    ),
    "flag of another filter": ("op: min, excludes", "op: min, aliases: [‹--severity], excludes", LIST, "--severity is taken"),
    "flag twice": ("flags: [-s]", "flags: [-s, ‹-s]", LIST, "-s is taken"),
    "flag of a group": (
        "      severity: {column: severity, op: in}\n", "      ‹by: {column: severity}\n", "briefs tally", "--by is taken by",
    ),
    "flag of the order": ("      why:", "      ‹sort:", LIST, "--sort is taken by order"),
    "flag of pages": ("      why:", "      ‹after:", LIST, "--after is taken"),
    "flag that is none": ("aliases: [--grade]", "aliases: [‹grade]", LIST, "-n or --namespace", "grade"),
    "type of a part": ("{kind: Thing, name", "{kind: ‹Thnig, name", LIST, 'no type "Thnig"; did you mean "Thing"?'),
    "parameter of a part": (
        "sql: object_kind = :about_kind", "sql: ‹object_kind = :about_kin", LIST, "did you mean \"about_kind\"?",
    ),
    "parameter of another filter": ("sql: count = 1", "sql: ‹count = :times", LIST, 'no parameter ":times"'),
    "column in a filter's sql": (
        "sql: count = 1", "sql: ‹cuont = 1", LIST, 'no column "cuont" in events; did you mean "count"?',
    ),
    "column and sql": ("sql: count = 1", "sql: count = 1, column: ‹count", LIST, "not both"),
    "neither column nor sql": (
        "starts: {column: object_name, op: prefix}", "‹starts: {op: prefix}", LIST, "needs a column, or sql",
    ),
    "column of several": (
        "[title, reason], op", "[title, ‹resaon], op", LIST, 'no column "resaon" in events; did you mean "reason"?',
    ),
    "named order": ("oldest: [last_seen_at, id]", "oldest: [‹last_sen_at, id]", LIST, 'did you mean "last_seen_at"?'),
    "type closed and open": (
        "Grade: [info, warning, error, critical]", "‹Grade: {values: [info], spellings: {b: [c]}}", "", "either values, or",
    ),
    "type of nothing": ("Grade: [info, warning, error, critical]", "‹Grade: {}", "", "either values, or spellings or a column"),
    "table of a type": (
        "column: events.object_kind", "column: ‹evnts.object_kind", "Thing", 'no table "evnts"; did you mean "events"?',
    ),
    "column of a type": ("column: events.object_kind", "column: ‹events.object_knd", "Thing", 'did you mean "object_kind"?'),
    "column of a type without an index": (
        "column: events.object_kind", "column: ‹events.title", "Thing", "no index begins with title",
    ),
    "field to name by": ("name: id", "name: ‹idd", "Brief", 'no field "idd"; did you mean "id"?'),
    "name that is a group": ("  briefs old:", "  briefs:", LIST, '"briefs" is a query, so it cannot be a group too'),
    "name that is a group already": ("  briefs old:", "  ‹events:", "events", '"events" is a group'),
    "group that is a query already": ("  briefs old:", "  ‹status old:", "status old", '"status" is a query'),
    "query that is there already": ("  briefs old:", "  ‹events list:", "", '"events list" is there already'),
    "type that is there already": ("  Thing:", "  ‹Kind:", "", '"Kind" is there already'),
    "order beside sql": (
        "    sql: |\n      SELECT title", "    ‹order: [title]\n    sql: |\n      SELECT title", "briefs often", "belongs into",
    ),
    "parameter that is none": (">= :least", ">= :lest", "briefs often", 'did you mean "least"?'),
    "filter's sql beside sql": (
        "op: in, type: Grade}", 'sql: ‹"severity = :severity"}', "briefs often", "a condition of its own belongs into",
    ),
    "deprecated argument": ("{id: {column: id}}", "{id: {column: id, deprecated: ‹no}}", "briefs get", "is for options"),
}  # fmt: skip


def problems(text: str, name: str = "mine.yaml") -> list[str]:
    return compiler.compile_own({name: text}, BUILT_IN, "")["problems"]


def place(text: str) -> tuple[str, str]:
    """A text without its mark ‹, and the mark's place as `line:column`."""
    before, _, _ = text.partition("‹")
    return text.replace("‹", ""), f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def wrong(mistake: str, text: str = SPEC) -> str:
    old, new, *_ = MISTAKES[mistake]
    assert text.count(old) >= 1, old
    return text.replace(old, new, 1)


@pytest.mark.scenario("SPEC-03")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place_and_the_right_name(mistake: str):
    _, new, subject, *said = MISTAKES[mistake]
    text, where = place(wrong(mistake))
    found = problems(text)
    at = f"mine.yaml:{where}: " if "‹" in new else "mine.yaml:"
    hits = [problem for problem in found if problem.startswith(at) and not [words for words in said if words not in problem]]
    assert hits, found
    assert f": {subject}: " in hits[0] if subject else True
    assert all("\n" not in problem for problem in found)


@pytest.mark.scenario("SPEC-03", "SPEC-06")
def test_all_mistakes_of_a_file_come_at_once(kube9: Kube9, tmp_path: Path):
    chosen = [
        "filter in excludes", "filter in needs", "default of a time", "min on a string", "default of a group", "wide column",
        "narrow column", "arrivals by no column", "type of a part", "named order", "flag twice", "column of several",
    ]  # fmt: skip
    text = SPEC
    for mistake in chosen:
        text = wrong(mistake, text)
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("‹", ""))
    done = kube9("spec", "check", "--own", file, db=False)
    assert (done.code, done.out) == (1, "")
    found = done.err.splitlines()
    for mistake in chosen:
        assert any(MISTAKES[mistake][3] in problem for problem in found), f"{mistake} is not among {found}"
    places = [tuple(map(int, problem.removeprefix(f"{file}:").split(":")[:2])) for problem in found]
    assert places == sorted(places)


# A scalar or list of the wrong form at each key of a query: one problem at its place, and an end.
FORMS = [
    ("order: {newest: [-last_seen_at, -id], oldest: [last_seen_at, id]}", "order: ‹5"),
    ("order: {newest: [-last_seen_at, -id], oldest: [last_seen_at, id]}", "order: ‹newest"),
    ("order: {newest: [-last_seen_at, -id], oldest: [last_seen_at, id]}", "order: [‹[id]]"),
    ("group: [severity]", "group: ‹severity"),
    ("group: [severity]", "‹group: []"),
    ("group: [severity]", "group: {by: ‹severity, default: [severity]}"),
    ("by: {severity: severity, kind: object_kind}, default: [severity]", "by: {severity: severity}, ‹default: []"),
    ("column: [title, reason]", "‹column: []"),
    ("column: [title, reason]", "column: ‹5"),
    ("column: [title, reason]", "column: [title, ‹5]"),
    ("scan: table", "scan: ‹all"),
    ("required: true", "required: ‹maybe"),
    ("default: 100w", "default: ‹5"),
    ("page: {default: 5, max: 1000, arrivals: change_seq}", "page: ‹5"),
    ("arrivals: change_seq", "‹arrivals: [change_seq]"),
    ("parts: {kind: Thing, name: string}", "‹parts: [kind, name]"),
    ("table:\n      SEEN: seen(last_seen_at, count, created_at)", "table:\n      ‹SEEN: [last_seen_at]"),
    ("examples: [kube9 query briefs list --about pod/web-0]", "examples: ‹kube9 query briefs list"),
    ("spellings: {Pod: [po, pods], Deployment: [deploy]}", "spellings: {Pod: ‹po}"),
    ("Grade: [info, warning, error, critical]", "Grade: [info, ‹1]"),
]


@pytest.mark.parametrize(("old", "new"), FORMS)
def test_a_value_of_the_wrong_form_is_named_with_its_place(kube9: Kube9, tmp_path: Path, old: str, new: str):
    assert old in SPEC
    text, where = place(SPEC.replace(old, new, 1))
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    done = kube9("spec", "check", "--own", file, db=False)  # a process, so that what never ends is stopped
    assert done.code == 1
    assert f"{file}:{where}: " in done.err, done
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["int", "str", "bool", "list", "dict", "function-name"])
@pytest.mark.parametrize("body", ["{colum: reason}", "{column: resaon}", "{column: reason, op: inn}", "{column: [reason, 5]}"])
def test_a_filter_may_be_named_as_a_type_of_python(name: str, body: str):
    found = problems(SPEC.replace("      why: {column: reason, deprecated: use --reason}", f"      {name}: {body}"))
    line = next(at for at, text in enumerate(SPEC.splitlines(), 1) if "why:" in text)
    assert [problem.split(":")[:2] for problem in found] == [["mine.yaml", str(line)]] * len(found)
    assert len({problem.split(":")[2] for problem in found} - {"7"}) == 1  # beside the filter's own place, the key or value


@pytest.mark.parametrize("path", ["a:b.yaml", "12:30:45.yaml", "a b.yaml"])
def test_a_file_may_have_any_name(path: str):
    (problem,) = problems(SPEC.replace("needs: [about]", "needs: [abuot]"), path)
    assert problem.startswith(f"{path}:")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Grade: [info, warning, error, critical]", "Grade: {}", "needs either values"),
        ("why: {column: reason, deprecated", "why: {colum: reason, deprecated", 'did you mean "column"?'),
        ("parts: {kind: Thing, name: string}", "parts: [kind, name]", "must be a mapping"),
    ],
)
def test_a_mistake_of_form_is_not_held_against_what_rests_on_it(old: str, new: str, said: str):
    (problem,) = problems(SPEC.replace(old, new, 1))
    assert said in problem


# Names that mean something else already where pages, lists and parts of values need parameters of their own.
TAKEN = [
    ("briefs get", "filters: {after: {column: object_name}}"),
    ("briefs get", "filters: {limit: {column: object_name}}"),
    ("briefs get", "filters: {page-token: {column: object_name}}"),
    ("briefs fixed", "filters: {sort: {column: object_name}}"),
    ("briefs fixed", "arguments: {limit: {column: object_name}}"),
    ("briefs get", "arguments: {format: {column: id}}"),
    ("briefs get", "arguments: {db: {column: id}}"),
]


@pytest.mark.parametrize(("name", "declared"), TAKEN)
def test_a_name_that_a_query_needs_itself_is_refused_or_works(kube9: Kube9, tmp_path: Path, name: str, declared: str):
    """A filter with such a name must do its work, if it is not refused."""
    returns = "Brief" if name == "briefs get" else "page of Brief"
    file = tmp_path / "mine.yaml"
    start = SPEC.partition("queries:\n")[0]
    file.write_text(f"{start}queries:\n  {name}:\n    summary: Show\n    returns: {returns}\n    {declared}\n")
    done = kube9("spec", "check", "--own", file, db=False)
    assert "Traceback" not in done.err
    if done.code == 0:
        kube9.record(EVENT)
        (wanted,) = rows(kube9.db, "SELECT id, object_name FROM events")
        option = declared.split("{")[1].partition(":")[0]
        value = wanted[1] if "object_name" in declared else wanted[0]
        words = [value] if "arguments" in declared else [f"--{option}", value]
        done = kube9.query(*name.split(), *words, env={"KUBE9_QUERIES": str(file)})
        assert done.code == 0, done
        found = done.json["briefs"][0] if returns != "Brief" else done.json
        assert found["id"] == wanted[0]


EVENT = {
    "kind": "Event", "metadata": {"name": "web-0.17b", "namespace": "prod", "creationTimestamp": "2026-03-01T10:00:05Z"},
    "involvedObject": {"kind": "Pod", "name": "web-0", "namespace": "prod"}, "reason": "BackOff", "message": "Back-off",
    "firstTimestamp": "2026-03-01T10:00:00Z", "lastTimestamp": "2026-03-01T10:05:00Z", "count": 3, "type": "Warning",
}  # fmt: skip
CLASHES = {
    "a list and a number": "x: {column: reason, op: in}\n      x-0: {column: object_name}",
    "a page": "key-0: {column: object_name}",
    "a pinned page": "pinned: {column: object_name}",
    "a part": "about-name: {column: object_name, scan: table}",
}


@pytest.mark.parametrize("clash", CLASHES)
def test_parameters_of_a_query_are_not_taken_for_each_other(sampled: Kube9, clash: str):
    text = SPEC.replace("      why: {column: reason, deprecated: use --reason}", f"      {CLASHES[clash]}")
    compiled = compiler.compile_own({"mine.yaml": text}, BUILT_IN, "")
    if compiled["problems"]:
        return  # refused: nobody is misled
    declared = compiled["queries"][LIST]
    given = {"x": ["BackOff"], "x_0": "b", "key_0": "c", "pinned": "d", "about": "pod/one", "about_name": "two"}
    asked = bind.bind(compiled, declared, {key: value for key, value in given.items() if key in declared["params"]}, 0)
    values = asked.values | {"page_token": bind.Cursor(1, 7, 9, True, 5, ["2026", "id"])}
    sql, parameters = query.statement(declared, "select", values)
    wanted = [value for name, value in asked.values.items() if name in ("x_0", "key_0", "pinned", "about_name")]
    used = [parameters[name] for name in re.findall(r":(\w+)", sql)]
    assert all(value in used for value in wanted)
    assert {"2026", "id", 7} <= {value for value in used if isinstance(value, str | int)}


def test_a_default_may_be_several_values():
    assert not problems(
        SPEC.replace(
            "excludes: [severity]}", "excludes: [severity]}\n      g: {column: severity, op: in, default: 'error,critical'}"
        )
    )


def test_a_default_that_lacks_a_part_is_refused():
    (problem,) = problems(
        SPEC.replace("parts: {kind: Thing, name: string}", "default: pod\n        parts: {kind: Thing, name: string}")
    )
    assert '"pod" is not KIND/NAME' in problem


def test_a_column_of_arrivals_rises():
    assert problems(SPEC.replace("arrivals: change_seq", "arrivals: severity"))


def test_an_order_is_by_columns_whatever_the_fields_are_called(sampled: Kube9):
    crossed = SPEC.replace("      id: string\n", "      id: {type: string, column: title}\n").replace(
        "      title: string\n", "      title: {type: string, column: id}\n", 1
    )
    compiled = compiler.compile_own({"mine.yaml": crossed}, BUILT_IN, "")
    if compiled["problems"]:
        return
    declared = compiled["queries"][LIST]
    asked = bind.bind(compiled, declared, {"limit": 1000}, 0)
    answer = query.run(str(sampled.db), asked, 10)
    found = [(row[declared["fields"].index("last_seen_at")], row[declared["fields"].index("title")]) for row in answer.rows]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("plural", ["pagination", "coverage"])
def test_rows_take_no_key_of_the_answer_itself(plural: str):
    (problem,) = problems(SPEC.replace("plural: tallies", f"plural: {plural}"))
    assert ": Tally: " in problem


@pytest.mark.parametrize(
    "name", ["Pagination", "Coverage", "Gap", "TallyBriefsResponse", "TallyBriefsRequest", "ListEventsResponse"]
)
def test_a_message_takes_no_name_of_the_library(name: str):
    text = SPEC.replace("  Tally:\n", f"  {name}:\n").replace("page of Tally", f"page of {name}")
    assert [problem for problem in problems(text) if name in problem]


def test_two_queries_with_one_message_of_their_own_are_refused():
    again = "  briefs more:\n    summary: More\n    returns: page of Often\n    fields: {n: string}\n    sql: SELECT 'x' AS n\n"
    (problem,) = problems(SPEC + again)
    assert "Often" in problem
    assert ": briefs more: " in problem


# End to end.


@pytest.fixture(scope="module")
def mine(sampled: Kube9, tmp_path_factory: pytest.TempPathFactory) -> Kube9:
    """The sample, asked with the queries of SPEC."""
    file = tmp_path_factory.mktemp("language") / "mine.yaml"
    file.write_text(SPEC)
    runner = Kube9(sampled.db.parent, Path(sampled.env["XDG_CACHE_HOME"]))
    runner.env["KUBE9_QUERIES"] = str(file)
    return runner


def ids(mine: Kube9, *words: str) -> list[str]:
    done = mine.query("briefs", "list", *words, "--limit", "1000")
    assert (done.code, done.err) == (0, ""), done
    return [row["id"] for row in done.json["briefs"]]


def expected(mine: Kube9, condition: str, order: str = "last_seen_at DESC, id DESC") -> list[str]:
    found = [found for (found,) in rows(mine.db, f"SELECT id FROM events WHERE {condition} ORDER BY {order}")]
    assert found, "the sample has nothing of it, so nothing is proven"
    return found


CONDITIONS = {
    "in": (["-s", "warning", "--severity", "error,critical"], "severity IN ('warning', 'error', 'critical')"),
    "alias": (["--grade", "error"], "severity = 'error'"),
    "min of a closed set": (["--at-least", "error"], "severity IN ('error', 'critical')"),
    "prefix": (["--starts", "ca"], "substr(object_name, 1, 2) = 'ca'"),
    "contains, in several columns": (
        ["--says", "BACKOFF"],
        "instr(lower(title), 'backoff') OR instr(lower(reason), 'backoff')",
    ),
    "min of a number": (["--times", "3"], "count >= 3"),
    "parts": (["--about", "PO/{pod}"], "object_kind = 'Pod' AND object_name = '{pod}'"),
    "needs": (["--about", "po/{pod}", "--once"], "object_kind = 'Pod' AND object_name = '{pod}' AND count = 1"),
    "boolean": (["--grave"], "severity IN ('error', 'critical')"),
    "equals, open set": (["--reason", "BackOff", "--reason", "Killing"], "reason IN ('BackOff', 'Killing')"),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_a_filter_finds_what_it_says(mine: Kube9, case: str):
    words, condition = CONDITIONS[case]
    (pod,) = rows(mine.db, "SELECT object_name FROM events WHERE object_kind = 'Pod' AND count = 1 ORDER BY id LIMIT 1")[0]
    assert ids(mine, *(word.format(pod=pod) for word in words)) == expected(mine, condition.format(pod=pod))


def test_a_prefix_uses_an_index(mine: Kube9):
    shown = mine("spec", "show", "briefs", "list", "--starts", "web", db=False)
    assert re.search(r"SEARCH events USING .*INDEX idx_events_object \(object_name>\? AND object_name<\?\)", shown.out), shown


@pytest.mark.parametrize("prefix", ["%", "_", "web%", "\\", "'", "\U0010ffff", "café"])
def test_a_prefix_is_no_pattern(mine: Kube9, prefix: str):
    assert ids(mine, "--starts", prefix) == []


@pytest.mark.parametrize(("words", "said"), [
    (["--at-least", "error", "--severity", "info"], "--at-least and --severity exclude each other"),
    (["--once"], "--once needs --about"),
    (["--about", "pod"], '"pod" is not KIND/NAME'),
    (["--about", "/x"], '"/x" is not KIND/NAME'),
    (["--at-least", "eror"], "did you mean error?"),
    (["--times", "x"], '"x" is not a whole number'),
    (["--sort", "newst"], "did you mean newest?"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_before_the_database_is_opened(mine: Kube9, words: list[str], said: str):
    done = mine.query("briefs", "list", *words, "--db", "/nowhere/kube9.db", db=False)
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    assert said in done.error["error"]


def test_a_named_order_is_chosen_with_sort(mine: Kube9):
    assert ids(mine, "--sort", "oldest") == expected(mine, "1", "last_seen_at, id")
    assert ids(mine) == ids(mine, "--sort", "newest") == expected(mine, "1")


def test_pages_of_a_named_order_go_on_where_they_ended(mine: Kube9):
    found, token = [], []
    while True:
        page = mine.query("briefs", "list", "--sort", "oldest", "--limit", "50", *token).json
        found += [row["id"] for row in page["briefs"]]
        token = ["--page-token", page["pagination"]["next_page_token"]]
        if not token[1]:
            break
    assert found == expected(mine, "1", "last_seen_at, id")


def test_aliases_work_and_are_not_in_help(mine: Kube9):
    shown = mine.query("briefs", "list", "--help", db=False).out
    assert "--severity" in shown
    assert "-s" in shown
    assert "--grade" not in shown


def test_a_deprecated_filter_works_with_a_warning(mine: Kube9):
    done = mine.query("briefs", "list", "--why", "BackOff", "--limit", "1000")
    assert [row["id"] for row in done.json["briefs"]] == expected(mine, "reason = 'BackOff'")
    assert json.loads(done.err) == {"warning": "`--why` is deprecated: use --reason"}
    people = mine.query("briefs", "list", "--why", "BackOff", "--format", "table")
    assert "warning: `--why` is deprecated: use --reason" in people.err.splitlines()
    assert "[deprecated: use --reason]" in " ".join(mine.query("briefs", "list", "--help", db=False).out.split())


def test_a_deprecated_query_works_with_a_warning_and_is_hidden(mine: Kube9):
    done = mine.query("briefs", "old", "--limit", "1")
    assert (done.code, len(done.json["briefs"])) == (0, 1)
    assert json.loads(done.err) == {"warning": "`briefs old` is deprecated: use briefs list"}
    assert re.search(r"^\W*old\b", mine.query("briefs", "--help", db=False).out, re.MULTILINE) is None
    assert "Deprecated: use briefs list." in mine.query("briefs", "old", "--help", db=False).out


def test_an_argument_is_given_by_position(mine: Kube9):
    (first, *_) = expected(mine, "1")
    assert mine.query("briefs", "get", first).json["id"] == first
    assert mine.query("briefs", "get").error["code"] == "INVALID_ARGUMENT"
    unknown = mine.query("briefs", "get", "evt_0")
    assert (unknown.code, unknown.error["code"], unknown.error["brief_id"]) == (1, "NOT_FOUND", "evt_0")


def test_rows_are_counted_by_what_the_caller_chooses(mine: Kube9):
    def tallies(*words: str) -> set[tuple]:
        done = mine.query("briefs", "tally", *words, "--limit", "1000")
        assert done.code == 0, done
        return {tuple(row.values()) for row in done.json["tallies"]}

    assert tallies() == set(rows(mine.db, "SELECT severity, NULL, count(*) FROM events GROUP BY 1"))
    by_kind = "SELECT NULL, object_kind, count(*) FROM events GROUP BY 2"
    assert tallies("--by", "kind") == set(rows(mine.db, by_kind))
    by_both = "SELECT severity, object_kind, count(*) FROM events GROUP BY 1, 2"
    assert tallies("--by", "kind,severity") == tallies("--by", "kind", "--by", "severity") == set(rows(mine.db, by_both))
    assert tallies("--since", "9999-01-01") == set()
    wrong = mine.query("briefs", "tally", "--by", "kinds")
    assert (wrong.code, "did you mean kind?" in wrong.error["error"]) == (1, True)


def test_a_column_of_what_was_not_chosen_is_not_in_the_table(mine: Kube9):
    header = mine.query("briefs", "tally", "--by", "kind", "--format", "table").out.splitlines()[0]
    assert header.split() == ["OBJECT", "KIND", "EVENTS"]


def test_rows_are_counted_by_a_fixed_choice_and_a_required_filter_is_asked_for(mine: Kube9):
    done = mine.query("briefs", "fixed", "--kind", "Pod")
    found = [(row["severity"], row["events"]) for row in done.json["tallies"]]
    assert found == rows(mine.db, "SELECT severity, count(*) FROM events WHERE object_kind = 'Pod' GROUP BY 1 ORDER BY 1")
    missing = mine.query("briefs", "fixed")
    assert (missing.code, missing.error["code"], "--kind" in missing.error["error"]) == (1, "INVALID_ARGUMENT", True)
    assert "[required]" in mine.query("briefs", "fixed", "--help", db=False).out


def test_a_default_is_used_shown_and_replaced(mine: Kube9):
    assert "[default: 100w]" in " ".join(mine.query("briefs", "tally", "--help", db=False).out.split())
    shown = mine("spec", "show", "briefs", "tally", db=False).out
    assert "last_seen_at >= :since" in shown
    replaced = mine("spec", "show", "briefs", "tally", "--since", "2026-03-01", db=False).out
    assert "-- :since = '2026-03-01T00:00:00.000Z'" in replaced


def test_cells_of_table_and_wide_say_what_their_fields_say(mine: Kube9):
    table = mine.query("briefs", "list", "--times", "2", "--format", "table").out.splitlines()
    wide = mine.query("briefs", "list", "--times", "2", "--format", "wide").out.splitlines()
    assert table[0].split() == ["SEEN", "OBJECT", "TITLE"]
    assert wide[0].split() == ["SEEN", "OBJECT", "TITLE", "AGE", "SHARE"]
    page = mine.query("briefs", "list", "--times", "2").json["briefs"]
    assert len(page) == len(table) - 1 == len(wide) - 1 > 1
    most = max(row["count"] for row in page)
    for row, narrow, full in zip(page, table[1:], wide[1:], strict=True):
        assert re.match(rf"\d+\w+ \(x{row['count']} over \d+\w*\) ", narrow)
        name = f"{row['object_namespace']}/{row['kind'].lower()}/{row['object_name']}"
        assert name.removeprefix(f"{row['object_namespace']}/") in narrow
        assert row["title"] in narrow
        assert full.count("█") == round(30 * row["count"] / most)
        assert re.search(r"  \d+[smhdy][\d\w]*( +█*)?$", full), full


def test_the_format_name_prints_what_the_message_is_named_by(mine: Kube9):
    assert mine.query("briefs", "list", "--format", "name").out.split() == ids(mine)[:5]
    done = mine.query("briefs", "tally", "--format", "name")
    assert (done.code, done.error["code"]) == (1, "INVALID_ARGUMENT")


def test_sql_of_its_own_has_filters_and_parameters(mine: Kube9):
    done = mine.query("briefs", "often", "--least", "4", "--severity", "warning,error")
    found = [(row["title"], row["times"]) for row in done.json["oftens"]]
    expected = (
        "SELECT title, count(*) FROM events WHERE severity IN ('warning', 'error')"
        " GROUP BY title HAVING count(*) >= 4 ORDER BY 2 DESC, 1"
    )
    assert found == rows(mine.db, expected)
    assert found
    assert mine.query("briefs", "often").error["error"] == "--least is missing"


def test_sql_of_its_own_has_what_surrounds_it(mine: Kube9):
    before = times.now_ms()
    around = mine.query("briefs", "around").json
    assert before <= times.parse(around["now"], 0) <= times.now_ms()
    assert around["version"] in mine("--version", db=False).out
    assert around["path"] == str(mine.db)
    assert around["size"] == mine.db.stat().st_size
    assert "briefs list" in [listed["name"] for listed in around["capabilities"]]
    assert around["problems"] == []


def test_arrivals_and_the_window_are_part_of_the_answer(mine: Kube9):
    page = mine.query("briefs", "list", "--since", "2020-01-01").json
    assert page["coverage"]["from"] == "2020-01-01T00:00:00.000Z"
    assert page["pagination"]["sync_token"]
    nothing = mine.query("briefs", "list", "--after", page["pagination"]["sync_token"]).json
    assert nothing["briefs"] == []


# `kube9 spec check` and `kube9 spec show`.


@pytest.mark.scenario("SPEC-06")
def test_check_says_that_a_file_is_right(mine: Kube9):
    done = mine("spec", "check", "--own", mine.env["KUBE9_QUERIES"], db=False)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{mine.env['KUBE9_QUERIES']}: 7 queries, no mistakes\n".replace("7", str(SPEC.count("    summary:")))
    assert mine("spec", "check", db=False).code == 0  # with the user's files, too


@pytest.mark.scenario("SPEC-06")
def test_check_without_a_file_looks_at_the_users_files_too(mine: Kube9, tmp_path: Path):
    (tmp_path / "wrong.yaml").write_text(SPEC.replace("needs: [about]", "needs: [abuot]"))
    done = mine("spec", "check", db=False, env={"KUBE9_QUERIES": str(tmp_path)})
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"{tmp_path}/wrong.yaml:")


@pytest.mark.scenario("SPEC-06")
@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"", b"["])
def test_check_of_what_cannot_be_read_is_one_error(mine: Kube9, tmp_path: Path, content: bytes | None):
    file = tmp_path / "odd.yaml"
    if content is not None:
        file.write_bytes(content)
    done = mine("spec", "check", "--own", file, db=False)
    assert (done.code, done.out) == (1, "")
    assert str(file) in done.err
    assert "Traceback" not in done.err


SHOWN = [
    ("events list",),
    ("events list", "--type", "cluster", "--type", "system", "--since", "24h", "--limit", "3"),
    ("events list", "--for", "deploy/web", "--only", "--min-count", "2"),
    ("events list", "--contains", "it's 100%", "--sort", "created_at"),
    ("events summary", "--by", "namespace,severity"),
    ("events noisy", "--since", "100w"),
    ("events timeline", "--since", "2d", "--interval", "1h"),
    ("events get", "evt_20251202_103045_0k3f9a"),
    ("status",),
    ("briefs list", "--about", "pod/web-0", "--once", "--starts", "w"),
    ("briefs often", "--least", "2"),
    ("briefs tally", "--by", "kind"),
]


def shown(text: str) -> dict[str, tuple[str, dict, list[str]]]:
    """What `spec show` printed: part -> SQL, parameters, plan."""
    found = {}
    for block in re.split(r"^-- (?=the rows$|how many there are$)", text, flags=re.MULTILINE)[1:]:
        lines = block.splitlines()
        at = lines.index("-- plan:")
        marks = [line for line in lines[1:at] if line.startswith("-- :")]
        sql = "\n".join(line for line in lines[1:at] if not line.startswith("-- :"))
        parameters = {name: ast.literal_eval(value) for name, value in (mark[4:].split(" = ", 1) for mark in marks)}
        found[lines[0]] = sql, parameters, [line.removeprefix("--   ") for line in lines[at + 1 :] if line]
    return found


@pytest.mark.scenario("SPEC-06")
@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_show_prints_what_is_sent(mine: Kube9, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    name, *options = words
    done = mine("spec", "show", *name.split(), *options, db=False)
    assert (done.code, done.err) == (0, "")
    found = shown(done.out)
    built_in = compiler.compile_text(plan.SPEC, BUILT_IN, "")
    compiled = plan.joined(built_in, compiler.compile_own({"mine.yaml": SPEC}, BUILT_IN, ""))
    declared = compiled["queries"][name]
    assert list(found) == ["the rows", "how many there are"][: 1 + declared["paged"]]
    given: dict = {}
    flags = {flag: key for key, param in declared["params"].items() for flag in param["flags"]}
    texts = iter(options)
    for word in texts:
        key = flags.get(word)
        if key is None:
            given[next(key for key, param in declared["params"].items() if not param["flags"])] = word
        elif declared["params"][key]["type"] == "boolean":
            given[key] = True
        else:
            given.setdefault(key, []).append(next(texts))
    given = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in given.items()}
    values = bind.bind(compiled, declared, given, times.now_ms()).values | dict.fromkeys(declared["context"])
    with closing(sqlite3.connect(f"file:{mine.db}?mode=ro", uri=True)) as connection:
        for part, (sql, parameters, steps) in zip(("select", "count"), found.values(), strict=False):
            sent, bound = query.statement(declared, part, values)
            assert sql == sent
            still = {key for key, param in declared["params"].items() if param["type"] == "time"} | set(declared["context"])
            assert {k: v for k, v in parameters.items() if k not in still} == {
                k: v for k, v in bound.items() if k in parameters and k not in still
            }
            assert parameters.keys() == set(re.findall(r"(?<![\w:']):([a-z_]\w*)", sql))
            connection.execute(sql, parameters).fetchall()  # it is SQL, and these are all of its parameters
            planned = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            assert len(steps) == len(planned)
    assert all(part[2] for part in found.values())


@pytest.mark.scenario("SPEC-06")
def test_what_show_prints_gives_the_rows_of_the_answer(mine: Kube9):
    options = ("--severity", "error", "--reason", "BackOff", "--sort", "oldest", "--limit", "3")
    sql, parameters, _ = shown(mine("spec", "show", "briefs", "list", *options, db=False).out)["the rows"]
    with closing(sqlite3.connect(f"file:{mine.db}?mode=ro", uri=True)) as connection:
        found = connection.execute(sql, parameters).fetchall()[:3]
    answer = mine.query("briefs", "list", *options).json["briefs"]
    assert [tuple(row.values()) for row in answer] == found
    assert found


@pytest.mark.scenario("SPEC-06")
@pytest.mark.parametrize(("words", "said"), [
    ([], "no query"),
    (["events"], 'no query "events"'),
    (["events", "lst"], 'no query "events lst"'),
    (["events", "list", "--bogus", "x"], "cannot read the options of events list"),
    (["events", "list", "--type"], "cannot read the options of events list"),
    (["events", "get"], "cannot read the options of events get"),
    (["events", "list", "--type", "clustr"], "did you mean cluster?"),
    (["events", "list", "--limit", "0"], '"0" is not between'),
])  # fmt: skip
def test_show_says_what_it_cannot_show(mine: Kube9, words: list[str], said: str):
    done = mine("spec", "show", *words, db=False)
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_the_class_of_a_wrong_spec_carries_every_problem():
    with pytest.raises(errors.SpecError) as caught:
        compiler.compile_text("queries.yaml", "version: 2\nquery: {}\n", "")
    assert len(caught.value.problems) == len(set(caught.value.problems)) == 3


def test_a_result_is_never_a_traceback(mine: Kube9):
    found: list[Result] = [mine.query("briefs", "list", flag, "x") for flag in ("--about", "--starts", "--says", "--times")]
    assert not [done for done in found if "Traceback" in done.err]

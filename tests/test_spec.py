"""Declared queries: what a wrong file is told, what ten lines of YAML give, and that no value becomes SQL text."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, SAMPLE, Kube9, Result

from kube9 import compiler, errors

BASE = """\
version: 1
types:
  Severity: [info, warning, error, critical]
messages:
  Event:
    from: events
    fields:
      id: string
      severity: Severity
      title: string
      last_seen_at: time
queries:
  events list:
    summary: List events
    returns: page of Event
    filters:
      severity: {column: severity, op: in}
      since: {column: last_seen_at, op: ">="}
    order: [-last_seen_at, -id]
    page: {default: 50, max: 1000}
    table: {SEEN: last_seen_at, TITLE: title}
  events noisy:
    summary: Count events by title
    returns: page of Noise
    fields: {title: string, times: integer}
    filters:
      since: {column: last_seen_at, op: ">=", type: time}
    sql: |
      SELECT title, count(*) AS times
      FROM events
      WHERE {filters}
      GROUP BY title
"""
SEVERITY, SINCE, SQL = (
    "severity: {column: severity, op: in}",
    'op: ">="}\n',
    "SELECT title, count(*) AS times\n      FROM events",
)
SELECT = f"|\n      {SQL}\n      WHERE {{filters}}\n      GROUP BY title\n"

# What is replaced, by what (‹ marks the place that must be named), in which query or message, and what must be said.
MISTAKES = {
    "column": ("column: severity,", "column: ‹severty,", "events list", 'no column "severty"', 'did you mean "severity"?'),
    "column of a field": ("  id: string\n", "  ‹idd: string\n", "Event", 'no column "idd" in events; did you mean "id"?'),
    "column to order by": ("-id]", "‹-idd]", "events list", 'no column "idd" in events; did you mean "id"?'),
    "column in sql": ("SELECT title, c", "SELECT ‹titel AS title, c", "events noisy", 'no column "titel"', 'mean "title"?'),
    "column of a filter in sql": ('seen_at, op: ">=", t', 'sen_at, op: ">=", t', "events noisy", 'mean "last_seen_at"?'),
    "column in where": ("    order:", "    where: count > 1 AND ‹cuont < 9\n    order:", "events list", 'mean "count"?'),
    "table": ("from: events", "from: ‹evnts", "Event", 'no table "evnts"; did you mean "events"?'),
    "table in sql": ("FROM events\n", "FROM ‹evnts\n", "events noisy", 'no table "evnts"; did you mean "events"?'),
    "table in one line": (SELECT, "SELECT 1 AS title, 2 AS times FROM ‹evnts WHERE {filters}\n", "events noisy", '"events"?'),
    "operator": ('op: ">="}', 'op: ‹"=>"}', "events list", "'>='", "'=>'"),
    "type": ("severity: Severity", "severity: ‹Sevrity", "Event", 'no type "Sevrity"; did you mean "Severity"?'),
    "message": ("returns: page of Event", "returns: ‹page of Evnt", "events list", 'no message "Evnt"; did you mean "Event"?'),
    "field in the table": ("TITLE: title", "TITLE: ‹titel", "events list", 'no field "titel"', 'did you mean "title"?'),
    "cell of the table": ("TITLE: title", "TITLE: ‹ago(title)", "events list", "ago(title)", "seen(a, b, c)"),
    "option twice": (SINCE, 'op: ">=", flags: [‹--severity]}\n', "events list", "--severity is taken"),
    "option of every query": (SINCE, 'op: ">=", flags: [-s, ‹-o]}\n', "events list", "-o is taken"),
    "option for help": (SINCE, 'op: ">=", flags: [‹-h]}\n', "events list", "-h is taken"),
    "option that every page has": ("      since: {column: l", "      ‹limit: {column: l", "events list", "--limit is taken"),
    "argument and filter": ("    filters:\n", "    arguments: {since: {column: id}}\n    filters:\n", "events list", '"since"'),
    "filter no identifier": (SEVERITY, SEVERITY.replace("severity:", "‹Seve rity:"), "events list", "Seve rity"),
    "filter named self": (SEVERITY, SEVERITY.replace("severity:", "‹self:"), "events list", "self"),
    "query no identifier": ("events noisy:", "‹events;noisy:", "", "events;noisy"),
    "two statements": ("GROUP BY title", "GROUP BY title; DELETE FROM events", "events noisy", "must be one SELECT"),
    "no select": (SELECT, "‹DELETE FROM events\n", "events noisy", "must be one SELECT"),
    "syntax of sql": ("FROM events\n", "‹FORM events\n", "events noisy", "not SQL"),
    "no {filters}": ("WHERE {filters}", "WHERE 1", "events noisy", "no {filters}"),
    "parameter": ("WHERE {filters}", "WHERE {filters} AND :sinze < 1", "events noisy", 'did you mean "since"?'),
    "answer and sql": ("AS times", "AS tmies", "events noisy", "tmies", "times"),
    "key": ("    order:", "    ‹ordre:", "events list", 'no key "ordre" here; did you mean "order"?'),
    "key missing": ("  events list:\n    summary: List events\n", "  ‹events list:\n", "events list", '"summary" is missing'),
    "key twice": ("    order:", "    ‹summary: Again\n    order:", "", 'duplicate key "summary"'),
    "query twice": ("  events noisy:", "  ‹events list:", "", 'duplicate key "events list"'),
    "number": ("{default: 50,", "{default: ‹many,", "events list", "whole number", "many"),
    "list": ("[-last_seen_at, -id]", "‹-id", "events list", "list", "-id"),
    "default over max": ("{default: 50,", "{default: ‹5000,", "events list", "5000", "1000"),
    "version": ("version: 1", "version: ‹2", "", "2"),
    "syntax of YAML": ("    order:", "‹\torder:", "", "\\t"),
}  # fmt: skip


def problems(text: str) -> list[str]:
    with pytest.raises(errors.SpecError) as caught:
        compiler.compile_text("queries.yaml", text, "key")
    return caught.value.problems


def place(text: str) -> tuple[str, str]:
    """A text without its mark ‹, and the mark's place as `line:column`."""
    before, _, _ = text.partition("‹")
    return text.replace("‹", ""), f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def test_a_right_file_is_compiled():
    assert set(compiler.compile_text("queries.yaml", BASE, "key")["queries"]) == {"events list", "events noisy"}


@pytest.mark.scenario("SPEC-03")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place_and_the_right_name(mistake):
    old, new, subject, *said = MISTAKES[mistake]
    assert old in BASE
    text, where = place(BASE.replace(old, new, 1))
    (problem,) = problems(text)
    if "‹" in new:
        assert problem.startswith(f"queries.yaml:{where}: ")
    else:  # a mistake that stands nowhere by itself is named at the part that has it
        assert re.match(r"queries\.yaml:\d+:\d+: ", problem)
    assert f": {subject}: " in problem if subject else True
    assert not [words for words in said if words not in problem], problem


@pytest.mark.scenario("SPEC-03")
def test_every_mistake_of_a_file_comes_at_once_in_its_order():
    wrong = ("column", "column of a field", "operator", "field in the table", "table in sql", "key")
    text = BASE
    for mistake in wrong:
        text = text.replace(MISTAKES[mistake][0], MISTAKES[mistake][1].replace("‹", ""), 1)
    found = problems(text)
    for mistake in wrong:
        assert any(MISTAKES[mistake][3] in problem for problem in found), f"{mistake} is not among {found}"
    lines = [int(problem.split(":")[1]) for problem in found]
    assert lines == sorted(lines)


@pytest.mark.parametrize("text", ["", "# nothing\n", "hello", "- 1\n", "12", "null"])
def test_a_file_that_is_no_spec_is_refused_in_plain_words(text):
    (problem,) = problems(text)
    assert problem.startswith("queries.yaml:1:1: ")
    assert "Spec" not in problem  # the name of a class of ours says nothing to a maintainer


@pytest.mark.parametrize("mistake", ["key twice", "query twice"])
def test_a_problem_is_one_short_line(mistake):
    (problem,) = problems(BASE.replace(MISTAKES[mistake][0], MISTAKES[mistake][1].replace("‹", ""), 1))
    assert len(problem) < 200
    assert "\n" not in problem


def test_spec_check_prints_every_problem_and_exits_1(kube9: Kube9, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(BASE.replace("column: severity", "column: severty").replace("TITLE: title", "TITLE: titel"))
    done = kube9("spec", "check", file, db=False)
    assert (done.code, done.out) == (1, "")
    assert [line.startswith(f"{file}:") for line in done.err.splitlines()] == [True, True]


def test_spec_check_finds_no_mistake_in_the_shipped_file(kube9: Kube9):
    done = kube9("spec", "check", db=False)
    assert (done.code, done.err) == (0, "")


WHERE = """
  events grave:
    summary: List grave events
    returns: page of Event
    filters: {namespace: {column: object_namespace, flags: [-n], doc: only in this namespace}}
    where: severity = 'error' OR severity = 'critical'
    order: [-last_seen_at, -id]
"""


class Tree(Kube9):
    """The source tree, copied and with queries added to its queries.yaml."""

    def __init__(self, folder: Path, cache: Path) -> None:
        super().__init__(folder, cache)
        shutil.copytree(ROOT / "kube9", folder / "kube9", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "schema", folder / "schema")
        (declared,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
        queries = (ROOT / "queries.yaml").read_text()
        tried = "  events by-namespace:\n" in queries  # by somebody who follows CONTRIBUTING.md
        (folder / "queries.yaml").write_text(queries + ("\n" if tried else f"\n{declared}") + WHERE)
        self.folder = folder

    def run(self, *command: str) -> Result:
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=self.env, cwd=self.folder)
        return Result(done)

    def __call__(self, *words, **_) -> Result:
        return self.run(*self.command(*words)[1:])


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Tree:
    tree = Tree(tmp_path_factory.mktemp("grown"), cache)
    assert tree("import", SAMPLE).code == 0
    return tree


@pytest.mark.scenario("SPEC-02")
def test_an_added_query_has_help(grown: Tree):
    shown = grown("query", "events", "by-namespace", "--help").out
    assert "Count events by namespace" in shown
    assert "--since" in shown
    assert "by-namespace" in grown("query", "events", "--help").out


@pytest.mark.scenario("SPEC-02")
def test_an_added_query_checks_its_values(grown: Tree):
    done = grown.query("events", "by-namespace", "--since", "yore")
    assert (done.code, done.error["code"]) == (1, "INVALID_ARGUMENT")


@pytest.mark.scenario("SPEC-02")
def test_an_added_query_answers_in_every_format(grown: Tree):
    answer = grown.query("events", "by-namespace").json
    counts = {row["object_namespace"]: row["events"] for row in answer["namespace_counts"]}
    assert counts == {"shop": 68, "staging": 55, None: 9}
    assert yaml.safe_load(grown.query("events", "by-namespace", "--format", "yaml").out) == answer
    header, *rows = grown.query("events", "by-namespace", "--format", "table").out.splitlines()
    assert header.split() == ["OBJECT", "NAMESPACE", "EVENTS"]
    assert [row.split() for row in rows] == [["shop", "68"], ["staging", "55"], ["9"]]


@pytest.mark.scenario("SPEC-02")
def test_an_added_query_has_pages_and_filters(grown: Tree):
    page = grown.query("events", "by-namespace", "--limit", "1", "--offset", "1").json
    assert page["namespace_counts"] == [{"object_namespace": "staging", "events": 55}]
    assert {"total": 3, "limit": 1, "offset": 1, "returned": 1}.items() <= page["pagination"].items()
    assert grown.query("events", "by-namespace", "--since", "9999-01-01").json["namespace_counts"] == []


@pytest.mark.scenario("SPEC-02")
def test_an_added_query_is_a_typed_method(grown: Tree):
    code = (
        f"import kube9; page = kube9.connect({str(grown.db)!r}).events.by_namespace(limit=1); (row,) = page.namespace_counts;"
        "print(type(page).__name__, type(row).__name__, row.events, page.pagination.total)"
    )
    assert grown.run("-c", code).out.split() == ["ByNamespaceEventsResponse", "NamespaceCount", "68", "3"]


@pytest.mark.scenario("SPEC-02")
def test_a_query_without_sql_keeps_its_condition_beside_its_filters(grown: Tree):
    everything = grown.events("--limit", "1000")
    expected = [e for e in everything if e["severity"] in ("error", "critical") and e["object_namespace"] == "shop"]
    assert expected
    assert grown.query("events", "grave", "-n", "shop", "--limit", "1000").json["events"] == expected

"""All that can be asked comes from queries.yaml, and kube9 itself says what that is."""

import ast
import json
import re

import pytest
from conftest import ROOT, Kube9

from kube9 import compiler
from kube9.version import __version__

PLAN = compiler.compile_text("queries.yaml", (ROOT / "queries.yaml").read_text(), "key")
# Names that are also those of tables, of columns or of Python; nothing else of a query may stand in the code.
SHARED = {"since", "until", "type", "id", "for", "only", "reason", "severity", "node", "component", "types", "contains"}


@pytest.mark.scenario("SPEC-01")
def test_no_python_names_a_query_or_its_filters():
    every = {"limit", "offset", "page_token", "after", "sort", "by", "require_coverage"}  # they mean the same in every query
    filters = {name for query in PLAN["queries"].values() for name in query["params"]} - every
    names = {name for name in filters if name.rstrip("_") not in SHARED} | set(PLAN["queries"]) - {"capabilities", "status"}
    assert {"object_namespace", "min_count", "interval", "events list"} <= names
    for name in ("bind", "query", "answer", "argv", "cli", "client", "messages", "render", "compiler", "compile_options"):
        tree = ast.parse((ROOT / "kube9" / f"{name}.py").read_text())
        words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        words |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
        words |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & words, name


@pytest.mark.scenario("SPEC-01")
def test_command_help_library_and_schema_of_every_query_are_there(sampled: Kube9):
    schema = json.loads(sampled("spec", "export", "json-schema", db=False).out)["$defs"]
    stubs = sampled("spec", "export", "stubs", db=False).out
    for name, query in PLAN["queries"].items():
        shown = sampled("query", *name.split(), "--help", db=False)
        assert shown.code == 0
        assert query["summary"] in " ".join(shown.out.split())
        group, _, verb = name.rpartition(" ")
        call = "".join(word.capitalize() for word in (*verb.split("-"), *group.split("-")))
        assert {f"{call}Request", f"{call}Response"} <= schema.keys()
        assert f"def {verb.replace('-', '_')}(" in stubs


@pytest.mark.scenario("SPEC-08")
def test_capabilities_say_all_that_help_says(kube9: Kube9):
    done = kube9.query("capabilities", db=False)  # which needs no database
    assert (done.code, done.err) == (0, "")
    answer = done.json
    assert (answer["version"], answer["contract_version"]) == (__version__, 1)
    assert {query["name"] for query in answer["queries"]} == PLAN["queries"].keys()
    for query in answer["queries"]:
        shown = kube9("query", *query["name"].split(), "--help", db=False, env={"COLUMNS": "400"}).out
        flags = {flag for param in query["parameters"] for flag in param["options"]}
        assert (
            set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", shown.partition("Examples:")[0])) - {"--help", "-h", "--version"}
            == flags
        )
        by_name = {param["name"]: param for param in query["parameters"]}
        assert query["formats"] == by_name["format"]["values"]
        assert query["fields"] == PLAN["queries"][query["name"]]["fields"]
        assert all(param["minimum"] is None or str(param["minimum"]) in shown for param in query["parameters"])


@pytest.mark.scenario("SPEC-08")
def test_what_capabilities_name_is_taken(sampled: Kube9):
    (event,) = sampled.events("--limit", "1")
    for query in sampled.query("capabilities", db=False).json["queries"]:
        given = [event[param["name"]] for param in query["parameters"] if param["required"]]
        for form in query["formats"]:
            done = sampled.query(*query["name"].split(), *given, "--format", form)
            assert (done.code, bool(done.out)) == (0, True) or "found" in done.err, (query["name"], form, done)


@pytest.mark.scenario("SPEC-08")
def test_an_own_query_is_told_as_such(sampled: Kube9, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("version: 1\nqueries:\n  events mine:\n    summary: Mine\n    returns: page of Event\n")
    answer = sampled.query("capabilities", env={"KUBE9_QUERIES": str(own)}).json
    assert {query["name"] for query in answer["queries"] if query["own"]} == {"events mine"}

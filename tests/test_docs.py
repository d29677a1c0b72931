"""docs/queries.md and docs/commands.md say what is so: each key, example, error and option is held against the program."""

import json
import os
import re
import shlex
import subprocess
import sys
import typing
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Kube9

from kube9 import bind, compile_options, compiler, declared, errors, handbook, plan, query, spec, times

PAGE = (ROOT / "docs" / "queries.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("chart/*.md")])
BUILT_IN = (ROOT / "queries.yaml").read_text()
PLAN = compiler.compile_text("queries.yaml", BUILT_IN, "key")
CODE = re.compile(r"(`+) ?(.+?) ?\1")
RECORDS = {
    "The file": spec.Spec,
    "Types": spec.Type,
    "Messages": spec.Message,
    "Fields": spec.Field,
    "Queries": spec.Query,
    "Filters": spec.Filter,
    "Pages": spec.Page,
    "Groups": spec.Group,
}


def sections(page: str) -> dict[str, str]:
    """Heading -> what stands under it, up to the next heading of any level."""
    parts = re.split(
        r"^#+ (.*)\n", re.sub(r"```.*?```", lambda block: block[0].replace("\n#", "\n #"), page, flags=re.DOTALL), flags=re.M
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the tables whose first column has this header, as cells."""
    rows, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        inside = cells[:1] == [first] or (inside and bool(cells))
        if inside and cells != [first] and cells[0] != first and set(cells[0]) != {"-"}:
            rows.append(cells)
    return rows


def coded(cell: str) -> str:
    """What a cell has as code, or nothing."""
    found = CODE.search(cell)
    return found[2] if found else ""


def fenced(page: str) -> list[tuple[str, str]]:
    """Language and content of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


SECTIONS = sections(PAGE)
BLOCKS = fenced(PAGE)
EXAMPLE = BLOCKS[0][1]


def keys(record: type[declared.Record]) -> dict[str, typing.Any]:
    """Key in the file -> the field of the record."""
    return {field.alias or name: field for name, field in record.model_fields.items()}


def test_every_record_of_the_language_has_a_section():
    records = {of for of in vars(spec).values() if isinstance(of, type) and issubclass(of, declared.Record)}
    assert records - {declared.Record} == set(RECORDS.values())


@pytest.mark.parametrize("heading", RECORDS)
def test_the_keys_of_a_section_are_those_of_its_record(heading: str):
    assert [coded(row[0]) for row in table(SECTIONS[heading], "key")] == list(keys(RECORDS[heading]))


@pytest.mark.parametrize("heading", RECORDS)
def test_the_default_of_each_key_is_the_one_that_it_has(heading: str):
    found = keys(RECORDS[heading])
    for key, _, default, does in table(SECTIONS[heading], "key"):
        field = found[coded(key)]
        assert does
        if field.is_required():
            assert default == "must be given", key
        elif field.default in (None, {}) or (field.default == [] and not default):
            assert default == "", key
        else:
            assert yaml.safe_load(coded(default)) == field.default, key


LISTS = {
    "scalar": spec.SCALARS,
    "op": typing.get_args(spec.Filter.model_fields["op"].annotation),
    "parameter": [f":{name}" for name in compile_options.CONTEXT],
}


@pytest.mark.parametrize("header", LISTS)
def test_a_table_lists_all_there_is(header: str):
    assert sorted(coded(row[0]) for row in table(PAGE, header)) == sorted(LISTS[header])


def test_every_form_of_a_cell_is_listed_with_its_fields():
    found = [spec.table_cell(coded(row[0])) for row in table(SECTIONS["Tables"], "cell")]
    assert {form: len(fields) for form, fields in found} == {"": 1} | {form: len(types) for form, types in spec.CELLS.items()}


def test_names_that_no_filter_can_have_are_named():
    text = SECTIONS["SQL of your own"]
    assert [name for name in compile_options.PYTHON_TAKES if f"`{name}`" not in text and f"`:{name}`" not in text] == []


LIMITS = {
    "files": f"{plan.MOST_FILES:,}",
    "size of a file": f"{plan.MOST_BYTES // 1024} KiB",
    "values in a file, those of aliases counted each time": f"{declared.MOST_VALUES:,}",
    "depth of a file": f"{declared.DEEPEST}",
    "queries in a file": f"{spec.MOST_QUERIES:,}",
    "rows in a page": f"{spec.MOST_ROWS:,}",
    "bytes of one value in a statement": f"{query.OWN_LENGTH:,}",
    "instructions of a compiled statement": f"{query.OWN_VDBE_STEPS:,}",
    "time": f"`--timeout`, {plan.OPTIONS['timeout']['default'].replace('s', ' s')}",
}


def test_the_limits_are_those_of_the_program():
    assert dict(table(SECTIONS["Queries of your own"], "limit")) == LIMITS


def test_the_numbers_in_the_text_are_those_of_the_program():
    assert f"`total` stops at {query.MOST_COUNTED:,}" in SECTIONS["Fast filters"]
    assert f"at most {spec.MOST_QUERIES}" in SECTIONS["The file"]
    assert f"at most {spec.MOST_ROWS:,}" in SECTIONS["Pages"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def anchors(text: str) -> set[str]:
    """The places of a page that a link can lead to, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


WRONG = [  # a file, and the block behind it that says how it is answered
    (text, *shown.split("\n", 1))
    for (kind, text), (then, shown) in pairwise(BLOCKS)
    if kind == "yaml" and then == "console" and re.match(r"\$ kube9 spec check.*\n(?!…)", shown)
]
FRAGMENTS = [text for kind, text in BLOCKS if kind == "yaml" and text not in [wrong for wrong, *_ in WRONG]]


def whole(fragment: str) -> str:
    """A fragment of the page as a whole file: parts of a query in one, parts of a file beside one."""
    parts = yaml.safe_load(fragment)
    if "version" in parts:
        return fragment
    tried: dict = {"summary": "Try it", "returns": "page of Event"}
    file: dict = {"version": 1, "queries": {"tried it": tried}}
    for key, value in parts.items():
        (file if key in keys(spec.Spec) else tried)[key] = value
    return yaml.safe_dump(file, sort_keys=False)


def problems(text: str, name: str = "mine.yaml") -> list[str]:
    return compiler.compile_own({name: text}, BUILT_IN, "key")["problems"]


def test_the_page_has_examples_of_both_kinds():
    assert len(FRAGMENTS) > 10
    assert len(WRONG) > 1


GIVEN = {"namespace": "shop", "around": "2026-11-21T11:10:00Z"}


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda text: text.split("\n", 1)[0].rstrip(":"))
def test_every_example_of_the_page_compiles_and_answers(sampled: Kube9, fragment: str):
    own = compiler.compile_own({"mine.yaml": whole(fragment)}, BUILT_IN, "key")
    assert own["problems"] == []
    joined = plan.joined(PLAN, own)
    for asked_for in own["queries"].values():
        required = [name for name, param in asked_for["params"].items() if param["required"]]
        asked = bind.bind(joined, asked_for, {name: GIVEN.get(name, "x") for name in required}, times.now_ms())
        if "id" in required:
            with pytest.raises(errors.NotFound):
                query.run(str(sampled.db), asked, 30)
        else:
            answer = query.run(str(sampled.db), asked, 30)
            assert answer.rows or "since" in asked_for["params"]


@pytest.mark.parametrize("record", [*RECORDS.values()], ids=lambda record: record.__name__)
def test_every_key_stands_in_an_example_or_a_table_of_the_page(record: type[declared.Record]):
    said = "\n".join(text for kind, text in BLOCKS if kind == "yaml")
    missing = [key for key in keys(record) if not re.search(rf"(?<![\w-]){key}:", said)]
    # These need no example: their form is all that there is to say.
    assert set(missing) <= {"description", "deprecated", "examples", "default", "doc"}


def test_the_first_example_is_ten_lines_of_yaml():
    assert len(EXAMPLE.splitlines()) == 10


@pytest.mark.parametrize(("text", "command", "said"), WRONG, ids=lambda text: text.split("\n", 1)[0])
def test_a_wrong_file_is_answered_as_the_page_shows(kube9: Kube9, tmp_path: Path, text: str, command: str, said: str):
    name = command.split()[-1]
    (tmp_path / name).write_text(text)
    done = subprocess.run(
        kube9.command(*command.split()[2:], db=False),
        env=kube9.env | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert len(said.splitlines()) >= 7


MISTAKES = [tuple(coded(cell) for cell in row) for row in table(PAGE, "in place of")]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES, ids=lambda text: text)
def test_a_mistake_in_the_first_example_is_answered_as_the_page_says(old: str, new: str, said: str):
    assert old in EXAMPLE
    text = EXAMPLE.replace(old, new, 1) if old else EXAMPLE.replace("    sql: |", f"    {new}\n    sql: |", 1)
    (problem,) = problems(text)
    assert re.fullmatch(rf"mine\.yaml:\d+:\d+: ([\w -]+: )?{re.escape(said)}", problem)


@pytest.fixture
def shell(sampled: Kube9, tmp_path: Path):
    """Runs a command line of the page as its reader would, on the sample, with the first example in mine.yaml."""
    (tmp_path / "mine.yaml").write_text(EXAMPLE)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "kube9"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m kube9 "$@"\n')
    program.chmod(0o755)
    env = sampled.env | {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "DB_PATH": str(sampled.db.parent),
        "PYTHONPATH": str(ROOT),
        "PWD": str(tmp_path),
    }

    def run(*command: str) -> str:
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert "Traceback" not in done.stderr, done
        return done.stdout + done.stderr

    run.env = env
    return run


def test_what_the_page_shows_of_the_first_example_is_what_happens(shell):
    shown = [text for kind, text in BLOCKS if kind == "console" and "by-node" in text and "wrong.yaml" not in text]
    assert len(shown) > 1
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(shown), re.MULTILINE):
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            shell.env[name] = value.replace("$PWD", shell.env["PWD"])
            continue
        said = shell("sh", "-c", command)
        pattern = "(.*\n)*".join(map(re.escape, expected.split("…\n")))
        assert re.fullmatch(pattern, said), (command, said)
    (python,) = [text for kind, text in BLOCKS if kind == "python"]
    assert shell(sys.executable, "-c", python) == "node-1 67\nNone 65\n"


def test_a_wrong_file_of_ones_own_is_named_where_the_page_says(shell, tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(EXAMPLE.replace("FROM events", "FROM evnts"))
    shell.env["KUBE9_QUERIES"] = str(tmp_path)
    said = f'{tmp_path / "mine.yaml"}:10:44: events by-node: no table "evnts"; did you mean "events"?'
    status = json.loads(shell("kube9", "query", "status"))
    assert status["query_problems"] == [said]
    assert status["total_events"] == 132
    assert json.dumps(said)[1:-1] in shell("kube9", "query", "events", "by-node")
    assert shell("kube9", "spec", "check") == f"{said}\n"


REFUSED = {  # what the page rules out: parts of the tried query, or a file, and what must be said
    "a message of another query": (
        "returns: page of EventInterval\nfields: {start: string}\nsql: SELECT id AS start FROM events",
        "EventInterval",
    ),
    "a word for a message": ("returns: page of\nfields: {id: string}\nsql: SELECT id FROM events", "page of"),
    "a message of kube9's": ("returns: page of Pagination\nfields: {id: string}\nsql: SELECT id FROM events", "Pagination"),
    "several values in sql": (
        "returns: page of Thing\nfields: {id: string}\nfilters: {ids: {op: in}}\nsql: SELECT id FROM events WHERE id IN (:ids)",
        "several",
    ),
    "a window of no times": (
        "window: [least, kind]\nfilters: {least: {column: count, scan: index}, kind: {column: object_kind}}",
        "time",
    ),
    "a filter named as a word of SQL": ("filters: {when: {column: last_seen_at}}", "when"),
    "a field misspelt in the order of a group": (
        "returns: page of EventCount\ngroup: [severity]\norder: [-occurences]",
        'did you mean "occurrences"?',
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_page_rules_out_is_refused(what: str):
    fragment, said = REFUSED[what]
    found = problems(whole(fragment))
    assert found
    assert [problem for problem in found if said not in problem] == []


def test_two_queries_cannot_each_declare_the_same_message():
    one = EXAMPLE.partition("queries:\n")[2]
    other = one.replace("by-node", "by-reason").replace("node", "reason")
    (problem,) = problems(EXAMPLE + other)
    assert "NodeCount" in problem


@pytest.mark.parametrize("name", ["close", "events watch", "events list-all"])
def test_a_query_takes_no_name_that_the_library_has(name: str):
    (problem,) = problems(EXAMPLE.replace("events by-node", name))
    assert f"{name}: " in problem


def test_a_statement_may_take_json_apart(sampled: Kube9):
    sql = "SELECT j.key AS id FROM events, json_each(events.metadata) AS j"
    own = compiler.compile_own(
        {"mine.yaml": whole(f"returns: page of Key\nfields: {{id: string}}\nsql: {sql}")}, BUILT_IN, "key"
    )
    assert own["problems"] == []
    asked = bind.bind(own, own["queries"]["tried it"], {}, times.now_ms())
    assert query.run(str(sampled.db), asked, 30).rows


# Of commands.


def test_the_page_of_commands_is_the_one_that_the_program_writes():
    assert handbook.commands_page(PLAN) == COMMANDS, "`kube9 spec export markdown > docs/commands.md`"


def test_the_page_of_commands_is_exported(kube9: Kube9):
    assert kube9("spec", "export", "markdown", db=False).out == COMMANDS


def section_of(name: str) -> str:
    return sections(COMMANDS)[f"kube9 query {name}"]


def options(text: str) -> set[str]:
    return {flag for row in table(text, "option") for flag in re.findall(r"`([^`]+)`", row[0])}


@pytest.mark.parametrize("name", PLAN["queries"])
def test_help_and_the_page_have_the_same_options(kube9: Kube9, name: str):
    shown = kube9.query(*name.split(), "--help", db=False, env={"COLUMNS": "500"}).out
    flags = {flag for line in re.findall(r"^│[ *]+((?:--?[a-zA-Z][\w-]* )+)", shown, re.MULTILINE) for flag in line.split()}
    arguments = {word for line in re.findall(r"^│[ *]+([A-Z][A-Z_]*) ", shown, re.MULTILINE) for word in [line]}
    common = options(sections(COMMANDS)["Options of every query"])
    assert common <= flags
    assert options(section_of(name)) | common == flags | arguments


@pytest.mark.parametrize("name", PLAN["queries"])
def test_the_page_has_each_choice_default_and_meaning_that_help_has(kube9: Kube9, name: str):
    shown = " ".join(kube9.query(*name.split(), "--help", db=False, env={"COLUMNS": "500"}).out.split())
    for row in table(section_of(name), "option"):
        _, value, default, meaning = row
        choices = re.findall(r"`([^`]+)`", value)
        assert meaning.partition(";")[0] in shown
        assert not choices or f"[choices: {', '.join(choices)}]" in shown
        values = re.findall(r"`([^`]+)`", default)
        assert not values or f"[default: {','.join(values)}]" in shown


@pytest.mark.parametrize("name", PLAN["queries"])
def test_an_answer_has_the_fields_that_the_page_says(sampled: Kube9, name: str):
    text = section_of(name)
    message = re.search(r"Returns (?:a page of )?\[(\w+)\]", text)[1]
    answers = sections(COMMANDS)[message]
    fields = [coded(row[0]) for row in table(answers, "field")]
    words = [*name.split(), *(["--since", "2026-01-01"] if "`--since`" in text else [])]
    words += [sampled.events("--limit", "1")[0]["id"]] if "`ID`" in text else []
    answer = sampled.query(*words).json
    if "a page of" in text:
        plural = re.search(r"In pages under `(\w+)`", answers)[1]
        assert set(answer) - {"coverage"} == {plural, "pagination"}
        assert ("coverage" in answer) == ("with [coverage]" in text)
        assert [coded(row[0]) for row in table(sections(COMMANDS)["pagination"], "key")] == list(answer["pagination"])
        (row, *_) = answer[plural]
    else:
        row = answer
    assert list(row) == fields


METHODS = """
import kube9
with kube9.connect() as db:
    for name, of in vars(db).items():
        if not name.startswith("_") and callable(of):
            print(name)
        elif isinstance(of, kube9.client.Service):
            print(*(f"{name}.{method}" for method in vars(type(of)) if not method.startswith("_")), sep="\\n")
"""


def test_the_methods_on_the_page_are_those_of_the_library(shell):
    named = re.findall(r"`db\.([\w.]+)\(…\)`", COMMANDS)
    assert sorted(shell(sys.executable, "-c", METHODS).split()) == sorted(named)


def test_the_page_of_commands_says_what_is_deprecated_or_hidden():
    text = EXAMPLE.replace("summary:", "deprecated: use `events summary`\n    summary:").replace(
        "op:", 'flags: [--from], aliases: [--begin], deprecated: "it is a|b", op:'
    )
    own = compiler.compile_own({"mine.yaml": text}, BUILT_IN, "key")
    assert own["problems"] == []
    page = handbook.commands_page(plan.joined(PLAN, own))
    found = sections(page)["kube9 query events by-node"]
    assert "**Deprecated:** use `events summary`." in found
    assert "--begin" not in page
    ((flags, value, default, meaning),) = [row for row in table(found, "option") if "--from" in row[0]]
    assert (flags, value, default) == ("`--since`, `--from`", "time", "`24h`")
    assert meaning == "only events that went on at this time or later; **deprecated:** it is a\\|b"


def test_the_page_of_commands_says_what_must_be_given():
    text = EXAMPLE.replace("default: 24h", "required: true")
    own = compiler.compile_own({"mine.yaml": text}, BUILT_IN, "key")
    found = sections(handbook.commands_page(plan.joined(PLAN, own)))["kube9 query events by-node"]
    assert "kube9 query events by-node --since SINCE [OPTIONS]\n" in found
    assert "| `--since` | time | must be given |" in found


EXAMPLES = [
    (name, example)
    for text in (BUILT_IN, next(text for text in FRAGMENTS if "incidents get" in text))
    for name, of in yaml.safe_load(text)["queries"].items()
    for example in of.get("examples", [])
]


def test_every_query_has_an_example():
    assert {name for name, _ in EXAMPLES} >= set(PLAN["queries"])


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_every_example_runs(sampled: Kube9, tmp_path: Path, name: str, example: str):
    program, command, *words = shlex.split(example)
    assert (program, command, words[: len(name.split())]) == ("kube9", "query", name.split())
    grave = sampled.events("--severity", "error", "--limit", "1")[0]["id"]
    words = [grave if word.startswith("evt_") else word for word in words]
    (tmp_path / "incidents.yaml").write_text(next(text for text in FRAGMENTS if "incidents get" in text))
    own = {"KUBE9_QUERIES": str(tmp_path)} if name.startswith("incidents") else {}
    done = sampled.query(*words, input=b"", env=own)  # a pipe that has ended is where --watch ends
    assert done.code == 0, done
    assert re.fullmatch(r"(No \w[\w ]* found\n|\d+ to \d+ of .*\n)?(covered .*\n)?", done.err), done
    if "--format" not in words and "--watch" not in words:
        assert done.json

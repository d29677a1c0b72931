"""Specs and values made at random: a spec compiles or is refused with places, and what compiles answers rightly."""

import random
import sqlite3
from contextlib import closing

import pytest
import sqlglot
import yaml
from conftest import ROOT
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from kube9 import bind, compiler, errors, migrations, paging, query

REAL = (ROOT / "queries.yaml").read_text()
TEXTS = ["title", "description", "object_kind", "object_namespace", "object_name", "reason", "node", "component", "severity"]
TIMES = ["created_at", "last_seen_at"]
NUMBERS = ["count", "change_seq"]
COLUMNS = {
    **dict.fromkeys(TEXTS, "string"),
    **dict.fromkeys(TIMES, "time"),
    **dict.fromkeys(NUMBERS, "integer"),
    "id": "string",
}
SEVERITIES = ["info", "warning", "error", "critical"]
# Few words, so that they meet; with what SQL, LIKE and sorting might trip over.
WORDS = [
    "a",
    "ab",
    "abc",
    "A",
    "b",
    "%",
    "a%",
    "_",
    "'",
    "x' OR 1 --",
    "\\",
    "é",
    "É",
    "日本",
    "\U0001f600",
    "10",
    "-1",
    ":a",
    "?",
    "NULL",
]
MOMENTS = [f"2026-03-0{day}T0{hour}:00:00.000Z" for day in range(1, 5) for hour in range(3)]
FLAWS = ["", "", "", "colum", "resaon", "[id", "{", "5", "~", "in", "events; --", "é", "-", "page of", "time"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict]]:
    """A small database, and its rows as dicts."""
    path = str(tmp_path_factory.mktemp("generated") / "kube9.db")
    connection = migrations.open_writer(path)
    made, pick = [], random.Random(9)
    for number in range(60):
        row = {name: pick.choice([None, *WORDS]) for name in TEXTS if name not in ("title", "severity")}
        row |= {
            "id": f"evt_{number:03}",
            "title": pick.choice(WORDS),
            "severity": pick.choice(SEVERITIES),
            "event_type": "cluster",
        }
        first, last = sorted(pick.choices(MOMENTS, k=2))
        row |= {"created_at": first, "last_seen_at": last, "count": pick.randint(1, 5), "change_seq": number + 1}
        connection.execute(f"INSERT INTO events ({', '.join(row)}) VALUES (:{', :'.join(row)})", row)
        made.append(row)
    connection.commit()
    connection.close()
    return path, made


@st.composite
def filters(draw) -> dict:
    """A filter over the columns of events, right in itself."""
    op = draw(st.sampled_from(["=", "in", ">=", ">", "<=", "<", "contains", "prefix", "min"]))
    of = TEXTS if op in ("contains", "prefix") else ["severity", *NUMBERS] if op == "min" else list(COLUMNS)
    columns = draw(st.lists(st.sampled_from(of), min_size=1, max_size=3, unique=True))
    if op == "min" or len({COLUMNS[column] for column in columns}) > 1:
        columns = columns[:1]
    found: dict = {
        "column": columns if len(columns) > 1 else columns[0],
        "op": op,
        "scan": "table",
        "type": COLUMNS[columns[0]],
    }
    if columns == ["severity"] and (op == "min" or draw(st.booleans())):
        found["type"] = "Level"
        if op in ("contains", "prefix"):
            found["type"] = "string"
    if draw(st.integers(0, 4)) == 0:
        found["flags"] = [f"-{draw(st.sampled_from('abcdefgijklmnpqrs'))}"]
    return found


@st.composite
def specs(draw) -> dict:
    """A spec with one query over some of the columns of events."""
    fields = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, unique=True))
    names = draw(
        st.lists(st.sampled_from(["one", "two", "three-four", "in", "key-0", "one-0", "from"]), max_size=4, unique=True)
    )
    declared: dict = {
        "summary": "Made",
        "returns": "page of Made",
        "filters": {name: draw(filters()) for name in names},
        "page": {"default": draw(st.integers(1, 60)), "max": 100},
    }
    grouped = draw(st.integers(0, 3)) == 0
    if grouped:
        by = draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3, unique=True))
        declared["group"] = (
            by if draw(st.booleans()) else {"by": {f"by-{index}": name for index, name in enumerate(by)}, "default": ["by-0"]}
        )
        chosen = by if isinstance(declared["group"], list) else by[:1]
        declared["order"] = chosen
        fields = chosen if isinstance(declared["group"], list) else fields
    else:
        sign = draw(st.sampled_from(["", "-"]))
        declared["order"] = [
            sign + name for name in draw(st.lists(st.sampled_from(list(COLUMNS)), max_size=2, unique=True)) if name != "id"
        ]
        declared["order"].append(f"{sign}id")
    if draw(st.booleans()):
        declared["table"] = {name.upper(): name for name in draw(st.lists(st.sampled_from(fields), min_size=1, unique=True))}
    shown: dict = {name: COLUMNS[name] for name in fields}
    if grouped:
        shown |= {"matches": {"type": "integer", "sql": "count(*)"}}
        shown = {name: of for name, of in shown.items() if name == "matches" or name in by}
        declared.pop("table", None)
    return {
        "version": 1,
        "types": {"Level": [*SEVERITIES]},
        "messages": {"Made": {"from": "events", "plural": "made", "fields": shown}},
        "queries": {"made": declared},
    }


def compiled(text: str) -> dict | None:
    """The plan, or None when the spec is refused as it should be: each problem with a place that is in the text."""
    try:
        return compiler.compile_text("made.yaml", text, "")
    except errors.SpecError as error:
        problems = error.problems
    assert problems
    lines = [*text.split("\n"), ""]
    for problem in problems:
        name, line, column, said = problem.split(":", 3)
        assert name == "made.yaml"
        assert 1 <= int(line) <= len(lines), problem
        assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1, problem
        assert said.strip()
        assert "\n" not in problem
    return None


@st.composite
def values(draw, params: dict) -> dict:
    """Something for some of a query's filters, as it would be typed."""
    found: dict = {}
    for name, param in params.items():
        if name in ("limit", "offset", "page_token", "after", "sort", "by") or draw(st.booleans()):
            continue
        kinds = {"integer": st.integers(-1, 6).map(str), "time": st.sampled_from(MOMENTS)}
        kind = st.sampled_from(param["choices"]) if param["choices"] else kinds.get(param["type"], st.sampled_from(WORDS))
        found[name] = draw(st.lists(kind, min_size=1, max_size=3)) if param["many"] else draw(kind)
    return found


def ascii_lower(text: str) -> str:
    """As SQLite's LIKE folds case: of ASCII alone."""
    return "".join(char.lower() if char.isascii() else char for char in text)


def holds(row: dict, declared: dict, asked) -> bool:
    """Whether a row meets a filter, reckoned in Python."""
    columns = declared["column"] if isinstance(declared["column"], list) else [declared["column"]]
    op, level = declared["op"], declared.get("type") == "Level"
    wanted = asked if isinstance(asked, list) else [asked]
    if COLUMNS[columns[0]] == "integer":
        wanted = [int(value) for value in wanted]
    for column in columns:
        value = row[column]
        if value is None:
            continue
        one = wanted[0]
        if op == "min" and level:
            met = SEVERITIES.index(value) >= SEVERITIES.index(one)
        elif op == "contains":
            met = ascii_lower(one) in ascii_lower(value)
        elif op == "prefix":
            met = value.startswith(one)
        elif op in ("=", "in"):
            met = value in wanted
        else:
            left, right = (key(value), key(one)) if isinstance(value, str) else (value, one)
            met = {">=": left >= right, ">": left > right, "<=": left <= right, "<": left < right, "min": left >= right}[op]
        if met:
            return True
    return False


def key(value):
    """What SQLite sorts by: null first, text by its bytes."""
    return (value is not None, value.encode() if isinstance(value, str) else value or 0)


def answer(path: str, plan: dict, given: dict) -> tuple[list[tuple], int]:
    """All rows by following the pages, and the total that page 1 gave."""
    asked = bind.bind(plan, plan["queries"]["made"], given, 0)
    found, total = [], None
    for page in paging.pages(lambda asked: query.run(path, asked, 10), asked):
        total = page.total if total is None else total
        found += page.rows
        assert len(found) <= 1000
    return found, total or 0


@pytest.mark.scenario("SPEC-04")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_spec_that_compiles_answers_as_python_reckons(table, data):
    path, made = table
    spec = data.draw(specs())
    plan = compiled(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))
    assume(plan is not None)
    declared, wanted = plan["queries"]["made"], spec["queries"]["made"]
    given_values = data.draw(values(declared["params"]))
    options = {name.replace("-", "_") + ("_" if name in ("in", "from") else ""): of for name, of in wanted["filters"].items()}
    rows = [row for row in made if all(holds(row, options[name], value) for name, value in given_values.items())]
    fields = declared["fields"]
    found, total = answer(path, plan, given_values)
    if "group" in wanted:
        group = wanted["group"]
        by = group if isinstance(group, list) else [group["by"][name] for name in group["default"]]
        counts: dict[tuple, int] = {}
        for row in rows:
            counts[tuple(row[name] for name in by)] = counts.get(tuple(row[name] for name in by), 0) + 1
        expected = [
            tuple(counts[values] if name == "matches" else values[by.index(name)] if name in by else None for name in fields)
            for values in counts
        ]
        assert sorted(found, key=lambda row: [key(value) for value in row]) == sorted(
            expected, key=lambda row: [key(value) for value in row]
        )
    else:
        names = [name.removeprefix("-") for name in wanted["order"]]
        for name, of in reversed(list(zip(names, wanted["order"], strict=True))):
            rows.sort(key=lambda row, name=name: key(row[name]), reverse=of.startswith("-"))
        assert found == [tuple(row[name] for name in fields) for row in rows]
    assert total == len(found)


@pytest.mark.scenario("SPEC-04")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_value_is_part_of_the_sql_of_a_spec(data):
    spec = data.draw(specs())
    plan = compiled(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))
    assume(plan is not None)
    declared = plan["queries"]["made"]
    one = data.draw(values(declared["params"]))
    other = {
        name: [f"zz{index}" for index, _ in enumerate(value)] if isinstance(value, list) else "zz"
        for name, value in one.items()
        if not declared["params"][name]["choices"] and declared["params"][name]["type"] == "string"
    }
    for part in ("select", "count"):
        asked = bind.bind(plan, declared, one, 0)
        sql, parameters = query.statement(declared, part, asked.values)
        tree = sqlglot.parse_one(sql, dialect="sqlite")
        marks = {mark.name for mark in tree.find_all(exp.Placeholder)}
        assert marks <= parameters.keys()
        bare, _ = query.statement(declared, part, bind.bind(plan, declared, {}, 0).values)
        own = {"1", "10001", "%", "\\", "\\\\", "\\%", "_", "\\_", "1114111"}  # of counts, `contains` and `prefix`
        own |= {literal.this for literal in sqlglot.parse_one(bare, dialect="sqlite").find_all(exp.Literal)}
        assert {literal.this for literal in tree.find_all(exp.Literal)} <= own
        if all(len(set(value)) == len(value) for value in one.values() if isinstance(value, list)):
            again, _ = query.statement(declared, part, bind.bind(plan, declared, one | other, 0).values)
            assert again == sql  # whatever the values are, the text is the same


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_flawed_spec_is_refused_with_places_or_compiles(data):
    """One or more values anywhere in a right spec are replaced by something else."""
    spec = data.draw(specs())
    for _ in range(data.draw(st.integers(1, 3))):
        node, ways = spec, []
        while isinstance(node, dict | list) and node:
            way = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
            ways.append((node, way))
            node = node[way]
            if data.draw(st.integers(0, 3)) == 0:
                break
        if not ways:
            continue
        holder, way = ways[-1]
        flaw = data.draw(
            st.sampled_from(FLAWS)
            | st.none()
            | st.booleans()
            | st.integers(-5, 5)
            | st.builds(list)
            | st.builds(lambda: {"x": "y"})
        )
        if isinstance(holder, dict) and data.draw(st.booleans()):
            holder[data.draw(st.sampled_from([*FLAWS, 5, None, True]))] = holder.pop(way)
        elif isinstance(holder, dict) and data.draw(st.integers(0, 4)) == 0:
            del holder[way]
        else:
            holder[way] = flaw
    compiled(
        yaml.safe_dump(
            spec, sort_keys=False, allow_unicode=True, default_flow_style=data.draw(st.sampled_from([None, False, True]))
        )
    )


BYTES = [*(char.encode() for char in " \n:-[]{}\"'#!|>?,\t0x~;()@`%é\0"), b"", b"&a ", b"*a", b"<<: ", b"--", b"\xff"]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(REAL.encode()) - 1), st.integers(0, 12), st.sampled_from(BYTES)), min_size=1, max_size=3
    )
)
def test_an_edit_of_the_real_queries_gives_a_plan_or_a_refusal(edits):
    text = bytearray(REAL.encode())
    for place, length, new in edits:
        text[place : place + length] = new
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        return  # whoever reads the file says so
    plan = compiled(decoded)
    assert plan is None or plan["queries"]


def test_what_the_generator_makes_mostly_compiles():
    """Otherwise the properties above would say little."""
    tried = []

    @settings(max_examples=40, deadline=None, database=None)
    @given(specs())
    def tally(spec):
        text = yaml.safe_dump(spec, sort_keys=False)
        tried.append(compiled(text) is not None)

    tally()
    assert sum(tried) > len(tried) / 4


def test_the_oracle_knows_how_sqlite_compares():
    """SQLite itself, beside the Python that stands for it above."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for one in WORDS:
            for other in WORDS:
                found = connection.execute("SELECT ? < ?, instr(lower(?), lower(?)) > 0", (one, other, one, other)).fetchone()
                assert found == (key(one) < key(other), ascii_lower(other) in ascii_lower(one))

"""Values that attack: each matches what equals it and nothing else, and none ever becomes part of the SQL."""

import contextlib
import random
import sqlite3
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from conftest import ROOT, Kube9, make_event
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from kube9 import bind, compiler, errors, query, spec, statement
from kube9.compile_options import column_names, python_name

TEXT = (ROOT / "queries.yaml").read_text()
PLAN = compiler.compile_text("queries.yaml", TEXT, "key")
SPEC, _ = spec.read("queries.yaml", TEXT)
NOW_MS = 1_772_409_600_000  # 2026-03-02T00:00:00Z
NOT_FREE = ("integer", "number", "boolean", "time", "duration", "percentage", "order", "group", "page_token", "sync_token")
COLUMNS = (
    "object_kind",
    "object_namespace",
    "object_name",
    "reason",
    "component",
    "node",
    "owner_name",
    "title",
    "description",
)

ATTACKS = [
    "'", "''", "'''", '"', '""', "`", "'\"`", "' OR 1=1", "' OR 1=1 --", "' OR '1'='1", "') OR ('1'='1", '" OR ""="',
    "1 OR 1=1", "' OR object_name IS NOT NULL --", "x' AND 1=0 UNION SELECT 1,2,3 --", "' UNION SELECT * FROM events --",
    "' UNION ALL SELECT NULL", "1 UNION SELECT 1", ";", ";--", "; --", "a;--", "'; DROP TABLE events; --",
    "x'; DELETE FROM events WHERE 1=1; --", "--", "-- ", "/*", "*/", "/* x */", "*/ OR 1=1 /*", "#", "'#", "%", "%%", "_", "__",
    "a%b", "a_b", "axb", "%a%", "*", "?", "a*b", "[a-c]", "[^a]", "^a$", ".*", "\\", "\\\\", "\\'", "\\%", "\\_", "%\\",
    "' ESCAPE '", "\\' OR 1=1 --", ":limit", ":offset", ":since", ":x", "?1", "@x", "$x", ":object_name", ":object_name_0",
    "{filters}", "{}", "{0}", "{limit}", "%s", "%d", "%(x)s", "%n", "${x}", "$(id)", "`id`", "NULL", "null", "None", "nan",
    "true", "0", "1", "-1", "1e3", "0x41", "x'41'", "1.0", "01", "char(39)", "CAST(1 AS TEXT)", "sqlite_master",
    "pg_class", "object_name", "ATTACH DATABASE 'x' AS y", "PRAGMA writable_schema=1", "load_extension('x')",
    "randomblob(1000000000)", "a\nb", "a\r\nb", "a\tb", "\n--\n", " ", "  ", " a", "a ", "\u00a0", "\u2019 OR 1=1", "\u2018",
    "\u201c", "\uff07", "\uff07 OR 1=1", "\u02bc", "\u202eabc", "\u200fabc", "\u200b", "\ufeff", "a\u0308", "\U0010ffff",
    "\ufffd", "日本", "🔥", "👩\u200d👩\u200d👧", "\x01", "\x1b[31m", "\x1f", "\x7f", "\x85", "\u2028", "x" * 9999, "'" * 9999,
    "%" * 5000, "\\" * 5000, "🔥" * 9999, "a,b", "a=b", "=", "/", "a/b", "//", "[1]", '["a"]', '{"a": 1}', "a.b", "a", "b",
    "b.", ".a", "as", "aS", "A", "<script>", "&lt;", "../../etc/passwd", "file:x?mode=rwc",
]  # fmt: skip
GENERATED = 1000
PIECES = [
    "'", '"', "`", "%", "_", "\\", ";", "--", "/*", "*/", "(", ")", " OR ", " AND ", "1=1", " UNION SELECT ", "NULL", " LIKE ",
    " ESCAPE ", ":limit", "{filters}", "%s", "?", "@", "$", "=", "<", ">", ",", ".", "/", "|", "||", "&", "*", "[", "]", "^",
    "a", "B", "z", "events", "0", "9", " ", "\t", "\n", "\x01", "ä", "日", "🔥", "\u2019", "\u202e", "\u200f", "\u0301",
]  # fmt: skip


def generated() -> Iterator[str]:
    """Strings made of pieces of SQL, quotes, wildcards and odd characters; each made twice, with a little changed."""
    chance, given_out = random.Random(25), set(ATTACKS)
    known = {word for declared in PLAN["types"].values() for word in declared["spellings"] or ()}
    while len(given_out) < len(ATTACKS) + GENERATED:
        one = "".join(chance.choices(PIECES, k=chance.randint(1, 8)))
        for text in (one, one[: chance.randint(0, len(one))] + chance.choice(PIECES) + one[chance.randint(0, len(one)) :]):
            if text not in given_out and text.lower() not in known and text.lower().partition(".")[0] not in known:
                given_out.add(text)
                yield text


STRINGS = [*ATTACKS, *generated()][: len(ATTACKS) + GENERATED]
NULLS = ["\x00", "a\x00b", "a\x00", "\x00' OR 1=1 --"]  # no command line can hold one; the library can


def value_filters() -> Iterator[tuple[str, str]]:
    """Each query's parameters that take any text, but tokens."""
    for name, declared in PLAN["queries"].items():
        for key, param in declared["params"].items():
            if not param["choices"] and param["type"] not in NOT_FREE:
                yield name, key


VALUE_FILTERS = list(value_filters())


def declared_filter(name: str, key: str) -> spec.Filter:
    of = SPEC.queries[name]
    return next(found for option, found in chain(of.arguments.items(), of.filters.items()) if python_name(option) == key)


def fill(runner: Kube9, texts: list[str]) -> None:
    """For each text a row that has it in every column of text, as its id too. No reporter writes most of them.

    Each is linked to itself, so that what belongs to it is one row as well.
    """
    runner.record()
    columns = ["id", "event_type", "severity", "created_at", "last_seen_at", "owner_kind", "change_seq", *COLUMNS]
    same = ("cluster", "info", "2026-03-01T10:00:00.000Z", "2026-03-01T11:00:00.000Z", "Thing")
    with contextlib.closing(sqlite3.connect(runner.db)) as connection, connection:
        connection.executemany(
            f"INSERT INTO events ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            ((text, *same, number, *[text] * len(COLUMNS)) for number, text in enumerate(texts, 1)),
        )
        connection.executemany("INSERT INTO event_links (event_id, linked_id) VALUES (?, ?)", zip(texts, texts, strict=True))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    runner = Kube9(tmp_path_factory.mktemp("odd"), cache)
    fill(runner, STRINGS)
    return runner


def ask(path: Any, name: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    declared = PLAN["queries"][name]
    if declared["paged"]:
        values = {"limit": declared["params"]["limit"]["bounds"][1]} | values
    if "interval" in declared["params"]:
        values = {"interval": "1w"} | values  # few intervals, for speed
    answer = query.run(str(path), bind.bind(PLAN, declared, values, NOW_MS), 30)
    return [dict(zip(answer.fields, row, strict=True)) for row in answer.rows]


def ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


LOWERED = {text: ascii_lower(text) for text in STRINGS}


def found(path: Any, name: str, values: dict[str, Any]) -> list[str] | int:
    """What a query finds: the ids of its rows, or how many events it has counted."""
    rows = ask(path, name, values)
    if "id" in PLAN["queries"][name]["fields"]:
        return sorted(row["id"] for row in rows)
    return sum(row["count" if name == "events occurrences" else "events"] for row in rows)


def expected(name: str, key: str, text: str) -> list[str] | int:
    texts = (
        [other for other in STRINGS if ascii_lower(text) in ascii_lower(other)]
        if declared_filter(name, key).op == "contains"
        else [text]
    )
    return sorted(texts) if "id" in PLAN["queries"][name]["fields"] else len(texts)


def given_as(name: str, key: str, text: str) -> Any:
    """The value to give so that the text is compared: of what has parts, it is the last."""
    param = PLAN["queries"][name]["params"][key]
    return f"Thing/{text}" if param["parts"] else [text] if param["many"] else text


def test_what_is_tried_is_all_that_takes_text():
    names = {name for name, _ in VALUE_FILTERS}
    assert {"events list", "events get", "events summary", "events noisy", "events reasons", "events timeline"} <= names
    for name, key in VALUE_FILTERS:  # a filter on another column needs another row
        assert set(column_names(declared_filter(name, key))) <= {"id", *COLUMNS}
    assert len(set(STRINGS)) == len(ATTACKS) + GENERATED


@pytest.mark.scenario("SPEC-04", "CLI-25")
@pytest.mark.parametrize(("name", "key"), VALUE_FILTERS, ids=lambda value: value.replace(" ", "-"))
def test_every_string_matches_exactly_the_rows_that_equal_it(odd: Kube9, name: str, key: str):
    wrong = []
    for text in STRINGS:
        answer, right = found(odd.db, name, {key: given_as(name, key, text)}), expected(name, key, text)
        if answer != right:
            wrong.append((ascii(text)[:60], str(answer)[:80], str(right)[:80]))
    assert not wrong, f"{len(wrong)} of {len(STRINGS)}: {wrong[:12]}"


@pytest.mark.scenario("CLI-25")
def test_a_kind_in_a_value_of_parts_is_matched_exactly_too(odd: Kube9):
    for text in STRINGS:
        if "/" not in text:
            assert found(odd.db, "events list", {"for_": f"{text}/{text}", "only": True}) == [text], ascii(text)


@pytest.mark.scenario("CLI-25")
@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, key in VALUE_FILTERS if PLAN["queries"][name]["params"][key]["many"]]
)
def test_several_strings_match_the_rows_that_equal_any(odd: Kube9, name: str, key: str):
    chance = random.Random(3)
    for _ in range(100):
        texts = chance.sample(STRINGS, chance.randint(2, 30))
        answer = found(odd.db, name, {key: texts})
        assert answer == (sorted(texts) if isinstance(answer, list) else len(texts))


@pytest.mark.scenario("CLI-25")
@pytest.mark.parametrize(("name", "key"), VALUE_FILTERS, ids=lambda value: value.replace(" ", "-"))
@pytest.mark.parametrize(
    "text", ["nobody' OR 1=1 --", "nobody%", "nobody_", "nobody' UNION SELECT id FROM events --", "nobody\\"]
)
def test_a_string_that_nothing_equals_matches_nothing(odd: Kube9, name: str, key: str, text: str):
    values, query_plan = {key: given_as(name, key, text)}, PLAN["queries"][name]
    if query_plan["paged"] and key not in [subject for subject, *_ in query_plan["subjects"]]:
        assert not found(odd.db, name, values)
    else:
        with pytest.raises(errors.NotFound, match="not found"):
            found(odd.db, name, values)


@pytest.mark.scenario("CLI-25")
@pytest.mark.parametrize(("name", "key"), VALUE_FILTERS, ids=lambda value: value.replace(" ", "-"))
def test_a_null_character_is_refused_or_matched_exactly(tmp_path: Path, cache: Path, name: str, key: str):
    runner = Kube9(tmp_path, cache)
    fill(runner, [*NULLS, "a", "b", "za"])
    for text in NULLS:
        try:
            answer = found(runner.db, name, {key: given_as(name, key, text)})
        except errors.InvalidArgument:
            continue
        texts = [other for other in NULLS if text in other] if declared_filter(name, key).op == "contains" else [text]
        assert answer == (sorted(texts) if isinstance(answer, list) else len(texts)), ascii(text)


def test_text_behind_a_null_character_in_a_message_is_found(kube9: Kube9):
    kube9.record(make_event("here.1", message="before\x00 needle"), make_event("not.1", message="nothing"))
    assert [event["object_name"] for event in kube9.events("--contains", "needle")] == ["here"]


@pytest.mark.scenario("SPEC-04", "CLI-25")
@pytest.mark.parametrize(("name", "key"), VALUE_FILTERS, ids=lambda value: value.replace(" ", "-"))
@pytest.mark.parametrize("text", ["x" * (bind.LONGEST + 1), "\ud800", "a\udc80b", ""], ids=["long", "high", "low", "empty"])
def test_what_no_row_can_hold_is_refused(name: str, key: str, text: str):
    with pytest.raises(errors.InvalidArgument):
        bind.bind(PLAN, PLAN["queries"][name], {key: given_as(name, key, text)}, NOW_MS)


EVERYTHING = "x'; DROP TABLE events; --\" OR 1=1 %_\\ {filters} :limit %s `id` 🔥\u202e\u2019\n\x1b[0m"


@pytest.mark.scenario("CLI-25")
@pytest.mark.parametrize(("name", "key"), VALUE_FILTERS, ids=lambda value: value.replace(" ", "-"))
def test_the_program_takes_it_as_a_value_too(odd: Kube9, name: str, key: str):
    before = odd.db.read_bytes()
    param = PLAN["queries"][name]["params"][key]
    value = given_as(name, key, EVERYTHING)
    value = value[0] if isinstance(value, list) else value
    done = odd.query(*name.split(), *([f"{param['flags'][0]}={value}"] if param["flags"] else [value]))
    assert "Traceback" not in done.err
    if param["flags"]:
        assert done.code == 0, done
        assert done.json[PLAN["messages"][PLAN["queries"][name]["message"]]["plural"]] == [] or name == "events timeline"
    else:
        assert (done.code, done.error["code"]) == (1, "NOT_FOUND")
    assert odd.db.read_bytes() == before


TIMES = st.sampled_from(["24h", "7d", "2026-03-01", "2026-03-01T10:00:00+02:00", "yesterday", "0001-01-01"])
WORDS = (
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
    | st.sampled_from([text for text in ATTACKS if len(text) < 100])
    | st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
)


def value_of(param: dict[str, Any]) -> st.SearchStrategy:
    """Any value that a parameter takes."""
    if param["choices"]:
        one: st.SearchStrategy = st.sampled_from(param["choices"])
    elif param["parts"]:
        return st.lists(WORDS, min_size=len(param["parts"]), max_size=len(param["parts"])).map("/".join)
    else:
        low, high = param["bounds"] or (-(2**63), 2**63 - 1)
        one = {
            "integer": st.integers(low, high),
            "number": st.floats(allow_nan=False, allow_infinity=False),
            "boolean": st.booleans(),
            "time": TIMES,
            "duration": st.sampled_from(["1h", "90s", "1h30m"]),
        }.get(param["type"], WORDS)
    return st.lists(one, min_size=1, max_size=5) if param["many"] else one


@st.composite
def questions(draw) -> tuple[dict[str, Any], dict[str, Any]]:
    """A query and values for some or all of its parameters, tokens apart."""
    declared = PLAN["queries"][draw(st.sampled_from(sorted(PLAN["queries"])))]
    params = {name: param for name, param in declared["params"].items() if not param["type"].endswith("_token")}
    chosen = draw(st.lists(st.sampled_from(sorted(params)), unique=True)) if params else []
    return declared, {name: draw(value_of(param)) for name, param in params.items() if name in chosen or param["required"]}


def same_shape(declared: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Other values in the same places; what chooses between pieces of the spec's own SQL stays."""
    group = declared["group"] and declared["group"]["param"]
    kept = {name: value for name, value in values.items() if name in ("sort", group) or isinstance(value, bool)}
    return {
        name: [f"other {number}" for number in range(len(value))]
        if isinstance(value, list)
        else 7
        if name in statement.PAGING
        else "other"
        for name, value in values.items()
    } | kept


def parsed(sql: str) -> tuple[set[str], set[str]]:
    """The literals of what must be one SELECT, and the names of its parameters."""
    (tree,) = sqlglot.parse(sql, dialect="sqlite")
    assert isinstance(tree, exp.Select)
    assert not list(tree.find_all(exp.Command, exp.Pragma, exp.Attach))
    return {node.this for node in tree.find_all(exp.Literal)}, {node.name for node in tree.find_all(exp.Placeholder)}


def all_literals() -> set[str]:
    """The literals of the spec's own SQL, with every filter and in every order."""
    found: set[str] = set()
    for declared in PLAN["queries"].values():
        values = {name: ["x"] if param["many"] or param["rising"] else "x" for name, param in declared["params"].items()}
        values |= {bind.part_name(name, part): "x" for name, of in declared["params"].items() for part, _ in of["parts"] or ()}
        for name in statement.PAGING:
            values.pop(name, None)
        group = declared["group"] or {"param": None}
        choices = [list(group["by"]), *([name] for name in group["by"])] if group["param"] else [None]
        for choice, part in product(choices, ("select", "count")):
            chosen = {group["param"]: choice} if choice else {}
            found |= parsed(query.statement(declared, part, values | chosen)[0])[0]
    return found


LITERALS = all_literals()


@pytest.mark.scenario("SPEC-04")
@settings(max_examples=250, deadline=None)
@given(questions())
def test_no_value_is_part_of_the_sql(question: tuple[dict[str, Any], dict[str, Any]]):
    declared, asked = question
    try:
        values = bind.bind(PLAN, declared, asked, NOW_MS).values
    except errors.InvalidArgument:
        return  # values that do not fit together
    for part in ("select", "count") if declared["paged"] else ("select",):
        sql, parameters = query.statement(declared, part, values)
        plain, _ = query.statement(declared, part, same_shape(declared, values))
        assert sql == plain
        literals, used = parsed(sql)
        assert literals <= LITERALS
        assert used <= parameters.keys() | set(declared["context"])
        assert not [name for name in used if isinstance(parameters.get(name), list)]


FORGED = ["' OR 1=1 --", "x\x00y", "{filters}", ":limit", "%1f", "🔥", ""]


def forged(odd: Kube9, text: str | int, **changes: int) -> query.Answer:
    """The answer to a page token that says what nobody gave out: another last id, and other numbers."""
    asked = bind.bind(PLAN, PLAN["queries"]["events list"], {}, NOW_MS)
    given_out = query.run(str(odd.db), asked, 30).next_page_token
    real = bind.bind(PLAN, asked.query, {"page_token": given_out}, NOW_MS).values["page_token"]
    said = {name: changes.get(name, getattr(real, name)) for name in ("lineage", "seq", "total", "exact", "offset")}
    token = bind.page_token(asked, bind.Cursor(**said, keys=["2026-03-01T11:00:00.000Z", text]))
    return query.run(str(odd.db), bind.bind(PLAN, asked.query, {"page_token": token}, NOW_MS), 30)


@pytest.mark.scenario("SPEC-04")
@pytest.mark.parametrize("text", FORGED, ids=ascii)
def test_what_a_forged_page_token_says_is_a_value_too(odd: Kube9, text: str):
    below = sorted((other for other in STRINGS if other.encode() < text.encode()), key=str.encode, reverse=True)
    assert [row[0] for row in forged(odd, text).rows] == below[:50]


@pytest.mark.parametrize("number", [2**63, 2**64, 10**30, -1, -(2**70)])
@pytest.mark.parametrize("place", ["lineage", "seq", "total", "offset", "key"])
def test_a_forged_page_token_with_a_number_that_none_can_have_is_refused(odd: Kube9, number: int, place: str):
    with pytest.raises((errors.InvalidArgument, errors.FailedPrecondition)):
        forged(odd, **({"text": number} if place == "key" else {"text": "x", place: number}))

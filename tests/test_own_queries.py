"""Queries of one's own (KUBE9_QUERIES): what they get, where their plan is kept, and that a hostile file harms nobody."""

import json
import os
import resource
import shutil
import site
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE, Kube9, Result, rows

QUERY = """\
version: 1
queries:
  pods failing:
    summary: Count what fails by pod
    returns: page of FailingPod
    fields: {object_name: string, failures: {type: integer, present: true}}
    filters:
      since: {column: last_seen_at, op: ">=", type: time, doc: only what went on at this time or later}
      object-namespace: {column: object_namespace, flags: [-n], doc: only in this namespace}
    sql: |
      SELECT object_name, count(*) AS failures FROM events
      WHERE severity IN ('error', 'critical') AND object_kind = 'Pod' AND {filters}
      GROUP BY object_name ORDER BY failures DESC, object_name
    examples: [kube9 query pods failing --since 24h]
"""
EXPECTED = (
    "SELECT object_name, count(*) FROM events WHERE severity IN ('error', 'critical') AND object_kind = 'Pod'"
    " GROUP BY 1 ORDER BY 2 DESC, 1"
)
MEMORY = 2 * 1024**3  # bytes of address space that a process gets here; kube9 needs a tenth of it
CPU_S = 60  # nothing here takes so much, but what has no end


def declared(name: str = "mine", sql: str = "SELECT 1 AS n", fields: str = "{n: string}", more: str = "") -> str:
    """A file with one query."""
    text = "".join(f"      {line}\n" for line in sql.splitlines())
    message = "".join(word.capitalize() for word in name.replace("-", " ").split())
    return (
        f"version: 1\nqueries:\n  {name}:\n    summary: Mine\n    returns: page of {message}Row\n"
        f"    fields: {fields}\n{more}    sql: |\n{text}"
    )


def bounded() -> None:
    """Bounds of this process, which a hostile file must not reach."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


class Own(Kube9):
    """kube9 with files of queries in a directory, and bounds to what a process of it may take."""

    def __init__(self, folder: Path, cache: Path, database: Path) -> None:
        super().__init__(folder, cache)
        self.db, self.own = database, folder / "own"
        self.own.mkdir()
        self.env["KUBE9_QUERIES"] = str(self.own)

    def write(self, text: str | bytes, name: str = "mine.yaml") -> Path:
        path = self.own / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def __call__(self, *words, db: bool = True, env: dict | None = None, **_) -> Result:
        done = subprocess.run(
            self.command(*words, db=db),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=self.env | (env or {}),
            cwd=ROOT,
            preexec_fn=bounded,
        )
        out, err = done.stdout.decode(errors="backslashreplace"), done.stderr.decode(errors="backslashreplace")
        return Result(subprocess.CompletedProcess(done.args, done.returncode, out, err))

    def problems(self) -> list[str]:
        """What `query status` says is wrong, which must answer."""
        done = self.query("status")
        assert (done.code, done.err) == (0, ""), done
        return done.json["query_problems"]

    def plans(self) -> dict[str, int]:
        """The files of the cache, each with its inode: a plan that is written again gets another one."""
        folder = Path(self.env["XDG_CACHE_HOME"]) / "kube9"
        return {path.name: path.stat().st_ino for path in folder.glob("*")}


@pytest.fixture
def own(tmp_path: Path, cache: Path, sampled: Kube9) -> Own:
    return Own(tmp_path, cache, sampled.db)


def one_error(done: Result, code: str, exit_code: int = 1) -> dict:
    """The one JSON object that stderr must hold."""
    assert (done.code, done.out) == (exit_code, ""), done
    (line,) = done.err.splitlines()
    error = json.loads(line)
    assert error["code"] == code, done
    return error


def unharmed(own: Own) -> None:
    """The built-in queries answer."""
    done = own.query("events", "list", "--limit", "1")
    assert (done.code, done.err, len(done.json["events"])) == (0, "", 1), done


# What they get.


def as_a_file(own: Own) -> None:
    own.env["KUBE9_QUERIES"] = str(own.write(QUERY, "anything.txt"))


def as_a_directory(own: Own) -> None:
    own.write(QUERY)
    own.write("no YAML: [", "README.md")
    own.write("no YAML: [", ".hidden.yaml")


def as_a_config_map(own: Own) -> None:
    """As the kubelet mounts one: a dated directory, ..data that points to it, and links through ..data."""
    dated = own.own / "..2026_03_01_10_00_00.123456789"
    dated.mkdir()
    (dated / "mine.yaml").write_text(QUERY)
    (own.own / "..data").symlink_to(dated.name)
    (own.own / "mine.yaml").symlink_to("..data/mine.yaml")


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize("laid_out", [as_a_file, as_a_directory, as_a_config_map])
def test_a_query_of_ones_own_answers(own: Own, laid_out):
    laid_out(own)
    done = own.query("pods", "failing", "--limit", "1000")
    assert (done.code, done.err) == (0, "")
    assert [tuple(row.values()) for row in done.json["failing_pods"]] == rows(own.db, EXPECTED)
    assert done.json["failing_pods"]
    assert own.problems() == []
    unharmed(own)


@pytest.mark.scenario("SPEC-05")
def test_it_has_help_formats_and_pages(own: Own):
    own.write(QUERY)
    assert "pods" in own.query("--help", db=False).out
    shown = own.query("pods", "failing", "--help", db=False).out
    for said in ("Count what fails by pod", "--since", "-n", "--limit", "kube9 query pods failing --since 24h"):
        assert said in shown
    everything = rows(own.db, EXPECTED)
    second = own.query("pods", "failing", "--limit", "1", "--offset", "1").json
    assert [tuple(row.values()) for row in second["failing_pods"]] == everything[1:2]
    first = own.query("pods", "failing", "--limit", "1").json["pagination"]
    assert (first["total"], first["returned"]) == (len(everything), 1)
    after = own.query("pods", "failing", "--limit", "1", "--page-token", first["next_page_token"]).json
    assert after["failing_pods"] == second["failing_pods"]
    as_csv = own.query("pods", "failing", "--format", "csv", "--all").out.splitlines()
    assert as_csv == ["object_name,failures", *(f"{name},{count}" for name, count in everything)]
    as_lines = own.query("pods", "failing", "--format", "jsonl", "--limit", "1000").out.splitlines()
    assert [tuple(json.loads(line).values()) for line in as_lines] == everything
    assert own.query("pods", "failing", "--format", "table").out.splitlines()[0].split() == ["OBJECT", "NAME", "FAILURES"]
    assert one_error(own.query("pods", "failing", "--since", "yore"), "INVALID_ARGUMENT")


@pytest.mark.scenario("SPEC-05")
def test_it_is_a_typed_method_of_the_library(own: Own):
    own.write(QUERY)
    code = f"""
import kube9
with kube9.connect({str(own.db)!r}) as db:
    page = db.pods.failing(limit=1, since="9000d")
    (row,) = page.failing_pods
    print(type(page).__name__, type(row).__name__, row.object_name, row.failures, len(list(db.pods.failing_all())))
    try:
        db.pods.failing(since="yore")
    except kube9.errors.InvalidArgument:
        print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], env=own.env, cwd=ROOT, capture_output=True, text=True)
    name, failures = rows(own.db, EXPECTED)[0]
    count = len(rows(own.db, EXPECTED))
    assert done.stdout.splitlines() == [f"FailingPodsResponse FailingPod {name} {failures} {count}", "refused"], done.stderr


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((), None),
        (("--object-namespace", "shop"), "shop"),
        (("--object-namespace", "shop", "--object-namespace", "default"), None),
        (("--reason", "BackOff"), None),
    ],
)
def test_sql_of_ones_own_learns_which_namespace_alone_is_asked_for(own: Own, words: tuple[str, ...], asked: str | None):
    filters = "object-namespace: {column: object_namespace, op: in}, reason: {column: reason}"
    sql = "SELECT :asked_namespace AS n, count(*) AS events FROM events WHERE {filters}"
    own.write(declared(sql=sql, fields="{n: string, events: integer}", more=f"    filters: {{{filters}}}\n"))
    (row,) = own.query("mine", *words).json["mine_rows"]
    assert row["n"] == asked
    assert not words or 0 < row["events"] < rows(own.db, "SELECT count(*) FROM events")[0][0]  # still a filter


def test_capabilities_tell_it_from_a_built_in(own: Own):
    own.write(QUERY)
    found = {listed["name"]: listed["own"] for listed in own.query("capabilities").json["queries"]}
    assert found["pods failing"] is True
    assert found["events list"] is False


def test_a_file_may_use_types_and_messages_of_kube9_and_of_another_file(own: Own):
    own.write(
        "version: 1\ntypes: {Shade: [error, critical]}\nqueries: {a-one: {summary: One, returns: page of Event}}\n", "a.yaml"
    )
    more = "    filters: {shade: {column: severity, type: Shade}}\n"
    own.write(declared("b-one", "SELECT id AS n FROM events WHERE {filters}", more=more), "b.yaml")
    assert own.problems() == []
    assert "did you mean error?" in one_error(own.query("b-one", "--shade", "eror"), "INVALID_ARGUMENT")["error"]
    assert len(own.query("a-one", "--limit", "3").json["events"]) == 3


# A bad file takes nothing else down.


@pytest.mark.scenario("SPEC-05")
def test_a_bad_file_takes_nothing_else_down(own: Own):
    own.write(QUERY)
    wrong = own.write(declared("wrong", "SELECT titel AS n FROM events"), "a-wrong.yaml")
    assert own.query("pods", "failing").code == 0
    unharmed(own)
    (problem,) = own.problems()
    assert problem.startswith(f"{wrong}:8:14: wrong: ")
    assert 'did you mean "title"?' in problem
    used = one_error(own.query("wrong"), "INVALID_ARGUMENT")
    assert problem in used["details"]
    people = own.query("status", "--format", "table").out
    assert "a-wrong.yaml:8:14" in people


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("queries: {events list: {summary: Mine, returns: page of Event}}", '"events list" is there already'),
        ("queries: {status: {summary: Mine, returns: Event, arguments: {id: {column: id}}}}", '"status" is there already'),
        ("queries: {events: {summary: Mine, returns: page of Event}}", '"events" is a group'),
        (
            "messages: {Event: {from: events, fields: {id: string}}}\nqueries: {mine: {summary: M, returns: Event}}",
            '"Event" is there',
        ),
        ("types: {Severity: [bad]}\nqueries: {mine: {summary: M, returns: page of Event}}", '"Severity" is there already'),
        (
            "queries: {mine: {summary: M, returns: page of EventInterval, fields: {n: string}, sql: SELECT 1 AS n}}",
            "EventInterval",
        ),
    ],
)
def test_nothing_built_in_is_redefined(own: Own, text: str, said: str):
    before = own.query("events", "timeline", "--since", "2026-03-01", "--until", "2026-03-02").json
    own.write(f"version: 1\n{text}\n")
    problems = own.problems()
    after = own.query("events", "timeline", "--since", "2026-03-01", "--until", "2026-03-02")
    assert (after.code, after.err) == (0, "")
    assert after.json == before
    assert any(said in problem for problem in problems), problems
    unharmed(own)


@pytest.mark.parametrize("name", ["path", "close", "events list-all", "events watch", "events import"])
def test_a_query_takes_no_name_that_the_library_has(own: Own, name: str):
    """Whatever a user's query is called, the library's own methods do what they did."""
    own.write(declared(name))
    code = f"""
import kube9
with kube9.connect({str(own.db)!r}) as db:
    print(db.path, len(db.events.list(limit=2)), len(list(db.events.list_all())), db.close.__name__)
    print(type(next(iter(db.events.list_all()))).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], env=own.env, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"{own.db} 2 132 close", "Event"], done.stderr


@pytest.mark.parametrize("field", ["model_config", "model_dump", "model_fields", "copy", "schema", "class", "from", "json"])
def test_a_field_takes_no_name_that_the_library_has(own: Own, field: str):
    own.write(QUERY)
    own.write(declared("odd", f'SELECT 1 AS "{field}"', fields=f"{{{field}: string}}"), "odd.yaml")
    code = (
        f"import kube9; db = kube9.connect({str(own.db)!r}); print(len(db.events.list(limit=2)), len(db.pods.failing(limit=1)))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=own.env, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "1"], done.stderr


@pytest.mark.scenario("SPEC-05")
def test_of_two_files_with_the_same_query_the_first_counts(own: Own):
    own.write(declared("twice", "SELECT 'first' AS n"), "a.yaml")
    second = own.write(declared("twice", "SELECT 'second' AS n"), "b.yaml")
    assert [row["n"] for row in own.query("twice").json["twice_rows"]] == ["first"]
    problems = own.problems()
    assert all(problem.startswith(f"{second}:") for problem in problems)
    assert f'{second}:3:3: "twice" is there already' in problems


def test_two_files_with_the_same_message_do_not_mix(own: Own):
    own.write(declared("one", fields="{n: integer}").replace("OneRow", "Same"), "a.yaml")
    own.write(declared("two", "SELECT 1 AS k", fields="{k: string}").replace("TwoRow", "Same"), "b.yaml")
    done = own.query("one")
    assert (done.code, done.err) == (0, ""), done
    assert done.json["sames"] == [{"n": 1}]
    assert len(own.problems()) == 1


# Where the plan is kept.


@pytest.fixture
def alone(own: Own, tmp_path: Path) -> Own:
    """With a cache of its own."""
    own.env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    own.write(QUERY)
    return own


@pytest.mark.scenario("SPEC-05")
def test_the_plan_is_kept_and_used_again(alone: Own):
    alone.query("pods", "failing")
    kept = alone.plans()
    assert len(kept) == 2  # the built-in one and theirs
    alone.query("pods", "failing")
    alone.query("status")
    assert alone.plans() == kept


def edited(own: Own) -> None:
    own.write(QUERY.replace("Count what fails by pod", "Count what breaks by pod"))


def added(own: Own) -> None:
    own.write(declared("another"), "another.yaml")


def removed(own: Own) -> None:
    (own.own / "mine.yaml").unlink()


def renamed(own: Own) -> None:
    (own.own / "mine.yaml").rename(own.own / "yours.yaml")


def as_long_and_as_old(own: Own) -> None:
    """An edit that neither the size nor the time of the file tells."""
    path = own.own / "mine.yaml"
    before = path.stat()
    path.write_text(QUERY.replace("Count what fails by pod", "Count what falls by pod"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize("change", [edited, added, removed, renamed, as_long_and_as_old])
def test_the_plan_is_stale_after_a_change(alone: Own, change):
    alone.query("status")
    kept = alone.plans()
    change(alone)
    alone.query("status")
    now = alone.plans()
    assert len(now.keys() - kept.keys()) == 1
    assert {name: now[name] for name in kept} == kept  # the built-in one stays as it is
    assert ("pods" in alone.query("--help", db=False).out) == (change is not removed)


@pytest.mark.scenario("SPEC-05")
def test_a_config_map_that_changes_is_noticed(own: Own):
    as_a_config_map(own)
    own.query("pods", "failing")
    dated = own.own / "..2026_03_02_10_00_00.987654321"
    dated.mkdir()
    (dated / "mine.yaml").write_text(QUERY.replace("pods failing", "pods broken"))
    (own.own / "..next").symlink_to(dated.name)
    (own.own / "..next").rename(own.own / "..data")  # as the kubelet swaps it
    assert own.query("pods", "broken").code == 0
    assert own.query("pods", "failing").code == 1


def test_without_a_place_to_write_it_is_compiled_each_time(own: Own):
    own.write(QUERY)
    done = own.query("pods", "failing", env={"XDG_CACHE_HOME": "/dev/null"})
    assert (done.code, done.err) == (0, "")


COMPILERS = ("kube9.compiler", "kube9.declared", "kube9.spec", "sqlglot", "ruamel", "pydantic")
KEEP = "from kube9 import fresh; print(fresh.keep_for_all())"
# A process in which nothing that compiles can be imported.
WITHOUT = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in {COMPILERS!r}:
            raise ImportError(f"not here: {{name}}")
sys.meta_path.insert(0, Refuse())
sys.argv = ["kube9", *sys.argv[1:]]
from kube9.__main__ import main
sys.exit(main())
"""


def without_compiler(own: Own, *words: str, env: dict) -> Result:
    command = [sys.executable, "-c", WITHOUT, *words]
    return Result(subprocess.run(command, env=own.env | env, cwd=ROOT, capture_output=True, text=True))


@pytest.fixture
def served(alone: Own, tmp_path: Path) -> tuple[Own, dict, Path]:
    """A data directory, and an environment that can write nowhere else; the built-in plan is there as a wheel has it."""
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(alone.db, data / "kube9.db")
    empty = alone.own.parent / "nothing"
    empty.mkdir()
    assert alone.query("status", env={"KUBE9_QUERIES": ""}).code == 0  # the built-in plan alone
    return alone, {"DB_PATH": str(data)}, data


def keep(own: Own, env: dict) -> str:
    done = subprocess.run([sys.executable, "-c", KEEP], env=own.env | env, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.scenario("SPEC-05")
def test_serve_keeps_the_plan_for_those_who_cannot_compile(served):
    own, env, data = served
    refused = without_compiler(own, "query", "pods", "failing", env=env)
    assert "not here: kube9.compiler" in refused.err  # so the compiler is really away
    assert keep(own, env) == "[]"
    (kept,) = data.glob("queries-*.marshal")
    done = without_compiler(own, "query", "pods", "failing", env=env)
    assert (done.code, done.err) == (0, "")
    assert [tuple(row.values()) for row in done.json["failing_pods"]] == rows(own.db, EXPECTED)[:50]
    before = kept.stat().st_ino
    assert keep(own, env) == "[]"
    assert kept.stat().st_ino == before  # it fits, so it is not written again


@pytest.mark.scenario("SPEC-05")
def test_serve_keeps_the_plan_where_only_a_launcher_knows_where_kube9_lies(served, tmp_path: Path):
    own, env, data = served
    launcher = tmp_path / "kube9"  # as in the image, where no environment and no site-packages tells
    launcher.write_text(f"import sys; sys.path += {[str(ROOT), *site.getsitepackages()]!r}; {KEEP}")
    known = {name: value for name, value in (own.env | env).items() if name != "PYTHONPATH"}
    bare = str(Path(sys.base_prefix) / "bin" / "python3")  # into which nothing is installed
    done = subprocess.run([bare, "-IS", str(launcher)], env=known, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
    assert len(list(data.glob("queries-*.marshal"))) == 1


@pytest.mark.scenario("SPEC-05")
def test_serve_keeps_the_plan_of_now_and_the_one_before(served):
    own, env, data = served
    keep(own, env)
    (oldest,) = data.glob("queries-*")
    edited(own)
    assert "not here" in without_compiler(own, "query", "pods", "failing", env=env).err  # stale, and not used
    keep(own, env)
    assert len(list(data.glob("queries-*"))) == 2  # a version that is gone back to finds its own
    assert without_compiler(own, "query", "pods", "failing", env=env).code == 0
    os.utime(oldest, (0, 0))
    own.write(declared("more", "SELECT title AS n FROM events"), "more.yaml")
    keep(own, env)
    assert len(list(data.glob("queries-*"))) == 2
    assert not oldest.exists()


@pytest.mark.scenario("SPEC-05")
def test_serve_keeps_what_is_wrong_too(served):
    own, env, _ = served
    wrong = own.write(declared("wrong", "SELECT titel AS n FROM events"), "wrong.yaml")
    assert f"{wrong}:8:14: wrong: " in keep(own, env)
    done = without_compiler(own, "query", "status", env=env)
    assert done.code == 0, done
    assert done.json["query_problems"][0].startswith(f"{wrong}:8:14: ")


@pytest.mark.parametrize("content", [b"", b"no plan", bytes(5000)])
def test_a_damaged_plan_on_the_data_volume_is_not_used(served, content: bytes):
    own, env, data = served
    keep(own, env)
    (kept,) = data.glob("queries-*")
    kept.write_bytes(content)
    assert own.query("pods", "failing", env=env, db=False).code == 0
    keep(own, env)  # and at the next start it is mended
    assert without_compiler(own, "query", "pods", "failing", env=env).code == 0


def test_keeping_leaves_other_files_alone_and_needs_no_place(served):
    own, env, data = served
    (data / "queries-notes.txt").write_text("mine")
    keep(own, env)
    assert (data / "queries-notes.txt").read_text() == "mine"
    assert keep(own, {"DB_PATH": "/proc/nowhere"}) == "[]"


# Hostile files: refused with one error at their place, and nothing else is harmed.

REFUSED = {
    "attach": "ATTACH DATABASE '/tmp/x.db' AS x",
    "detach": "DETACH DATABASE main",
    "pragma": "PRAGMA writable_schema = 1",
    "pragma function": "SELECT name AS n FROM pragma_table_info('events')",
    "pragma function, joined": "SELECT p.name AS n FROM events, pragma_table_info(events.id) AS p",
    "insert": "INSERT INTO events (id) VALUES ('x') RETURNING id AS n",
    "update": "UPDATE events SET title = 'x' RETURNING id AS n",
    "delete": "WITH t AS (SELECT 1) DELETE FROM events RETURNING id AS n",
    "drop": "DROP TABLE events",
    "create": "CREATE TABLE x AS SELECT 1 AS n",
    "temp table": "CREATE TEMP TABLE x AS SELECT 1 AS n",
    "vacuum": "VACUUM INTO '/tmp/x.db'",
    "begin": "BEGIN EXCLUSIVE",
    "several": "SELECT 1 AS n; DELETE FROM events",
    "several, hidden": "SELECT 1 AS n --;\n; DELETE FROM events",
    "schema": "SELECT name AS n FROM sqlite_master",
    "schema, quoted": 'SELECT name AS n FROM "sqlite_master"',
    "schema, in brackets": "SELECT name AS n FROM [sqlite_schema]",
    "schema, qualified": "SELECT name AS n FROM main.sqlite_schema",
    "schema, temp": "SELECT name AS n FROM temp.sqlite_temp_schema",
    "schema, below": "SELECT (SELECT sql FROM sqlite_master LIMIT 1) AS n",
    "schema, in a set": "SELECT id AS n FROM events WHERE id IN sqlite_master",
    "schema, united": "SELECT 1 AS n UNION ALL SELECT sql FROM sqlite_master",
    "pages": "SELECT pgno AS n FROM dbstat",
    "explain": "EXPLAIN SELECT 1 AS n",
    "nested parentheses": "SELECT " + "(" * 3000 + "1" + ")" * 3000 + " AS n",
    "nested not": "SELECT " + "NOT " * 5000 + "1 AS n",
    "nested case": "SELECT " + "CASE WHEN 1 THEN " * 500 + "1" + " END" * 500 + " AS n",
    "nested select": "SELECT * FROM (" * 400 + "SELECT 1 AS n" + ")" * 400,
    "long sum": "SELECT " + "1+" * 20_000 + "1 AS n",
    "nothing": "-- nothing",
    "open comment": "SELECT 1 AS n /*",
    "closes its own bracket": "SELECT 1 AS n) UNION SELECT sql FROM sqlite_master --",
}


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize("case", REFUSED)
def test_sql_that_is_no_harmless_select_is_refused(own: Own, case: str):
    before = own.db.read_bytes()
    path = own.write(declared(sql=REFUSED[case]))
    (problem,) = own.problems()
    assert problem.startswith(f"{path}:")
    assert len(problem) < 1000
    assert problem in one_error(own.query("mine"), "INVALID_ARGUMENT")["details"]
    unharmed(own)
    assert own.db.read_bytes() == before


# What passes the check of the text, because a name of its own hides the table or because functions are not looked at.
FORBIDDEN = {
    "schema behind a name": "WITH sqlite_master AS (SELECT 1 AS x) SELECT sql AS n FROM main.sqlite_master",
    "newer name of the schema": "WITH sqlite_schema AS (SELECT 1 AS x) SELECT sql AS n FROM main.sqlite_schema",
    "files behind a name": "WITH pragma_database_list AS (SELECT 1 AS x) SELECT file AS n FROM main.pragma_database_list",
    "pragmas behind a name": "WITH pragma_collation_list AS (SELECT 1 AS x) SELECT name AS n FROM main.pragma_collation_list",
    "temp schema behind a name": "WITH sqlite_temp_master AS (SELECT 1 AS x) SELECT sql AS n FROM temp.sqlite_temp_master",
    "extension": "SELECT load_extension('/tmp/x.so') AS n",
    "extension over a table": "SELECT load_extension('/tmp/x.so') AS n FROM events",
    "tokenizer": "SELECT fts3_tokenizer('simple') AS n",
}


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize("case", FORBIDDEN)
@pytest.mark.parametrize("beside", ["", ", events"])
def test_what_the_check_of_the_text_lets_through_the_authorizer_refuses(own: Own, case: str, beside: str):
    """With a table of the file beside it, so that it runs on the real database, and without."""
    sql = FORBIDDEN[case]
    if beside and "events" not in sql:
        sql += beside if " FROM " in sql else " FROM events"
    own.write(declared(sql=sql))
    done = own.query("mine", "--format", "csv")
    assert done.code in (1, 3), done
    assert done.out == ""
    assert "Traceback" not in done.err
    (line,) = done.err.splitlines()
    assert json.loads(line)["code"] in ("PERMISSION_DENIED", "INVALID_ARGUMENT"), done
    assert "CREATE TABLE" not in done.err
    unharmed(own)


ENDLESS = {
    "recursion over nothing": "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) AS n FROM c",
    "recursion over a table": (
        "WITH RECURSIVE c (x) AS (SELECT count(*) FROM events UNION ALL SELECT x + 1 FROM c) SELECT max(x) AS n FROM c"
    ),
    "recursion that counts": "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT '' || x AS n FROM c",
    "cartesian join": "SELECT count(*) AS n FROM events a, events b, events c, events d, events e, events f",
    "cartesian sort": "SELECT a.id AS n FROM events a, events b, events c, events d, events e ORDER BY random()",
    "one pattern": "SELECT hex(zeroblob(49000)) LIKE '%' || hex(zeroblob(20000)) || '1%' AS n FROM events a, events b",
}


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize("case", ENDLESS)
def test_what_has_no_end_is_stopped_by_the_time_limit(own: Own, case: str):
    own.write(declared(sql=ENDLESS[case]))
    one_error(own.query("mine", "--timeout", "1s"), "DEADLINE_EXCEEDED", 2)
    unharmed(own)


NUMBERS = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 10000)"
HUGE = {
    "zeroblob": "zeroblob(100000000)",
    "hex": "hex(zeroblob(50000000))",
    "randomblob": "randomblob(100000000)",
    "replace": "replace(hex(zeroblob(10000)), '0', hex(zeroblob(10000)))",
    "printf": "printf('%100000000d', 1)",
    "printf of a character": "printf('%.*c', 100000000, 'x')",
    "group_concat": f"({NUMBERS} SELECT group_concat(hex(zeroblob(100000)) || x) FROM c)",
    "json_group_array": f"({NUMBERS} SELECT json_group_array(hex(zeroblob(100000)) || x) FROM c)",
    "concatenation": "hex(zeroblob(4000000)) || hex(zeroblob(4000000))",
    "distinct": (
        "(WITH RECURSIVE c (x) AS (SELECT hex(randomblob(1000000)) UNION SELECT hex(randomblob(1000000)) FROM c) "
        "SELECT count(x) FROM c)"
    ),
}


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize("case", HUGE)
@pytest.mark.parametrize("source", ["", " FROM events"])
def test_a_huge_value_is_one_error(own: Own, case: str, source: str):
    """In a process that may take little memory."""
    own.write(declared(sql=f"SELECT length({HUGE[case]}) AS n{source}"))
    done = own.query("mine", "--timeout", "3s")
    if "printf" in case and done.code == 0:
        assert {row["n"] for row in done.json["mine_rows"]} == {None}  # so SQLite's printf says that it was too long
        return
    assert (done.code in (1, 2), done.out) == (True, ""), done
    (line,) = done.err.splitlines()
    assert json.loads(line)["code"] in ("INVALID_ARGUMENT", "UNAVAILABLE", "DEADLINE_EXCEEDED"), done
    unharmed(own)


def test_many_large_values_in_one_answer_are_one_error(own: Own):
    """A thousand rows of 80 KB each: the bound is not only for each value."""
    own.write(declared(sql=f"{NUMBERS} SELECT hex(zeroblob(40000)) AS n FROM c, events"))
    one_error(own.query("mine", "--limit", "1000", "--format", "csv"), "UNAVAILABLE")


ODD_VALUES = {
    "bytes": ("x'00ff'", "string"),
    "infinity": ("1e999", "number"),
    "no UTF-8": ("CAST(x'ff' AS TEXT)", "string"),
    "no JSON": ("'{\"a\": '", "json"),
    "no array": ("'\"'", "array"),
    "text as a number": ("'many'", "integer"),
    "text as a boolean": ("'many'", "boolean"),
}


@pytest.mark.parametrize("case", ODD_VALUES)
@pytest.mark.parametrize("source", ["", " FROM events"])
@pytest.mark.parametrize("form", ["json", "jsonl", "yaml"])
def test_an_answer_is_valid_whatever_a_query_selects(own: Own, case: str, source: str, form: str):
    value, kind = ODD_VALUES[case]
    own.write(declared(sql=f"SELECT {value} AS n{source}", fields=f"{{n: {kind}}}"))
    done = own.query("mine", "--limit", "1", "--format", form)
    assert "Traceback" not in done.err
    if done.code:
        (line,) = done.err.splitlines()
        assert json.loads(line)["code"] != "INTERNAL"
    elif form != "yaml":

        def strict(name: str):
            raise ValueError(f"{name} is not JSON")

        json.loads(done.out, parse_constant=strict)


def each(count: int, text: str, first: int = 0) -> str:
    """The text again and again, with <i> for its number and <h> for the one before."""
    return "".join(text.replace("<i>", str(number)).replace("<h>", str(number - 1)) for number in range(first, count))


QUERIES = "version: 1\nqueries:\n"
EVENTS = f"{QUERIES}  a:\n    summary: a\n    returns: page of Event\n"
NINE = "[" + ", ".join(["*a<h>"] * 9) + "]"
KEYS = "{" + each(3000, "k<i>: 1, ") + "}\n"
FILES = {
    "empty": ("", "must hold a mapping"),
    "comment": ("# nothing\n", "must hold a mapping"),
    "not UTF-8": (b"version: 1\n# \xff\xfe\n", "not UTF-8"),
    "UTF-16": ("version: 1\n".encode("utf-16"), "not UTF-8"),
    "binary": (bytes(range(256)), "UTF-8"),
    "zeros": (bytes(1000), "character"),
    "no YAML": ("version: [", ""),
    "a literal of 100 MB": (None, "100000000 bytes, and at most 262144 are read"),
    "a YAML bomb": ("a0: &a0 [x, x, x]\n" + each(9, f"a<i>: &a<i> {NINE}\n", 1), "aliases count each time"),
    "a YAML bomb of itself": ("a: &a [*a]\n", ""),
    "a YAML bomb of merges": ("a0: &a0 {k: 1}\n" + each(12, f"a<i>: &a<i> {{<<: {NINE}, k<i>: 1}}\n", 1), ""),
    "many merges": (f"a: &a {KEYS}b: {{<<: [{each(20_000, '*a, ')}]}}\n", ""),
    "merges of merges": (f"a0: &a0 {KEYS}" + each(3000, "a<i>: &a<i> {<<: *a<h>, z<i>: 1}\n", 1), ""),
    "nested lists": ("[" * 5000, "nested"),
    "nested mappings": ("{a: " * 5000, "nested"),
    "nested in blocks": ("- " * 5000, "nested"),
    "Python": ("!!python/object/apply:os.system ['exit 1']\n", ""),
    "10,000 queries": (QUERIES + each(10_000, "  q<i>: {summary: a, returns: page of Event}\n"), "at most 262144 are read"),
    "6,000 queries": (QUERIES + each(6000, "  q<i>: {summary: a, returns: A}\n"), "at most 500"),
    "15,000 mistakes": (EVENTS + each(15_000, "    kez<i>: 1\n"), "no key"),
    "15,000 wrong names": (
        f"{EVENTS}    filters:\n{each(1500, '      filter-<i>: {column: id}' + chr(10))}"
        f"      z: {{column: id, excludes: [{each(15_000, 'f-nb-<i>, ')}]}}\n",
        "no filter",
    ),
    "50,000 values in SQL": (declared(sql=f"SELECT id AS n FROM events WHERE id IN ({'1, ' * 50_000} sqlite_master.x)"), ""),
    "odd keys": (f"{QUERIES}  ? [a, b]\n  : {{}}\n  ~: {{}}\n  1: {{}}\n  2020-01-01: {{}}\n  1.5: {{}}\n", ""),
}


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize("case", FILES)
def test_a_hostile_file_is_refused_and_harms_nobody(own: Own, case: str):
    content, said = FILES[case]
    own.write(QUERY, "good.yaml")
    path = own.own / "hostile.yaml"
    if content is None:
        path.touch()
        os.truncate(path, 100_000_000)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = own.problems()
    assert found
    assert all(problem.startswith(f"{path}:") for problem in found)
    assert any(said in problem for problem in found), found
    assert len(json.dumps(found)) < 200_000  # an error that can be read
    assert own.query("pods", "failing").code == 0
    unharmed(own)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.mkdir()


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def long_name(path: Path) -> None:
    path.symlink_to("x" * 250 + "/" + "y" * 255)


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize("made", [fifo, directory, dangling, to_itself, device, long_name])
@pytest.mark.parametrize("named", [False, True])
def test_what_is_no_file_is_one_error(own: Own, made, named: bool):
    """In the directory, or named itself by KUBE9_QUERIES; a directory named so is one of queries."""
    own.write(QUERY, "good.yaml")
    path = own.own / "odd.yaml"
    made(path)
    if named:
        own.env["KUBE9_QUERIES"] = str(path)
    found = own.problems()
    assert len(found) == (0 if named and made is directory else 1)
    assert all(problem.startswith(f"{path}:1:1: ") for problem in found)
    assert named or own.query("pods", "failing").code == 0
    unharmed(own)


@pytest.mark.parametrize(
    "name", [b"\xff.yaml", b"a:b.yaml", b"new\nline.yaml", "ключ.yaml".encode(), b"a b.yaml", b"%s{}.yaml"]
)
@pytest.mark.parametrize("text", [QUERY, "version: 2\n"])
def test_a_file_may_have_any_name(own: Own, name: bytes, text: str):
    path = os.fsencode(own.own) + b"/" + name
    Path(os.fsdecode(path)).write_text(text)
    assert len(own.problems()) == (0 if text == QUERY else 2)
    if text == QUERY:
        assert own.query("pods", "failing").code == 0
    assert "Traceback" not in own.query("nothing").err
    unharmed(own)


@pytest.mark.scenario("SPEC-05")
def test_a_file_without_permission_is_one_error(cache: Path, sampled: Kube9):
    folder = Path(tempfile.mkdtemp())
    try:
        own = Own(folder, cache, sampled.db)
        own.write(QUERY, "good.yaml")
        secret = own.write(declared("secret"), "secret.yaml")
        secret.chmod(0)

        def command(*words: str) -> Result:
            run = own.command("query", *words)
            if os.geteuid() == 0:  # root reads all, unless these capabilities are taken away
                assert shutil.which("setpriv"), "setpriv is part of util-linux"
                run = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *run]
            return Result(subprocess.run(run, env=own.env, cwd=ROOT, capture_output=True, text=True))

        done = command("status")
        assert (done.code, done.err) == (0, "")
        assert done.json["query_problems"] == [f"{secret}:1:1: cannot be read: Permission denied"]
        assert command("pods", "failing").code == 0
        assert command("secret").error["code"] == "INVALID_ARGUMENT"
        own.own.chmod(0)
        done = command("status")
        assert (done.code, done.err) == (0, "")
        assert len(done.json["query_problems"]) == 1
    finally:
        (folder / "own").chmod(0o755)
        shutil.rmtree(folder)


def test_too_many_files_are_one_error(own: Own):
    for number in range(101):
        own.write(declared(f"q{number}"), f"{number}.yaml")
    assert own.problems() == [f"{own.own}:1:1: holds 101 files, and at most 100 are read"]
    unharmed(own)


def test_a_place_that_is_not_there_is_one_error(own: Own):
    own.env["KUBE9_QUERIES"] = "/nowhere/queries"
    assert own.problems() == ["/nowhere/queries:1:1: cannot be read: No such file or directory"]
    unharmed(own)


def test_recording_goes_on_beside_a_bad_file(kube9: Kube9, tmp_path: Path):
    (tmp_path / "wrong.yaml").write_text("version: [")
    done = kube9("import", SAMPLE, env={"KUBE9_QUERIES": str(tmp_path / "wrong.yaml")})
    assert (done.code, done.err) == (0, "")


def test_sql_of_ones_own_may_use_json(own: Own):
    """SQLite's table-valued functions for JSON read nothing but their argument."""
    own.write(declared(sql="SELECT DISTINCT key AS n FROM events, json_each(events.metadata)"))
    assert own.problems() == []
    assert own.query("mine").code == 0


def test_sql_of_ones_own_may_count_what_it_made_itself(own: Own):
    """SQLite asks the authorizer for a name of WITH as for a table, when none of its columns is used."""
    made = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 10)"
    own.write(
        declared(
            sql=f"{made} SELECT (SELECT count(*) FROM c) AS n, count(*) AS m FROM events", fields="{n: integer, m: integer}"
        )
    )
    done = own.query("mine")
    assert (done.code, done.err) == (0, ""), done
    assert done.json["mine_rows"] == [{"n": 10, "m": 132}]


def test_a_file_that_is_exchanged_while_it_is_compiled_is_compiled_again(alone: Own, monkeypatch: pytest.MonkeyPatch):
    from kube9 import compiler, fresh, plan

    path = alone.write(declared("mine", "SELECT 1 AS n", fields="{n: integer}"))
    for name in ("XDG_CACHE_HOME", "KUBE9_QUERIES"):
        monkeypatch.setenv(name, str(alone.env.get(name) or path))
    compiled = compiler.compile_own

    def exchanged(*given):
        alone.write(declared("other", "SELECT 1 AS n", fields="{n: integer}"))  # as the kubelet does with a ConfigMap
        return compiled(*given)

    monkeypatch.setattr(compiler, "compile_own", exchanged)
    assert "mine" in fresh.current()["queries"]
    monkeypatch.setattr(compiler, "compile_own", compiled)
    assert plan.load() is None
    assert "other" in fresh.current()["queries"]


def test_a_window_may_have_names_that_are_words_of_python(own: Own):
    filters = "{from: {column: last_seen_at, op: '>='}, to: {column: created_at, op: '<', scan: index}}"
    start = "version: 1\nqueries:\n  mine:\n    summary: a\n    returns: page of Event\n"
    own.write(f"{start}    filters: {filters}\n    window: [from, to]\n")
    done = own.query("mine", "--from", "2026-01-02", "--to", "2026-01-03")
    assert done.json["coverage"]["from"] == "2026-01-02T00:00:00.000Z"
    assert own.query("mine", "--from", "2026-01-03", "--to", "2026-01-02").error["code"] == "INVALID_ARGUMENT"


def test_namespaces_are_shown_whatever_their_field_is_called(own: Own):
    fields = "{kind: {type: string, column: object_kind}, space: {type: string, column: object_namespace}}"
    own.write(
        "version: 1\nqueries:\n  mine:\n    summary: a\n    returns: page of Place\n    from: events\n"
        f"    fields: {fields}\n    group: [kind, space]\n    table: {{OBJECT: 'object(kind, space, kind)'}}\n"
    )
    assert "shop/pod/Pod" in own.query("mine", "--format", "table").out

"""The database file: made once, read without a trace, migrated as a whole, held by one process."""

import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE, Kube9, Result, make_event, rows

from kube9 import bind, compiler, lock, migrations, query, rules, store, times
from kube9.model import Batch, Event
from kube9.normalise import normalise
from kube9.upsert import write

proves = pytest.mark.scenario
PLAN = compiler.compile_text("queries.yaml", (ROOT / "queries.yaml").read_text(), "key")
LIST = PLAN["queries"]["events list"]
MIGRATIONS = sorted((ROOT / "schema").glob("*.sql"))
SINCE, UNTIL = "2026-03-01T11:49:00.000Z", "2026-03-01T14:32:00.000Z"  # each the very time of an event
SUBJECTS = [*product(("Pod", "Job"), ("a", "b"), ("x", "y")), ("Node", None, "x")]
# Primary result codes that say no error, and those that only a mistake of kube9's own brings about.
NO_ERRORS = ["OK", "ROW", "DONE", "NOTICE", "WARNING"]
MISTAKES = ["ABORT", "CONSTRAINT", "EMPTY", "ERROR", "FORMAT", "INTERNAL", "MISMATCH", "MISUSE", "NOTFOUND", "RANGE"]
MISTAKES += ["SCHEMA"]
# What an authorizer is asked and answers goes by names of the same form.
ACTIONS = ["ANALYZE", "ATTACH", "DELETE", "DENY", "DETACH", "FUNCTION", "IGNORE", "INSERT", "PRAGMA", "READ", "RECURSIVE"]
ACTIONS += ["REINDEX", "SAVEPOINT", "SELECT", "TRANSACTION", "UPDATE"]
# Each is run as a process of its own, with the path of the database.
WRITER = """
import sys
from kube9 import migrations
connection = migrations.open_writer(sys.argv[1])
connection.execute("UPDATE events SET title = 'written to the WAL'")
print("ready", flush=True)
sys.stdin.read()
"""
READER = """
import os, sys
from kube9 import bind, fresh, query
compiled = fresh.current()
declared = compiled["queries"]["events list"]
if sys.argv[2] == "stranger" and os.geteuid() == 0:  # only now, for Python's own files may be out of a stranger's reach
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
page = query.run(sys.argv[1], bind.bind(compiled, declared, {"limit": 1000}, 0), 10)
print(sorted({row[3] for row in page.rows}))
"""


@pytest.fixture
def recorded(cache: Path):
    """A database with the sample in a folder that every user may look into, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    kube9 = Kube9(folder, cache)
    assert kube9("import", SAMPLE).code == 0
    yield kube9
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def serving(kube9: Kube9):
    """Starts `kube9 serve`, which never finds its API server; gives the process and its log until it records or is refused."""
    config = kube9.db.parent / "kubeconfig"
    config.write_text(
        '{"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}], "users": [{"name": "u", "user": {}}],'
        ' "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}'
    )
    started = []

    def start() -> tuple[subprocess.Popen, list[str]]:
        started.append(kube9.start("serve", "--kubeconfig", config, stderr=subprocess.PIPE, text=True))
        lines = []
        for line in started[-1].stderr:
            lines.append(line.rstrip())
            if "recording the events" in line or "held by" in line:
                break
        return started[-1], lines

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Kube9, list[Event]]:
    """An event of every type and severity about every subject, each at a time of its own."""
    kube9 = Kube9(tmp_path_factory.mktemp("grid"), cache)
    plain, events = normalise(make_event(), rules.built_in()), []
    kinds = product(LIST["params"]["type"]["choices"], LIST["params"]["severity"]["choices"], SUBJECTS)
    for number, (event_type, severity, (kind, namespace, name)) in enumerate(kinds):
        start = times.parse("2026-03-01", 0) + number * 83 % 1440 * 60_000  # each at a minute of its own
        event = plain._replace(event_type=event_type, severity=severity, uid=str(number), name=f"{number}.1")
        event = event._replace(object_kind=kind, object_namespace=namespace, object_name=name)
        events.append(event._replace(created_at=times.iso(start), last_seen_at=times.iso(start + 6 * 3_600_000)))
    connection = migrations.open_writer(str(kube9.db))
    write(connection, [Batch(events, "import")])
    connection.close()
    return kube9, events


def steps(path: Path, given: dict) -> list[str]:
    """What SQLite does with the table of events for the rows and the total of a list."""
    with store.open_reader(str(path)) as reader:
        asked = [query.statement(LIST, part, bind.bind(PLAN, LIST, given, 0).values) for part in ("select", "count")]
        found = [reader.connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall() for sql, values in asked]
    return [step[3] for plan in found for step in plan if " events" in step[3]]


def traces(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What a process could have left: each file, its bytes and its time."""
    files = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir() if path.is_file()}
    # Readers of a WAL note in the -shm up to where they read: https://www.sqlite.org/walformat.html, section 2.1
    return {name: (b"", 0) if name.endswith("-shm") else found for name, found in files.items()}


@proves("DB-01")
def test_the_first_run_makes_the_database_by_the_migrations(kube9: Kube9, serving) -> None:
    _, lines = serving()
    newest = len(MIGRATIONS)
    assert [line.partition(": ")[2] for line in lines if "initialised" in line] == [f"{kube9.db} at schema version {newest}"]
    by_hand = sqlite3.connect(":memory:")
    for migration in MIGRATIONS:
        by_hand.executescript(migration.read_text())
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
    assert rows(kube9.db, schema) == by_hand.execute(schema).fetchall()
    by_hand.close()
    assert rows(kube9.db, "SELECT version FROM schema_version") == [(int(migration.name[:4]),) for migration in MIGRATIONS]
    assert rows(kube9.db, "PRAGMA journal_mode") == [("wal",)]


@proves("DB-02")
def test_a_later_run_writes_nothing(kube9: Kube9) -> None:
    assert kube9("import", SAMPLE).code == kube9("db", "migrate").code == 0
    before = traces(kube9.db.parent)
    migrations.open_writer(str(kube9.db)).close()
    assert traces(kube9.db.parent) == before
    assert "as it was" in kube9("db", "migrate").out
    assert traces(kube9.db.parent)["kube9.db"] == before["kube9.db"]  # beside it lies a lock file


def test_a_later_serve_makes_nothing_anew(kube9: Kube9, serving) -> None:
    first, _ = serving()
    made = rows(kube9.db, "SELECT * FROM schema_version")
    first.terminate()
    first.wait()
    _, lines = serving()
    assert not [line for line in lines if "initialised" in line or "migrated" in line]
    assert rows(kube9.db, "SELECT * FROM schema_version") == made


def test_first_runs_at_the_same_time_all_find_a_finished_database(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        for number in range(40):  # a race: one attempt alone says little
            connections = list(pool.map(migrations.open_writer, [str(tmp_path / f"{number}.db")] * 4))
            assert [store.schema_version(connection, "") for connection in connections] == [len(MIGRATIONS)] * 4
            for connection in connections:
                connection.close()


@proves("DB-03")
def test_a_second_process_sees_an_event_at_once(kube9: Kube9) -> None:
    writer = migrations.open_writer(str(kube9.db))
    for number in (1, 2):
        write(writer, [Batch([normalise(make_event(f"web-{number}.1"), rules.built_in())], "watch")])
        assert len(kube9.events()) == number
    writer.close()


def test_a_writer_is_set_up_to_record(tmp_path: Path) -> None:
    connection = migrations.open_writer(str(tmp_path / "kube9.db"))
    wanted = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 10_000, "auto_vacuum": 2}
    wanted |= {"application_id": 0x6B756239, "cache_size": -10_000, "temp_store": 2}
    assert {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted
    connection.close()


@pytest.mark.parametrize(
    ("given", "keep"),
    [
        pytest.param({"type": "health"}, lambda e: e.event_type == "health", marks=proves("DB-07")),
        pytest.param({"severity": "error"}, lambda e: e.severity == "error", marks=proves("DB-08")),
        pytest.param({"severity": "info,error"}, lambda e: e.severity in ("info", "error"), marks=proves("DB-08")),
        pytest.param({"since": SINCE}, lambda e: e.last_seen_at >= SINCE, marks=proves("DB-09")),
        pytest.param(
            {"since": SINCE, "until": UNTIL}, lambda e: e.last_seen_at >= SINCE and e.created_at < UNTIL, marks=proves("DB-09")
        ),
        pytest.param({"object_kind": "Node"}, lambda e: e.object_kind == "Node", marks=proves("DB-10")),
        pytest.param(
            {"object_kind": "Pod", "object_namespace": "a", "object_name": "x"},
            lambda e: (e.object_kind, e.object_namespace, e.object_name) == ("Pod", "a", "x"),
            marks=proves("DB-10"),
        ),
    ],
)
def test_a_filter_gives_exactly_its_rows_newest_first_through_an_index(grid, given, keep) -> None:
    kube9, events = grid
    words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    wanted = sorted(filter(keep, events), key=lambda event: event.last_seen_at, reverse=True)
    assert [event["uid"] for event in kube9.events(*words, "--limit", 1000)] == [event.uid for event in wanted]
    assert 0 < len(wanted) < len(events)
    assert [step for step in steps(kube9.db, given) if not step.startswith("SEARCH events USING")] == []


@proves("DB-04")
def test_a_query_by_object_uses_the_index_of_objects(grid) -> None:
    kube9, _ = grid
    found = kube9.events("--object-kind", "Pod", "--object-namespace", "a", "--object-name", "x")
    assert {(e["object_kind"], e["object_namespace"], e["object_name"]) for e in found} == {("Pod", "a", "x")}
    given = {"object_kind": "Pod", "object_namespace": "a", "object_name": "x"}
    assert all("idx_events_object (object_name=? AND object_kind=? AND object_namespace=?" in s for s in steps(kube9.db, given))


def test_the_total_before_a_time_is_not_counted_over_the_whole_table(grid) -> None:
    assert "SCAN events" not in steps(grid[0].db, {"until": UNTIL})


@pytest.mark.parametrize("who", ["owner", "stranger"])
@pytest.mark.parametrize("writer", ["none", "open", "killed"])
def test_a_query_leaves_no_trace(recorded: Kube9, who: str, writer: str) -> None:
    folder = recorded.db.parent
    with subprocess.Popen([sys.executable, "-c", WRITER, recorded.db], cwd=ROOT, stdin=-1, stdout=-1) as process:
        process.stdout.readline()
        if writer == "none":
            process.communicate()
        elif writer == "killed":
            process.kill()
            process.wait()
        folder.chmod(0o555 if who == "stranger" else 0o755)
        before = traces(folder)
        reader = [sys.executable, "-c", READER, recorded.db, who]
        done = Result(subprocess.run(reader, cwd=ROOT, env=recorded.env, capture_output=True, text=True))
        assert traces(folder) == before
        assert done.out == "['written to the WAL']\n", done
        process.kill()


def test_a_query_makes_no_index_for_a_wal_that_has_none(recorded: Kube9) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, recorded.db], cwd=ROOT, stdin=-1, stdout=-1) as process:
        process.stdout.readline()
        process.kill()
    recorded.db.with_name("kube9.db-shm").unlink()
    before = traces(recorded.db.parent)
    recorded.query("events", "list")
    assert traces(recorded.db.parent) == before


def test_a_link_to_the_database_shows_what_the_wal_holds(recorded: Kube9) -> None:
    writer = migrations.open_writer(str(recorded.db))
    writer.execute("UPDATE events SET title = 'written to the WAL'")
    link = recorded.db.with_name("link.db")
    link.symlink_to(recorded.db)
    recorded.db = link
    assert {event["title"] for event in recorded.events()} == {"written to the WAL"}
    writer.close()


def test_a_second_serve_is_refused_until_the_first_is_killed(kube9: Kube9, serving) -> None:
    first, _ = serving()
    second, lines = serving()
    assert f"held by process {first.pid} of {platform.node()};" in lines[-1]
    assert second.wait() == 1
    refused = kube9("db", "migrate", "--format", "json")  # takes the same lock
    assert refused.error["code"] == "FAILED_PRECONDITION"
    assert kube9("import", SAMPLE).code == 0  # writes beside serve
    first.kill()
    first.wait()
    assert kube9.db.with_name("kube9.db.lock").exists()
    assert "recording" in serving()[1][-1]


def test_a_link_to_the_database_is_held_with_it(kube9: Kube9) -> None:
    assert kube9("import", SAMPLE).code == 0
    link = kube9.db.with_name("link.db")
    link.symlink_to(kube9.db)
    with lock.held(str(kube9.db)):
        assert kube9("db", "migrate", "--db", link, "--format", "json", db=False).error["code"] == "FAILED_PRECONDITION"


def test_every_result_code_of_sqlite_is_translated() -> None:
    primary = {name for name in vars(sqlite3) if re.fullmatch("SQLITE_[A-Z]+", name)}  # an extended code has a second _
    others = {f"SQLITE_{name}" for name in (*NO_ERRORS, *MISTAKES, *ACTIONS)}
    assert {name for name, *_ in store.SQLITE_ERRORS} == primary - others

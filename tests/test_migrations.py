"""Migrations, on files and programs of other versions; another program is a copy of this one with its schema/ changed."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE, Kube9, Result, rows
from test_status import beat

from kube9 import store

MIGRATIONS = sorted((ROOT / "schema").glob("*.sql"))
NEXT = f"{len(MIGRATIONS) + 1:04}"
KUBECONFIG = (
    '{"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}], "users": [{"name": "u", "user": {}}],'
    ' "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}'
)


# A database of another program, that was killed before SQLite could fold the -wal into the file.
FOREIGN = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE schema_version (version INTEGER)")
connection.execute(f"CREATE TABLE {sys.argv[2]} (id TEXT)")
os._exit(0)
"""


class Program(Kube9):
    """A copy of the program, beside the database that it and `kube9` share."""

    def __init__(self, kube9: Kube9) -> None:
        self.db, self.env = kube9.db, kube9.env
        self.folder = kube9.db.parent / "program"
        self.schema = self.folder / "schema"
        for name in ("kube9", "schema"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "queries.yaml", self.folder)

    def __call__(self, *words: object, db: bool = True) -> Result:
        command = self.command(*words, db=db)
        return Result(subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60))


@pytest.fixture
def program(kube9: Kube9) -> Program:
    return Program(kube9)


def everything(path: Path) -> list[tuple]:
    return (
        rows(path, "SELECT * FROM sqlite_master")
        + rows(path, "SELECT * FROM schema_version")
        + rows(path, "SELECT * FROM events")
    )


@pytest.mark.parametrize("extra", ["0099_gap.sql", "0003_again.sql", "later.sql"])
def test_a_schema_that_is_not_numbered_one_by_one_fails_the_build(program: Program, extra: str) -> None:
    shutil.copy(program.schema / "0003_watch.sql", program.schema / extra)
    done = program("spec", "check", db=False)  # compiles the plan, as a build does
    assert done.code == 1
    assert "not numbered 1, 2, 3" in done.err
    assert extra in done.err


def test_a_statement_without_its_semicolon_is_not_lost(program: Program) -> None:
    (program.schema / f"{NEXT}_open.sql").write_text("CREATE TABLE one (id TEXT);\nCREATE TABLE two (id TEXT)\n")
    done = program("db", "migrate")
    assert done.code != 0 or {("one",), ("two",)} <= set(rows(program.db, "SELECT name FROM sqlite_master"))


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_failing_migration_is_rolled_back_and_named_with_its_statement(kube9: Kube9, program: Program, command: str) -> None:
    assert kube9("import", SAMPLE).code == 0
    before = everything(kube9.db)
    # Good SQL that fails on the events of this file, halfway through.
    statement = "CREATE UNIQUE INDEX one_of_a_type ON events (event_type);"
    (program.schema / f"{NEXT}_broken.sql").write_text(f"CREATE TABLE before (id TEXT);\n{statement}\n")
    config = kube9.db.with_name("kubeconfig")
    config.write_text(KUBECONFIG)
    done = program(*{"migrate": ["db", "migrate"], "serve": ["serve", "--kubeconfig", config]}[command])
    assert done.code == 1
    assert f"{NEXT}_broken.sql failed and was rolled back" in done.err
    assert statement in done.err
    assert "recording" not in done.err
    assert everything(kube9.db) == before


@pytest.fixture
def newer(kube9: Kube9, program: Program) -> Kube9:
    """A database that a newer program has migrated; its recorder was well a moment ago."""
    assert kube9("import", SAMPLE).code == 0
    (program.schema / f"{NEXT}_more.sql").write_text(
        "ALTER TABLE events ADD COLUMN more TEXT NOT NULL DEFAULT 'more';\nCREATE TABLE further (event_id TEXT);\n"
    )
    beat(kube9, minutes_ago=0)
    return kube9


def test_a_newer_file_answers_what_it_answered_before(newer: Kube9, program: Program) -> None:
    key = newer.events("--limit", 1)[0]["id"]
    asked = [
        ("events", "list", "--limit", 1000, "--since", "2026-01-01"), ("events", "get", key), ("events", "related", key),
        ("events", "summary", "--since", "2026-01-01"), ("events", "noisy", "--since", "2026-01-01"),
    ]  # fmt: skip
    before = [newer.query(*words) for words in asked]
    assert program("db", "migrate").code == 0
    for words, was in zip(asked, before, strict=True):
        now = newer.query(*words)
        assert (now.code, known(now)) == (0, known(was)), words


def known(answer: Result) -> dict:
    """What an answer says, but for what changes by itself: the time up to which it was watched."""
    return {name: value for name, value in answer.json.items() if name != "coverage"}


@pytest.mark.parametrize("command", ["import", "record", "serve", "migrate"])
def test_a_newer_file_is_not_written_and_the_refusal_says_what_to_do(newer: Kube9, program: Program, command: str) -> None:
    assert program("db", "migrate").code == 0
    config = newer.db.with_name("kubeconfig")
    config.write_text(KUBECONFIG)
    words = {
        "import": ("import", SAMPLE, "--format", "json"),
        "record": ("record", "system", "something", "--format", "json"),
        "serve": ("serve", "--kubeconfig", config, "--log-format", "json"),
        "migrate": ("db", "migrate", "--format", "json"),
    }
    before = newer.db.read_bytes()
    done = newer(*words[command])
    assert (done.code, done.out, done.error["code"]) == (1, "", "FAILED_PRECONDITION")
    assert done.error["error"] == f"database at schema version {int(NEXT)}, newer than this kube9 knows ({int(NEXT) - 1})"
    assert "install the newer one again" in done.error["details"]
    assert newer.db.read_bytes() == before


KNOWN = len(MIGRATIONS)
TOO_NEW = (
    f"the database is at schema version {KNOWN + 1}, this kube9 knows {KNOWN}: it answers, and does not record; upgrade it"
)


@pytest.mark.parametrize(
    ("minutes_ago", "health", "problems", "told", "detail"),
    [
        (0, "healthy", (), "degraded", TOO_NEW),
        (0, "degraded", ("pods: HTTP 403",), "degraded", f"pods: HTTP 403; {TOO_NEW}"),
        (0, "unhealthy", ("kube9 serve stopped",), "unhealthy", f"kube9 serve stopped; {TOO_NEW}"),
        (6, "healthy", (), "unhealthy", f"no sign of life of kube9 serve since {{at}}; {TOO_NEW}"),
    ],
)
def test_status_says_that_the_file_is_newer(
    newer: Kube9, program: Program, minutes_ago: int, health: str, problems: tuple[str, ...], told: str, detail: str
) -> None:
    at = beat(newer, minutes_ago, health, problems)
    assert program("db", "migrate").code == 0
    status = newer.query("status").json
    assert (status["health"], status["health_detail"]) == (told, detail.format(at=at))
    assert status["problems"] == [*problems, TOO_NEW]
    assert (status["schema_version"], program("query", "status").json["health_detail"]) == (int(NEXT), status_of(detail, at))


def status_of(detail: str, at: str) -> str | None:
    """The same without what only the older program has to say."""
    return detail.format(at=at).removesuffix(TOO_NEW).removesuffix("; ") or None


@pytest.fixture(params=range(1, len(MIGRATIONS)), ids=lambda version: f"version {version}")
def older(kube9: Kube9, request: pytest.FixtureRequest) -> Callable[[], list[dict]]:
    """Makes the database a file of an older version with one event; lists the events of that day."""
    old = sqlite3.connect(kube9.db)
    old.execute(f"PRAGMA application_id={store.APPLICATION_ID}")
    for number, migration in enumerate(MIGRATIONS[: request.param], 1):
        old.executescript(migration.read_text())
        old.execute("INSERT INTO schema_version VALUES (?, '2026-03-01T00:00:00.000Z', NULL)", (number,))
    old.execute(
        "INSERT INTO events (id, event_type, severity, title, created_at)"
        " VALUES ('evt_20260301_100000_000000', 'health', 'error', 'Old', '2026-03-01T10:00:00.000Z')"
    )
    if request.param > 1:
        old.execute("UPDATE events SET last_seen_at = created_at")
    old.commit()
    old.close()
    return lambda: kube9.events("--since", "2026-03-01", "--until", "2026-03-02")


@pytest.mark.parametrize("words", [("query", "events", "list"), ("import", SAMPLE, "--format", "json")], ids=lambda w: w[0])
def test_an_older_file_is_refused_by_all_but_migrate(kube9: Kube9, older, words: tuple) -> None:
    before = kube9.db.read_bytes()
    done = kube9(*words)
    assert (done.code, done.error["code"]) == (1, "FAILED_PRECONDITION")
    assert f"kube9 db migrate --db {kube9.db}" in done.error["details"]
    assert kube9.db.read_bytes() == before


def test_migrate_brings_an_older_file_to_the_newest_and_keeps_its_events(kube9: Kube9, older) -> None:
    assert kube9("db", "migrate").code == 0
    assert [version for (version,) in rows(kube9.db, "SELECT version FROM schema_version")] == [*range(1, len(MIGRATIONS) + 1)]
    assert [event["title"] for event in older()] == ["Old"]


@pytest.mark.parametrize("table", ["events", "songs"])
@pytest.mark.parametrize(
    "words", [("query", "events", "list"), ("import", SAMPLE), ("db", "migrate")], ids=lambda words: words[0]
)
def test_a_file_of_another_program_is_refused_and_stays_as_it_is(kube9: Kube9, words: tuple, table: str) -> None:
    subprocess.run([sys.executable, "-c", FOREIGN, kube9.db, table], check=True)
    files = [kube9.db, kube9.db.with_name("kube9.db-wal")]
    before = [file.read_bytes() for file in files]
    done = kube9(*words, "--format", "json")
    assert (done.code, done.out, done.error["code"]) == (1, "", "FAILED_PRECONDITION")
    assert [file.read_bytes() for file in files] == before

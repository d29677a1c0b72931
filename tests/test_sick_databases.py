"""Databases that cannot be asked: each gives one error that names the file, and is left as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import SAMPLE, Kube9

from kube9 import store

WORDS = [
    "events list",
    "events list --watch",
    "events list --all",
    "events summary",
    "events timeline",
    "events get x",
    "status",
]


def spoil(path: Path) -> None:
    """All pages but the first are garbage."""
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:10_000])


def older(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM schema_version WHERE version = ?", (store.newest_version(),))


def of_the_other_operator(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE schema_version (version INTEGER); CREATE TABLE events (id TEXT)")


SICK = {
    "missing": (Path.unlink, "UNAVAILABLE"),
    "empty": (lambda path: path.write_bytes(b""), "UNAVAILABLE"),
    "text": (lambda path: path.write_text("no database\n" * 1000), "DATA_LOSS"),
    "zeros": (lambda path: path.write_bytes(bytes(40_960)), "DATA_LOSS"),
    "pages spoilt": (spoil, "DATA_LOSS"),
    "cut short": (cut, "DATA_LOSS"),
    "older schema": (older, "FAILED_PRECONDITION"),
    "the other operator's": (of_the_other_operator, "FAILED_PRECONDITION"),
}


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def recorded(kube9: Kube9) -> Kube9:
    assert kube9("import", SAMPLE).code == 0
    return kube9


@pytest.mark.scenario("CLI-18")
@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("case", SICK)
def test_a_sick_database_is_named_in_one_error_and_left_as_it_was(recorded: Kube9, case: str, words: str):
    make, code = SICK[case]
    make(recorded.db)
    before = state(recorded.db.parent)
    done = recorded.query(*words.split(), input=b"")
    assert (done.code, done.out) == (1, "")
    assert done.error["code"] == code
    assert str(recorded.db) in done.error["details"]
    assert state(recorded.db.parent) == before


@pytest.mark.scenario("CLI-18")
@pytest.mark.parametrize("words", WORDS[3:])
def test_a_database_that_another_process_keeps_for_itself_is_one_error(recorded: Kube9, words: str):
    with closing(sqlite3.connect(recorded.db, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("UPDATE events SET title = 'held'")
        done = recorded.query(*words.split(), "--timeout", "1s")
        assert (done.code, done.out) == (1, "")
        assert done.error["code"] in ("UNAVAILABLE", "FAILED_PRECONDITION")
        assert str(recorded.db) in done.error["details"]
    assert recorded.query("events", "list", "--limit", "1").json["events"][0]["title"] == "held"


@pytest.mark.scenario("CLI-18")
def test_a_file_of_a_newer_kube9_is_answered_from(recorded: Kube9):
    with closing(sqlite3.connect(recorded.db)) as connection, connection:
        connection.execute("ALTER TABLE events ADD COLUMN of_tomorrow TEXT")
        connection.execute("INSERT INTO schema_version VALUES (9999, '2099-01-01T00:00:00.000Z', 'of tomorrow')")
    before = state(recorded.db.parent)
    assert recorded.query("events", "list").json["pagination"]["total"] == 132
    assert recorded.query("status").json["schema_version"] == 9999
    assert state(recorded.db.parent) == before

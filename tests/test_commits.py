"""Commits into a real database: many batches at once, failures tried again more and more seldom, poison set aside."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import make_event, rows

from kube9 import migrations, rules
from kube9.commits import FIRST_DELAY_S, LONGEST_DELAY_S, Commits
from kube9.counts import Counts
from kube9.model import Batch, Event, Position
from kube9.normalise import normalise
from kube9.writer import Writer

PLAIN = normalise(make_event(), rules.built_in())
WAL_HEADER, FRAME_HEADER, PAGE = 32, 24, 4096  # bytes: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
TRIES = 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "kube9.db"
    migrations.open_writer(str(made)).close()
    return made


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(migrations.open_writer(str(path), busy_timeout_s=0.0)) as opened:
        yield opened


def event(number: int, **changes: object) -> Event:
    return PLAIN._replace(name=f"web-0.{number}", **changes)


def transactions(path: Path) -> int:
    """How many commits stand in the WAL: only the last frame of each tells the size of the database."""
    wal = Path(f"{path}-wal").read_bytes()
    starts = range(WAL_HEADER, len(wal), FRAME_HEADER + PAGE)
    return sum(int.from_bytes(wal[start + 4 : start + 8]) > 0 for start in starts)


@pytest.mark.scenario("REC-19")
def test_all_that_waits_is_one_transaction(path: Path):
    writer = Writer(str(path), guest=True)  # which leaves the WAL as it is
    with closing(sqlite3.connect(path)) as other:  # and so does not take the WAL away
        other.execute("SELECT count(*) FROM events").fetchall()
        for number in range(100):
            writer.put(Batch([event(number)], "watch", "here", Position("events", str(number))))
        writer.start()
        assert writer.close(30) == 0
        assert transactions(path) == 1
    assert rows(path, "SELECT count(*) FROM events") == [(100,)]
    assert rows(path, "SELECT resource_version FROM watch_position") == [("99",)]


@pytest.mark.scenario("REC-19")
def test_a_write_that_fails_is_tried_again_more_and_more_seldom(path: Path, connection: sqlite3.Connection):
    delays: list[float] = []
    counts = Counts()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def pause(seconds: float) -> None:
            delays.append(seconds)
            if len(delays) == TRIES:
                other.execute("ROLLBACK")

        commits = Commits(connection, str(path), counts, pause)
        commits.write([Batch([event(1)], "watch", "here", Position("events", "7"))])
    longest = [min(FIRST_DELAY_S * 2**number, LONGEST_DELAY_S) for number in range(TRIES)]
    assert [low / 2 <= delay <= low for delay, low in zip(delays, longest, strict=True)] == [True] * TRIES
    assert len(set(delays)) == TRIES  # jittered, where they grow no more too
    assert (counts.failed_writes, commits.error) == (TRIES, None)
    assert rows(path, "SELECT count(*) FROM events") == [(1,)]


@pytest.mark.scenario("REC-19")
@pytest.mark.parametrize("poison", [{"title": "\ud800"}, {"metadata": {"a": "\ud800"}}, {"count": 2**70}])
def test_a_poisoned_event_is_set_aside_with_its_reason(
    path: Path, connection: sqlite3.Connection, caplog: pytest.LogCaptureFixture, poison: dict
):
    counts = Counts()
    commits = Commits(connection, str(path), counts, lambda _: pytest.fail("to try again cannot help"))
    events = [event(number, **(poison if number == 2 else {})) for number in range(5)]
    with caplog.at_level(logging.ERROR, "kube9.writer"):
        commits.write([Batch(events, "watch", "here", Position("events", "7")), Batch([event(9)], "api")])
    assert rows(path, "SELECT event_name FROM events ORDER BY change_seq") == [(".0",), (".1",), (".3",), (".4",), (".9",)]
    assert rows(path, "SELECT resource_version FROM watch_position") == [("7",)]
    assert counts.dropped["set_aside"] == 1
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("event prod/web-0.2 is set aside, SQLite does not take it: ")
    assert len(said) > len("event prod/web-0.2 is set aside, SQLite does not take it: ")

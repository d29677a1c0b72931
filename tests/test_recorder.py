"""`kube9.recorder`: events of our own from any program, beside whoever else writes the database."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, rows

import kube9
from kube9 import errors, store, stretches, times
from kube9.commits import INTERRUPTED_S
from kube9.counts import Counts
from kube9.lane import Lane
from kube9.model import HASHES, Batch, Proof
from kube9.own import STEP_MS, Moments, make
from kube9.writer import Writer

FULL = 8
# Writes as serve does: a transaction with 200 events after the other.
WRITER = """
    from kube9 import migrations, own, rules
    from kube9.model import Batch, Position
    from kube9.normalise import normalise
    from kube9.upsert import write
    from conftest import make_event
    connection = migrations.open_writer(path)
    plain = normalise(make_event(), rules.built_in())
    number = 0
    while True:
        events = [plain._replace(name=f"web-0.{number}-{index}") for index in range(200)]
        write(connection, [Batch(events, "watch", "here", Position("events", str(number)))])
        number += 1
        if number == 1:
            print("ready", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kube9.db"


@contextmanager
def program(source: str, path: Path) -> Iterator[subprocess.Popen]:
    """A Python program beside this one; it has `kube9` and the path of the database, and is killed at the end."""
    head = f"import os, sys, time\nsys.path.insert(0, {str(ROOT / 'tests')!r})\nimport kube9\npath = {str(path)!r}\n"
    child = subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def run(source: str, path: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a program that ends."""
    with program(source, path) as child:
        out, err = child.communicate(timeout=60)
        return child.returncode, out, err


@contextmanager
def held(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, held by a writer."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def titles(path: Path) -> list[str]:
    """Of all events, in the order in which they were written."""
    return [title for (title,) in rows(path, "SELECT title FROM events ORDER BY change_seq")]


def wait_until(what) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.scenario("LIB-06", "REC-40")
def test_a_program_records_beside_one_that_writes_all_the_time(path: Path):
    kube9.recorder(path).close()
    with program(WRITER, path) as busy:
        assert busy.stdout.readline() == "ready\n"
        source = """
            with kube9.recorder(path) as rec:
                for number in range(300):
                    print(rec.record("assessment", f"check {number}", severity="warning"))
                    time.sleep(0.001)
        """
        code, out, err = run(source, path)
        assert (code, err) == (0, "")
        assert busy.poll() is None
    found = rows(path, "SELECT id, title FROM events WHERE event_type = 'assessment' ORDER BY id")
    assert found == [(key, f"check {number}") for number, key in enumerate(out.split())]
    ((others,),) = rows(path, "SELECT count(*) FROM events WHERE event_type = 'cluster'")
    ((position,),) = rows(path, "SELECT resource_version FROM watch_position")
    assert others == 200 * (int(position) + 1)


@pytest.mark.scenario("REC-10")
def test_what_is_recorded_is_seen_by_others_once_it_is_flushed(path: Path):
    about = {"object": "po/web", "object_namespace": "shop", "metadata": {"n": [1, {"a": None}]}}
    with kube9.recorder(path) as rec:
        key = rec.record("insight", "Too large", insight_id="i-1", category="cost", **about)
        assert rec.flush(30)
        with kube9.connect(path) as db:
            event = db.events.get(key)
    assert (event.title, event.object_kind, event.object_namespace, event.object_name) == ("Too large", "Pod", "shop", "web")
    assert event.metadata == {"n": [1, {"a": None}], "insight_id": "i-1", "category": "cost"}


def test_a_program_that_is_killed_loses_nothing_that_was_flushed(path: Path):
    source = """
        rec = kube9.recorder(path)
        for number in range(10_000):
            rec.record("system", str(number))
            if number % 50 == 49:
                rec.flush()
                print(number, flush=True)
    """
    with program(source, path) as child:
        for _ in range(5):
            flushed = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert [int(title) for title in titles(path)][: flushed + 1] == list(range(flushed + 1))
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_what_waits_is_written_when_the_program_ends_without_closing(path: Path):
    for number, ending in enumerate(["", "raise SystemExit(0)", "raise ValueError('mine')"]):
        _, _, err = run(f"rec = kube9.recorder(path)\nrec.record('system', '{number}')\n{ending}", path)
        assert "not written" not in err
    assert titles(path) == ["0", "1", "2"]


@pytest.mark.scenario("REC-18")
def test_recording_goes_on_without_waiting_or_writing_while_the_database_is_locked(path: Path):
    with kube9.recorder(path) as rec, held(path) as writer:
        rec.record("system", "first")
        wait_until(lambda: rec.error)
        assert isinstance(rec.error, errors.Unavailable)
        task = Path(f"/proc/self/task/{threading.get_native_id()}/io")
        io = [line for line in task.read_text().splitlines() if line.startswith("syscw")]
        for number in range(100):
            rec.record("system", str(number))
        assert [line for line in task.read_text().splitlines() if line.startswith("syscw")] == io
        assert (rec.waiting, rec.flush(0.01), titles(path)) == (101, False, [])
        writer.execute("ROLLBACK")
        assert rec.flush(30)
        assert rec.error is None
    assert titles(path) == ["first", *map(str, range(100))]


def test_a_write_that_fails_is_not_tried_again_for_each_event_that_comes_meanwhile(path: Path):
    counts = Counts()
    writer = Writer(str(path), busy_timeout_s=0.01, counts=counts)
    writer.start()
    with held(path):
        for number in range(200):
            writer.put(Batch([make("system", str(number))], "api"))
            time.sleep(0.005)
        tries = counts.failed_writes
    writer.close()
    assert (len(titles(path)), 0 < tries < 30) == (200, True), tries


def test_a_database_that_stays_locked_is_given_up_in_time_and_said(path: Path):
    rec = kube9.recorder(path)
    with held(path):
        rec.record("system", "lost")
        wait_until(lambda: rec.error)
        with pytest.raises(errors.Unavailable, match=r"1 events were not written.*locked"):
            rec.close(0.1)
    rec.close()
    assert titles(path) == []


def test_what_was_not_written_at_the_end_is_said_and_hides_no_error(path: Path):
    kube9.recorder(path).close()
    endings = {
        "rec = kube9.recorder(path)\nrec.record('system', 'lost')": (0, ""),
        "with kube9.recorder(path) as rec:\n  rec.record('system', 'lost')": (1, "kube9.errors.Unavailable: "),
        "with kube9.recorder(path) as rec:\n  rec.record('system', 'lost')\n  raise ValueError('mine')": (
            1,
            "ValueError: mine",
        ),
    }
    with held(path), ExitStack() as programs:
        children = [programs.enter_context(program(source, path)) for source in endings]
        for child, (code, last) in zip(children, endings.values(), strict=True):
            _, err = child.communicate(timeout=60)
            assert child.returncode == code
            assert "1 events were not written: " in err
            assert last in err.splitlines()[-1]
            assert "database is locked" in err
    assert titles(path) == []


def test_a_closed_recorder_says_so(path: Path):
    with kube9.recorder(path) as rec:
        rec.record("system", "in time")
    for call in (lambda: rec.record("system", "late"), rec.flush):
        with pytest.raises(errors.FailedPrecondition, match="closed"):
            call()
    assert titles(path) == ["in time"]


@pytest.mark.scenario("REC-20")
def test_a_full_lane_drops_the_oldest_of_the_least_severe_with_one_warning(path: Path, caplog):
    caplog.set_level(logging.INFO, "kube9.writer")
    with kube9.recorder(path, capacity=FULL) as rec:
        with held(path):
            rec.record("system", "taken")
            wait_until(lambda: rec.error)  # the writer holds that one, and the lane is empty
            for severity in ("critical", "error", "warning", "info"):
                rec.record("system", f"{severity} 0", severity=severity)
                rec.record("system", f"{severity} 1", severity=severity)
            for number in (2, 3):
                rec.record("system", f"warning {number}", severity="warning")  # in place of info 0, info 1
            rec.record("system", "warning 4", severity="warning")  # in place of warning 0
            rec.record("system", "info 2")  # all others are worse
            assert (rec.waiting, rec.dropped) == (FULL + 1, {"queue_full": 4})
        assert rec.flush(30)
    assert titles(path) == [
        "taken", "critical 0", "critical 1", "error 0", "error 1", "warning 1", "warning 2", "warning 3", "warning 4",
    ]  # fmt: skip
    said = [record.getMessage() for record in caplog.records if "events of our own" in record.getMessage()]
    assert len(said) == 2
    assert "are dropped" in said[0]
    assert said[1] == "4 events of our own were dropped"


@pytest.mark.scenario("REC-20")
def test_a_thousand_events_may_wait_by_default(path: Path):
    with kube9.recorder(path) as rec, held(path):
        rec.record("system", "taken")
        wait_until(lambda: rec.error)
        for number in range(1001):
            rec.record("system", str(number))
        assert (rec.waiting, rec.dropped) == (1001, {"queue_full": 1})
    assert len(titles(path)) == 1001


def test_an_info_never_pushes_out_an_error_however_many_come():
    lane, error = Lane(2), make("system", "error", severity="error")
    lane.add(error)
    kept = [lane.add(make("system", str(number))) for number in range(1000)]
    assert kept == [True] + [False] * 999
    assert [event.title for event in lane.take()] == ["error", "999"]
    for title in ("a", "b", "c"):
        lane.add(error._replace(title=title))
    assert [event.title for event in lane.take()] == ["b", "c"]


def test_fifty_threads_share_a_recorder(path: Path):
    keys: list[str] = []
    with kube9.recorder(path, capacity=5000) as rec:

        def work(name: int) -> None:
            own = [rec.record("system", f"{name} {number}") for number in range(100)]
            assert own == sorted(own)
            keys.extend(own)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(keys)) == 5000
    assert {key for (key,) in rows(path, "SELECT id FROM events")} == set(keys)


@pytest.mark.scenario("REC-21")
def test_ids_of_one_thread_rise_also_at_full_speed_and_when_the_clock_steps_back():
    made = [make("system", "x") for _ in range(20_000)]
    keys = [event.id for event in made]
    assert keys == sorted(set(keys))
    assert [event.created_at for event in made] == sorted(event.created_at for event in made)
    moments = Moments()
    clock = [1000, 1000, 999, 2000, 1990, 2001, 2001]
    assert [moments.now(ms)[0] for ms in clock] == [1000, 1000, 1000, 2000, 2000, 2001, 2001]
    assert moments.now(2001 - STEP_MS - 1)[0] == 2001 - STEP_MS - 1  # the clock was wrong before


@pytest.mark.scenario("REC-21")
def test_times_with_their_numbers_rise_when_the_numbers_begin_again():
    moments = Moments()
    moments.restart(HASHES - 2)
    found = [moments.now(1000) for _ in range(4)]
    assert found == [(1000, HASHES - 2), (1000, HASHES - 1), (1001, 0), (1001, 1)]


def test_a_forked_process_has_to_make_its_own(path: Path):
    source = """
        rec = kube9.recorder(path)
        rec.record("system", "before")
        child = os.fork()
        if not child:
            try:
                rec.record("system", "never")
            except kube9.errors.FailedPrecondition:
                with rec, kube9.recorder(path) as own:
                    own.record("system", "child")
                sys.exit(7)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        rec.record("system", "after")
        rec.close()
        sys.exit(code)
    """
    code, _, err = run(source, path)
    assert (code, err) == (7, "")
    assert sorted(titles(path)) == ["after", "before", "child"]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_two_processes_that_fork_at_once_number_apart(path: Path):
    source = """
        from kube9.own import _MOMENTS
        reading, writing = os.pipe()
        if not os.fork():
            os.write(writing, str(_MOMENTS.number()).encode())
            os._exit(0)
        print(os.read(reading, 20).decode() != str(_MOMENTS.number()))
    """
    assert run(source, path)[1] == "True\n"


def test_an_older_database_and_a_wrong_place_are_said_at_once(path: Path):
    kube9.recorder(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"DELETE FROM schema_version WHERE version = {store.newest_version()}")
    with pytest.raises(errors.FailedPrecondition, match="kube9 db migrate"):
        kube9.recorder(path)
    with pytest.raises(errors.Unavailable):
        kube9.recorder(path.parent)
    with pytest.raises(errors.InvalidArgument, match="capacity"):
        kube9.recorder(path, capacity=0)


def test_a_recorder_leaves_the_wal_to_who_serves(path: Path):
    kube9.recorder(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT count(*) FROM events").fetchall()
        with kube9.recorder(path) as rec:
            rec.record("system", "x")
        assert os.path.getsize(f"{path}-wal")


def test_a_recorder_that_had_to_wait_leaves_no_gap_in_the_coverage(path: Path):
    with kube9.recorder(path) as rec:
        with held(path) as other:
            now = times.iso(times.now_ms())
            other.execute("INSERT INTO clusters (uid) VALUES ('here')")
            stretches.prove(other, 1, Proof("events", now))
            rec.record("system", "x")
            wait_until(lambda: rec.error)
            time.sleep(INTERRUPTED_S)
            other.execute("COMMIT")
        assert rec.flush(30)
    assert rows(path, "SELECT from_at, to_at FROM coverage") == [(now, now)]

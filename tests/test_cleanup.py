"""Retention at work: a started `kube9 serve`, killed and locked out, beside others who write, walk through pages and follow."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cluster.api import wait_for
from conftest import Kube9, make_event, rows
from loopback import Serving, SmallApi
from test_follow import following
from test_metrics import read, value
from test_pages import ask, changed_since, found
from test_retention import NOW_MS, event, record, sweep

from kube9 import commands, migrations, retention, settings, times
from kube9.cleanup import Cleanup
from kube9.counts import Counts
from kube9.retention import Policy
from kube9.writer import Writer

BY_DEFAULT = {"EVENT_RETENTION_INFO_WARNING_DAYS": "7", "EVENT_RETENTION_ERROR_CRITICAL_DAYS": "30"}
DELETED = "kube9_events_retention_cleanup_events_deleted"
RAN_AT = "kube9_events_retention_cleanup_last_run_timestamp"
CLUSTER = "SELECT object_name FROM events WHERE event_type = 'cluster' ORDER BY object_name"
Start = Callable[..., Serving]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[SmallApi]:
    running = SmallApi(tmp_path)
    yield running
    running.close()


@pytest.fixture
def serve(kube9: Kube9, api: SmallApi) -> Iterator[Start]:
    started: list[Serving] = []

    def start(*words: str, **env: str) -> Serving:
        started.append(Serving(kube9, api, *words, env=BY_DEFAULT | env))
        return started[-1]

    yield start
    for running in started:
        running.close()


@pytest.fixture
def database(kube9: Kube9) -> Iterator[sqlite3.Connection]:
    with closing(migrations.open_writer(str(kube9.db))) as connection:
        yield connection


def told(serving: Serving, name: str, **labels: str) -> float:
    return value(read(serving.get("/metrics")[1]), name, **labels)


def ran(serving: Serving) -> None:
    serving.until("retention ran", lambda: told(serving, RAN_AT) > 0)


def listed(name: str, days: float, **changes: object) -> dict:
    """An Event object, as the API server lists it, that was last seen so many days ago."""
    at = times.iso(NOW_MS - round(days * times.DAY_MS))[:19] + "Z"
    return make_event(f"{name}.1", firstTimestamp=at, lastTimestamp=at, count=1, **changes)


def names(kube9: Kube9) -> list[str]:
    return [name for (name,) in rows(kube9.db, CLUSTER)]


@pytest.mark.scenario("DB-11", "DB-12", "DB-13")
def test_a_start_deletes_what_is_old_and_says_so(kube9: Kube9, database: sqlite3.Connection, serve: Start) -> None:
    record(database, *(event(f"warning-{days}", days, "warning") for days in (6, 8, 9)))
    record(database, *(event(f"error-{days}", days, "error") for days in (8, 25, 31)))
    record(database, event("repeats", 60, last_seen_at=times.iso(NOW_MS), count=2))
    record(database, event("imported", 60), origin="import")
    serving = serve()
    ran(serving)
    assert names(kube9) == ["error-25", "error-8", "imported", "repeats", "warning-6"]
    assert told(serving, DELETED) == told(serving, "kube9_database_operations_total", operation="delete") == 3
    assert told(serving, RAN_AT) >= NOW_MS / 1000
    assert serving.stop() == 0
    said = serving.log.read_text()
    assert "keeping info and warning events for 7 d, error and critical ones for 30 d" in said
    assert "retention: 2 info and warning events older than 7 d deleted in 1 batches" in said
    assert "retention: 1 error and critical events older than 30 d deleted in 1 batches" in said


@pytest.mark.scenario("DB-13")
def test_it_runs_again_and_again(kube9: Kube9, database: sqlite3.Connection, serve: Start) -> None:
    serving = serve("--retention-interval", "1s", EVENT_RETENTION_INFO_WARNING_DAYS="0.5")
    ran(serving)
    for number in range(2):
        record(database, event(f"web-{number}", 0.6), event("young", 0.1))  # as if it had grown old here
        serving.until("it is deleted", lambda: names(kube9) == ["young"])
    before = told(serving, RAN_AT)
    serving.until("and the next run", lambda: told(serving, RAN_AT) > before and told(serving, DELETED) == 0)


@pytest.mark.scenario("DB-13")
def test_by_default_it_runs_every_six_hours() -> None:
    by_default = commands.serve.__kwdefaults__["retention_interval"]
    assert settings.interval_s(by_default, "") == Cleanup(Policy(), Counts()).chore.every_s == 6 * 3600


@pytest.mark.scenario("DB-13")
def test_what_the_api_server_lists_for_longer_does_not_come_and_go(kube9: Kube9, api: SmallApi, serve: Start) -> None:
    api.events = [listed("old", 8), listed("young", 6), listed("failed", 8, reason="Failed", message="Failed to pull image x")]
    seen = []
    for _ in range(2):
        serving = serve("--event-ttl", "30d")
        serving.until_ready()
        ran(serving)
        assert serving.stop() == 0
        seen.append(rows(kube9.db, "SELECT object_name, change_seq FROM events WHERE event_type = 'cluster' ORDER BY 1"))
        assert "older than" not in serving.log.read_text()
    assert seen[0] == seen[1]
    assert [name for name, _ in seen[0]] == ["failed", "young"]
    gaps = kube9.query("events", "list", "--since", "20d").json["coverage"]["gaps"]
    assert ("older_than_retention", ["info", "warning"]) in [(gap["cause"], gap["severities"]) for gap in gaps]


@pytest.mark.scenario("DB-11", "DB-13")
def test_killed_in_the_middle_nothing_is_torn_and_the_next_start_ends_it(
    kube9: Kube9, database: sqlite3.Connection, serve: Start
) -> None:
    old = [event(f"web-{number}", 9) for number in range(6000)]
    record(database, *old)
    record(database, *(each._replace(count=2, last_seen_at=times.iso(NOW_MS - 8 * times.DAY_MS)) for each in old))
    serving = serve()
    serving.until("some are gone", lambda: 0 < len(names(kube9)) < 6000)
    serving.process.kill()
    serving.process.wait()
    left = len(names(kube9))
    assert 0 < left < 6000
    assert rows(kube9.db, "SELECT count(DISTINCT event_id) FROM occurrences") == [(left,)]
    assert rows(kube9.db, "PRAGMA foreign_key_check") == []
    assert [severity for (severity,) in rows(kube9.db, "SELECT severity FROM evictions")] == ["info"]
    serving = serve()
    ran(serving)
    assert (names(kube9), told(serving, DELETED)) == ([], left)
    assert rows(kube9.db, "SELECT count(*) FROM occurrences") == [(0,)]


@pytest.mark.scenario("DB-13", "DB-24")
def test_others_record_and_import_meanwhile(kube9: Kube9, database: sqlite3.Connection, serve: Start) -> None:
    record(database, *(event(f"web-{number}", 9) for number in range(20_000)))
    serving = serve()
    serving.until("some are gone", lambda: 0 < len(names(kube9)) < 20_000)
    assert kube9("record", "insight", "beside", "--insight-id", "1", "--category", "cost").code == 0
    kube9.record(listed("imported", 100))
    left = names(kube9)
    assert "imported" in left
    assert len(left) > 1  # they did not wait for the end
    assert told(serving, RAN_AT) == 0
    assert rows(kube9.db, "SELECT title FROM events WHERE event_type = 'insight'") == [("beside",)]


@pytest.mark.scenario("DB-13")
def test_a_locked_database_is_tried_again(kube9: Kube9, database: sqlite3.Connection) -> None:
    record(database, *(event(f"web-{number}", 9) for number in range(500)))
    counts = Counts()
    cleanup = Cleanup(Policy(), counts, interval_s=3600, retry_s=0.05)
    writer = Writer(str(kube9.db), chores=[cleanup.chore], counts=counts, busy_timeout_s=0.01)
    database.execute("BEGIN IMMEDIATE")
    writer.start()
    wait_for("tries fail", lambda: counts.failed_writes > 2)
    assert (counts.cleaned_at_s, len(names(kube9))) == (0, 500)
    database.execute("ROLLBACK")
    wait_for("the end of a run", lambda: counts.cleaned_at_s > 0)
    assert (counts.cleaned, names(kube9)) == (500, [])
    assert writer.close() == 0


def test_a_stop_does_not_wait_for_retention(kube9: Kube9, database: sqlite3.Connection) -> None:
    record(database, *(event(f"web-{number}", 9) for number in range(3000)))
    counts = Counts()
    cleanup = Cleanup(Policy(), counts)
    writer = Writer(str(kube9.db), chores=[cleanup.chore], counts=counts)
    writer.start()
    wait_for("a batch", lambda: len(names(kube9)) < 3000)
    assert writer.close() == 0
    assert names(kube9) != []
    assert counts.cleaned_at_s == 0  # the run did not come to its end


def test_a_stop_begins_no_further_run(kube9: Kube9, database: sqlite3.Connection) -> None:
    counts = Counts()
    writer = Writer(str(kube9.db), chores=[Cleanup(Policy(), counts).chore], counts=counts)
    writer.start()
    wait_for("the end of a run", lambda: counts.cleaned_at_s > 0)
    record(database, event("old", 9))
    assert writer.close() == 0
    assert names(kube9) == ["old"]


# Readers who come back: tokens of pages, of what is new, and a reader that follows.


@pytest.mark.scenario("CLI-29", "DB-13")
@pytest.mark.parametrize("days", [(9, 8), (1, 9), (9, 1)], ids=["all", "the oldest changes stay", "the newest changes stay"])
def test_a_sync_token_outlives_retention(kube9: Kube9, database: sqlite3.Connection, days: tuple[float, float]) -> None:
    for age in days:
        record(database, *(event(f"web-{age}-{number}", age) for number in range(5)))
    before = str(ask(kube9.db, {}, now_ms=NOW_MS).sync_token)
    sweep(database)
    between = str(ask(kube9.db, {}, now_ms=NOW_MS).sync_token)
    for token in (before, between):
        answer = ask(kube9.db, {"after": token}, now_ms=NOW_MS)
        assert (answer.rows, answer.sync_token) == ([], token)
    record(database, *(event(f"new-{number}") for number in range(3)))
    for token in (before, between):
        arrived = [row["object_name"] for row in changed_since(kube9.db, {}, token, 2)]
        assert arrived == ["new-0", "new-1", "new-2"]


@pytest.mark.scenario("CLI-10", "CLI-29", "DB-13")
def test_a_walk_through_pages_beside_retention_sees_each_event_that_stays_once(
    kube9: Kube9, database: sqlite3.Connection
) -> None:
    record(database, *(event(f"stays-{number:02}", 6 + number / 50) for number in range(40)))
    record(database, *(event(f"goes-{number:02}", 8 + number / 50) for number in range(40)))
    batches = retention.sweep(database, Policy().limits(NOW_MS), now_ms=NOW_MS, size=9)
    seen, token = [], ""
    while token or not seen:
        answer = ask(kube9.db, {"limit": 7, "page_token": token or None}, now_ms=NOW_MS)
        seen += [row["object_name"] for row in found(answer)]
        token = answer.next_page_token
        next(batches, None)
    assert len(seen) == len(set(seen))
    assert [name for name in seen if name.startswith("stays")] == [f"stays-{number:02}" for number in range(40)]
    assert len(seen) < 80


@pytest.mark.scenario("CLI-29", "DB-13")
def test_who_follows_sees_what_arrives_after_retention_and_nothing_twice(kube9: Kube9, database: sqlite3.Connection) -> None:
    record(database, *(event(f"old-{number}", 9) for number in range(3)), event("young", 1))
    with following(kube9, "--format", "name") as follower:
        follower.wait(lambda lines: len(lines) == 4)
        assert sweep(database) == 3
        time.sleep(1)  # it looks at the file four times a second
        record(database, event("new"))
        lines = follower.wait(lambda lines: len(lines) > 4)
    ((key,),) = rows(kube9.db, "SELECT id FROM events WHERE object_name = 'new'")
    assert lines[4:] == [key]

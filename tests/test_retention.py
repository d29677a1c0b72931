"""Retention on real files: what goes and what stays, what goes with it, what is said of it, and who is not disturbed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Kube9, make_event, rows

from kube9 import coverage, errors, migrations, retention, rules, settings, shrink, stretches, times
from kube9.model import Batch, Event, Proof, event_id, next_id
from kube9.normalise import normalise
from kube9.retention import FOR_EVER, Limit, Policy
from kube9.upsert import write
from kube9.vocabulary import SEVERITIES

PLAIN = normalise(make_event(count=1), rules.built_in())
NOW_MS = times.now_ms()
DAY_MS = times.DAY_MS
DEFAULT = Policy()


def ago(days: float, ms: int = 0) -> str:
    return times.iso(NOW_MS - round(days * DAY_MS) + ms)


def event(about: str, days: float = 0.0, severity: str = "info", **changes: Any) -> Event:
    """An event that was first and last seen so many days ago."""
    facts = {
        "name": f"{about}.1",
        "object_name": about,
        "severity": severity,
        "created_at": ago(days),
        "last_seen_at": ago(days),
    }
    return PLAIN._replace(**facts | changes)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(migrations.open_writer(str(tmp_path / "kube9.db"))) as connection:
        yield connection


@pytest.fixture
def beside(database: sqlite3.Connection, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection, which does not wait."""
    with closing(sqlite3.connect(tmp_path / "kube9.db", timeout=0, isolation_level=None)) as connection:
        yield connection


def record(connection: sqlite3.Connection, *events: Event, origin: str = "watch") -> None:
    write(connection, [Batch(list(events), origin, "here")])


def sweep(connection: sqlite3.Connection, policy: Policy = DEFAULT, *, later_days: float = 0.0, size: int = 200) -> int:
    """Run retention to its end; how many went."""
    now_ms = NOW_MS + round(later_days * DAY_MS)
    return sum(gone for _, gone in retention.sweep(connection, policy.limits(now_ms), now_ms=now_ms, size=size))


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT object_name FROM events ORDER BY object_name")]


def noted(connection: sqlite3.Connection) -> dict[str, str]:
    found = connection.execute("SELECT severity, before_at FROM evictions WHERE cause = 'older_than_retention'")
    return dict(found.fetchall())


# What goes, and what stays.


@pytest.mark.scenario("DB-11", "DB-12")
@pytest.mark.parametrize(("severity", "kept"), [("info", 7), ("warning", 7), ("error", 30), ("critical", 30)])
def test_what_is_older_than_is_kept_goes_and_what_is_as_old_stays(
    database: sqlite3.Connection, severity: str, kept: int
) -> None:
    limit = ago(kept)
    record(database, event("just", severity=severity, created_at=limit, last_seen_at=limit))
    behind = ago(kept, -1)
    record(database, event("over", severity=severity, created_at=behind, last_seen_at=behind))
    assert sweep(database) == 1
    assert names(database) == ["just"]


@pytest.mark.scenario("DB-12")
def test_an_error_of_25_days_stays_and_one_of_31_goes(database: sqlite3.Connection) -> None:
    for severity in ("error", "critical", "warning"):
        record(database, *(event(f"{severity}-{days}", days, severity) for days in (1, 25, 31)))
    assert sweep(database) == 4
    assert names(database) == ["critical-1", "critical-25", "error-1", "error-25", "warning-1"]


@pytest.mark.scenario("DB-11", "DB-12")
def test_the_days_are_settings_and_may_be_none(database: sqlite3.Connection) -> None:
    record(database, *(event(f"{severity}-{days}", days, severity) for severity in ("info", "error") for days in (1, 40)))
    assert sweep(database, FOR_EVER) == 0
    assert sweep(database, Policy(None, DAY_MS // 2)) == 2
    assert names(database) == ["info-1", "info-40"]
    assert sweep(database, Policy(DAY_MS // 2, None)) == 2


@pytest.mark.scenario("DB-13")
def test_an_event_that_repeats_is_as_old_as_its_last_repeat(database: sqlite3.Connection) -> None:
    record(database, event("repeats", 40, last_seen_at=ago(1), count=9), event("ended", 40, last_seen_at=ago(8), count=9))
    sweep(database)
    assert names(database) == ["repeats"]


@pytest.mark.scenario("DB-13")
@pytest.mark.parametrize("origin", ["import", "api"])
def test_what_was_brought_in_is_as_old_as_its_arrival(database: sqlite3.Connection, origin: str) -> None:
    record(database, *(event(f"web-{number}", 300 + number) for number in range(5)), origin=origin)
    record(database, event("watched", 300))
    assert sweep(database, size=2) == 1
    assert sweep(database, later_days=6.9) == 0
    assert sweep(database, later_days=7.1, size=2) == 5


def test_a_row_without_a_time_is_left_alone(database: sqlite3.Connection) -> None:
    database.execute(
        "INSERT INTO events (id, event_type, severity, title, created_at) VALUES ('x', 'cluster', 'info', 'x', '2020-01-01')"
    )
    assert sweep(database) == 0
    database.execute("UPDATE events SET last_seen_at = '2020-99', origin = 'watch'")
    assert sweep(database) == 1
    assert noted(database) == {"info": ago(7)}


@pytest.mark.scenario("DB-11")
def test_occurrences_and_links_go_with_their_event(database: sqlite3.Connection) -> None:
    for count in (2, 3, 4):
        record(database, event("old", 9, last_seen_at=ago(9, count), count=count))
        record(database, event("new", 9, last_seen_at=ago(1, count), count=count))
    for number, (days, about) in enumerate([(1, "old"), (9, "new"), (1, "new")]):
        own = {"event_type": "insight", "name": "", "id": f"evt_own_{number}", "object_name": about}
        record(database, event("own", days, **own), origin="watch")
    keys = dict(database.execute("SELECT object_name, id FROM events WHERE event_type = 'cluster'").fetchall())
    links = [("evt_own_0", keys["old"]), ("evt_own_1", keys["new"]), ("evt_own_2", keys["new"])]
    database.executemany("INSERT INTO event_links (event_id, linked_id) VALUES (?, ?)", links)
    assert sweep(database) == 2
    assert database.execute("SELECT event_id, linked_id FROM event_links").fetchall() == links[2:]
    assert {key for (key,) in database.execute("SELECT event_id FROM occurrences")} == {keys["new"]}
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_would_go_is_counted_without_touching_it(database: sqlite3.Connection) -> None:
    record(database, *(event(f"{severity}-{days}", days, severity) for severity in SEVERITIES for days in (1, 8, 31)))
    record(database, event("imported", 99), origin="import")
    limits = DEFAULT.limits(NOW_MS)
    assert retention.count(database, limits) == {"info": 2, "warning": 2, "error": 1, "critical": 1}
    assert len(names(database)) == 13
    assert sweep(database) == 6
    assert set(retention.count(database, limits).values()) == {0}


def test_another_reason_to_delete_uses_the_same_batches(database: sqlite3.Connection) -> None:
    record(database, *(event(f"web-{number}", number) for number in range(6)))
    record(database, event("imported", 99), origin="import")
    size = Limit("info", times.iso(NOW_MS), "9999", "evicted_by_size")
    batches = retention.sweep(database, [size], now_ms=NOW_MS, size=2)
    assert [next(batches), next(batches)] == [("info", 2), ("info", 2)]  # and then there is room enough
    assert names(database) == ["web-0", "web-1", "web-2"]
    assert database.execute("SELECT severity, cause, before_at FROM evictions").fetchall() == [
        ("info", "evicted_by_size", ago(3, 1))
    ]


# An event is found by its id, and by the id before it where that was taken.


@pytest.fixture(scope="module")
def clash() -> list[Event]:
    """Two events of different names whose ids are the same."""
    seen: dict[str, str] = {}
    first = event("first", 40)
    for number in range(100_000):
        name = f"web-{number}.1"
        other = seen.setdefault(event_id(first.created_at, first.namespace, name), name)
        if other != name:
            return [first._replace(name=name, object_name=name[:-2]) for name in (other, name)]
    raise AssertionError


@pytest.mark.scenario("DB-06", "DB-13")
def test_an_event_whose_id_was_taken_is_found_after_the_first_grew_old(
    database: sqlite3.Connection, clash: list[Event]
) -> None:
    first, second = clash
    record(database, first, second._replace(last_seen_at=ago(2), count=2))
    assert sweep(database) == 0  # the second is looked for from the first on
    record(database, second._replace(last_seen_at=ago(1), count=3))
    assert dict(database.execute("SELECT object_name, count FROM events").fetchall()) == {
        first.object_name: 1,
        second.object_name: 3,
    }
    assert sweep(database, later_days=7, size=1) == 2  # the first waits, and is tried again


@pytest.mark.scenario("DB-06")
def test_of_a_row_of_taken_ids_the_last_goes_first(database: sqlite3.Connection, clash: list[Event]) -> None:
    first, second = clash
    taken = [event_id(first.created_at, first.namespace, first.name)]
    for _ in range(4):
        taken.append(next_id(taken[-1]))
    record(database, first, second)
    for key, days in zip(taken[2:], (40, 1, 40), strict=True):  # the fourth holds the three before it, not the one behind it
        own = {"event_type": "insight", "name": "", "id": key, "last_seen_at": ago(days)}
        record(database, event(key[-4:], 40, **own))
    assert sweep(database) == 1
    assert [key for (key,) in database.execute("SELECT id FROM events ORDER BY id")] == taken[:4]


# Nobody is held up, and what another process does meanwhile counts.


@pytest.mark.scenario("DB-13")
def test_between_two_short_transactions_others_write_and_read(database: sqlite3.Connection, beside: sqlite3.Connection) -> None:
    record(database, *(event(f"web-{number}", 9, "warning") for number in range(25)))
    left = []
    for severity, gone in retention.sweep(database, DEFAULT.limits(NOW_MS), now_ms=NOW_MS, size=10):
        assert (severity, gone <= 10, database.in_transaction) == ("warning", True, False)
        left += beside.execute("SELECT count(*) FROM events").fetchone()
        beside.execute("BEGIN IMMEDIATE")
        beside.execute("ROLLBACK")
    assert left == [15, 5, 0]


@pytest.mark.scenario("DB-13")
def test_what_another_process_updates_meanwhile_stays(database: sqlite3.Connection, beside: sqlite3.Connection) -> None:
    record(database, *(event(f"web-{number}", 9) for number in range(3)))

    def just_before(sql: str) -> None:
        if sql == "BEGIN IMMEDIATE":  # the three are chosen, and not yet held
            database.set_trace_callback(None)
            beside.execute("UPDATE events SET last_seen_at = ? WHERE object_name = 'web-1'", (ago(1),))

    database.set_trace_callback(just_before)
    assert sweep(database) == 2
    assert names(database) == ["web-1"]


@pytest.mark.scenario("DB-13")
def test_a_batch_that_fails_leaves_all_and_the_next_try_does_it(
    database: sqlite3.Connection, beside: sqlite3.Connection
) -> None:
    record(database, *(event(f"web-{number}", 9) for number in range(3)))
    database.execute("PRAGMA busy_timeout=0")
    beside.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sweep(database)
    beside.execute("ROLLBACK")
    assert (len(names(database)), noted(database)) == (3, {})
    assert sweep(database) == 3


def test_old_rows_are_found_by_an_index(database: sqlite3.Connection) -> None:
    def plan(sql: str, **given: Any) -> str:
        given = Limit("info", "b", "b")._asdict() | given
        return "\n".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", given))

    look = plan(retention.LOOK, last_seen_at="", event_type="", count=0, rowid=0, size=9)
    assert "idx_events_severity (severity=? AND (last_seen_at,event_type,count)>(?,?,?) AND last_seen_at<?)" in look
    assert "SCAN" not in look
    assert "TEMP B-TREE" not in look
    assert "SEARCH events USING INDEX sqlite_autoindex_events_1 (id=?)" in plan(retention.STILL_DUE, ids="[]")
    assert "(severity=? AND last_seen_at>? AND last_seen_at<?)" in plan(retention.COUNT)


# What is said of what is gone.


def watched(connection: sqlite3.Connection, days: float, resource: str = "events", **changes: Any) -> None:
    """A stretch of coverage from so many days ago to now."""
    write(connection, [Batch([], "watch", "here", proof=Proof(resource, ago(days), "before_first_recording", **changes))])
    write(connection, [Batch([], "watch", "here", proof=Proof(resource, ago(0)))])


def note(connection: sqlite3.Connection, policy: Policy = DEFAULT, read_from: str = ago(0.1)) -> None:
    retention.note(connection, policy.limits(NOW_MS), read_from=read_from, now_ms=NOW_MS)


@pytest.mark.scenario("COV-04", "DB-11")
def test_an_answer_about_a_time_before_what_is_kept_says_so(kube9: Kube9, database: sqlite3.Connection) -> None:
    watched(database, 40)
    record(database, *(event(f"{severity}-{days}", days, severity) for severity in SEVERITIES for days in (1, 20, 39)))
    sweep(database)
    note(database)
    assert noted(database) == {"info": ago(7), "warning": ago(7), "error": ago(30), "critical": ago(30)}
    told = kube9.query("events", "list", "--since", ago(39.5)).json["coverage"]
    gone = {(gap["to"], *gap["severities"]) for gap in told["gaps"] if gap["cause"] == "older_than_retention"}
    assert gone == {(ago(7), "info", "warning"), (ago(30), "error", "critical")}
    assert not told["complete"]
    errors_only = kube9.query("events", "list", "--since", ago(29), "--until", ago(1), "--severity", "error").json["coverage"]
    assert (errors_only["gaps"], errors_only["complete"]) == ([], True)


def test_each_batch_tells_how_far_it_came(database: sqlite3.Connection) -> None:
    record(database, *(event(f"web-{days}", days) for days in (12, 11, 10, 9)))
    for _, expected in zip(retention.sweep(database, DEFAULT.limits(NOW_MS), now_ms=NOW_MS, size=2), (11, 9), strict=True):
        assert noted(database) == {"info": ago(expected, 1)}


@pytest.mark.parametrize(
    ("days", "recovered", "read_from", "severities"),
    [
        (3, None, 0.1, []),  # nothing was recorded so early, so nothing is missing
        (10, None, 0.1, ["info", "warning"]),  # there were no events, or they are gone
        (3, 8, 0.1, ["info", "warning"]),  # the first list read further back
        (3, None, 10, ["info", "warning"]),  # the next one will
    ],
)
def test_what_was_never_recorded_is_not_said_to_be_gone(
    database: sqlite3.Connection, days: float, recovered: float | None, read_from: float, severities: list[str]
) -> None:
    watched(database, days, recovered_from=ago(recovered) if recovered else None)
    note(database, read_from=ago(read_from))
    assert sorted(noted(database)) == severities


def test_to_keep_more_brings_nothing_back(database: sqlite3.Connection) -> None:
    watched(database, 40)
    note(database)
    note(database, Policy(20 * DAY_MS, 40 * DAY_MS))
    assert noted(database)["info"] == ago(7)


def test_what_a_wrong_clock_noted_ends_now(database: sqlite3.Connection) -> None:
    watched(database, 40)
    ahead_ms = NOW_MS + 400 * DAY_MS
    retention.note(database, DEFAULT.limits(ahead_ms), read_from=ago(0), now_ms=ahead_ms)
    assert noted(database)["info"] > ago(0)
    note(database)
    assert noted(database)["info"] == ago(0)


# Stretches of the coverage.


def kept_stretches(connection: sqlite3.Connection, days: float) -> list[tuple[str, str]]:
    assert sum(stretches.forget(connection, ago(days))) >= 0
    found = connection.execute("SELECT resource, from_at FROM coverage ORDER BY resource, from_at").fetchall()
    return [(resource, f"{(NOW_MS - times.ms(from_at)) / DAY_MS:g}") for resource, from_at in found]


@pytest.fixture
def restarted(database: sqlite3.Connection) -> sqlite3.Connection:
    """Two resources, watched for nine of ten days each, from 40 days ago on; nodes only up to 35 days ago."""
    for days in (40, 35, 30, 25):
        for resource in ("events", "nodes") if days > 35 else ("events",):
            for at, cause in ((days, "not_running"), (days - 4.5, None)):
                write(database, [Batch([], "watch", "here", proof=Proof(resource, ago(at), cause))])
    return database


def test_stretches_go_oldest_first_and_the_last_of_each_resource_stays(restarted: sqlite3.Connection) -> None:
    assert kept_stretches(restarted, 30) == [("events", "30"), ("events", "25"), ("nodes", "40")]
    assert kept_stretches(restarted, 1) == [("events", "25"), ("nodes", "40")]
    write(restarted, [Batch([], "watch", "here", proof=Proof("nodes", ago(1), "not_running"))])
    assert kept_stretches(restarted, 1) == [("events", "25"), ("nodes", "1")]


def test_what_is_left_of_the_coverage_tells_the_same(restarted: sqlite3.Connection) -> None:
    def told(since: str) -> tuple[int, float, list[tuple[str, str, str]]]:
        found = coverage.read(restarted, since, ago(21), severities=[], now_ms=NOW_MS)
        gaps = [(gap.begin, gap.end, gap.cause) for gap in found.gaps if gap.resource != "nodes"]
        return found.covered_seconds, found.percent, gaps

    before = told(ago(30))
    kept_stretches(restarted, 29)
    assert told(ago(30)) == before
    assert told(ago(39))[2][0] == (ago(39), ago(30.5), "older_than_retention")


def test_what_a_file_told_stays_as_long_as_its_events(database: sqlite3.Connection) -> None:
    record(database, event("web", 100, "error"), event("web", 99, "error"), origin="import")
    assert kept_stretches(database, 30) == [("import", "100")]
    assert sweep(database, later_days=31) == 2
    assert kept_stretches(database, 30) == []


# The file.


@pytest.mark.scenario("DB-13")
def test_free_pages_go_back_in_steps_between_which_others_write(
    database: sqlite3.Connection, beside: sqlite3.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "kube9.db"
    record(database, *(event(f"web-{number}", 9, description="x" * 900) for number in range(3000)))
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    full = path.stat().st_size
    sweep(database)
    given_back = []
    for pages in shrink.shrink(database, step=100):
        given_back.append(pages)
        beside.execute("BEGIN IMMEDIATE")
        beside.execute("ROLLBACK")
    assert len(given_back) > 3
    assert max(given_back) <= 100
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < full / 5
    free, size = (rows(path, f"PRAGMA {name}")[0][0] for name in ("freelist_count", "page_count"))
    assert 0 < free <= size * shrink.RESERVE + 1
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert list(shrink.shrink(database)) == []


# Settings.


@pytest.mark.parametrize(
    ("text", "ms"),
    [("7", 7 * DAY_MS), ("0.5", DAY_MS // 2), (" 30 ", 30 * DAY_MS), ("never", None), ("36500", 36_500 * DAY_MS)],
)
def test_days_are_read(text: str, ms: int | None) -> None:
    assert settings.days_ms(text, "--days") == ms


@pytest.mark.parametrize(
    "text",
    ["", " ", "0", "0.0", "-1", "7d", "1e3", "nan", "inf", "36501", "9" * 30, "0.000000001", ".", ".5", "1.", "Never", "٣"],
)
def test_what_is_no_number_of_days_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        settings.days_ms(text, "--days")
    assert f'--days: "{text}" is no time to keep events for' in str(refused.value)
    assert "such as 7 or 0.5" in str(refused.value)


@pytest.mark.scenario("DB-11", "DB-12", "DB-13")
@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        (["--retention-info-warning-days", "0"], {}, "--retention-info-warning-days"),
        (["--retention-error-critical-days", "30d"], {}, "--retention-error-critical-days"),
        ([], {"EVENT_RETENTION_INFO_WARNING_DAYS": "soon"}, "--retention-info-warning-days"),
        ([], {"EVENT_RETENTION_ERROR_CRITICAL_DAYS": "-1"}, "--retention-error-critical-days"),
        ([], {"EVENT_RETENTION_INTERVAL": "0s"}, "--retention-interval"),
        (["--retention-interval", "often"], {}, "--retention-interval"),
    ],
)
def test_a_start_with_a_nonsensical_setting_ends_with_one_error(
    kube9: Kube9, words: list[str], env: dict[str, str], said: str
) -> None:
    done = kube9("serve", *words, env=env)
    assert (done.code, done.out) == (1, "")
    assert done.err.count(said) == 1
    assert "Traceback" not in done.err
    assert not kube9.db.exists()

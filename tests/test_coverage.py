"""What answers say of the time they were asked about: exact sums over made-up stretches of watching, in every format."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from conftest import Kube9, make_event

import kube9 as library
from kube9 import coverage, coverage_text, errors, migrations, stretches, times, upsert
from kube9.model import Batch, Proof
from kube9.unwatched import MOST_GAPS

SEVERITIES = ["info", "warning", "error", "critical"]
DAY = "2026-03-01T"
NOON = f"{DAY}12:00:00.000Z"
WINDOW = ["--since", f"{DAY}00:00:00Z", "--until", "2026-03-02"]
LIST, TIMELINE = ["events", "list"], ["events", "timeline"]
Row = tuple[str, str, str, str, str | None]


def at(clock: str) -> str:
    """A time of day, such as 14:02, as the database has it."""
    return f"{DAY}{clock}:00.000Z"


def stretch(begin: str, end: str, cause: str, recovered_from: str | None = None, resource: str = "events") -> Row:
    return resource, at(begin), at(end), cause, recovered_from and at(recovered_from)


def insert(connection: sqlite3.Connection, stretches: Iterable[Row]) -> None:
    sql = "INSERT INTO coverage (resource, from_at, to_at, cause, recovered_from) VALUES (?, ?, ?, ?, ?)"
    connection.executemany(sql, stretches)


def beat(connection: sqlite3.Connection, beat_at: str, watches: Iterable[str] = ("events",)) -> None:
    """Leave the sign of life that a recorder leaves."""
    watch = json.dumps({resource: {} for resource in watches})
    connection.execute(
        "INSERT OR REPLACE INTO heartbeat (id, beat_at, started_at, pid, version, health, queue_size, dropped_total, watch) "
        "VALUES (1, ?, ?, 1, '0', 'healthy', 0, 0, ?)",
        (beat_at, beat_at, watch),
    )


def evict(connection: sqlite3.Connection, cause: str, before: str, *severities: str) -> None:
    rows = [(severity, cause, before, NOON) for severity in severities]
    connection.executemany("INSERT INTO evictions (severity, cause, before_at, evicted_at) VALUES (?, ?, ?, ?)", rows)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "kube9.db"
    migrations.migrate(str(path))
    return path


@pytest.fixture
def database(schema: Path) -> Iterator[sqlite3.Connection]:
    """A database on disk, of which a test takes back what it wrote."""
    with closing(sqlite3.connect(schema, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        yield connection
        connection.execute("ROLLBACK")


def found(connection: sqlite3.Connection, since: str | None = None, until: str | None = None, **given) -> coverage.Coverage:
    """Coverage at noon of the day, or at another time."""
    now_ms = times.parse(given.pop("now", NOON), 0)
    return coverage.read(connection, since, until, severities=given.pop("severities", SEVERITIES), now_ms=now_ms, **given)


def gaps(read: coverage.Coverage) -> list[tuple]:
    """Begin and end as a clock shows them, cause, recovered, and where they are told resource and severities."""
    shown = []
    for gap in read.gaps:
        told = (gap.begin[11:16], gap.end[11:16], gap.cause, gap.recovered)
        shown.append((*told, *([gap.resource] if gap.resource else []), *([gap.severities] if gap.severities else [])))
    return shown


@pytest.mark.scenario("COV-01", "COV-04")
def test_a_gap_has_the_cause_of_the_stretch_behind_it(database: sqlite3.Connection):
    insert(database, [stretch("08:00", "10:00", "before_first_recording"), stretch("10:09", "12:00", "not_running", "10:00")])
    read = found(database, at("09:00"), at("11:00"))
    assert gaps(read) == [("10:00", "10:09", "not_running", True)]
    assert (read.begin, read.end) == (at("09:00"), at("11:00"))
    assert (read.covered_seconds, read.complete, read.percent) == (111 * 60, True, 100.0)


@pytest.mark.scenario("COV-05")
def test_a_gap_that_was_refilled_in_part_is_told_as_two(database: sqlite3.Connection):
    insert(database, [stretch("06:00", "08:00", "before_first_recording"), stretch("11:00", "12:00", "not_running", "10:00")])
    read = found(database, at("07:00"), at("12:00"))
    assert gaps(read) == [("08:00", "10:00", "not_running", False), ("10:00", "11:00", "not_running", True)]
    assert (read.covered_seconds, read.complete, read.percent) == (2 * 3600, False, 60.0)


@pytest.mark.scenario("COV-01")
def test_without_since_the_window_begins_at_the_first_recording(database: sqlite3.Connection):
    insert(database, [stretch("08:00", "11:00", "before_first_recording", "07:00")])
    read = found(database, until=at("10:00"))
    assert (read.begin, read.end, read.covered_seconds, read.complete) == (at("08:00"), at("10:00"), 7200, True)


@pytest.mark.scenario("COV-04")
def test_before_the_first_recording_only_what_its_list_brought_is_known(database: sqlite3.Connection):
    insert(database, [stretch("08:00", "11:00", "before_first_recording", "07:00")])
    read = found(database, at("06:00"), at("10:00"))
    assert gaps(read) == [
        ("06:00", "07:00", "before_first_recording", False),
        ("07:00", "08:00", "before_first_recording", True),
    ]
    assert (read.covered_seconds, read.percent) == (7200, 75.0)


@pytest.mark.parametrize(("proven", "beaten", "end", "cause"), [
    ("11:59:40", "11:59:50", "11:59:40", None),  # what is seconds old is no gap
    ("11:58:00", "11:59:50", "12:00:00", "disconnected"),
    ("11:58:00", "11:58:59", "12:00:00", "not_running"),
    ("11:59:40", None, "12:00:00", "not_running"),
])  # fmt: skip
@pytest.mark.scenario("COV-01", "COV-04")
def test_the_present_is_the_last_proof_while_the_recorder_lives(
    database: sqlite3.Connection, proven: str, beaten: str | None, end: str, cause: str | None
):
    row = ("events", at("08:00"), f"{DAY}{proven}.000Z", "before_first_recording", None)
    insert(database, [row])
    if beaten:
        beat(database, f"{DAY}{beaten}.000Z")
    read = found(database, at("08:00"))
    assert read.end == f"{DAY}{end}.000Z"
    assert [(gap.begin, gap.cause) for gap in read.gaps] == ([(row[2], cause)] if cause else [])
    assert read.complete == (cause is None)


@pytest.mark.scenario("COV-01")
@pytest.mark.parametrize("since", [at("08:00"), f"{DAY}11:59:30.000Z"])
def test_a_resource_without_changes_is_proven_in_its_own_time(database: sqlite3.Connection, since: str):
    insert(database, [("events", at("08:00"), f"{DAY}11:59:55.000Z", "before_first_recording", None)])
    insert(database, [("nodes", at("08:00"), f"{DAY}11:59:10.000Z", "before_first_recording", None)])
    insert(database, [("pods", at("08:00"), f"{DAY}11:58:20.000Z", "before_first_recording", None)])
    beat(database, f"{DAY}11:59:50.000Z", watches=("events", "nodes", "pods"))
    read = found(database, since)
    lost = max(since, f"{DAY}11:58:20.000Z")
    assert [(gap.begin, gap.cause, gap.resource) for gap in read.gaps] == [(lost, "disconnected", "pods")]
    later = found(database, since, now=f"{DAY}12:01:00.000Z")  # nobody looks any more
    assert {gap.cause for gap in later.gaps} == {"not_running"}


@pytest.mark.scenario("COV-01")
@pytest.mark.parametrize(("second", "complete"), [("09", True), ("11", False)])
def test_resources_that_are_listed_at_the_same_start_lack_nothing(database: sqlite3.Connection, second: str, complete: bool):
    insert(database, [stretch("08:00", "12:00", "before_first_recording")])
    insert(database, [("pods", f"{DAY}08:00:{second}.000Z", NOON, "before_first_recording", None)])
    read = found(database)
    assert (read.complete, [gap.resource for gap in read.gaps]) == (complete, [] if complete else ["pods"])


def test_a_window_ends_where_it_was_asked_to_but_not_in_the_future(database: sqlite3.Connection):
    insert(database, [stretch("08:00", "11:59", "before_first_recording")])
    beat(database, NOON)
    assert found(database, at("09:00"), at("10:00")).end == at("10:00")
    assert found(database, at("09:00"), at("18:00")).end == at("11:59")
    later = found(database, at("18:00"))
    assert (later.begin, later.end, later.covered_seconds, later.gaps) == (at("18:00"), at("18:00"), 0, [])


def test_a_database_in_which_nothing_was_recorded_has_covered_nothing(database: sqlite3.Connection):
    read = found(database)
    assert (read.begin, read.end, read.covered_seconds, read.complete, read.percent) == (None, None, 0, False, 0)
    read = found(database, at("09:00"))
    assert gaps(read) == [("09:00", "12:00", "before_first_recording", False)]
    assert (read.covered_seconds, read.complete, read.percent) == (0, False, 0)


@pytest.mark.scenario("COV-04")
def test_a_file_tells_of_a_time_that_nobody_watched(database: sqlite3.Connection):
    insert(database, [
        stretch("05:00", "06:30", "imported_only", resource="import"),
        stretch("06:00", "07:00", "imported_only", resource="import"),
        stretch("08:00", "09:00", "before_first_recording"),
        stretch("08:30", "09:45", "imported_only", resource="import"),
        stretch("10:00", "11:00", "not_running", "09:30"),
    ])  # fmt: skip
    assert gaps(found(database, until=at("11:00"))) == [
        ("05:00", "06:30", "imported_only", False),
        ("06:30", "07:00", "imported_only", False),
        ("07:00", "08:00", "before_first_recording", False),
        ("09:00", "09:30", "imported_only", False),
        ("09:30", "10:00", "not_running", True),
    ]


def test_a_file_tells_nothing_of_other_resources(database: sqlite3.Connection):
    insert(database, [stretch("08:00", "12:00", "before_first_recording")])
    insert(database, [stretch("08:00", "09:00", "before_first_recording", resource="pods")])
    insert(database, [stretch("10:00", "12:00", "forbidden", resource="pods")])
    insert(database, [stretch("08:30", "11:00", "imported_only", resource="import")])
    assert gaps(found(database, at("08:00"))) == [("09:00", "10:00", "forbidden", False, "pods")]


@pytest.mark.scenario("COV-04")
def test_what_is_no_longer_kept_is_a_gap_of_its_severities(database: sqlite3.Connection):
    insert(database, [stretch("00:00", "12:00", "before_first_recording")])
    evict(database, "older_than_retention", at("06:00"), "warning", "info")
    evict(database, "evicted_by_size", at("09:00"), "info")
    read = found(database, at("04:00"))
    assert gaps(read) == [
        ("04:00", "06:00", "older_than_retention", False, ["info", "warning"]),
        ("04:00", "09:00", "evicted_by_size", False, ["info"]),
    ]
    assert (read.covered_seconds, read.complete, read.percent) == (8 * 3600, False, 37.5)
    read = found(database, at("04:00"), severities=["warning", "error"])
    assert gaps(read) == [("04:00", "06:00", "older_than_retention", False, ["warning"])]
    assert (read.complete, read.percent) == (False, 75.0)
    read = found(database, at("04:00"), severities=["critical"])
    assert (read.gaps, read.complete, read.percent) == ([], True, 100.0)
    assert found(database, at("09:00")).complete


def test_what_all_resources_missed_is_told_once(database: sqlite3.Connection):
    for resource, second in (("events", 0), ("nodes", 10), ("pods", 80)):
        for begin, end, cause in (("08:00", "10:00", "before_first_recording"), ("10:09", "12:00", "not_running")):
            first, last = (times.iso(times.parse(at(clock), 0) + second * 1000) for clock in (begin, end))
            insert(database, [(resource, first, last, cause, None)])
    beat(database, NOON, ["events", "nodes", "pods"])
    read = found(database, at("08:02"), at("12:00"))
    assert gaps(read) == [("10:00", "10:09", "not_running", False)]
    assert read.covered_seconds == (238 - 9) * 60


@pytest.mark.scenario("COV-01")
def test_what_one_resource_missed_names_it(database: sqlite3.Connection):
    for resource in ("events", "nodes", "pods"):
        insert(database, [stretch("08:00", "09:00", "before_first_recording", resource=resource)])
    insert(database, [stretch("09:10", "12:00", "not_running", "09:00", resource=name) for name in ("events", "nodes")])
    insert(database, [stretch("09:10", "10:00", "not_running", resource="pods")])
    insert(database, [stretch("10:30", "12:00", "forbidden", "10:10", resource="pods")])
    beat(database, NOON, ["events", "nodes", "pods"])
    read = found(database, at("08:00"))
    assert gaps(read) == [
        ("09:00", "09:10", "not_running", True),  # but of pods nothing was read afterwards
        ("09:00", "09:10", "not_running", False, "pods"),
        ("10:00", "10:10", "forbidden", False, "pods"),
        ("10:10", "10:30", "forbidden", True, "pods"),
    ]
    assert (read.complete, read.percent) == (False, 100.0)  # percent is of events


@pytest.mark.parametrize("pods", ["disconnected", "forbidden"])
def test_what_all_missed_is_told_once_beside_what_one_missed_for_longer(database: sqlite3.Connection, pods: str):
    for resource in ("events", "nodes"):
        insert(database, [stretch("08:00", "09:00", "before_first_recording", resource=resource)])
        insert(database, [stretch("09:10", "12:00", "disconnected", resource=resource)])
    insert(database, [stretch("07:00", "08:30", "before_first_recording", resource="pods")])
    insert(database, [stretch("10:00", "12:00", pods, resource="pods")])
    beat(database, NOON, ["events", "nodes", "pods"])
    assert gaps(found(database, at("08:00"))) == [
        ("09:00", "09:10", "disconnected", False),
        ("08:30", "10:00", pods, False, "pods"),
    ]


def test_a_resource_is_missed_as_long_as_the_recorder_means_to_watch_it(database: sqlite3.Connection):
    insert(database, [stretch("08:00", "12:00", "before_first_recording")])
    insert(database, [stretch("08:00", "10:00", "before_first_recording", resource="pods")])
    beat(database, NOON, ["events", "pods"])
    assert gaps(found(database, at("09:00"))) == [("10:00", "12:00", "disconnected", False, "pods")]
    beat(database, NOON, ["events"])
    assert found(database, at("09:00")).complete


def test_only_the_newest_gaps_are_told_and_the_sums_stay_exact(database: sqlite3.Connection):
    start = times.parse(at("00:00"), 0)
    many = MOST_GAPS + 5
    for number in range(many + 1):
        first = start + number * 600_000
        row = ("events", times.iso(first), times.iso(first + 540_000), "not_running", times.iso(first - 60_000))
        insert(database, [row])
    end = times.iso(start + many * 600_000 + 540_000)
    read = found(database, at("00:00"), end, now=end)
    assert (len(read.gaps), read.more_gaps, read.complete, read.percent) == (MOST_GAPS, True, True, 100.0)
    assert read.covered_seconds == (many + 1) * 540
    assert read.gaps[-1].end == times.iso(start + many * 600_000)


def test_an_old_gap_that_is_not_told_counts_all_the_same(database: sqlite3.Connection):
    start = times.parse(at("00:00"), 0)
    for number in range(MOST_GAPS + 5):
        first = start + number * 600_000
        recovered = None if number == 1 else times.iso(first - 60_000)
        insert(database, [("events", times.iso(first), times.iso(first + 540_000), "not_running", recovered)])
    end = times.iso(start + (MOST_GAPS + 4) * 600_000)
    read = found(database, at("00:00"), end, now=end)
    assert all(gap.recovered for gap in read.gaps)
    assert not read.complete
    assert 0 < 100 - read.percent < 1


def test_stretches_that_are_no_longer_kept_leave_a_gap(database: sqlite3.Connection):
    insert(database, [stretch("06:00", "08:00", "before_first_recording"), stretch("09:00", "12:00", "not_running", "08:00")])
    database.execute("DELETE FROM coverage WHERE from_at = ?", (at("06:00"),))
    read = found(database, at("07:00"))
    assert gaps(read) == [("07:00", "08:00", "older_than_retention", False), ("08:00", "09:00", "not_running", True)]
    assert (read.covered_seconds, read.complete, read.percent) == (3 * 3600, False, 80.0)


def test_a_clock_that_was_set_back_counts_nothing_twice(database: sqlite3.Connection):
    insert(database, [stretch("08:00", "10:00", "before_first_recording"), stretch("09:00", "11:00", "not_running")])
    read = found(database, at("08:00"), at("11:00"))
    assert (read.gaps, read.covered_seconds, read.complete) == ([], 3 * 3600, True)


def test_a_time_that_is_none_is_damage(database: sqlite3.Connection):
    insert(database, [("events", at("08:00"), "2026-13-01T00:00:00.000Z", "not_running", None)])
    with pytest.raises(errors.DataLoss, match="2026-13-01"):
        found(database, at("09:00"), now="2027-01-01T00:00:00.000Z")


# Against a model that knows of each tick of the time whether it was watched. A tick is longer than gaps of two resources
# may differ to be one.

TICK_MS = 200_000
START_MS = times.parse("2026-03-01", 0)


def tick(number: int) -> str:
    return times.iso(START_MS + number * TICK_MS)


class Model:
    """The stretches of a resource as a row of ticks."""

    def __init__(self, chance: random.Random, length: int) -> None:
        self.watched, self.recovered = [False] * length, [False] * length
        self.cause = ["not_running"] * length  # behind the last stretch
        self.rows: list[tuple[int, int, str, int | None]] = []
        place = chance.randrange(length)
        while place < length and len(self.rows) < 8:
            end = min(place + chance.choice((0, 1, 2, 5)), length)
            before = self.rows[-1][1] if self.rows else 0
            cause = chance.choice(("disconnected", "expired", "forbidden")) if self.rows else "before_first_recording"
            recovered = chance.choice((None, max(0, place - chance.randrange(6))))
            for number in range(before, place):
                self.cause[number] = cause
                self.recovered[number] = recovered is not None and number >= recovered
            self.watched[place:end] = [True] * (end - place)
            self.rows.append((place, end, cause, recovered))
            place = end + chance.randrange(1, 8)
        if not self.rows:
            self.cause = ["before_first_recording"] * length


@pytest.mark.scenario("COV-01")
@pytest.mark.parametrize("seed", range(100))
def test_every_tick_is_as_the_model_has_it(database: sqlite3.Connection, seed: int):
    chance = random.Random(seed)
    length = 40
    models = {name: Model(chance, length) for name in ("events", "nodes", "pods")[: chance.choice((1, 1, 2, 3))]}
    for name, model in models.items():
        insert(database, [
            (name, tick(first), tick(last), cause, None if recovered is None else tick(recovered))
            for first, last, cause, recovered in model.rows
        ])  # fmt: skip
    models = {name: model for name, model in models.items() if model.rows or name == "events"}
    told_by_file = [False] * length
    for _ in range(chance.choice((0, 0, 1, 3))):
        first = chance.randrange(length)
        last = chance.randrange(first, length) + 1
        told_by_file[first:last] = [True] * (last - first)
        insert(database, [("import", tick(first), tick(last), "imported_only", None)])
    begin = chance.randrange(length)
    end = chance.randrange(begin, length + 1)
    read = found(database, tick(begin), tick(end), now=tick(length))

    window = range(begin, end)
    events = models["events"]
    assert read.covered_seconds == sum(events.watched[number] for number in window) * TICK_MS // 1000
    known = [events.watched[number] or events.recovered[number] for number in window]
    assert read.percent == pytest.approx(100 * sum(known) / len(known) if known else 100)
    whole = all(model.watched[number] or model.recovered[number] for model in models.values() for number in window)
    assert read.complete == whole
    if read.more_gaps:  # those that are left out ended before the first one that is told
        window = [number for number in window if tick(number) >= read.gaps[0].end]
    for name, model in models.items():
        for number in window:
            here = [gap for gap in read.gaps if gap.begin <= tick(number) < gap.end]
            of_it = [gap for gap in here if gap.resource == name] or [gap for gap in here if gap.resource is None]
            expected = [] if model.watched[number] else [(model.cause[number], model.recovered[number])]
            if expected and not model.recovered[number] and told_by_file[number] and name == "events":
                expected = [("imported_only", False)]
            if name != "events":  # a file tells of events alone, and is said in the gap that all resources share
                of_it = [gap for gap in of_it if gap.cause != "imported_only"]
                expected = expected if of_it or not told_by_file[number] else []
            assert [(gap.cause, gap.recovered) for gap in of_it] == expected, (name, number)
    ends = [gap.end for gap in read.gaps]
    assert ends == sorted(ends)


# The program and the library, asked about one day.


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    """A day that was watched from 1 o'clock on, but for two gaps. One of them was refilled."""
    runner = Kube9(tmp_path_factory.mktemp("watched"), cache)
    runner.record(*(make_event(f"web-{number}.1", lastTimestamp=f"{DAY}{number:02}:30:00Z") for number in range(10, 23)))
    with closing(sqlite3.connect(runner.db)) as connection, connection:
        connection.execute("DELETE FROM coverage")  # of the import
        insert(connection, [
            stretch("00:00", "14:02", "before_first_recording"),
            stretch("14:11", "18:00", "not_running", "14:02"),
            ("events", at("18:36"), "2026-03-02T06:00:00.000Z", "disconnected", None),
        ])  # fmt: skip
    return runner


GAPS = [
    {
        "from": at("14:02"), "to": at("14:11"), "cause": "not_running", "recovered": True, "resource": None,
        "severities": None,
    },
    {
        "from": at("18:00"), "to": at("18:36"), "cause": "disconnected", "recovered": False, "resource": None,
        "severities": None,
    },
]  # fmt: skip
WHOLE = {
    "from": at("00:00"), "to": "2026-03-02T00:00:00.000Z", "covered_seconds": 86_400 - 45 * 60, "complete": False,
    "gaps": GAPS, "more_gaps": False,
}  # fmt: skip
LINE = (
    "covered 23h15m of 24h; gaps 14:02–14:11 UTC (kube9 was not running, recovered), "
    "18:00–18:36 UTC (no connection to the API server)\n"
)


@pytest.mark.scenario("COV-01")
@pytest.mark.parametrize("query", ["list", "summary", "noisy", "reasons", "timeline"])
@pytest.mark.parametrize(("form", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_documents_have_the_coverage(watched: Kube9, query: str, form: str, parse: Callable):
    done = watched.query("events", query, *WINDOW, "--format", form)
    assert (done.code, done.err) == (0, "")
    assert parse(done.out)["coverage"] == WHOLE


@pytest.mark.scenario("COV-02")
@pytest.mark.parametrize("form", ["table", "wide"])
def test_a_table_says_it_in_one_line_on_stderr(watched: Kube9, form: str):
    done = watched.query(*LIST, *WINDOW, "--format", form)
    assert (done.code, done.err) == (0, LINE)
    until = ["--since", at("00:00"), "--until", at("14:30")]
    done = watched.query("events", "summary", *until, "--format", form)
    assert done.err == "covered 14h21m of 14h30m; gap 14:02–14:11 UTC (kube9 was not running, recovered)\n"
    done = watched.query(*LIST, "--since", at("04:00"), "--until", at("09:00"), "--format", form)
    assert done.err == "No events found\ncovered 5h of 5h\n"


@pytest.mark.scenario("COV-02")
@pytest.mark.parametrize("words", [["--limit", "3"], ["--all"]])
def test_it_is_said_once_whatever_else_is_said(watched: Kube9, words: list[str]):
    done = watched.query(*LIST, *WINDOW, *words, "--format", "table")
    assert done.err.count("covered 23h") == 1
    assert LINE in done.err


@pytest.mark.parametrize("form", ["jsonl", "csv", "name"])
def test_lines_for_programs_stay_as_they_are(watched: Kube9, form: str):
    done = watched.query(*LIST, *WINDOW, "--format", form)
    assert (done.code, done.err) == (0, "")
    assert "cover" not in done.out


@pytest.mark.scenario("COV-03")
@pytest.mark.parametrize("words", [
    *(f"--format {form}" for form in ("json", "yaml", "jsonl", "csv", "name", "table", "wide")),
    *(f"--format {form} {walk}" for form in ("jsonl", "csv", "name", "table", "wide") for walk in ("--all", "--watch")),
])  # fmt: skip
def test_too_little_gives_nothing_and_says_why(watched: Kube9, words: str):
    done = watched.query(*LIST, *WINDOW, "--require-coverage", "99%", *words.split())
    assert (done.code, done.out) == (1, "")
    people = words.split()[1] in ("table", "wide")
    said = done.err if people else f"{done.error['error']}\n{done.error['details']}"
    assert people or done.error["code"] == "FAILED_PRECONDITION"
    assert "97.5% of the time asked for is covered, and 99% is required" in said
    assert "gap 18:00–18:36 UTC (no connection to the API server)" in said


@pytest.mark.scenario("COV-03")
@pytest.mark.parametrize("query", ["list", "summary", "noisy", "reasons", "timeline"])
def test_every_query_with_a_window_can_require_it(watched: Kube9, query: str):
    done = watched.query("events", query, *WINDOW, "--require-coverage", "98")
    assert (done.code, done.out, done.error["code"]) == (1, "", "FAILED_PRECONDITION")
    assert watched.query("events", query, *WINDOW, "--require-coverage", "97.5%").code == 0
    assert watched.query("status", "--require-coverage", "97").code == 1


@pytest.mark.scenario("COV-03")
def test_a_gap_that_was_refilled_is_enough(watched: Kube9):
    done = watched.query(*LIST, "--since", at("09:00"), "--until", at("17:00"), "--require-coverage", "100%")
    assert done.json["coverage"]["complete"]
    assert done.json["coverage"]["covered_seconds"] == 8 * 3600 - 9 * 60


@pytest.mark.scenario("COV-03")
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_enough_gives_every_row_of_a_walk(watched: Kube9, form: str):
    words = [*LIST, *WINDOW, "--all", "--format", form]
    assert watched.query(*words, "--require-coverage", "90%").out == watched.query(*words).out != ""


@pytest.mark.scenario("COV-03")
@pytest.mark.parametrize("value", ["101", "-1", "much", "99%%", "%", "", "nan", "1e1", "9" * 30, "٩٩"])
def test_what_is_no_percentage_is_refused(watched: Kube9, value: str):
    done = watched.query(*LIST, f"--require-coverage={value}")
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    with library.connect(watched.db) as db, pytest.raises(errors.InvalidArgument):
        db.events.list(require_coverage=value)


def test_a_page_token_goes_on_under_any_requirement(watched: Kube9):
    words = [*LIST, *WINDOW, "--limit", "2"]
    token = watched.query(*words, "--require-coverage", "90%").json["pagination"]["next_page_token"]
    assert watched.query(*words, "--page-token", token).code == 0
    done = watched.query(*words, "--page-token", token, "--require-coverage", "99%")
    assert (done.code, done.error["code"]) == (1, "FAILED_PRECONDITION")


@pytest.mark.scenario("COV-01")
def test_the_library_has_it_typed(watched: Kube9):
    with library.connect(watched.db) as db:
        page = db.events.summary(since=at("00:00"), until="2026-03-02")
        assert page.coverage.covered_seconds == WHOLE["covered_seconds"]
        assert [(gap.cause, gap.recovered) for gap in page.coverage.gaps] == [("not_running", True), ("disconnected", False)]
        assert page.coverage.gaps[0].from_.isoformat() == "2026-03-01T14:02:00+00:00"


@pytest.mark.scenario("COV-03")
@pytest.mark.parametrize("percent", ["99%", 99, 99.5])
def test_the_library_requires_it_before_any_row(watched: Kube9, percent: str | float):
    given = {"since": at("00:00"), "until": "2026-03-02", "require_coverage": percent}
    with library.connect(watched.db) as db:
        with pytest.raises(errors.FailedPrecondition, match=r"97\.5% of the time asked for is covered"):
            db.events.list(**given)
        with pytest.raises(errors.FailedPrecondition):
            next(db.events.list_all(**given))
        with pytest.raises(errors.FailedPrecondition):
            db.events.watch(**given)
        with pytest.raises(errors.FailedPrecondition):
            db.events.list(request=library.ListEventsRequest(**given))
        assert len(list(db.events.list_all(**given | {"require_coverage": 97}))) == 13


@pytest.mark.scenario("COV-03")
def test_a_walk_that_has_begun_is_not_torn_off(kube9: Kube9):
    kube9.record(*(make_event(f"web-{number}.1") for number in range(1500)))  # more than a page
    with closing(sqlite3.connect(kube9.db)) as connection, connection:
        insert(connection, [stretch("00:00", "23:00", "before_first_recording")])
    with library.connect(kube9.db) as db:
        walk = db.events.list_all(since=at("01:00"), until=at("20:00"), require_coverage=100)
        assert next(walk)
        with closing(sqlite3.connect(kube9.db)) as connection, connection:
            connection.execute("DELETE FROM coverage")
        assert sum(1 for _ in walk) == 1499
        with pytest.raises(errors.FailedPrecondition):
            next(db.events.list_all(since=at("01:00"), until=at("20:00"), require_coverage=100))


# As the recorder writes it.


def prove(connection: sqlite3.Connection, *proofs: Proof, cluster: str = "here") -> None:
    for proof in proofs:
        upsert.write(connection, [proving(proof, cluster)])


def proving(proof: Proof, cluster: str = "here") -> Batch:
    return Batch([], "watch", cluster, proof=proof)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database as the recorder opens it."""
    path = str(tmp_path / "kube9.db")
    migrations.migrate(path)
    with closing(migrations.open_writer(path)) as connection:
        yield connection


@pytest.mark.scenario("COV-01", "COV-05")
@pytest.mark.parametrize("at_once", [False, True], ids=["each alone", "in one transaction"])
def test_proofs_make_the_stretches_that_answers_tell_of(recorded: sqlite3.Connection, at_once: bool):
    proofs = (
        Proof("events", at("08:00"), "before_first_recording", at("07:00")),
        Proof("events", at("08:30")),
        Proof("events", at("10:00")),
        Proof("events", at("12:00"), "not_running", at("11:00")),  # a list, which brought back an hour
        Proof("events", at("14:00")),
    )
    if at_once:
        upsert.write(recorded, [proving(proof) for proof in proofs])
    else:
        prove(recorded, *proofs)
    read = found(recorded, at("08:00"), at("14:00"), now=at("14:00"))
    assert gaps(read) == [("10:00", "11:00", "not_running", False), ("11:00", "12:00", "not_running", True)]
    assert (read.covered_seconds, read.complete) == (4 * 3600, False)


@pytest.mark.scenario("COV-01")
def test_a_gap_is_kept_when_the_next_proof_is_written_with_it(recorded: sqlite3.Connection):
    prove(recorded, Proof("events", at("08:00"), "before_first_recording"), Proof("events", at("10:00")))
    together = [Proof("events", at("11:00"), "not_running", at("10:00")), Proof("events", at("11:01"))]
    upsert.write(recorded, [Batch([], "watch", "here", proof=proof) for proof in together])
    read = found(recorded, at("08:00"), at("11:01"))
    assert gaps(read) == [("10:00", "11:00", "not_running", True)]
    assert read.covered_seconds == 121 * 60


@pytest.mark.scenario("COV-04")
def test_writes_that_failed_are_a_gap_of_all_that_was_watched(recorded: sqlite3.Connection):
    for resource in ("events", "nodes"):
        prove(recorded, Proof(resource, at("08:00"), "before_first_recording"), Proof(resource, at("10:00")))
    stretches.interrupt(recorded, watched_since=at("09:58"), until=at("10:20"), kept_from=at("09:20"))
    prove(recorded, *(Proof(resource, at("12:00")) for resource in ("events", "nodes")))
    read = found(recorded, at("08:00"))
    assert gaps(read) == [("10:00", "10:20", "storage_unavailable", True)]
    assert (read.covered_seconds, read.complete) == (220 * 60, True)


def test_of_several_clusters_it_counts_what_was_watched_of_any(recorded: sqlite3.Connection):
    prove(recorded, Proof("events", at("08:00"), "before_first_recording"), Proof("events", at("09:00")))
    prove(recorded, Proof("events", at("10:00"), "before_first_recording"), Proof("events", at("11:00")), cluster="there")
    prove(recorded, Proof("events", at("11:30"), "not_running", at("11:00")), Proof("events", at("12:00")))
    read = found(recorded, at("08:00"))
    assert gaps(read) == [("09:00", "10:00", "before_first_recording", False), ("11:00", "11:30", "not_running", True)]
    assert read.covered_seconds == 150 * 60


@pytest.mark.scenario("COV-04")
def test_an_import_tells_of_the_time_of_its_file(kube9: Kube9):
    kube9.record(make_event(firstTimestamp=f"{DAY}10:00:00Z", lastTimestamp=f"{DAY}11:00:00Z"))
    done = kube9.query(*LIST, *WINDOW).json["coverage"]
    causes = [(gap["from"][11:16], gap["cause"]) for gap in done["gaps"]]
    assert causes == [("00:00", "before_first_recording"), ("10:00", "imported_only"), ("11:00", "before_first_recording")]
    assert kube9.query(*LIST, "--until", "2026-03-02").json["coverage"]["from"] == at("10:00")


# In words.


@pytest.mark.parametrize(("seconds", "said"), [
    (0, "0s"), (45, "45s"), (550, "9m10s"), (3599, "59m59s"), (3600, "1h"), (3629, "1h"), (3631, "1h1m"),
    (86_280, "23h58m"), (86_399, "24h"), (86_400, "24h"), (172_799, "2d"), (180_000, "2d2h"), (604_800, "7d"),
])  # fmt: skip
def test_a_duration_is_told_in_two_units(seconds: int, said: str):
    assert coverage_text.duration(seconds * 1000) == said


@pytest.mark.scenario("COV-02")
def test_gaps_are_told_with_what_a_person_needs(database: sqlite3.Connection):
    insert(database, [stretch("02:00", "03:00", "before_first_recording")])
    assert coverage_text.line(found(database, at("00:00"))) == (
        "covered 1h of 12h; gaps until 02:00 UTC (before the first recording), since 03:00 UTC (kube9 was not running)"
    )
    assert coverage_text.line(found(database, "2026-02-25T00:00:00.000Z", at("02:30"))) == (
        "covered 30m of 4d3h; gap until 2026-03-01 02:00 UTC (before the first recording)"
    )
    evict(database, "older_than_retention", at("02:10"), "info", "warning")
    assert coverage_text.line(found(database, at("02:00"), at("02:30"))) == (
        "covered 30m of 30m; gap until 02:10 UTC (info, warning: older than what is kept)"
    )


@pytest.mark.scenario("COV-02")
def test_of_many_gaps_those_that_lack_something_are_told(database: sqlite3.Connection):
    insert(database, [stretch("01:00", "02:00", "before_first_recording")])
    for hour in range(3, 9):
        lost = None if hour == 4 else f"{hour - 1:02}:00"
        insert(database, [stretch(f"{hour:02}:30", f"{hour + 1:02}:00", "not_running", lost)])
    assert coverage_text.line(found(database, at("01:00"), at("09:00"))) == (
        "covered 4h of 8h; gaps 04:00–04:30 UTC (kube9 was not running), 07:00–07:30 UTC (kube9 was not running, recovered), "
        "08:00–08:30 UTC (kube9 was not running, recovered); and 3 more"
    )


@pytest.mark.scenario("COV-02")
def test_what_several_resources_missed_together_is_told_once(database: sqlite3.Connection):
    insert(database, [stretch("02:00", "12:00", "before_first_recording", "01:00")])
    for second, name in enumerate(("deployments", "jobs", "nodes", "pods"), start=1):
        insert(database, [(name, f"{DAY}02:00:{second:02}.000Z", NOON, "before_first_recording", None)])
    assert coverage_text.line(found(database, at("00:00"))) == (
        "covered 10h of 12h; gaps until 01:00 UTC (before the first recording), 01:00–02:00 UTC (before the first recording, "
        "recovered), until 02:00 UTC (deployments, jobs and 2 more: before the first recording)"
    )


def test_short_gaps_have_seconds_and_long_windows_dates(database: sqlite3.Connection):
    insert(database, [stretch("01:00", "02:00", "before_first_recording")])
    insert(database, [("events", f"{DAY}02:00:40.000Z", "2026-03-03T00:00:00.000Z", "not_running", at("02:00"))])
    short = "02:00:00–02:00:40 UTC (kube9 was not running, recovered)"
    day = coverage_text.line(found(database, at("01:00"), "2026-03-02T00:00:00.000Z", now="2026-03-03T00:00:00.000Z"))
    assert day == f"covered 22h59m of 23h; gap {short}"
    days = coverage_text.line(found(database, at("01:00"), "2026-03-03T00:00:00.000Z", now="2026-03-03T00:00:00.000Z"))
    assert days == f"covered 46h59m of 47h; gap 2026-03-01 {short}"


def test_less_than_all_never_reads_as_all(database: sqlite3.Connection):
    insert(database, [stretch("00:00", "01:00", "before_first_recording")])
    insert(database, [("events", f"{DAY}01:00:00.001Z", at("12:00"), "not_running", None)])
    read = found(database, at("00:00"))
    assert coverage_text.percent(read) == "99.99%"
    with pytest.raises(errors.FailedPrecondition):
        coverage_text.demand(read, 100)
    coverage_text.demand(read, 99.99)


# The timeline, where a zero may be the silence of the cluster or of the recorder.


@pytest.mark.scenario("COV-01")
def test_a_timeline_says_which_of_its_intervals_were_covered(watched: Kube9):
    done = watched.query(*TIMELINE, "--since", "2026-02-28T23:00:00Z", "--until", "2026-03-02T08:00:00Z", "--interval", "1h")
    rows = {row["start"]: row["covered"] for row in done.json["event_intervals"]}
    assert len(rows) == 33
    lost = {"2026-02-28T23:00:00.000Z", at("18:00"), "2026-03-02T06:00:00.000Z", "2026-03-02T07:00:00.000Z"}
    assert {start for start, covered in rows.items() if not covered} == lost
    assert set(rows.values()) == {True, False}
    half = watched.query(*TIMELINE, "--since", at("18:36"), "--until", at("20:00"), "--interval", "1h")
    assert [row["covered"] for row in half.json["event_intervals"]] == [True, True]  # of an interval what was asked for
    shown = watched.query(*TIMELINE, "--since", at("17:00"), "--until", at("19:00"), "--interval", "1h", "--format", "table")
    assert [line.split()[6] for line in shown.out.splitlines()] == ["COVERED", "yes", "no"]


def test_a_timeline_covers_nothing_that_is_no_longer_kept(kube9: Kube9):
    kube9.record(make_event())
    with closing(sqlite3.connect(kube9.db)) as connection, connection:
        insert(connection, [stretch("00:00", "12:00", "before_first_recording")])
        evict(connection, "older_than_retention", at("02:30"), "info")
    done = kube9.query(*TIMELINE, "--since", at("01:00"), "--until", at("05:00"), "--interval", "1h")
    assert [row["covered"] for row in done.json["event_intervals"]] == [False, False, True, True]


def test_a_timeline_takes_what_is_seconds_old_for_covered(kube9: Kube9):
    kube9.record(make_event())
    now_ms = times.now_ms()
    for proven_ms, covered in ((now_ms - 30_000, True), (now_ms - 200_000, False)):
        row = ("events", times.iso(now_ms - 7_200_000), times.iso(proven_ms), "before_first_recording", None)
        with closing(sqlite3.connect(kube9.db)) as connection, connection:
            connection.execute("DELETE FROM coverage")
            insert(connection, [row])
        rows = kube9.query(*TIMELINE, "--since", "1h", "--interval", "10m").json["event_intervals"]
        assert rows[-1]["covered"] is covered
        assert all(row["covered"] for row in rows[:-2])

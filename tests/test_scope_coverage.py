"""What answers say of a time in which one namespace alone was watched: its own are covered, all others are not."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Kube9, make_event
from test_coverage import LIST, TIMELINE, at, beat, evict, found, gaps

from kube9 import coverage_text, migrations, upsert
from kube9.model import Batch, Proof
from kube9.reach import CLUSTER_WIDE
from kube9.resources import WATCHED

HOUR = ("--since", at("08:00"), "--until", at("12:00"))


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = str(tmp_path / "kube9.db")
    migrations.migrate(path)
    with closing(migrations.open_writer(path)) as connection:
        yield connection


def prove(connection: sqlite3.Connection, namespace: str | None, *proofs: Proof) -> None:
    """What a recorder of one namespace, or of all, has read."""
    for proof in proofs:
        batch = Batch([], "watch", f"uid-of-{namespace}", proof=proof, namespace=namespace)
        upsert.write(connection, [batch])


def watch_all_then_shop_then_all(connection: sqlite3.Connection, *resources: str) -> None:
    """All of it from 8 to 10, shop alone from 10:10 to 11, all of it from 11:05 to 12, when it read back to 10:30."""
    for name in ("events", *resources):
        prove(connection, None, Proof(name, at("08:00"), "before_first_recording"), Proof(name, at("10:00")))
    for name in ("events", *(name for name in resources if name not in CLUSTER_WIDE)):
        prove(connection, "shop", Proof(name, at("10:10"), "not_running", at("10:00")), Proof(name, at("11:00")))
    for name in ("events", *resources):
        prove(connection, None, Proof(name, at("11:05"), "not_running", at("10:30")), Proof(name, at("12:00")))
    beat(connection, at("12:00"), ("events", *resources))


def test_those_without_a_namespace_are_known() -> None:
    assert set(CLUSTER_WIDE) == {resource.name for resource in WATCHED if not resource.namespaced}


@pytest.mark.scenario("COV-01", "COV-04")
@pytest.mark.parametrize("resources", [(), ("pods",), ("pods", "nodes")], ids=str)
@pytest.mark.parametrize("asked", [None, ["other"], ["shop", "other"]])
def test_other_namespaces_were_not_watched(recorded: sqlite3.Connection, asked: list[str] | None, resources: tuple[str, ...]):
    watch_all_then_shop_then_all(recorded, *resources)
    read = found(recorded, at("08:00"), at("12:00"), namespaces=asked)
    assert [gap for gap in gaps(read) if "nodes" not in gap] == [
        ("10:00", "10:30", "outside_scope", False),
        ("10:30", "11:00", "outside_scope", True),
        ("11:00", "11:05", "not_running", True),
    ]
    assert (read.covered_seconds, read.complete) == (175 * 60, False)
    assert read.percent == pytest.approx(100 * (120 + 35 + 55) / 240)


@pytest.mark.scenario("COV-01")
@pytest.mark.parametrize("resources", [(), ("pods", "nodes")], ids=str)
def test_the_namespace_itself_was_watched_all_the_time(recorded: sqlite3.Connection, resources: tuple[str, ...]):
    watch_all_then_shop_then_all(recorded, *resources)
    read = found(recorded, at("08:00"), at("12:00"), namespaces=["shop"])
    assert gaps(read) == [("10:00", "10:10", "not_running", True), ("11:00", "11:05", "not_running", True)]
    assert (read.covered_seconds, read.complete, read.percent) == (225 * 60, True, 100.0)


@pytest.mark.parametrize(("since", "until"), [("10:15", "10:45"), ("10:15", "11:00"), ("10:10", "10:20")])
def test_a_window_within(recorded: sqlite3.Connection, since: str, until: str):
    watch_all_then_shop_then_all(recorded)
    read = found(recorded, at(since), at(until))
    assert {gap.cause for gap in read.gaps} == {"outside_scope"}
    assert read.covered_seconds == 0
    assert found(recorded, at(since), at(until), namespaces=["shop"]).complete


def test_a_first_list_of_one_namespace_tells_of_no_other(recorded: sqlite3.Connection):
    prove(recorded, "shop", Proof("events", at("10:00"), "before_first_recording", at("09:00")), Proof("events", at("11:00")))
    read = found(recorded, at("08:00"), at("11:00"), now=at("11:00"))
    assert gaps(read) == [("08:00", "09:00", "before_first_recording", False), ("09:00", "11:00", "outside_scope", False)]
    assert (read.covered_seconds, read.percent) == (0, 0)
    own = found(recorded, at("08:00"), at("11:00"), now=at("11:00"), namespaces=["shop"])
    assert gaps(own) == [
        ("08:00", "09:00", "before_first_recording", False),
        ("09:00", "10:00", "before_first_recording", True),
    ]


@pytest.mark.scenario("COV-01")
def test_who_is_not_running_watches_no_namespace(recorded: sqlite3.Connection):
    prove(recorded, "shop", Proof("events", at("08:00")), Proof("events", at("10:00")))
    assert gaps(found(recorded, at("08:00"))) == [
        ("08:00", "10:00", "outside_scope", False),
        ("10:00", "12:00", "not_running", False),
    ]
    assert gaps(found(recorded, at("08:00"), namespaces=["shop"])) == [("10:00", "12:00", "not_running", False)]


def test_what_is_removed_is_missing_of_what_was_within_reach(recorded: sqlite3.Connection):
    watch_all_then_shop_then_all(recorded)
    evict(recorded, "older_than_retention", at("10:20"), "info", "warning", "error", "critical")
    assert found(recorded, at("08:00"), at("12:00")).percent == pytest.approx(100 * 90 / 240)
    assert found(recorded, at("08:00"), at("12:00"), namespaces=["shop"]).percent == pytest.approx(100 * 100 / 240)


def test_an_older_stretch_does_not_grow_over_what_another_scope_watched(recorded: sqlite3.Connection):
    prove(recorded, "shop", Proof("events", at("08:00")), Proof("events", at("09:00")))
    prove(recorded, None, Proof("events", at("09:05"), "not_running"), Proof("events", at("10:00")))
    prove(recorded, "shop", Proof("events", at("10:01")), Proof("events", at("11:00")))  # as after an outage that was short
    read = found(recorded, at("08:00"), at("11:00"), namespaces=["shop"], now=at("11:00"))
    assert (read.covered_seconds, read.complete) == (174 * 60, False)
    assert gaps(read) == [("09:00", "09:05", "not_running", False), ("10:00", "10:01", "not_running", True)]
    assert found(recorded, at("08:00"), at("11:00"), now=at("11:00")).covered_seconds == 55 * 60


@pytest.mark.parametrize("seed", range(100))
def test_every_minute_is_as_the_model_has_it(recorded: sqlite3.Connection, seed: int):
    """Recorders of all, of shop and of bank, one after another, each begun with a list that reads some minutes back."""
    chance = random.Random(seed)
    length, minute, kept = 60, chance.randrange(3), chance.randrange(12)  # the server keeps events for so many minutes
    asked = chance.choice((None, "shop", "bank", "other"))
    watched, recovered = [False] * length, [False] * length
    clock = [f"{number // 60 + 8:02}:{number % 60:02}" for number in range(length + 1)]
    ended: dict[str | None, int] = {}
    while minute < length - 3:
        scope = chance.choice((None, "shop", "bank"))
        for _ in range(chance.choice((1, 1, 2))):
            known = [ended[name] for name in {scope, None} if name in ended]
            first = min(length, minute + chance.randrange(4))
            back = max([first - kept, 0, *known])  # as a list proves it
            last = min(length, first + chance.randrange(7))
            prove(
                recorded,
                scope,
                Proof("events", at(clock[first]), "not_running", at(clock[back])),
                Proof("events", at(clock[last])),
            )
            if scope in (None, asked):
                watched[first:last] = [True] * (last - first)
                recovered[back:first] = [True] * (first - back)
            ended[scope] = minute = last
            if last >= length:
                break
    begin = chance.randrange(length)
    end = chance.randrange(begin + 1, length + 1)
    read = found(recorded, at(clock[begin]), at(clock[end]), namespaces=asked and [asked], now=at(clock[length]))
    window = range(begin, end)
    assert read.covered_seconds == 60 * sum(watched[number] for number in window)
    missing = {number for number in window if not watched[number] and not recovered[number]}
    told = {number for number in window for gap in read.gaps if gap.begin <= at(clock[number]) < gap.end and not gap.recovered}
    assert told == missing
    assert read.complete == (not missing)
    assert read.percent == pytest.approx(100 - 100 * len(missing) / len(window))


# The program, asked about one day.


@pytest.fixture
def asked(kube9: Kube9) -> Kube9:
    kube9.record(make_event("web.1", "shop", firstTimestamp=at("10:20"), lastTimestamp=at("10:20")))
    with closing(migrations.open_writer(str(kube9.db))) as connection:
        connection.execute("DELETE FROM coverage")
        watch_all_then_shop_then_all(connection)
    return kube9


@pytest.mark.scenario("COV-02")
def test_the_line_says_it(asked: Kube9) -> None:
    done = asked.query(*LIST, *HOUR, "--format", "table")
    assert done.err.splitlines()[-1] == (
        "covered 2h55m of 4h; gaps 10:00–10:30 UTC (outside the one namespace that was watched), 10:30–11:00 UTC "
        "(outside the one namespace that was watched, recovered), 11:00–11:05 UTC (kube9 was not running, recovered)"
    )
    done = asked.query(*LIST, *HOUR, "--format", "table", "-n", "shop")
    assert done.err.splitlines()[-1].startswith("covered 3h45m of 4h; gaps 10:00–10:10 UTC (kube9 was not running, recovered)")


@pytest.mark.scenario("COV-03")
def test_who_requires_coverage_gets_it_for_the_namespace_alone(asked: Kube9) -> None:
    assert asked.query(*LIST, *HOUR, "-n", "shop", "--require-coverage", "100%").code == 0
    for words in ((), ("-n", "other")):
        refused = asked.query(*LIST, *HOUR, *words, "--require-coverage", "90%")
        assert (refused.code, refused.out, refused.error["code"]) == (1, "", "FAILED_PRECONDITION")
        assert "outside the one namespace that was watched" in refused.error["details"]


@pytest.mark.scenario("COV-01")
def test_a_timeline_covers_the_namespace_alone(asked: Kube9) -> None:
    def covered(*words: str) -> list[bool]:
        rows = asked.query(*TIMELINE, "--since", at("09:30"), "--until", at("11:30"), "--interval", "10m", *words).json
        return [row["covered"] for row in rows["event_intervals"]]

    uncovered = [False] * 3  # from 10 to half past
    assert covered() == covered("-n", "other") == [*[True] * 3, *uncovered, *[True] * 6]
    assert covered("-n", "shop") == [True] * 12


def test_a_timeline_counts_the_namespace_alone(kube9: Kube9) -> None:
    seen = {"firstTimestamp": at("10:00"), "lastTimestamp": at("10:00")}
    kube9.record(
        *(make_event(f"web-{number}.1", namespace, **seen) for number, namespace in enumerate(("shop", "shop", "other")))
    )
    for words, events in (((), 3), (("-n", "shop"), 2), (("-n", "other"), 1), (("-n", "none"), 0)):
        rows = kube9.query(*TIMELINE, *HOUR, *words).json["event_intervals"]
        assert sum(row["events"] for row in rows) == events, words


def test_every_query_with_a_window_knows_the_namespace(asked: Kube9) -> None:
    for query in ("list", "summary", "noisy", "reasons", "timeline"):
        assert asked.query("events", query, *HOUR).json["coverage"]["complete"] is False
        assert asked.query("events", query, *HOUR, "-n", "shop").json["coverage"]["complete"] is True


def test_words_for_a_whole_window(recorded: sqlite3.Connection) -> None:
    prove(recorded, "shop", Proof("events", at("08:00")), Proof("events", at("12:00")))
    said = coverage_text.line(found(recorded, at("08:00"), at("12:00")))
    assert said == "covered nothing of 4h; gap all of it (outside the one namespace that was watched)"

"""Rows of events: what makes two deliveries one row, which of them is taken, and what is committed together."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Kube9, make_event
from hypothesis import given, settings
from hypothesis import strategies as st

from kube9 import migrations, rules
from kube9.model import Batch, Event, Position, event_id, next_id
from kube9.normalise import normalise
from kube9.upsert import Tally, write
from kube9.writer import Writer

PLAIN = normalise(make_event(), rules.built_in())
ADDED, UPDATED, UNCHANGED = (1, 0, 0), (0, 1, 0), (0, 0, 1)
NEWER = {"last_seen_at": "2026-03-01T11:00:00.000Z", "count": 9}
SENDER = """
import sys
from kube9 import migrations
from kube9.model import Batch, Position
from kube9.upsert import write
from test_upsert import PLAIN
connection = migrations.open_writer(sys.argv[1])
print("ready", flush=True)
for number in range(1, 100_000):
    events = [PLAIN._replace(name=f"web-0.{number}-{index}") for index in range(20)]
    write(connection, [Batch(events, "watch", "here", Position("events", str(number)))])
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = migrations.open_writer(str(tmp_path / "kube9.db"))
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


@pytest.fixture
def deliver(database: sqlite3.Connection) -> Callable[..., tuple[int, int, int]]:
    """Writes an event with some fields changed; tells how many rows were added, updated and left alone."""

    def run(cluster: str | None = None, **changes) -> tuple[int, int, int]:
        return counts(write(database, [Batch([PLAIN._replace(**changes)], "watch", cluster)]))

    return run


def counts(tally: Tally) -> tuple[int, int, int]:
    return tally.added, tally.updated, tally.unchanged


def stored(connection: sqlite3.Connection, columns: str = "*") -> list[dict]:
    return [dict(row) for row in connection.execute(f"SELECT {columns} FROM events ORDER BY id")]


def test_the_same_name_and_first_time_with_another_uid_is_the_same_row(database, deliver) -> None:
    assert deliver(uid="first") == ADDED
    assert deliver(uid="re-created", **NEWER) == UPDATED
    assert stored(database, "uid, count") == [{"uid": "re-created", "count": 9}]


@pytest.mark.parametrize("change", [{"created_at": "2026-03-01T10:00:00.001Z"}, {"namespace": "test"}, {"name": "web-0.other"}])
def test_another_first_time_namespace_or_name_is_another_row(deliver, change: dict) -> None:
    assert deliver() == ADDED
    assert deliver(**change) == ADDED
    assert deliver() == deliver(**change) == UNCHANGED


NAMES = [("x.1", "x"), ("x.1", "y"), ("x", "x"), ("x.", "x"), (".1", None), (".1", "x"), ("/1", "x"), ("/.1", None)]


@pytest.mark.parametrize(("name", "object_name"), NAMES)
def test_an_event_is_known_again_whatever_its_name(deliver, name: str, object_name: str | None) -> None:
    assert deliver(name=name, object_name=object_name) == ADDED
    assert deliver(name=name, object_name=object_name) == UNCHANGED


@pytest.mark.parametrize(("own", "of_object"), [("prod", "prod"), ("default", None), ("", "prod"), ("", None)])
def test_an_event_is_known_again_whatever_its_namespace(deliver, own: str, of_object: str | None) -> None:
    assert deliver(namespace=own, object_namespace=of_object) == ADDED
    assert deliver(namespace=own, object_namespace=of_object) == UNCHANGED


def test_two_known_clusters_never_share_a_row(database, deliver) -> None:
    assert deliver(cluster="here") == ADDED
    assert deliver(cluster="there") == ADDED
    assert deliver(cluster="here") == deliver(cluster="there") == UNCHANGED


@pytest.mark.parametrize("clusters", [(None, "here"), ("here", None)])
def test_an_unknown_cluster_may_be_any_and_is_known_once_it_is_told(database, deliver, clusters: tuple) -> None:
    first, second = clusters
    assert deliver(cluster=first) == ADDED
    deliver(cluster=second)
    known = database.execute("SELECT clusters.uid FROM events LEFT JOIN clusters ON clusters.id = cluster_id")
    assert [tuple(row) for row in known] == [("here",)]


def test_an_update_that_follows_the_learning_of_a_cluster_has_the_last_change_seq(database, deliver) -> None:
    deliver(cluster=None)
    write(database, [Batch([PLAIN, PLAIN._replace(**NEWER)], "watch", "here")])
    ((last,),) = database.execute("SELECT value FROM counters WHERE name = 'change_seq'")
    assert stored(database, "change_seq, count") == [{"change_seq": last, "count": 9}]


def test_two_known_clusters_never_share_the_row_of_an_unknown_one(deliver) -> None:
    deliver(cluster=None)
    deliver(cluster="here")
    assert deliver(cluster="there") == ADDED


@pytest.fixture(scope="module")
def clash() -> list[Event]:
    """Two events of different names with the same id, and one beside them."""
    seen: dict[str, str] = {}
    for number in range(100_000):
        name = f"web-{number}.1"
        first = seen.setdefault(event_id(PLAIN.created_at, PLAIN.namespace, name), name)
        if first != name:
            return [PLAIN._replace(name=name, object_name=name[:-2]) for name in (first, name, "beside.1")]
    raise AssertionError


@pytest.mark.scenario("DB-06")
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["in order", "the other way round"])
@pytest.mark.parametrize("size", [1, 3], ids=["a batch each", "one batch"])
def test_an_event_whose_id_is_taken_gets_the_next(kube9: Kube9, clash: list[Event], size: int, order: slice) -> None:
    connection = migrations.open_writer(str(kube9.db))

    def send(events: list[Event]) -> tuple[int, int, int]:
        return counts(write(connection, [Batch(events[start : start + size], "import") for start in range(0, 3, size)]))

    newer = [event._replace(**NEWER) for event in clash]
    assert send(clash) == (3, 0, 0)
    assert send(newer[order]) == (0, 3, 0)
    assert send(clash[order]) == send(newer) == (0, 0, 3)
    connection.close()
    first, second, beside = clash
    taken = event_id(first.created_at, first.namespace, first.name)
    assert {(event["id"], event["object_name"], event["count"]) for event in kube9.events()} == {
        (taken, first.object_name, 9),
        (next_id(taken), second.object_name, 9),
        (event_id(beside.created_at, beside.namespace, beside.name), beside.object_name, 9),
    }


# Which delivery is taken.


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({"count": 4}, UPDATED),
        ({"last_seen_at": "2026-03-01T10:05:00.001Z"}, UPDATED),
        ({"last_seen_at": "2026-03-01T10:05:00.001Z", "count": 1}, UPDATED),  # a recorder that began to count again
        ({}, UNCHANGED),
        ({"count": 2}, UNCHANGED),
        ({"last_seen_at": "2026-03-01T10:04:59.999Z", "count": 99}, UNCHANGED),
    ],
)
def test_only_a_newer_delivery_updates_a_row(database, deliver, change: dict, taken: tuple) -> None:
    assert deliver() == ADDED
    assert deliver(description="changed", **change) == taken
    wanted = {"description": "changed" if taken == UPDATED else PLAIN.description}
    wanted |= {name: change.get(name, getattr(PLAIN, name)) if taken == UPDATED else getattr(PLAIN, name) for name in NEWER}
    assert stored(database, "description, last_seen_at, count") == [wanted]


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
def test_what_is_frozen_stays_as_it_was_stored_first(database, together: bool) -> None:
    frozen = "id, created_at, event_type, severity, title, object_kind, object_namespace, object_name"
    later = PLAIN._replace(event_type="health", severity="critical", title="Other", **NEWER)
    later = later._replace(object_kind="Job", object_namespace="x", object_name="y")
    write(database, [Batch([PLAIN], "watch")])
    first = stored(database, frozen)
    database.execute("DELETE FROM events")
    for batch in [[PLAIN, later]] if together else [[PLAIN], [later]]:
        write(database, [Batch(batch, "watch")])
    assert stored(database, frozen) == first
    assert stored(database, "count") == [{"count": 9}]


def test_change_seq_rises_by_one_with_each_change_and_with_nothing_else(database, deliver) -> None:
    def seq(name: str) -> int:
        deliver(name=f"web-0.{name}")
        return next(row["change_seq"] for row in stored(database) if row["event_name"] == f".{name}")

    assert [seq(name) for name in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    deliver(name="web-0.a", **NEWER)
    assert seq("a") == 4
    many = [PLAIN._replace(name=f"web-0.{number}") for number in range(1200)]
    write(database, [Batch(many[:700], "watch"), Batch(many[700:], "watch")])
    assert sorted(row["change_seq"] for row in stored(database)) == [2, 3, *range(4, 1205)]


VERSIONS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=4, unique=True)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), versions=st.lists(VERSIONS, min_size=1, max_size=4))
def test_rows_end_the_same_in_whatever_order_and_batches_events_come(data: st.DataObject, versions: list) -> None:
    events = [version(name, *one) for name, chain in enumerate(versions) for one in chain]
    again = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=5))))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(again)), max_size=4)))
    batches = [again[start:end] for start, end in zip([0, *cuts], [*cuts, len(again)], strict=True)]
    assert ends(batches) == ends([sorted(events, key=lambda event: (event.last_seen_at, event.count))])


def version(name: int, minute: int, count: int) -> Event:
    """A delivery of an event; all that may change follows from how new it is."""
    seen = f"2026-03-01T11:0{minute}:00.000Z"
    changed = {"description": f"{minute} {count}", "metadata": {"container": f"{minute}-{count}"}, "node": f"node-{minute}"}
    changed |= {"title": f"title {minute} {count}", "uid": f"uid-{count}"}
    return PLAIN._replace(name=f"web-0.{name}", last_seen_at=seen, count=count, **changed)


def ends(batches: list[list[Event]]) -> list[tuple]:
    """The rows that deliveries come to, but for what is frozen by the first of them and what tells the order."""
    kept = "id, description, metadata, created_at, last_seen_at, count, reason, component, node, uid, event_name"
    with tempfile.TemporaryDirectory() as folder:
        connection = migrations.open_writer(os.path.join(folder, "kube9.db"))
        for batch in batches:
            write(connection, [Batch(batch, "watch")])
        found = connection.execute(f"SELECT {kept} FROM events ORDER BY id").fetchall()
        connection.close()
    return found


def test_a_write_that_fails_leaves_neither_rows_nor_position(database) -> None:
    batch = Batch([PLAIN, PLAIN._replace(name="bad", count=2**70)], "watch", "here", Position("events", "7"))
    with pytest.raises(OverflowError):
        write(database, [batch])
    assert stored(database) == database.execute("SELECT * FROM watch_position").fetchall() == []
    assert counts(write(database, [batch._replace(events=[PLAIN])])) == ADDED


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2])
def test_a_kill_never_parts_rows_from_the_position_they_reached(tmp_path: Path, after_s: float) -> None:
    path = str(tmp_path / "kube9.db")
    command = [sys.executable, "-c", SENDER, path]
    with subprocess.Popen(command, stdout=-1, cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/tests"}) as process:
        process.stdout.readline()
        time.sleep(after_s)
        process.kill()
    connection = sqlite3.connect(path)
    ((count,),) = connection.execute("SELECT count(*) FROM events")
    positions = connection.execute("SELECT resource_version FROM watch_position").fetchall()
    connection.close()
    assert count == 20 * int(positions[0][0] if positions else 0)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    writer = Writer(str(tmp_path / "kube9.db"), busy_timeout_s=0.02)  # so that the writer, not SQLite, tries again
    writer.start()
    return writer


@pytest.mark.parametrize("poison", [{"title": "\ud800"}, {"metadata": {"a": "\ud800"}}, {"count": 2**70}])
def test_a_poisoned_event_is_set_aside_alone(database, writer: Writer, poison: dict) -> None:
    events = [PLAIN._replace(name=f"web-0.{number}", **(poison if number == 2 else {})) for number in range(5)]
    writer.put(Batch(events, "watch", "here", Position("events", "7")))
    writer.put(Batch([PLAIN], "watch", "here", Position("events", "8")))
    assert writer.close() == 0
    assert (writer.set_aside, writer.tally.added) == (1, 5)
    assert [row["event_name"] for row in stored(database)].count(".2") == 0
    assert len(stored(database)) == 5
    assert [row["resource_version"] for row in database.execute("SELECT * FROM watch_position")] == ["8"]


def test_a_write_is_tried_again_while_another_process_holds_the_database(database, writer: Writer) -> None:
    database.execute("BEGIN IMMEDIATE")
    writer.put(Batch([PLAIN], "watch", "here", Position("events", "7")))
    while not (writer.error or writer.dead):
        time.sleep(0.01)
    assert stored(database) == []
    database.execute("ROLLBACK")
    assert writer.close() == 0
    assert writer.error is None
    assert len(stored(database)) == 1


def test_a_writer_that_must_stop_tells_what_it_could_not_write(database, writer: Writer) -> None:
    database.execute("BEGIN IMMEDIATE")
    writer.put(Batch([PLAIN], "watch", "here", Position("events", "7")))
    assert writer.close(0.3) == 1
    database.execute("ROLLBACK")
    assert stored(database) == []


@pytest.mark.scenario("REC-36")
def test_a_count_that_falls_begins_anew_and_the_occurrences_still_sum_up_to_it(database, deliver) -> None:
    for minute, count in ((10, 3), (20, 7), (30, 2), (40, 5)):
        deliver(last_seen_at=f"2026-03-01T11:{minute}:00.000Z", count=count)
        rises = [number for (number,) in database.execute("SELECT count FROM occurrences ORDER BY to_at")]
        assert sum(rises) in ({count} if rises else {0}), (minute, rises)
    assert rises == [2, 3]
    assert stored(database, "count") == [{"count": 5}]

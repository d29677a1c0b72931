"""The typed library: what it returns, what it raises, its time limits, and many threads."""

import inspect
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pydantic
import pytest
from conftest import ROOT, SAMPLE, Kube9, make_event

import kube9 as library
from kube9 import cli, errors, migrations

METHODS = ["status", "events.list", "events.get"]


@pytest.fixture(scope="module")
def db(sampled: Kube9, cache: Path):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CACHE_HOME", str(cache))
        with library.connect(str(sampled.db)) as client:
            yield client


NOON = "2026-11-21T12:00:00Z"  # behind the sample; what is covered ends here, and not at the present of each answer


def method(client, name: str):
    for part in name.split("."):
        client = getattr(client, part)
    return client


def test_a_call_returns_a_typed_page(db):
    page = db.events.list(severity=["error"], since="2026-01-01", limit=3)
    assert type(page) is library.ListEventsResponse
    assert {type(event) for event in page.events} == {library.Event}
    event = page.events[0]
    assert event.severity == "error"
    assert isinstance(event.last_seen_at, datetime)
    assert event.last_seen_at.tzinfo is not None
    assert isinstance(event.metadata, dict)
    assert page.pagination.returned == len(page.events) == 3


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (f"events list --limit 1000 --until {NOON}", lambda db: db.events.list(limit=1000, until=NOON)),
        (f"events list --severity error,info --until {NOON}",
         lambda db: db.events.list(severity=["error", "info"], until=NOON)),
        (f"events list --offset 130 --until {NOON}", lambda db: db.events.list(offset=130, until=NOON)),
        (f"events list -n nowhere --until {NOON}", lambda db: db.events.list(object_namespace="nowhere", until=NOON)),
        ("status", lambda db: db.status()),
    ],
)  # fmt: skip
def test_the_library_says_what_the_command_line_says(db, sampled: Kube9, words: str, call):
    assert json.loads(call(db).model_dump_json()) == sampled.query(*words.split()).json


def test_one_event_is_fetched_by_its_id(db):
    event = db.events.list(limit=1).events[0]
    assert db.events.get(event.id) == db.events.get(id=event.id) == event


def test_messages_are_values(db):
    event = db.events.list(limit=1).events[0]
    with pytest.raises(pydantic.ValidationError):
        event.title = "another"
    assert hash(event.id)
    assert library.Event.model_validate_json(event.model_dump_json()) == event


MOMENT = datetime(2026, 11, 21, 11, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "since",
    [
        MOMENT,
        MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30))),
        MOMENT.replace(tzinfo=None),  # UTC, as on the command line
        "2026-11-21T11:10:30Z",
        "2026-11-21T12:10:30+01:00",
    ],
)
def test_a_time_is_a_datetime_or_a_text(db, since):
    expected = [event for event in db.events.list(limit=1000).events if event.last_seen_at >= MOMENT]
    assert db.events.list(since=since, limit=1000).events == expected


def test_a_date_is_its_midnight(db):
    assert db.events.list(since=date(2026, 11, 21)).pagination.total == db.events.list().pagination.total
    assert db.events.list(since=date(2026, 11, 22)).events == []


@pytest.mark.parametrize("values", ["error", ["error"], ("error",), {"error"}, frozenset(["error"])])
def test_several_values_are_any_collection(db, values):
    assert {event.severity for event in db.events.list(severity=values).events} == {"error"}


def test_nothing_given_is_no_filter(db):
    whole = db.events.list(until=NOON)
    assert db.events.list(severity=[], since=None, object_name=None, until=NOON) == whole


@pytest.mark.parametrize(
    "given",
    [
        {"severity": "bad"}, {"severity": ["error", "bad"]}, {"severity": 3}, {"since": "yore"}, {"limit": 0}, {"limit": 1001},
        {"limit": "many"}, {"limit": 2.5}, {"offset": -1}, {"since": "1h", "until": "2h"}, {"object_name": "\ud800"},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_value_is_an_invalid_argument(db, given):
    with pytest.raises(errors.InvalidArgument) as caught:
        db.events.list(**given)
    assert any(name in str(caught.value) for name in given)


def test_an_unknown_argument_is_refused_as_python_does(db):
    with pytest.raises(TypeError, match="sevrity"):
        db.events.list(sevrity="error")


def test_an_unknown_query_is_refused_by_name(db):
    with pytest.raises(AttributeError, match="evnts"):
        db.evnts  # noqa: B018


def test_a_closed_client_refuses(sampled: Kube9):
    with library.connect(str(sampled.db)) as client:
        pass
    with pytest.raises(errors.FailedPrecondition, match="closed"):
        client.events.list()


def test_help_of_a_method_is_its_declaration(db):
    assert "List events, newest first" in db.events.list.__doc__
    assert "only events of these severities" in db.events.list.__doc__
    assert {"severity", "since", "limit", "timeout"} <= inspect.signature(db.events.list).parameters.keys()


def every_error() -> list[type[errors.Kube9Error]]:
    found, waiting = [], [errors.Kube9Error]
    while waiting:
        below = waiting.pop().__subclasses__()
        found += below
        waiting += below
    return found


CODES = {  # https://grpc.io/docs/guides/status-codes/
    "InvalidArgument": "INVALID_ARGUMENT", "SpecError": "INVALID_ARGUMENT", "NotFound": "NOT_FOUND",
    "FailedPrecondition": "FAILED_PRECONDITION", "PermissionDenied": "PERMISSION_DENIED", "Unavailable": "UNAVAILABLE",
    "DeadlineExceeded": "DEADLINE_EXCEEDED", "DataLoss": "DATA_LOSS", "Internal": "INTERNAL",
}  # fmt: skip


@pytest.mark.scenario("LIB-02")
def test_every_error_has_its_code():
    assert {error.__name__: error.code for error in every_error()} == CODES
    assert library.Kube9Error is errors.Kube9Error


@pytest.mark.scenario("LIB-02")
@pytest.mark.parametrize("kind", [kind for kind in CODES if kind != "SpecError"])
def test_an_error_carries_its_message_and_details(kind: str):
    error = getattr(errors, kind)("what is wrong", "what to do", event_id="x")
    assert isinstance(error, errors.Kube9Error)
    assert (error.message, error.details, error.fields) == ("what is wrong", "what to do", {"event_id": "x"})
    assert str(error) == "what is wrong: what to do"


@pytest.mark.scenario("LIB-02")
@pytest.mark.parametrize("kind", [kind for kind in CODES if kind != "SpecError"])
def test_the_command_line_maps_every_error(kind: str, capsys: pytest.CaptureFixture):
    exit_codes = {"DeadlineExceeded": 2, "PermissionDenied": 3}
    assert cli.fail(getattr(errors, kind)("what", "why"), "json") == exit_codes.get(kind, 1)
    assert json.loads(capsys.readouterr().err) == {"error": "what", "details": "why", "code": CODES[kind]}


def spoil(path: Path, how: str) -> None:
    if how == "text":
        path.write_text("no database\n" * 100)
    elif how == "directory":
        path.mkdir()
    elif how == "empty":
        path.touch()


@pytest.mark.scenario("LIB-02")
@pytest.mark.parametrize("how", ["missing", "text", "directory", "empty"])
def test_library_and_command_line_say_the_same_of_a_bad_file(kube9: Kube9, how: str):
    spoil(kube9.db, how)
    with pytest.raises(errors.Kube9Error) as caught:
        library.connect(str(kube9.db))
    error = caught.value
    assert {"error": error.message, "details": error.details, "code": error.code} == kube9.query("status").error


@pytest.mark.scenario("LIB-02")
@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["events", "list", "--severity", "bad"], lambda db: db.events.list(severity="bad")),
        (["events", "get", "evt_nope"], lambda db: db.events.get("evt_nope")),
    ],
)
def test_library_and_command_line_say_the_same_of_a_bad_call(db, sampled: Kube9, words, call):
    with pytest.raises(errors.Kube9Error) as caught:
        call(db)
    error = caught.value
    said = {"error": error.message, "details": error.details, "code": error.code, **error.fields}
    assert said == sampled.query(*words).error


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    """300,000 rows: counting those that began before a moment takes a while."""
    runner = Kube9(tmp_path_factory.mktemp("large"), cache)
    runner.record(make_event())
    connection = migrations.open_writer(str(runner.db))
    (row,) = connection.execute("SELECT * FROM events").fetchall()
    names = [column[0] for column in connection.execute("SELECT * FROM events").description]
    numbers = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 300000)"
    copied = ", ".join("printf('evt_%d', n)" if name == "id" else f":{name}" for name in names)
    connection.execute(f"{numbers} INSERT INTO events SELECT {copied} FROM r", dict(zip(names, row, strict=True)))
    connection.close()
    return runner


@pytest.mark.scenario("LIB-03")
@pytest.mark.parametrize("name", METHODS)
def test_every_call_takes_a_time_limit(db, name: str):
    limit = inspect.signature(method(db, name)).parameters["timeout"]
    assert (limit.kind, limit.default) == (inspect.Parameter.KEYWORD_ONLY, 30.0)


@pytest.mark.scenario("LIB-03")
def test_a_call_that_takes_too_long_is_ended(large: Kube9):
    with library.connect(str(large.db)) as client:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(errors.DeadlineExceeded):
            client.events.list(until="9000-01-01", timeout=0.001)
        assert len(os.listdir("/proc/self/fd")) == before  # no connection is left
        assert client.events.list(until="9000-01-01", timeout=30).pagination.total == 300_001


@pytest.mark.scenario("CLI-19")
def test_a_query_that_takes_too_long_exits_with_2(large: Kube9):
    words = ["events", "list", "--until", "9000-01-01"]
    done = large.query(*words, "--timeout", "0s")
    assert (done.code, done.out, done.error["code"]) == (2, "", "DEADLINE_EXCEEDED")
    assert "--timeout" in done.error["details"]
    assert large.query(*words).json["pagination"]["total"] == 300_001
    assert "default: 30s" in " ".join(large.query("events", "list", "--help").out.split())


# Imports the sample again and again, which takes the write lock each time, until a file appears.
IMPORTS = """
import os, sys
from kube9 import importer
sample, database, stop = sys.argv[1:]
while not os.path.exists(stop):
    importer.import_files(database, [sample])
    print("imported", flush=True)
"""


@pytest.mark.scenario("LIB-05")
def test_many_threads_share_a_client_while_another_process_writes(kube9: Kube9, tmp_path: Path):
    kube9.record(*(make_event(f"web-{number}.1") for number in range(16)))
    command = [sys.executable, "-c", IMPORTS, str(SAMPLE), str(kube9.db), str(tmp_path / "stop")]
    with subprocess.Popen(command, env=kube9.env, cwd=ROOT, stdout=subprocess.PIPE) as importing:
        assert importing.stdout.readline()  # the first import is done, and the next is on its way
        with library.connect(str(kube9.db)) as client:

            def ask(number: int) -> None:
                for _ in range(30):
                    page = client.events.list(object_name=f"web-{number}")
                    assert [event.object_name for event in page.events] == [f"web-{number}"]  # no other thread's answer
                    assert client.events.list(limit=1).pagination.total == 16 + 132

            with ThreadPoolExecutor(16) as pool:
                asked = [pool.submit(ask, number) for number in range(16)]
            (tmp_path / "stop").touch()
            assert len(importing.stdout.readlines()) > 1  # imports went on while the threads asked
            assert [future.exception() for future in asked] == [None] * 16
    assert importing.returncode == 0

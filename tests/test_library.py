"""The typed library as a program uses it: pages, requests, errors, time limits, walks, watches and threads."""

import inspect
import json
import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pydantic
import pytest
from conftest import ROOT, Kube9, make_event, rows

import kube9 as library
from kube9 import client, errors
from kube9.messages import call_name

OWN = """
version: 1
messages:
  Number: {plural: numbers, fields: {n: {type: integer, present: true}}}
queries:
  own pods:
    summary: Count events by pod
    returns: page of PodCount
    fields: {object_name: string, events: {type: integer, present: true}}
    filters:
      namespace: {column: object_namespace, doc: only pods of this namespace}
    sql: SELECT object_name, count(*) AS events FROM events WHERE {filters} GROUP BY object_name ORDER BY object_name
  own answer:
    summary: Give the answer
    returns: Number
    sql: SELECT 42 AS n
  own forever:
    summary: Count without end, from no table
    returns: page of Number
    sql: WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r WHERE n < 0
  own stuck:
    summary: Count without end, over events
    returns: page of Number
    sql: WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r, events WHERE n < 0
"""
PODS = 2500


def pod(number: int, **changes) -> dict:
    minute, second = divmod(number % 3600, 60)
    moment = f"2026-03-01T{10 + number // 3600}:{minute:02}:{second:02}Z"
    namespace = f"ns-{number % 2}"
    involved = {"kind": "Pod", "name": f"pod-{number}", "namespace": namespace}
    times = {"firstTimestamp": moment, "lastTimestamp": moment, "count": 1}
    return make_event(f"pod-{number}.1", namespace, **({"involvedObject": involved} | times | changes))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    """2,500 events, and queries of the user's own."""
    runner = Kube9(tmp_path_factory.mktemp("recorded"), cache)
    runner.record(*(pod(number) for number in range(PODS)))
    file = runner.db.parent / "own.yaml"
    file.write_text(OWN)
    runner.env["KUBE9_QUERIES"] = str(file)
    return runner


def forget_the_plan() -> None:
    """A process keeps the plan that it began with; this one goes on with another."""
    for kept in vars(client).values():
        if hasattr(kept, "cache_clear"):
            kept.cache_clear()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch, recorded: Kube9):
    """The library in an environment as the runner's processes have it."""
    for name in ("XDG_CACHE_HOME", "KUBE9_QUERIES"):
        monkeypatch.setenv(name, recorded.env[name])
    forget_the_plan()
    yield library
    forget_the_plan()


@pytest.fixture
def db(used, recorded: Kube9):
    with used.connect(str(recorded.db)) as client:
        yield client


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.scenario("LIB-01")
def test_a_page_is_a_sequence_of_its_rows(db):
    page = db.events.list(limit=20)
    assert type(page) is library.ListEventsResponse
    assert len(page) == len(list(page)) == page.pagination.returned == 20
    assert list(page) == page.events
    assert (page[0], page[-1], page[2:4]) == (page.events[0], page.events[-1], page.events[2:4])
    assert page[3] in page
    assert [event.object_name for event in page][:2] == [f"pod-{PODS - 1}", f"pod-{PODS - 2}"]
    with pytest.raises(IndexError):
        page[20]
    empty = db.events.list(object_namespace="nowhere")
    assert (len(empty), list(empty), bool(empty)) == (0, [], True)


@pytest.mark.scenario("LIB-01")
def test_each_field_has_its_type(db):
    event = db.events.list(limit=1)[0]
    assert (type(event.count), type(event.metadata), type(event.change_seq)) == (int, dict, int)
    assert event.last_seen_at == datetime(2026, 3, 1, 10, 41, 39, tzinfo=UTC)
    assert event.last_seen_at.utcoffset() == timedelta(0)
    assert event.owner_name is None
    with pytest.raises(AttributeError):
        event.last_seen  # noqa: B018


@pytest.mark.scenario("LIB-01")
def test_what_is_shown_of_a_value_helps(db, recorded: Kube9):
    page = db.events.list(limit=2)
    assert repr(page) == str(page) == "<ListEventsResponse 2 of 2,500 events>"
    assert repr(page[0]).startswith("Event(id='evt_2026")
    assert "None" not in repr(page[0])
    assert repr(db) == f"<kube9.Client {recorded.db}>"
    assert {"get", "list", "list_all", "watch", "noisy", "noisy_all"} <= set(
        repr(db.events).strip("<>").replace(",", "").split()
    )
    db.close()
    assert "closed" in repr(db)


@pytest.mark.scenario("LIB-01")
def test_a_request_asks_as_its_fields_do(db):
    for fields in (
        {"severity": ["warning"], "limit": 3, "until": "2026-04-01"},
        {"severity": "warning", "since": "2026-03-01T10:30:00Z", "until": "2026-04-01"},
        {"since": datetime(2026, 3, 1, 10, 30, tzinfo=UTC), "until": datetime(2026, 3, 1, 10, 35)},
        {"for_": "pod/pod-7", "only": True, "until": "2026-04-01"},
        {"sort": "created_at", "offset": 10, "until": "2026-04-01"},
    ):
        assert db.events.list(request=library.ListEventsRequest(**fields)) == db.events.list(**fields)
    assert db.events.get(request=library.GetEventsRequest(id=db.events.list()[0].id)) == db.events.list()[0]
    first = db.events.list(request=library.ListEventsRequest(limit=2))
    again = library.ListEventsRequest(limit=2, page_token=first.pagination.next_page_token)
    assert db.events.list(request=again).events == db.events.list(limit=2, offset=2).events


WRONG = [
    {"severity": "bad"}, {"severity": ["error", "bad"]}, {"sevrity": "error"}, {"since": "yore"}, {"since": []}, {"limit": 0},
    {"limit": 1001}, {"limit": "many"}, {"offset": -1}, {"object_name": ""}, {"object_name": 5}, {"sort": "title"},
    {"min_severity": "none"}, {"type": {"cluster": 1}}, {"for_": "web"}, {"for_": "pod/"},
]  # fmt: skip


@pytest.mark.scenario("LIB-01")
@pytest.mark.parametrize("fields", WRONG, ids=str)
def test_a_wrong_request_cannot_be_made(used, fields: dict):
    with pytest.raises(pydantic.ValidationError) as caught:
        used.ListEventsRequest(**fields)
    assert next(iter(fields)) in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"severity": "error,critical"},
        {"severity": {"error"}},
        {"severity": ("error", "info")},
        {"since": timedelta(hours=2)},
        {"since": "24h"},
        {"since": datetime(2026, 3, 1)},
    ],
    ids=str,
)
def test_a_request_takes_what_a_call_takes(db, fields: dict):
    request = library.ListEventsRequest(**fields)
    assert db.events.list(request=request).events == db.events.list(**fields).events


@pytest.mark.scenario("LIB-01", "LIB-02")
@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.events.list(request=library.GetEventsRequest(id="x")),
        lambda db: db.events.list(request={"limit": 1}),
        lambda db: db.events.list(request=library.ListEventsRequest(), limit=1),
        lambda db: db.events.get("x", request=library.GetEventsRequest(id="x")),
        lambda db: db.events.list(only=True),
        lambda db: db.events.list(for_="po/x", object_name="x"),
        lambda db: db.events.list(page_token="zz"),
        lambda db: db.events.list(after="zz"),
        lambda db: db.events.list(since=datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))),
        lambda db: db.events.list(until=datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))),
        lambda db: db.events.timeline(interval=timedelta(hours=-1)),
        lambda db: db.events.list(timeout="soon"),
        lambda db: db.events.list(timeout=float("nan")),
    ],
)
def test_a_wrong_call_is_an_invalid_argument(db, call):
    with pytest.raises(errors.InvalidArgument) as caught:
        call(db)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.message


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.events.list(library.ListEventsRequest()),
        lambda db: db.events.get("x", "y"),
        lambda db: db.events.get(),
        lambda db: db.status("x"),
        lambda db: db.events.list(sevrity="error"),
        lambda db: db.own.pods(namespce="ns-1"),
    ],
)
def test_a_call_that_does_not_fit_the_signature_is_a_type_error(db, call):
    with pytest.raises(TypeError):
        call(db)


@pytest.mark.parametrize("name", ["list_all", "watch"])
def test_a_wrong_walk_is_refused_when_it_is_asked_for(db, name: str):
    with pytest.raises(errors.InvalidArgument):
        getattr(db.events, name)(severity="bad")


def test_an_error_of_an_option_names_it_as_it_is_typed(db, recorded: Kube9):
    assert recorded.query("events", "list", "--for", "web").error["error"].startswith(("for: ", "--for: "))


@pytest.mark.scenario("LIB-01")
@pytest.mark.parametrize(
    "since",
    [
        datetime(2026, 3, 1, 10, 30, tzinfo=UTC),
        datetime(2026, 3, 1, 10, 30),
        datetime(2026, 3, 1, 16, 0, 0, 999, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        "2026-03-01T11:30:00+01:00",
    ],
    ids=str,
)
def test_a_moment_is_the_same_in_each_form(db, since):
    page = db.events.list(since=since, limit=1000)
    assert page.pagination.total == PODS - 30 * 60
    assert page.coverage.from_ == datetime(2026, 3, 1, 10, 30, tzinfo=UTC)


@pytest.mark.scenario("LIB-01")
def test_a_timedelta_is_a_duration(db):
    page = db.events.timeline(since="2026-03-01T10:00:00Z", until="2026-03-01T12:00:00Z", interval=timedelta(minutes=10))
    assert {each.end - each.start for each in page} == {timedelta(minutes=10)}
    assert sum(each.events for each in page) == PODS
    now = datetime.now(UTC)
    assert abs(db.events.list(since=timedelta(days=2)).coverage.from_ - (now - timedelta(days=2))) < timedelta(minutes=1)


@pytest.mark.parametrize("interval", ["1s", timedelta(seconds=7)], ids=str)
def test_a_timeline_has_at_most_a_thousand_intervals(db, interval):
    page = db.events.timeline(since="2026-03-01T10:00:00Z", until="2026-03-01T13:00:01Z", interval=interval)
    assert page.pagination.total <= 1000
    assert (
        sum(each.events for each in db.events.timeline_all(since="2026-03-01", until="2026-03-02", interval=interval)) == PODS
    )


@pytest.mark.scenario("LIB-01")
@pytest.mark.parametrize("by", [["namespace", "severity"], ("namespace", "severity"), {"severity", "namespace"}], ids=str)
def test_several_values_are_any_collection(db, by):
    page = db.events.summary(by=by, since="2026-03-01")
    assert {(each.object_namespace, each.severity, each.events) for each in page} == {
        ("ns-0", "warning", PODS // 2),
        ("ns-1", "warning", PODS // 2),
    }
    assert {each.reason for each in page} == {None}


# What the library says, as the command line says it to the letter.
SAME = {
    "events list --limit 30 --offset 5 --until 2026-04-01": lambda db: db.events.list(limit=30, offset=5, until="2026-04-01"),
    "events list --since 2026-03-01T10:30:00Z --until 2026-04-01 --namespace ns-1": lambda db: db.events.list(
        since="2026-03-01T10:30:00Z", until="2026-04-01", object_namespace="ns-1"
    ),
    "events list --namespace nowhere --until 2026-04-01": lambda db: db.events.list(
        object_namespace="nowhere", until="2026-04-01"
    ),
    "events get {id}": lambda db: db.events.get(db.events.list(limit=1)[0].id),
    "events summary --by namespace --since 2026-03-01 --until 2026-04-01": lambda db: db.events.summary(
        by="namespace", since="2026-03-01", until="2026-04-01"
    ),
    "events noisy --since 2026-03-01 --until 2026-04-01": lambda db: db.events.noisy(since="2026-03-01", until="2026-04-01"),
    "events reasons --since 2026-03-01 --until 2026-04-01": lambda db: db.events.reasons(
        since="2026-03-01", until="2026-04-01"
    ),
    "events timeline --since 2026-03-01 --until 2026-03-02": lambda db: db.events.timeline(
        since="2026-03-01", until=datetime(2026, 3, 2)
    ),
    "status": lambda db: db.status(),
    "capabilities": lambda db: db.capabilities(),
    "own pods --namespace ns-1 --limit 7": lambda db: db.own.pods(namespace="ns-1", limit=7),
    "own answer": lambda db: db.own.answer(),
}


@pytest.mark.scenario("LIB-01")
@pytest.mark.parametrize("words", SAME)
def test_a_model_as_json_is_the_document_of_the_command_line(db, recorded: Kube9, words: str):
    found = SAME[words](db)
    document = recorded.query(*words.format(id=db.events.list(limit=1)[0].id).split()).out
    assert found.model_dump_json(by_alias=True, indent=2) + "\n" == document
    assert type(found).model_validate_json(document) == found


@pytest.mark.scenario("LIB-01")
def test_every_query_is_a_method_with_its_parameters(db, recorded: Kube9):
    queries = recorded.query("capabilities").json["queries"]
    assert {"events list", "events get", "status", "own pods", "own answer"} <= {query["name"] for query in queries}
    answers = {"db", "format", "fields", "no_headers", "color", "all", "watch", "timeout"}
    for query in queries:
        group, _, verb = query["name"].rpartition(" ")
        method = getattr(getattr(db, group) if group else db, verb.replace("-", "_"))
        signature = inspect.signature(method)
        declared = {param["name"].replace("-", "_"): param for param in query["parameters"] if param["name"] not in answers}
        found = {name.rstrip("_"): param for name, param in signature.parameters.items()}
        assert list(found) == [*(name.rstrip("_") for name in declared), "request", "timeout"]
        for name, param in declared.items():
            required = found[name.rstrip("_")].default is inspect.Parameter.empty
            assert required == param["required"]
            assert param["required"] or found[name.rstrip("_")].default == param["default"]
        assert found["timeout"].default == 30.0
        response = f"{call_name(query)}Response" if query["paged"] else query["returns"]
        assert signature.return_annotation is getattr(library, response)
        assert method.__doc__.startswith(query["summary"])
        assert [name for name in signature.parameters if f"    {name}: " not in method.__doc__] == []
        assert list(getattr(library, query["returns"]).model_fields) == query["fields"]


@pytest.mark.scenario("LIB-01", "LIB-04")
def test_pages_have_a_walk_and_arrivals_a_watch(db):
    assert {name for name in dir(db.events) if name[0] != "_"} >= {
        "get", "list", "list_all", "watch", "summary", "summary_all", "noisy", "noisy_all", "reasons", "reasons_all",
        "timeline", "timeline_all",
    }  # fmt: skip
    assert {name for name in dir(db.own) if name[0] != "_"} >= {"pods", "pods_all", "answer"}
    assert not hasattr(db.own, "answer_all")
    assert inspect.signature(db.events.watch).parameters["timeout"].default == float("inf")
    assert "as it is committed" in db.events.watch.__doc__
    assert "every row" in db.events.list_all.__doc__


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import kube9; print(kube9.errors.NotFound.code)", "NOT_FOUND\n"),
        ("import kube9\ntry: kube9.connect('/nope')\nexcept kube9.Kube9Error as error: print(error.code)", "UNAVAILABLE\n"),
    ],
)
def test_one_import_is_enough(program: str, said: str):
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == said, done.stderr


def test_a_path_is_a_path(used, recorded: Kube9):
    with used.connect(recorded.db) as client:
        assert client.events.list().pagination.total == PODS


# Every part of the client that a query's name could take the place of.
CLIENT = """
import sys, kube9
with kube9.connect(sys.argv[1]) as db:
    print(len(db.events.list(limit=3)), sum(1 for _ in db.events.list_all()), list(db.events.watch(timeout=0.1)))
print(db)
"""


@pytest.mark.scenario("SPEC-05")
@pytest.mark.parametrize("name", ["close", "path here", "events list-all", "events watch"])
def test_queries_of_ones_own_do_not_break_the_client(recorded: Kube9, tmp_path: Path, name: str):
    file = tmp_path / "clash.yaml"
    query = "{summary: Clash, returns: Clash, fields: {n: integer}, sql: SELECT 1 AS n}"
    file.write_text(f"version: 1\nqueries:\n  {name}: {query}\n")
    env = recorded.env | {"KUBE9_QUERIES": str(file)}
    done = subprocess.run([sys.executable, "-c", CLIENT, str(recorded.db)], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.stdout == f"3 {PODS} []\n<kube9.Client {recorded.db} (closed)>\n", done.stderr
    problems = recorded.query("status", env=env).json["query_problems"]
    assert any("clash.yaml:3" in problem and name in problem for problem in problems)


def older(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM schema_version WHERE version > 2")


BAD_FILES = {
    "missing": ("UNAVAILABLE", lambda path: path.unlink()),
    "text": ("DATA_LOSS", lambda path: path.write_text("no database\n" * 500)),
    "empty": ("UNAVAILABLE", lambda path: path.write_bytes(b"")),
    "older": ("FAILED_PRECONDITION", older),
    "directory": ("UNAVAILABLE", lambda path: (path.unlink(), path.mkdir())),
}


@pytest.mark.scenario("LIB-02")
@pytest.mark.parametrize("how", BAD_FILES)
@pytest.mark.parametrize("when", ["at connect", "at a call"])
def test_a_bad_file_has_the_code_that_the_command_line_gives(kube9: Kube9, how: str, when: str):
    code, spoil = BAD_FILES[how]
    kube9.record(make_event())
    client = library.connect(str(kube9.db))
    spoil(kube9.db)
    before = descriptors()
    with pytest.raises(errors.Kube9Error) as caught:
        library.connect(str(kube9.db)) if when == "at connect" else client.events.list()
    error = caught.value
    done = kube9.query("events", "list")
    assert (done.code, error.code) == (1, code)
    assert done.error == {"error": error.message, "details": error.details, "code": error.code}
    assert str(kube9.db) in error.details
    assert descriptors() == before


# Asks as a user who may not read the file, even where the tests are run by root.
STRANGER = """
import os, sys
import kube9
from kube9 import client, errors
client = kube9.connect(sys.argv[1])
client.events.list()
os.chmod(sys.argv[1], 0)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for call in (client.events.list, client.status, lambda: kube9.connect(sys.argv[1])):
    try:
        call()
    except errors.PermissionDenied as error:
        print(error.code, sys.argv[1] in error.details)
"""


@pytest.mark.scenario("LIB-02")
def test_a_file_that_may_not_be_read_is_permission_denied(kube9: Kube9):
    kube9.record(make_event())
    command = [sys.executable, "-c", STRANGER, str(kube9.db)]
    done = subprocess.run(command, cwd=ROOT, env=kube9.env, capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert [line.split()[0] for line in said] == ["PERMISSION_DENIED"] * 3, done.stderr


@pytest.mark.scenario("LIB-02")
@pytest.mark.parametrize(
    ("words", "call", "kind"),
    [
        ("events list --severity bad", lambda db: db.events.list(severity="bad"), errors.InvalidArgument),
        ("events list --since yore", lambda db: db.events.list(since="yore"), errors.InvalidArgument),
        ("events list --limit 0", lambda db: db.events.list(limit=0), errors.InvalidArgument),
        ("events list --since 1h --until 2h", lambda db: db.events.list(since="1h", until="2h"), errors.InvalidArgument),
        ("events list --page-token zz", lambda db: db.events.list(page_token="zz"), errors.InvalidArgument),
        ("events list --after 1.1", lambda db: db.events.list(after="1.1"), errors.FailedPrecondition),
        ("events get evt_nope", lambda db: db.events.get("evt_nope"), errors.NotFound),
        ("own forever --timeout 1s", lambda db: db.own.forever(timeout=1), errors.DeadlineExceeded),
        ("own stuck --timeout 1s", lambda db: db.own.stuck(timeout=1), errors.DeadlineExceeded),
    ],
)
def test_a_mistake_has_the_code_that_the_command_line_gives(db, recorded: Kube9, words: str, call, kind):
    with pytest.raises(kind) as caught:
        call(db)
    error = caught.value
    assert isinstance(error, errors.Kube9Error)
    done = recorded.query(*words.split())
    assert done.code == (2 if kind is errors.DeadlineExceeded else 1)
    said = done.error
    assert said["code"] == error.code
    if "--since 1h" not in words:  # which says the moment that it was asked at
        assert said == {"error": error.message, "details": error.details, "code": error.code, **error.fields}


@pytest.mark.scenario("LIB-02")
def test_a_token_of_another_database_is_refused(db, kube9: Kube9):
    kube9.record(*(pod(number) for number in range(3)))
    with library.connect(str(kube9.db)) as other:
        token = other.events.list(limit=1).pagination.next_page_token
        sync = other.events.list().pagination.sync_token
        assert len(other.events.list(limit=1, page_token=token)) == 1
    for given in ({"page_token": token, "limit": 1}, {"after": sync}):
        with pytest.raises(errors.FailedPrecondition, match="another database"):
            db.events.list(**given)
    with pytest.raises(errors.InvalidArgument):
        db.events.list(page_token=token, object_name="x")  # a token of another question


@pytest.mark.scenario("LIB-02")
def test_a_closed_client_refuses_every_call(used, recorded: Kube9):
    client = used.connect(str(recorded.db))
    walk = client.events.list_all()
    assert next(walk)
    client.close()
    client.close()
    for call in (client.status, client.events.list, client.own.answer, lambda: next(client.events.list_all())):
        with pytest.raises(errors.FailedPrecondition, match="closed"):
            call()
    with pytest.raises(errors.FailedPrecondition, match="closed"):
        list(walk)


@pytest.mark.scenario("LIB-03")
@pytest.mark.parametrize("name", ["forever", "stuck", "forever_all", "stuck_all"])
def test_a_query_without_end_is_ended_and_leaves_nothing_open(db, name: str):
    before = descriptors()
    for _ in range(3):
        with pytest.raises(errors.DeadlineExceeded) as caught:
            list(getattr(db.own, name)(timeout=0.2))
        assert caught.value.code == "DEADLINE_EXCEEDED"
    assert descriptors() == before
    assert db.own.answer().n == 42


@pytest.mark.scenario("LIB-03")
@pytest.mark.parametrize("limit", [0, -1, 1e-9])
def test_a_time_limit_that_has_passed_is_exceeded(db, limit: float):
    with pytest.raises(errors.DeadlineExceeded):
        db.events.list(timeout=limit)


def test_a_time_limit_may_be_without_bound(db):
    assert db.events.list(timeout=None).events == db.events.list(timeout=float("inf")).events == db.events.list().events


@pytest.mark.scenario("LIB-04")
def test_a_walk_gives_every_row_once(db, recorded: Kube9):
    before = descriptors()
    events = list(db.events.list_all())
    assert [event.object_name for event in events] == [f"pod-{number}" for number in reversed(range(PODS))]
    assert {type(event) for event in events} == {library.Event}
    some = db.events.list_all(object_namespace="ns-1", sort="created_at")
    assert [event.object_name for event in some] == [f"pod-{number}" for number in range(PODS - 1, 0, -2)]
    assert [each.object_name for each in db.own.pods_all()] == sorted(f"pod-{number}" for number in range(PODS))
    assert len(list(db.events.noisy_all(since="2026-03-01"))) == PODS
    request = library.ListEventsRequest(object_name="pod-7")
    assert [event.object_name for event in db.events.list_all(request=request)] == ["pod-7"]
    assert next(db.events.list_all()).object_name == f"pod-{PODS - 1}"
    assert descriptors() == before


@pytest.mark.scenario("LIB-04")
def test_a_walk_gives_the_rows_of_its_beginning_and_then_what_changed(kube9: Kube9):
    kube9.record(*(pod(number) for number in range(2100)))
    with library.connect(str(kube9.db)) as db:
        walk = db.events.list_all()
        found = [next(walk).object_name for _ in range(3)]
        kube9.record(*(pod(number) for number in range(2100, 2110)))
        found += [event.object_name for event in walk]
    later = [f"pod-{number}" for number in range(2100, 2110)]
    assert found == [*(f"pod-{number}" for number in reversed(range(2100))), *later]  # and then what changed meanwhile


class Watching:
    """A watch in a thread, and what it has given."""

    def __init__(self, client, **given) -> None:
        self.events, self.error = [], None
        self.came = threading.Condition()
        self.thread = threading.Thread(target=self._go, args=(client, given))
        self.thread.start()

    def _go(self, client, given) -> None:
        try:
            for event in client.events.watch(**given):
                with self.came:
                    self.events.append(event)
                    self.came.notify_all()
        except BaseException as error:  # noqa: BLE001 - the test says what it is
            self.error = error

    def wait_for(self, count: int) -> list:
        with self.came:
            assert self.came.wait_for(lambda: len(self.events) >= count or self.error, timeout=60), self.events
        assert self.error is None
        return self.events

    def end(self) -> None:
        self.thread.join(60)
        assert not self.thread.is_alive()
        assert self.error is None


@pytest.mark.scenario("LIB-04")
def test_a_watch_gives_what_another_process_commits(kube9: Kube9):
    kube9.record(pod(1), pod(2))
    client = library.connect(str(kube9.db))
    before = descriptors()
    sync = client.events.list().pagination.sync_token
    watching = Watching(client, after=sync)
    other = Watching(client, after=sync, object_namespace="ns-0")
    kube9.record(pod(3), pod(4))
    assert [event.object_name for event in watching.wait_for(2)] == ["pod-3", "pod-4"]
    kube9.record(pod(4, count=9, lastTimestamp="2026-03-01T12:00:00Z"), pod(3))  # one repeats, one is unchanged
    repeated = watching.wait_for(3)[2]
    assert (repeated.object_name, repeated.count) == ("pod-4", 9)
    assert repeated.id == watching.events[1].id
    kube9.record(*(pod(number) for number in range(100, 1300)))  # more than a page
    assert [event.object_name for event in watching.wait_for(1203)[3:]] == [f"pod-{number}" for number in range(100, 1300)]
    assert {event.object_namespace for event in other.wait_for(602)} == {"ns-0"}
    client.close()
    watching.end()
    other.end()
    assert (len(watching.events), len(other.events)) == (1203, 602)
    assert [event.change_seq for event in watching.events] == sorted(event.change_seq for event in watching.events)
    assert descriptors() == before


def test_a_watch_begins_when_it_is_asked_for(kube9: Kube9):
    kube9.record(pod(1))
    with library.connect(str(kube9.db)) as client:
        watch = client.events.watch(timeout=20)
        kube9.record(pod(2))
        assert next(watch, None) is not None


@pytest.mark.scenario("LIB-04")
def test_a_watch_without_news_ends_with_its_time(db):
    before = descriptors()
    assert list(db.events.watch(timeout=0.3)) == []
    watch = db.events.watch(after=db.events.list(limit=1).pagination.sync_token.replace(".", ".0"), timeout=0.3)
    assert list(watch) == []
    assert descriptors() == before


@pytest.mark.scenario("LIB-04")
def test_a_watch_can_be_left(kube9: Kube9):
    kube9.record(pod(1))
    with library.connect(str(kube9.db)) as client:
        start = client.events.list().pagination.sync_token
        kube9.record(pod(2), pod(3))
        before = descriptors()
        for event in client.events.watch(after=start):
            assert event.object_name == "pod-2"
            break
        assert descriptors() == before


@pytest.mark.scenario("LIB-01", "SPEC-05")
def test_queries_of_ones_own_are_methods_too(db):
    page = db.own.pods(namespace="ns-1", limit=2)
    assert type(page) is library.PodsOwnResponse
    assert [(each.object_name, each.events) for each in page] == [("pod-1", 1), ("pod-1001", 1)]
    assert db.own.pods(request=library.PodsOwnRequest(namespace="ns-1", limit=2)) == page
    assert db.own.answer() == library.Number(n=42)
    assert "only pods of this namespace" in db.own.pods.__doc__
    with pytest.raises(AttributeError):
        db.own.nothing()


# Repeats one event again and again, and adds one each time, until a file appears.
WRITER = """
import json, os, sys
from pathlib import Path
from kube9 import importer
sys.path.insert(0, sys.argv[3])
from conftest import make_event
database, stop, number = sys.argv[1], Path(sys.argv[2]), 0
dump = stop.with_suffix(".json")
while not stop.exists():
    number += 1
    added = make_event(f"added-{number}.1", "busy")
    dump.write_text(json.dumps({"kind": "List", "items": [added, make_event("again.1", "busy", count=number)]}))
    importer.import_files(database, [str(dump)])
    print(number, flush=True)
"""


@pytest.mark.scenario("LIB-05")
def test_eight_threads_share_a_client_while_another_process_writes(kube9: Kube9, tmp_path: Path):
    kube9.record(*(pod(number) for number in range(200)))
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", WRITER, str(kube9.db), str(stop), str(Path(__file__).parent)]
    client = library.connect(str(kube9.db))
    ids = {event.object_name: event.id for event in client.events.list_all()}
    before = descriptors()

    def ask(thread: int) -> int:
        for turn in range(50):
            number = (thread * 25 + turn) % 200
            name = f"pod-{number}"
            assert [event.object_name for event in client.events.list(object_name=name)] == [name]
            assert client.events.get(ids[name]).object_name == name
            summary = client.events.summary(by="namespace", since="2026-01-01", object_namespace=f"ns-{number % 2}")
            assert [(each.object_namespace, each.events) for each in summary] == [(f"ns-{number % 2}", 100)]
            page = client.events.list(object_namespace="busy", limit=100)
            assert len(page) == min(page.pagination.total, 100)
            assert len({event.id for event in page}) == len(page)
        return 200

    with subprocess.Popen(command, env=kube9.env, cwd=ROOT, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline()
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask, thread) for thread in range(8)]
        stop.touch()
        written = len(writer.stdout.readlines())
    assert [future.exception() for future in asked] == [None] * 8
    assert written > 1  # it wrote while the threads asked
    assert writer.returncode == 0
    assert descriptors() == before
    again = client.events.list(object_name="again")
    assert again[0].count == rows(kube9.db, "SELECT count FROM events WHERE object_name = 'again'")[0][0] > 1


# The first use of the library, by many threads at once, in a process of its own.
FIRST_USE = """
import sys, threading
import kube9
together = threading.Barrier(8)
found = []
def use():
    together.wait()
    with kube9.connect(sys.argv[1]) as client:
        found.extend([kube9.Event, type(client.events.list(limit=1)[0])])
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len(set(found)))
"""


@pytest.mark.scenario("LIB-05")
def test_threads_that_begin_together_have_the_same_types(recorded: Kube9):
    command = [sys.executable, "-c", FIRST_USE, str(recorded.db)]
    done = subprocess.run(command, env=recorded.env, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "16 1\n", done.stderr


def test_errors_are_told_apart_by_class_and_by_code(db):
    with pytest.raises(errors.Kube9Error) as caught:
        db.events.get("evt_nope")
    error = caught.value
    assert (type(error), error.code, error.message) == (errors.NotFound, "NOT_FOUND", "Event not found")
    assert error.fields == {"event_id": "evt_nope"}
    assert "evt_nope" in error.details
    assert json.dumps({"error": error.message, "details": error.details, "code": error.code, **error.fields})

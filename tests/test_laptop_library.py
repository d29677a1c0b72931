"""The library through kubectl: the same calls, types and errors as for a file here. kubectl is a stand-in."""

import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Kube9, make_event
from laptop import Laptop
from test_laptop import nobody_is_left, there
from test_library import forget_the_plan

import kube9 as library
from kube9 import errors, remote
from kube9.client import compiled
from kube9.kubectl import Place

pytestmark = pytest.mark.scenario("LIB-07")
URL = "kubectl://observed?context=far"
OWN = """
version: 1
messages:
  Number: {plural: numbers, fields: {n: {type: integer, present: true}}}
queries:
  own forever:
    summary: Count without end
    returns: page of Number
    sql: WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r WHERE n < 0
"""


@pytest.fixture
def pod(tmp_path: Path, cache: Path) -> Kube9:
    """What stands for the pod: a database of its own, to which tests may add."""
    runner = Kube9(tmp_path / "there", cache)
    runner.db.parent.mkdir()
    runner.record(*(make_event(f"web-{number:04}.1") for number in range(60)))
    return runner


@pytest.fixture
def laptop(tmp_path: Path, pod: Kube9, monkeypatch: pytest.MonkeyPatch) -> Laptop:
    laptop = Laptop(tmp_path, pod)
    for name, value in laptop.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KUBE9_QUERIES")
    return laptop


@pytest.fixture
def db(laptop: Laptop) -> Iterator[library.Client]:
    with library.connect(URL) as db:
        yield db


@pytest.fixture
def near(laptop: Laptop, pod: Kube9) -> Iterator[library.Client]:
    with library.connect(pod.db) as db:
        yield db


CALLS = [
    lambda db: db.events.list(limit=7, until="2026-06-01", severity=["error", "warning"], object_namespace="prod"),
    lambda db: db.events.list(
        since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2026, 6, 1, tzinfo=UTC), sort="created_at"
    ),
    lambda db: db.events.list(contains="--limit", until="2026-06-01"),
    lambda db: db.events.list(for_="pod/web-0003", only=True, until="2026-06-01"),
    lambda db: db.events.get(db.events.list(limit=1)[0].id),
    lambda db: db.events.summary(by=["severity", "reason"], since="2026-01-01", until="2026-06-01"),
    lambda db: db.events.timeline(since="2026-03-01", until="2026-03-02", interval=timedelta(hours=1)),
    lambda db: db.events.noisy(since="2026-01-01", until="2026-06-01"),
    lambda db: db.capabilities(),
    lambda db: db.events.list(request=library.ListEventsRequest(limit=3, until="2026-06-01")),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_answers_as_it_does_here(db, near, call) -> None:
    far, here = call(db), call(near)
    assert type(far) is type(here)
    assert far == here


def error_of(call, db) -> tuple:
    with pytest.raises(errors.Kube9Error) as caught:
        call(db)
    return type(caught.value), caught.value.message, caught.value.details, caught.value.fields


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.events.get("evt_nope"),
        lambda db: db.events.get("-x"),
        lambda db: db.events.list(limit=0),
        lambda db: db.events.list(severity="eror"),
        lambda db: db.events.list(page_token="abc"),
        lambda db: db.events.list(require_coverage="100%", since="2026-01-01", until="2026-02-01"),
        lambda db: db.events.watch(severity="eror"),
        lambda db: list(db.events.list_all(limit=3)),
        lambda db: list(db.events.list_all(since="never")),
        lambda db: db.events.list(contains="a\0b"),
        lambda db: db.events.list(timeout=0),
    ],
)
def test_an_error_is_the_one_that_there_is_here(db, near, call) -> None:
    kind, message, _, fields = error_of(call, near)
    far = error_of(call, db)
    assert (far[0], far[3]) == (kind, fields)
    if kind is not errors.DeadlineExceeded and "NUL" not in message:
        assert far[1] == message


def test_words_are_made_so_that_no_value_is_an_option() -> None:
    declared = compiled()[0]["queries"]
    made = remote.words(declared["events list"], {"contains": "--watch", "reason": ["-a", "b c"], "only": True, "limit": 3}, [])
    assert made == ["query", "events", "list", "--only", "--reason=-a", "--reason=b c", "--contains=--watch", "--limit=3"]
    assert remote.words(declared["events get"], {"id": "-x"}, ["--format=json"])[-2:] == ["--", "-x"]


def test_a_time_limit_holds_here_and_there(laptop: Laptop, pod: Kube9, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pod.db.parent / "own.yaml"
    path.write_text(OWN)
    monkeypatch.setenv("KUBE9_QUERIES", str(path))
    forget_the_plan()
    try:
        with library.connect(URL) as db, pytest.raises(errors.DeadlineExceeded):
            db.own.forever(timeout=1)
        assert "--timeout=1s" in laptop.carried()
        nobody_is_left(laptop)
    finally:
        forget_the_plan()


def test_every_row_is_walked_and_an_abandoned_walk_ends(db, laptop: Laptop) -> None:
    assert [event.object_name for event in db.events.list_all(sort="created_at")] == [
        event.object_name for event in db.events.list(limit=1000, sort="created_at")
    ]
    walk = db.events.list_all()
    assert next(walk).object_name
    walk.close()
    nobody_is_left(laptop)


def test_what_arrives_is_watched(db, laptop: Laptop, pod: Kube9) -> None:
    watch = db.events.watch(timeout=60)
    pod.record(make_event("new-1.1"))
    assert next(watch).object_name == "new-1"
    pod.record(make_event("new-2.1"))
    assert next(watch).object_name == "new-2"
    watch.close()
    nobody_is_left(laptop)


def test_a_watch_goes_on_from_a_token(db, pod: Kube9) -> None:
    token = db.events.list(limit=1).pagination.sync_token
    pod.record(make_event("missed-1.1"), make_event("missed-2.1"))
    found = itertools.islice(db.events.watch(after=token, timeout=60), 2)
    assert {event.object_name for event in found} == {"missed-1", "missed-2"}


def test_a_watch_ends_with_its_time_and_with_its_client(laptop: Laptop) -> None:
    with library.connect(URL) as db:
        assert list(db.events.watch(timeout=1)) == []
        nobody_is_left(laptop)
        watch = db.events.watch()
        threading.Timer(1, db.close).start()
        assert list(watch) == []
    with pytest.raises(errors.FailedPrecondition, match="closed"):
        db.events.list()
    nobody_is_left(laptop)


def test_many_threads_share_a_client(db) -> None:
    with ThreadPoolExecutor(4) as pool:
        totals = set(pool.map(lambda _: db.events.list(limit=1).pagination.total, range(8)))
    assert totals == {60}


# Another version there.


@pytest.fixture
def answer(laptop: Laptop, monkeypatch: pytest.MonkeyPatch):
    """Has the pod answer a list with a changed event."""
    document = laptop.ask("events", "list", "--limit", "1").json
    path = laptop.db.parent / "answer.json"

    def give(**changes) -> None:
        event = document["events"][0] | changes
        document["events"] = [{name: value for name, value in event.items() if value is not ...}]
        path.write_text(json.dumps(document | {"news": 1}))
        monkeypatch.setenv("STAND_IN_ANSWER", str(path))

    return give


def test_fields_of_a_newer_kube9_are_ignored(db, answer) -> None:
    answer(new_field={"a": 1}, object_name="changed")
    assert db.events.list().events[0].object_name == "changed"


def test_fields_that_an_older_one_lacks_are_null_where_they_may_be(db, answer) -> None:
    answer(owner_name=..., description=...)
    event = db.events.list().events[0]
    assert (event.owner_name, event.description) == (None, None)


@pytest.mark.parametrize("changes", [{"change_seq": ...}, {"severity": "catastrophic"}, {"created_at": "then"}])
def test_what_cannot_be_read_is_an_error_that_says_so(db, answer, changes: dict) -> None:
    answer(**changes)
    with pytest.raises(errors.FailedPrecondition, match=f"another version of kube9: .*{next(iter(changes))}"):
        db.events.list()


def test_an_answer_that_is_no_json_is_an_error(db, laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    path = laptop.db.parent / "answer.json"
    path.write_text("motd: welcome")
    monkeypatch.setenv("STAND_IN_ANSWER", str(path))
    with pytest.raises(errors.Unavailable, match="no JSON"):
        db.events.list()
    path.write_text("motd: welcome\n")
    with pytest.raises(errors.Unavailable, match="no JSON"):
        list(db.events.list_all())


# Where.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("kubectl://kube9-system", ("kube9-system", None, None)),
        ("kubectl://n?context=c", ("n", "c", None)),
        ("kubectl://n?kubeconfig=/a/b&context=c", ("n", "c", "/a/b")),
        ("kubectl://n?context=arn:aws:eks:eu-1:12:cluster/x+y", ("n", "arn:aws:eks:eu-1:12:cluster/x+y", None)),
        ("kubectl://n?context=a%26b%3Dc%20d%25%23", ("n", "a&b=c d%#", None)),
        ("kubectl://n?context=%C3%BC", ("n", "ü", None)),
        ("kubectl://n?context=--as=root", ("n", "--as=root", None)),
    ],
)
def test_a_url_says_where(url: str, expected: tuple) -> None:
    place = remote.place(url)
    assert (place.namespace, place.context, place.kubeconfig) == expected


@pytest.mark.parametrize(
    "url",
    [
        "kubectl://", "kubectl://?context=c", "kubectl://N", "kubectl://n/", "kubectl://n/pod", "kubectl://u@n", "kubectl://n:1",
        "kubectl://-n", "kubectl://n-", "kubectl://n.m", "kubectl://ü", "kubectl://n ", "kubectl://n#x", "kubectl://n?",
        "kubectl://n?context", "kubectl://n?context=", "kubectl://n?context=a&context=b", "kubectl://n?user=joe", "kubectl://n?&",
        "kubectl://n?context=%", "kubectl://n?context=%4", "kubectl://n?context=%zz", "kubectl://n?context=%ff",
        "kubectl://n?context=a%00b", "kubectl://n?context=a#b", "kubectl://n?Context=a", "kubectl://n?context=a?context=b&x=1",
        f"kubectl://{'n' * 64}",
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        library.connect(url)


def test_what_is_wrong_is_said_when_it_connects(laptop: Laptop, monkeypatch: pytest.MonkeyPatch, pod: Kube9) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", 'error: context "far" does not exist')
    with pytest.raises(errors.Unavailable, match="context"):
        library.connect(URL)
    monkeypatch.delenv("STAND_IN_FAILS")
    pod.db.unlink()
    with pytest.raises(errors.Unavailable, match="database"):
        library.connect(URL)


def test_a_client_is_shown_with_its_url(db) -> None:
    assert repr(db) == f"<kube9.Client {URL}>"


def test_a_place_says_itself_to_kubectl() -> None:
    assert Place("n", "c", "/k").words() == ["--kubeconfig=/k", "--context=c", "--namespace=n"]


def test_nothing_is_left_when_nothing_was_asked(laptop: Laptop) -> None:
    assert there(laptop) == []

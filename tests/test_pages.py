"""Pages and what is new: walks by token and by offset, and the tokens that hold them, while the database changes under them."""

import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import ROOT, SAMPLE, TESTS, Kube9, make_event, rows

from kube9 import bind, compiler, errors, migrations, query, rules, store, times, tokens
from kube9.model import Batch, Event
from kube9.normalise import normalise
from kube9.upsert import write

PLAN = compiler.compile_text("queries.yaml", (ROOT / "queries.yaml").read_text(), "key")
PLAIN = normalise(make_event(count=1, firstTimestamp=None, lastTimestamp=None), rules.built_in())
NOW = times.parse("2026-03-08T12:00:00Z", 0)
HOUR_MS = 3_600_000
Row = dict[str, Any]


def asked(given: Row, name: str = "events list", now_ms: int = NOW) -> bind.Asked:
    return bind.bind(PLAN, PLAN["queries"][name], given, now_ms)


def ask(path: Path, given: Row, name: str = "events list", now_ms: int = NOW) -> query.Answer:
    return query.run(str(path), asked(given, name, now_ms), 30)


def found(answer: query.Answer) -> list[Row]:
    return [dict(zip(answer.fields, row, strict=True)) for row in answer.rows]


def event(name: str, created_ms: int, **changes: Any) -> Event:
    moment = times.iso(created_ms)
    return PLAIN._replace(**{"name": f"{name}.1", "object_name": name, "created_at": moment, "last_seen_at": moment} | changes)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The connection of a writer to kube9.db, which stays open while others read."""
    with closing(migrations.open_writer(str(tmp_path / "kube9.db"))) as connection:
        yield connection


# Pages of a database that stays as it is.


@pytest.fixture(scope="module")
def whole(sampled: Kube9) -> list[Row]:
    events = sampled.events("--limit", "1000")
    assert len(events) == 132
    return events


@pytest.mark.scenario("CLI-10")
def test_each_page_by_offset_says_where_it_stands(sampled: Kube9, whole: list[Row]):
    for limit, offset in [(20, 0), (20, 40), (20, 120), (1, 131), (132, 0), (131, 0), (50, 132), (50, 10_000)]:
        page = sampled.query("events", "list", "--limit", limit, "--offset", offset).json
        counts = page["pagination"]
        assert page["events"] == whole[offset : offset + limit]
        assert {key: counts[key] for key in ("total", "limit", "offset", "returned", "total_exact")} == {
            "total": 132, "limit": limit, "offset": offset, "returned": len(page["events"]), "total_exact": True,
        }  # fmt: skip
        assert bool(counts["next_page_token"]) == (offset + limit < 132)


def walk(runner: Kube9, *words: str, name: str = "events list", key: str = "events") -> list[list[Row]]:
    """The rows of each page, by token, as processes give them; the first page's counts must hold for each."""
    pages: list[list[Row]] = []
    token, first = "", {}
    while token or not pages:
        done = runner.query(*name.split(), *words, *(["--page-token", token] if token else []))
        assert (done.code, done.err) == (0, ""), done
        counts = done.json["pagination"]
        first = first or counts
        assert counts["offset"] == sum(map(len, pages))
        assert counts["returned"] == len(done.json[key])
        assert {counts[name] == first[name] for name in ("total", "limit", "sync_token", "total_exact")} == {True}
        pages.append(done.json[key])
        token = counts["next_page_token"]
    assert sum(map(len, pages)) == first["total"]
    return pages


@pytest.mark.scenario("CLI-10")
@pytest.mark.parametrize("limit", [7, 44, 131, 132, 133])
@pytest.mark.parametrize("words", [[], ["--sort", "created_at"]], ids=str)
def test_a_walk_by_token_gives_every_row_once(sampled: Kube9, whole: list[Row], limit: int, words: list[str]):
    pages = walk(sampled, "--limit", str(limit), *words)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert 0 < len(pages[-1]) <= limit  # a page that is just full is not followed by an empty one
    place = "created_at" if words else "last_seen_at"
    assert [row for page in pages for row in page] == sorted(whole, key=lambda row: (row[place], row["id"]), reverse=True)


@pytest.mark.scenario("CLI-10")
@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["--severity", "warning,error"], lambda row: row["severity"] in ("warning", "error")),
        (["--min-severity", "warning"], lambda row: row["severity"] != "info"),
        (["--types", "Warning"], lambda row: row["metadata"].get("type", row["severity"]).lower() == "warning"),
        (["--namespace", "shop", "--sort", "created_at"], lambda row: row["object_namespace"] == "shop"),
        (["--kind", "po"], lambda row: row["object_kind"] == "Pod"),
        (["--reason", "BackOff", "--reason", "Pulled"], lambda row: row["reason"] in ("BackOff", "Pulled")),
        (["--contains", "IMAGE"], lambda row: "image" in f"{row['title']} {row['description']}".lower()),
        (["--min-count", "2"], lambda row: row["count"] >= 2),
    ],
    ids=str,
)
def test_a_walk_keeps_its_filters(sampled: Kube9, whole: list[Row], words: list[str], chosen: Callable[[Row], bool]):
    expected = sorted((row["id"] for row in whole if chosen(row)), reverse=True)
    assert len(expected) > 3
    pages = walk(sampled, *words, "--limit", "3")
    assert len(pages) == -(-len(expected) // 3)
    assert sorted((row["id"] for page in pages for row in page), reverse=True) == expected


def test_a_walk_may_change_its_limit(sampled: Kube9, whole: list[Row]):
    events: list[Row] = []
    words: list[str] = []
    for limit in (1, 100, 2, 1000):
        page = sampled.query("events", "list", "--limit", limit, *words).json
        events += page["events"]
        words = ["--page-token", page["pagination"]["next_page_token"]]
    assert events == whole
    assert words[1] == ""


@pytest.mark.scenario("CLI-10")
@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("events summary", "event_counts", ["--by", "reason,namespace"]),
        ("events summary", "event_counts", ["--by", "severity"]),
        ("events noisy", "noisy_objects", []),
        ("events reasons", "reason_counts", []),
        ("events timeline", "event_intervals", ["--interval", "30d", "--until", "2027-01-01"]),
    ],
)
def test_what_is_counted_comes_in_pages_by_token_too(sampled: Kube9, name: str, key: str, words: list[str]):
    words = [*words, "--since", "2020-01-01"]
    expected = sampled.query(*name.split(), *words, "--limit", "1000").json
    assert len(expected[key]) > 2
    limit = max(1, len(expected[key]) // 4)
    assert [row for page in walk(sampled, *words, "--limit", str(limit), name=name, key=key) for row in page] == expected[key]


def test_a_token_of_what_is_counted_is_bound_to_what_it_is_counted_by(sampled: Kube9):
    words = ["events", "summary", "--since", "2020-01-01", "--limit", "1"]
    token = sampled.query(*words, "--by", "reason").json["pagination"]["next_page_token"]
    done = sampled.query(*words, "--by", "namespace", "--page-token", token)
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")


# Walks while the database changes: against a model of it, seeded.


class Known(NamedTuple):
    """What the model knows of an event: as it was written last, in which cluster, and by which change."""

    event: Event
    cluster: str | None
    change: int

    @property
    def key(self) -> tuple[str, int]:
        return self.event.last_seen_at, self.event.count


class Model:
    """A database and what must be in it, changed together."""

    def __init__(self, connection: sqlite3.Connection, seed: int) -> None:
        self.connection, self.source = connection, random.Random(seed)
        self.known: dict[str, Known] = {}
        self.change = self.made = 0

    def step(self) -> None:
        """Insert, repeat, place into its cluster, deliver again or delete."""
        weights = (6, 6, 2, 1, 3) if len(self.known) < 250 else (1, 6, 1, 1, 8)
        kind = self.source.choices(("insert", "repeat", "place", "again", "delete"), weights)[0]
        if kind == "insert" or not self.known:
            self.insert()
            return
        name = self.source.choice(list(self.known))
        known = self.known[name]
        if kind == "delete":
            self.connection.execute("DELETE FROM events WHERE object_name = ?", (name,))
            del self.known[name]
        elif kind == "repeat":
            last = times.parse(known.event.last_seen_at, 0) + self.source.choice((0, 1, 60_000, HOUR_MS))
            self.deliver(known.event._replace(last_seen_at=times.iso(last), count=known.event.count + 1), known.cluster)
        elif kind == "place":
            self.deliver(known.event, "here")
        else:
            self.deliver(known.event, known.cluster)

    def insert(self) -> None:
        self.made += 1
        back = self.source.choice((0, 1000, 60_000, self.source.randrange(48 * HOUR_MS), 24 * HOUR_MS))
        subject = self.source.choice((("Pod", "prod"), ("Pod", "shop"), ("Node", None), ("Deployment", "shop")))
        made = event(
            f"o{self.made}",
            NOW - back,
            severity=self.source.choice(("info", "warning", "error")),
            object_kind=subject[0],
            object_namespace=subject[1],
            reason=self.source.choice(("BackOff", "Pulled", None)),
        )
        self.deliver(made, self.source.choice((None, "here")))

    def deliver(self, made: Event, cluster: str | None) -> None:
        name = str(made.object_name)
        known = self.known.get(name)
        tally = write(self.connection, [Batch([made], "watch", cluster)])
        changed = (
            known is None
            or (made.last_seen_at, made.count) > known.key
            or (known.cluster is None and cluster is not None)
        )  # fmt: skip
        assert tally.unchanged == (not changed)
        if changed:
            self.change += 1
            self.known[name] = Known(made, cluster or (known and known.cluster), self.change)

    def matching(self, holds: Callable[[Event], bool]) -> dict[str, Known]:
        return {name: known for name, known in self.known.items() if holds(known.event)}


DAY_AGO, HOUR_AGO = times.iso(NOW - 24 * HOUR_MS), times.iso(NOW - HOUR_MS)
FILTERS: list[tuple[Row, Callable[[Event], bool]]] = [
    ({}, lambda _: True),
    ({"sort": "created_at"}, lambda _: True),
    ({"type": ["cluster"]}, lambda _: True),
    ({"severity": ["info", "error"]}, lambda e: e.severity in ("info", "error")),
    ({"min_severity": "warning", "sort": "created_at"}, lambda e: e.severity != "info"),
    ({"object_namespace": "shop"}, lambda e: e.object_namespace == "shop"),
    ({"object_kind": "Pod", "object_namespace": "prod"}, lambda e: (e.object_kind, e.object_namespace) == ("Pod", "prod")),
    ({"reason": ["BackOff"]}, lambda e: e.reason == "BackOff"),
    ({"min_count": 2}, lambda e: e.count >= 2),
    ({"contains": "back-OFF"}, lambda _: True),
    ({"since": "24h"}, lambda e: e.last_seen_at >= DAY_AGO),
    ({"since": "24h", "until": "1h"}, lambda e: e.last_seen_at >= DAY_AGO and e.created_at < HOUR_AGO),
    ({"since": "24h", "sort": "created_at", "severity": ["warning"]},
     lambda e: e.last_seen_at >= DAY_AGO and e.severity == "warning"),
]  # fmt: skip


@pytest.mark.scenario("CLI-10", "CLI-29")
@pytest.mark.parametrize(("given", "holds"), FILTERS, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_a_walk_while_the_database_changes_loses_nothing_and_repeats_nothing(
    database: sqlite3.Connection, tmp_path: Path, given: Row, holds: Callable[[Event], bool]
):
    path, model = tmp_path / "kube9.db", Model(database, seed=1)
    for _ in range(150):
        model.insert()
    for limit in (1, 3, 10, 40):
        for _ in range(30):
            model.step()
        before, pinned = model.matching(holds), model.change
        answer, words, pages, read = ask(path, given | {"limit": limit}), given, 0, []
        first = answer
        while True:
            assert (answer.total, answer.exact, answer.offset) == (len(before), True, first.offset + len(read))
            assert (answer.sync_token, window(answer, given)) == (first.sync_token, window(first, given))
            for row in found(answer):
                known = model.known[row["object_name"]]  # as it was at page 1, and as it is now
                assert (row["last_seen_at"], row["count"]) == known.key == before[row["object_name"]].key
                read.append(row)
            if not answer.next_page_token:
                break
            for _ in range(model.source.randrange(8)):
                model.step()
            pages += 1
            words = given | {"limit": limit, "page_token": answer.next_page_token}
            answer = ask(path, words, now_ms=NOW + pages * HOUR_MS)  # time goes on, and the window does not
        place = given.get("sort", "last_seen_at")
        assert read == sorted(read, key=lambda row: (row[place], row["id"]), reverse=True)
        times_read = Counter(row["object_name"] for row in read)
        news = list(changed_since(path, given, first.sync_token or "", limit))
        names = [row["object_name"] for row in news]
        assert [row["change_seq"] for row in news] == sorted(row["change_seq"] for row in news)
        still = model.matching(holds)
        assert names == sorted((name for name in still if still[name].change > pinned), key=lambda name: still[name].change)
        assert [(row["last_seen_at"], row["count"]) for row in news] == [still[name].key for name in names]
        for name in before.keys() & still.keys():
            assert times_read[name] + (name in names) == 1 or (times_read[name] == 1 and name in names), name
            assert times_read[name] == 1 or still[name].change > pinned


def window(answer: query.Answer, given: Row) -> list[str | None]:
    """Where the window of an answer begins, and where it ends if it was asked to: else it ends now."""
    assert answer.coverage is not None
    return [answer.coverage.begin, answer.coverage.end if "until" in given else None]


def changed_since(path: Path, given: Row, token: str, limit: int) -> Iterator[Row]:
    """What was added or updated since a token, page by page until there is nothing."""
    while True:
        answer = ask(path, given | {"limit": limit, "after": token})
        assert answer.next_page_token == ""
        assert answer.total >= len(answer.rows)
        before, token = token, str(answer.sync_token)
        yield from found(answer)
        if not answer.rows:  # what the filters leave out may have moved the token
            again = ask(path, given | {"limit": limit, "after": token})
            assert (again.rows, again.sync_token) == ([], token)
            return
        assert token != before


@pytest.mark.scenario("CLI-29")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("limit", [1, 4, 1000])
def test_a_copy_kept_by_sync_tokens_alone_stays_the_same_as_the_original(
    database: sqlite3.Connection, tmp_path: Path, seed: int, limit: int
):
    path, model, copy = tmp_path / "kube9.db", Model(database, seed), {}
    token = str(ask(path, {}).sync_token)
    for _ in range(60):
        for _ in range(model.source.randrange(12)):
            model.step()
        answer = ask(path, {"after": token, "limit": limit})  # one round; what is left comes with the next
        copy |= {row["object_name"]: (row["last_seen_at"], row["count"]) for row in found(answer)}
        token = str(answer.sync_token)
    copy |= {row["object_name"]: (row["last_seen_at"], row["count"]) for row in changed_since(path, {}, token, limit)}
    there = {name: known.key for name, known in model.known.items()}
    assert len(there) > 30
    assert {name: copy.get(name) for name in there} == there


# The same with processes: a writer that does not wait, and the program.

WRITER = """
import random, sys
from kube9 import migrations, times
from kube9.model import Batch
from kube9.upsert import write
from test_pages import NOW, event
connection, source = migrations.open_writer(sys.argv[1]), random.Random(4)
for number in range(1_000_000):
    made = event(f"new{number}", NOW + number)
    repeated = event(f"old{source.randrange(300)}", NOW - 60_000, last_seen_at=times.iso(NOW + number), count=number + 2)
    write(connection, [Batch([made], "watch"), Batch([repeated], "watch")])
    connection.execute("DELETE FROM events WHERE object_name = ?", (f"old{source.randrange(300)}",))
    if number == 20:
        print("ready", flush=True)
"""


@pytest.mark.scenario("CLI-10", "CLI-29")
@pytest.mark.parametrize("words", [[], ["--sort", "created_at"], ["--since", "2026-03-01"]], ids=str)
def test_a_walk_beside_a_writing_process(kube9: Kube9, words: list[str]):
    with closing(migrations.open_writer(str(kube9.db))) as connection:
        old = [event(f"old{number}", NOW - 60_000) for number in range(300)]
        write(connection, [Batch([*old, *(event(f"quiet{number}", NOW - 60_000) for number in range(100))], "watch")])
    script = [sys.executable, "-c", WRITER, str(kube9.db)]
    with subprocess.Popen(
        script, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=kube9.env | {"PYTHONPATH": f"{TESTS}:{ROOT}"}
    ) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            pages: list[Row] = []
            token, sync = "", ""
            while token or not pages:
                more = ["--page-token", token] if token else []
                page = kube9.query("events", "list", "--limit", "60", *words, *more).json
                sync = sync or page["pagination"]["sync_token"]
                assert page["pagination"]["sync_token"] == sync
                pages += page["events"]
                token = page["pagination"]["next_page_token"]
            assert writer.poll() is None
        finally:
            writer.kill()
    news: list[Row] = []
    token = sync
    while True:
        page = kube9.query("events", "list", "--limit", "1000", *words, "--after", token).json
        if not page["events"]:
            break
        news += page["events"]
        token = page["pagination"]["sync_token"]
    pinned = int(sync.partition(".")[2], 16)
    still = dict(rows(kube9.db, "SELECT object_name, change_seq FROM events"))
    assert len(still) != 400
    assert max(still.values()) > pinned + 10
    once = Counter(row["object_name"] for row in pages)
    assert set(once.values()) == {1}
    unchanged = {name for name, seq in still.items() if seq <= pinned}
    assert {f"quiet{number}" for number in range(100)} <= unchanged <= once.keys()
    assert [row["object_name"] for row in news] == sorted(still.keys() - unchanged, key=still.__getitem__)


@pytest.mark.scenario("CLI-10")
def test_the_window_of_a_walk_stays_where_it_was_at_page_1(kube9: Kube9):
    now = times.now_ms()
    near = [make_event(f"near-{n}.1", firstTimestamp=times.iso(now), lastTimestamp=times.iso(now)) for n in range(6)]
    kube9.record(*near)
    first = kube9.query("events", "list", "--since", "1h", "--limit", "2").json
    assert first["pagination"]["total"] == 6
    (window,) = {first["coverage"]["from"]}
    names, token = {event["object_name"] for event in first["events"]}, first["pagination"]["next_page_token"]
    while token:
        page = kube9.query("events", "list", "--since", "1h", "--limit", "2", "--page-token", token).json
        assert (page["coverage"]["from"], page["pagination"]["total"]) == (window, 6)
        names |= {event["object_name"] for event in page["events"]}
        token = page["pagination"]["next_page_token"]
    assert names == {f"near-{n}" for n in range(6)}


WIDEST_MS = 3_540_000  # of a window in intervals of a minute


def test_intervals_keep_their_length_from_page_to_page(kube9: Kube9):
    kube9.record(make_event())
    given = {"since": times.iso(NOW - WIDEST_MS + 1000), "limit": 40}

    def timeline(now_ms: int, **more: str) -> query.Answer:
        return ask(kube9.db, given | more, "events timeline", now_ms)

    def starts(*pages: query.Answer) -> list[int]:
        return [times.parse(row["start"], 0) for page in pages for row in found(page)]

    first = timeline(NOW)
    later = NOW + 10_000
    assert starts(timeline(later))[1] - starts(timeline(later))[0] == 300_000  # asked anew, an interval is five minutes by now
    whole = starts(first, timeline(later, page_token=first.next_page_token))
    assert len(whole) == first.total >= 59
    assert {end - start for start, end in pairwise(whole)} == {60_000}


# Tokens that do not fit.


def refused(runner: Kube9, *words: str, code: str = "INVALID_ARGUMENT", name: str = "events list") -> str:
    done = runner.query(*name.split(), *words)
    assert (done.code, done.out, done.err.count("\n"), done.error["code"]) == (1, "", 1, code), done
    assert set(done.error) == {"error", "details", "code"}
    return f"{done.error['error']} {done.error['details']}"


@pytest.fixture(scope="module")
def page_token(sampled: Kube9) -> str:
    words = ["--since", "2020-01-01", "--severity", "warning", "--limit", "2"]
    return sampled.query("events", "list", *words).json["pagination"]["next_page_token"]


OTHERS = [
    ["--severity", "warning"],
    ["--since", "2020-01-01", "--severity", "error"],
    ["--since", "2020-01-01", "--severity", "warning,error"],
    ["--since", "2020-01-02", "--severity", "warning"],
    ["--since", "2020-01-01", "--severity", "warning", "--until", "2027-01-01"],
    ["--since", "2020-01-01", "--severity", "warning", "--namespace", "shop"],
    ["--since", "2020-01-01", "--severity", "warning", "--sort", "created_at"],
    ["--since", "2020-01-01", "--min-severity", "warning"],
]


@pytest.fixture(scope="module")
def no_database(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    """Where a query that opens the database says UNAVAILABLE, so that any other error came before."""
    return Kube9(tmp_path_factory.mktemp("none"), cache)


@pytest.mark.scenario("CLI-10")
@pytest.mark.parametrize("words", OTHERS, ids=" ".join)
def test_a_token_with_other_filters_is_refused_before_the_database_is_opened(
    no_database: Kube9, page_token: str, words: list[str]
):
    assert "another question" in refused(no_database, *words, "--page-token", page_token)


@pytest.mark.scenario("CLI-10")
def test_a_token_of_another_query_is_refused(no_database: Kube9, page_token: str):
    same = ["--since", "2020-01-01", "--severity", "warning"]
    for name in ("events noisy", "events summary", "events reasons"):
        refused(no_database, *same, "--page-token", page_token, name=name)


def spoilt(token: str) -> dict[str, str]:
    """Texts that are no token, made of one."""
    letters = ["e" if token[place] != "e" else "f" for place in range(len(token))]
    places = {"first": 0, "check": 7, "body": 8, "middle": len(token) // 2, "last": len(token) - 1}
    edited = {f"edited, {name}": token[:at] + letters[at] + token[at + 1 :] for name, at in places.items()}
    return edited | {
        "cut": token[:-2],
        "cut in a byte": token[:-1],
        "only its check": token[:8],
        "longer": token + "00",
        "twice": token * 2,
        "hex": "deadbeef" * 8,
        "no UTF-8": "ff" * 40,
        "huge": token * 200,
        "longer than a value": "ab" * 40_000,
        "no hex": "x" + token[1:],
        "digits of elsewhere": "٣" * 20,
        "emoji": "🔥",
        "SQL": "' OR 1=1 --",
        "zero": "0",
        "empty": "",
        "blank": " ",
        "a sync token": "12ab.3",
    }


@pytest.mark.scenario("CLI-10")
@pytest.mark.parametrize("kind", spoilt("0" * 80))
def test_what_is_no_token_is_refused_before_the_database_is_opened(no_database: Kube9, page_token: str, kind: str):
    words = ["--since", "2020-01-01", "--severity", "warning"]
    refused(no_database, *words, f"--page-token={spoilt(page_token)[kind]}")


FORGED = ["", "-1", "f" * 40, "-" + "f" * 40, "x", "0", "i" + "9" * 40, "i-1", "ix", "s", "s\x00", "s" + "🔥" * 300]


@pytest.mark.parametrize("value", FORGED, ids=ascii)
def test_a_forged_token_is_an_error_or_another_page_and_nothing_else(sampled: Kube9, value: str):
    given = {"since": "2020-01-01", "limit": 2}
    token = str(ask(sampled.db, given).next_page_token)
    question = asked(given).question
    parts = tokens.read_page_token(question, token)
    assert tokens.page_token(question, parts) == token
    for place in range(len(parts)):
        forged = tokens.page_token(question, [*parts[:place], value, *parts[place + 1 :]])
        try:
            assert len(ask(sampled.db, given | {"page_token": forged}).rows) <= 2
        except (errors.InvalidArgument, errors.FailedPrecondition):
            pass


@pytest.mark.scenario("CLI-10", "CLI-29")
def test_a_walk_stands_in_one_place_only(no_database: Kube9):
    for one, other in [("--page-token", "--offset"), ("--after", "--offset"), ("--after", "--page-token")]:
        said = refused(no_database, one, "00", other, "0")
        assert one in said
        assert other in said


@pytest.mark.scenario("CLI-10", "CLI-29")
def test_tokens_of_another_database_are_refused(sampled: Kube9, kube9: Kube9):
    assert kube9("import", SAMPLE).code == 0
    counts = sampled.query("events", "list", "--limit", "2").json["pagination"]
    for words in (["--page-token", counts["next_page_token"]], ["--after", counts["sync_token"]]):
        assert sampled.query("events", "list", *words).code == 0
        assert "another database" in refused(kube9, *words, code="FAILED_PRECONDITION")


@pytest.mark.scenario("CLI-29")
@pytest.mark.parametrize(
    "token",
    ["", " ", "1", ".", "1.", ".1", "1.2.3", "g.1", "1.g", "-1.1", "1.-1", "+1.1", "1 .1", "0x1.1", "A.1", "1_0.1",
     "1." + "f" * 16, "f" * 16 + ".1", "1.٣", "1.1\n", "1." + "0" * 20_000, "🔥", "' OR 1=1 --", "00" * 20],
    ids=lambda token: ascii(token)[:30],
)  # fmt: skip
def test_what_is_no_sync_token_is_refused_before_the_database_is_opened(no_database: Kube9, token: str):
    refused(no_database, f"--after={token}")


# Only what is new.


@pytest.mark.scenario("CLI-29")
def test_what_is_new_comes_in_the_order_of_its_changes(kube9: Kube9):
    kube9.record(*(make_event(f"old-{n}.1") for n in range(5)))
    token = kube9.query("events", "list").json["pagination"]["sync_token"]
    nothing = kube9.query("events", "list", "--after", token).json
    assert (nothing["events"], nothing["pagination"]["total"], nothing["pagination"]["sync_token"]) == ([], 0, token)
    later = {"lastTimestamp": "2026-03-01T10:06:00Z", "count": 4}
    kube9.record(make_event("old-3.1", **later), make_event("new-0.1"), make_event("old-1.1", **later), make_event("old-2.1"))
    kube9.record(make_event("old-4.1", **later), make_event("old-3.1", lastTimestamp="2026-03-01T10:07:00Z", count=5))
    names: list[str] = []
    for size, total in [(2, 4), (2, 2), (0, 0)]:
        page = kube9.query("events", "list", "--limit", "2", "--after", token).json
        assert (len(page["events"]), page["pagination"]["total"]) == (size, total)
        assert page["pagination"]["next_page_token"] == ""
        names += [row["object_name"] for row in page["events"]]
        token = page["pagination"]["sync_token"]
    assert names == ["new-0", "old-1", "old-4", "old-3"]


@pytest.mark.scenario("CLI-29")
@pytest.mark.parametrize(
    "words", [["--severity", "error"], ["--namespace", "shop"], ["--for", "pod/web"], ["--contains", "KILL"]]
)
def test_what_is_new_is_filtered_too(kube9: Kube9, words: list[str]):
    kube9.record(make_event("first.1"))
    token = kube9.query("events", "list", *words).json["pagination"]["sync_token"]
    kube9.record(make_event("other.1"), make_event("web.1", "shop", reason="Failed", message="Failed to pull image kill:1"))
    page = kube9.query("events", "list", *words, "--after", token).json
    assert [row["object_name"] for row in page["events"]] == ["web"]


@pytest.mark.scenario("CLI-29")
@pytest.mark.parametrize("removed", ["the newest", "all", "the oldest"])
def test_a_sync_token_outlives_the_rows_it_was_given_with(database: sqlite3.Connection, tmp_path: Path, removed: str):
    path = tmp_path / "kube9.db"
    write(database, [Batch([event(f"old-{n}", NOW + n) for n in range(9)], "watch")])
    condition = {"the newest": "change_seq > 4", "all": "1", "the oldest": "change_seq < 4"}[removed]
    before = str(ask(path, {}).sync_token)
    database.execute(f"DELETE FROM events WHERE {condition}")
    between = str(ask(path, {}).sync_token)
    for token in (before, between):
        answer = ask(path, {"after": token})
        assert answer.rows == []
        assert answer.sync_token == token
    write(database, [Batch([event(f"new-{n}", NOW + n) for n in range(3)], "watch")])
    for token in (before, between):
        assert [row["object_name"] for row in changed_since(path, {}, token, 2)] == ["new-0", "new-1", "new-2"]


@pytest.mark.scenario("CLI-29")
def test_a_sync_token_from_the_future_of_a_restored_copy_is_refused(kube9: Kube9):
    kube9.record(make_event("kept.1"))
    kept = kube9.db.read_bytes()
    kube9.record(*(make_event(f"lost-{n}.1") for n in range(5)))
    counts = kube9.query("events", "list", "--limit", "1").json["pagination"]
    kube9.db.write_bytes(kept)
    kube9.record(make_event("after-0.1"), make_event("after-1.1"))  # their numbers were given before, to others
    refused(kube9, "--after", counts["sync_token"], code="FAILED_PRECONDITION")
    refused(kube9, "--page-token", counts["next_page_token"], code="FAILED_PRECONDITION")


# What a deep page costs, in steps of SQLite's virtual machine.

LIMIT, DEEP = 20, 200


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12,000 events, half of them about the object, in the namespace and of the severity that are asked for."""
    path = tmp_path_factory.mktemp("many") / "kube9.db"
    busy = {"object_name": "busy", "object_namespace": "shop", "severity": "error"}
    other = {"object_namespace": "prod", "severity": "warning"}
    made = [event(f"web-{n}", NOW - 1000 * n, **(other, busy)[n % 2]) for n in range(12_000)]
    random.Random(5).shuffle(made)
    with closing(migrations.open_writer(str(path))) as connection:
        write(connection, [Batch(made, "import")])
    return path


def steps(path: Path, given: Row) -> tuple[int, int]:
    """How many steps the statement of a page takes, and how many rows it gives."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    values = asked(given).values
    sql, parameters = query.statement(PLAN["queries"]["events list"], "select", values)
    with store.open_reader(str(path)) as reader:
        reader.connection.set_progress_handler(count, 1)
        given_rows = reader.connection.execute(sql, parameters).fetchall()
    return taken, len(given_rows)


@pytest.mark.scenario("CLI-10")
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"type": ["cluster"]},
        {"severity": ["error"]},
        {"object_namespace": "shop"},
        {"object_name": "busy"},
        {"object_kind": "Pod", "object_namespace": "shop", "object_name": "busy"},
        {"since": "2026-03-01"},
        {"sort": "created_at"},
        {"sort": "created_at", "object_namespace": "shop"},
        {"severity": ["error", "warning"]},
    ],
    ids=str,
)
def test_a_deep_page_by_token_costs_what_the_first_costs(many: Path, given: Row):
    first, size = steps(many, given | {"limit": LIMIT})
    assert size == LIMIT + 1  # one more, which tells that there are more
    token, read = None, 0
    while read < DEEP * LIMIT:
        answer = ask(many, given | {"limit": 500} | ({"page_token": token} if token else {}))
        token, read = answer.next_page_token, read + len(answer.rows)
    deep, size = steps(many, given | {"limit": LIMIT, "page_token": token})
    assert size == LIMIT + 1
    assert deep <= 1.2 * first
    if given == {}:
        assert steps(many, {"limit": LIMIT, "offset": read})[0] > 2 * first  # steps tell the difference

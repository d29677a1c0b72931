"""`query events list`: each filter exact, alone and with others, against a filter written in Python over the same rows."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from conftest import ROOT, SAMPLE, Kube9, make_event

from kube9 import compiler

LISTED = compiler.compile_text("queries.yaml", (ROOT / "queries.yaml").read_text(), "key")["queries"]["events list"]
TYPES = ["cluster", "operator", "insight", "assessment", "health", "system"]
SEVERITIES = ["info", "warning", "error", "critical"]


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    """The sample, with every type and severity. An import gives one type only, so the others are written into the file."""
    runner = Kube9(tmp_path_factory.mktemp("varied"), cache)
    assert runner("import", SAMPLE).code == 0
    with closing(sqlite3.connect(runner.db)) as connection, connection:
        for number, event_type in enumerate(TYPES):
            connection.execute("UPDATE events SET event_type = ? WHERE change_seq % 6 = ?", (event_type, number))
        for number, severity in enumerate(SEVERITIES):
            connection.execute("UPDATE events SET severity = ? WHERE change_seq / 6 % 4 = ?", (severity, number))
    return runner


@pytest.fixture(scope="module")
def rows(varied: Kube9) -> list[dict]:
    """All events of `varied`, newest first."""
    found = varied.events("--limit", "1000")
    assert len(found) == 132
    assert found == sorted(found, key=lambda event: (event["last_seen_at"], event["id"]), reverse=True)
    return found


def ids(events: list[dict]) -> list[str]:
    return [event["id"] for event in events]


MANY = {"--type": ("event_type", TYPES), "--severity": ("severity", SEVERITIES)}


@pytest.mark.scenario("CLI-05", "CLI-06")
@pytest.mark.parametrize("flag", MANY)
def test_each_value_is_matched_exactly(varied: Kube9, rows: list[dict], flag: str):
    key, values = MANY[flag]
    for value in values:
        expected = [event for event in rows if event[key] == value]
        assert expected
        assert varied.events(flag, value, "--limit", "1000") == expected


@pytest.mark.scenario("CLI-05", "CLI-06")
@pytest.mark.parametrize("flag", MANY)
@pytest.mark.parametrize("form", ["repeated", "commas", "both", "twice the same"])
def test_several_values_are_any_of_them(varied: Kube9, rows: list[dict], flag: str, form: str):
    key, (_, one, two, three, *_) = MANY[flag]
    words = {
        "repeated": [flag, one, flag, two, f"{flag}={three}"],
        "commas": [flag, f"{one},{two},{three}"],
        "both": [flag, f"{one},{two}", flag, three],
        "twice the same": [flag, f"{one},{one},{two}", flag, f"{two},{three}"],
    }
    expected = [event for event in rows if event[key] in (one, two, three)]
    assert varied.events(*words[form], "--limit", "1000") == expected


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


NOW = datetime.now(UTC).replace(microsecond=0)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
SPANS = {  # name -> first and last time
    "now": (NOW - timedelta(seconds=20), NOW - timedelta(seconds=20)),
    "loop": (NOW - timedelta(days=3), NOW - timedelta(minutes=10)),  # a crash loop that still goes on
    "hours": (NOW - timedelta(hours=5), NOW - timedelta(hours=4)),
    "old": (NOW - timedelta(days=3), NOW - timedelta(days=2, hours=12)),
    "weeks": (NOW - timedelta(days=30), NOW - timedelta(days=29)),
    "midnight": (MIDNIGHT, MIDNIGHT),
}


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    runner = Kube9(tmp_path_factory.mktemp("spans"), cache)
    runner.record(*(make_event(f"{name}.1", firstTimestamp=at(a), lastTimestamp=at(b)) for name, (a, b) in SPANS.items()))
    return runner


def named(events: list[dict]) -> set[str]:
    return {event["object_name"] for event in events}


EDGES = sorted({edge + timedelta(seconds=step) for span in SPANS.values() for edge in span for step in (-1, 0, 1)})


@pytest.mark.scenario("CLI-07")
@pytest.mark.parametrize("flag", ["--since", "--until"])
def test_an_event_is_in_the_window_when_its_span_overlaps_it(spans: Kube9, flag: str):
    for edge in EDGES:
        later = {name for name, (_, last) in SPANS.items() if last >= edge}  # since is in the window, until is not
        earlier = {name for name, (first, _) in SPANS.items() if first < edge}
        assert named(spans.events(flag, at(edge))) == (later if flag == "--since" else earlier), (flag, edge)


@pytest.mark.scenario("CLI-07")
def test_a_window_has_two_ends(spans: Kube9):
    for since, until in zip(EDGES, EDGES[3:], strict=False):
        expected = {name for name, (first, last) in SPANS.items() if last >= since and first < until}
        if since < until:
            assert named(spans.events("--since", at(since), "--until", at(until))) == expected


OFFSET = (NOW - timedelta(hours=3) + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%dT%H:%M:%S+05:30")


@pytest.mark.scenario("CLI-07")
@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("4h30m", timedelta(hours=4, minutes=30)),
        ("now", timedelta(0)),
        ("today", MIDNIGHT),
        ("yesterday", MIDNIGHT - timedelta(days=1)),
        (MIDNIGHT.strftime("%Y-%m-%d"), MIDNIGHT),
        (OFFSET, NOW - timedelta(hours=3)),
    ],
)
def test_a_time_may_be_typed_in_every_usual_form(spans: Kube9, typed: str, moment: datetime | timedelta):
    if datetime.now(UTC).date() != NOW.date():
        pytest.fail("midnight passed while the tests ran; run them again")

    def expected() -> set[str]:
        since = datetime.now(UTC) - moment if isinstance(moment, timedelta) else moment
        return {name for name, (_, last) in SPANS.items() if last >= since}

    before = expected()
    found = named(spans.events("--since", typed))
    assert found in (before, expected())  # the clock goes on


# A value for each filter that some rows have, and what a row must be then.
FILTERS = {
    "type": ("cluster,insight,health,system", lambda event: event["event_type"] in ("cluster", "insight", "health", "system")),
    "severity": ("warning,critical", lambda event: event["severity"] in ("warning", "critical")),
    "since": ("2026-11-21T11:10:30Z", lambda event: event["last_seen_at"] >= "2026-11-21T11:10:30.000Z"),
    "until": ("2026-11-21T11:13:00Z", lambda event: event["created_at"] < "2026-11-21T11:13:00.000Z"),
    "object-kind": ("Pod", lambda event: event["object_kind"] == "Pod"),
    "object-namespace": ("shop", lambda event: event["object_namespace"] == "shop"),
    "object-name": ("cart", lambda event: event["object_name"] == "cart"),
}


@pytest.mark.scenario("CLI-09")
@pytest.mark.parametrize(("one", "other"), list(combinations(FILTERS, 2)))
def test_two_filters_must_both_hold(varied: Kube9, rows: list[dict], one: str, other: str):
    words = [word for name in (one, other) for word in (f"--{name}", FILTERS[name][0])]
    expected = [event for event in rows if FILTERS[one][1](event) and FILTERS[other][1](event)]
    assert expected
    assert len(expected) < len(rows)
    found = varied.query("events", "list", *words, "--limit", "1000").json
    assert ids(found["events"]) == ids(expected)
    assert found["pagination"]["total"] == len(expected)


@pytest.mark.scenario("CLI-09")
@pytest.mark.parametrize("left_out", FILTERS)
def test_all_filters_must_hold(varied: Kube9, rows: list[dict], left_out: str):
    expected, words = rows, []
    for name, (value, holds) in FILTERS.items():
        if name != left_out:
            expected, words = [event for event in expected if holds(event)], [*words, f"--{name}", value]
    assert ids(varied.events(*words)) == ids(expected)


def test_a_namespace_has_three_spellings(sampled: Kube9):
    expected = sampled.events("--object-namespace", "shop")
    assert expected
    assert sampled.events("--namespace", "shop") == sampled.events("-n", "shop") == expected
    assert sampled.events("-n=shop") == sampled.events("-nshop") == expected


def test_pages_side_by_side_are_the_whole(varied: Kube9, rows: list[dict]):
    found = []
    for offset in range(0, 160, 20):
        page = varied.query("events", "list", "--limit", "20", "--offset", offset).json
        counts = {"total": 132, "limit": 20, "offset": offset, "returned": len(page["events"])}
        assert counts.items() <= page["pagination"].items()
        found += page["events"]
    assert found == rows


@pytest.mark.scenario("CLI-24")
def test_ten_thousand_events_come_in_pages_of_a_thousand(kube9: Kube9):
    start = datetime(2026, 3, 1, tzinfo=UTC)
    moments = [at(start + timedelta(seconds=number)) for number in range(10_000)]
    kube9.record(*(make_event(f"web-{n}.1", firstTimestamp=t, lastTimestamp=t, count=1) for n, t in enumerate(moments)))
    first = kube9.query("events", "list", "--limit", "1000").json
    assert {"total": 10_000, "limit": 1000, "offset": 0, "returned": 1000}.items() <= first["pagination"].items()
    assert [event["object_name"] for event in first["events"]] == [f"web-{number}" for number in range(9999, 8999, -1)]
    last = kube9.query("events", "list", "--limit", "1000", "--offset", "9000").json
    assert [event["object_name"] for event in last["events"]] == [f"web-{number}" for number in range(999, -1, -1)]


NAMES = [
    "plain", "Plain", "plain ", "a.b", "a-b", "a_b", "axb", "a%b", "a%", "%", "_", "%%", "*", "?", "[a-c]lain", "-rf", "--db",
    "--", "-", "'", '"', "''", "a'b", 'a"b', "`", "a;--", ";--", "' OR '1'='1", "' OR 1=1 --", "x'; DROP TABLE events; --",
    "') OR ('1'='1", "1 UNION SELECT 1", ":object_name", "?1", "@x", "$x", "{filters}", "{}", "\\", "\\'", "a\\nb", "a\nb",
    "tab\t", "NULL", "null", "0", "1e3", "äöü", "a\u0308", "日本", "🔥", "\u202eabc", "\u200b", "ﬁ", "İ", "x" * 253, "a,b",
    "[1]", '["plain"]', "=", "a=b", "/",
]  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    """An event for each odd name of an object, and for each the same as its namespace."""
    runner = Kube9(tmp_path_factory.mktemp("odd"), cache)
    runner.record(
        *(
            make_event(f"{number}.1", involvedObject={"kind": "Thing", "name": name, "namespace": name})
            for number, name in enumerate(NAMES)
        )
    )
    return runner


@pytest.mark.scenario("CLI-25")
@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_an_odd_name_is_matched_exactly(odd: Kube9, name: str):
    before = odd.db.read_bytes()
    (found,) = odd.events(f"--object-name={name}", f"--namespace={name}")
    assert (found["object_name"], found["object_namespace"]) == (name, name)
    if name != "--":  # which ends the options where it stands alone
        assert odd.events("--object-name", name, "--object-namespace", name) == [found]
    assert odd.events(f"--object-kind={name}") == []
    assert odd.db.read_bytes() == before


@pytest.mark.scenario("CLI-25")
@pytest.mark.parametrize("id", ["evt_%", "' OR '1'='1", "%", "_", "' UNION SELECT * FROM events --", "evt_20260301_100000_%"])
def test_an_odd_id_is_nobodys(odd: Kube9, id: str):
    done = odd.query("events", "get", id)
    assert (done.code, done.error["code"], done.error["event_id"]) == (1, "NOT_FOUND", id)


@pytest.mark.scenario("CLI-04")
def test_the_list_is_newest_first_with_its_place_and_its_coverage(sampled: Kube9):
    done = sampled.query("events", "list")
    assert (done.code, done.err) == (0, "")
    answer = done.json
    assert list(answer) == ["events", "pagination", "coverage"]
    paging = {"total", "limit", "offset", "returned", "next_page_token", "sync_token", "total_exact"}
    assert answer["pagination"].keys() == paging
    assert answer["coverage"].keys() == {"from", "to", "covered_seconds", "complete", "gaps", "more_gaps"}
    whole = sampled.events("--limit", "1000")
    assert whole == sorted(whole, key=lambda event: (event["last_seen_at"], event["id"]), reverse=True)
    assert answer["events"] == whole[:50]
    by_first = sampled.events("--limit", "1000", "--sort", "created_at")
    assert ids(by_first) == ids(sorted(whole, key=lambda event: (event["created_at"], event["id"]), reverse=True))
    assert ids(by_first) != ids(whole)

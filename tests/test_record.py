"""`kube9 record`, and what is asked about an event: what belongs to it, and when it occurred."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from conftest import Kube9, make_event, rows

from kube9 import errors, own, rules, store, vocabulary
from kube9.model import DESCRIPTION_LENGTH, TITLE_LENGTH, Batch
from kube9.upsert import write

INSIGHT = ("insight", "Requests far above use", "--insight-id", "cost-17", "--category", "cost")
NOW = datetime.now(UTC).replace(microsecond=0)


def at(minutes: float) -> str:
    """A time so many minutes ago, as Kubernetes writes it."""
    return (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def recent(name: str = "web-0.17b2c4", minutes: float = 5, **changes) -> dict:
    return make_event(name, firstTimestamp=at(minutes), lastTimestamp=at(minutes), count=1, **changes)


def recorded(kube9: Kube9, *words: str, **options) -> str:
    done = kube9("record", *words, **options)
    assert done.code == 0, done
    return done.out.strip()


def related(kube9: Kube9, key: str, *words: str) -> list[tuple[str, str]]:
    """How each event that belongs to one is related, and its title."""
    done = kube9.query("events", "related", key, *words)
    assert done.code == 0, done
    return [(row["relation"], row["title"]) for row in done.json["related_events"]]


def spans(kube9: Kube9, key: str) -> list[tuple]:
    done = kube9.query("events", "occurrences", key)
    assert done.code == 0, done
    return [(row["from_at"], row["to_at"], row["count"], row["per_minute"]) for row in done.json["occurrences"]]


@pytest.mark.scenario("REC-40")
@pytest.mark.parametrize("kind", ["operator", "insight", "assessment", "health", "system"])
def test_an_event_of_each_type_is_recorded_once_its_id_is_printed(kube9: Kube9, kind: str):
    further = INSIGHT[2:] if kind == "insight" else ()
    key = recorded(kube9, kind, "Something happened", *further, "--severity", "warning")
    (event,) = kube9.events("--type", kind)
    assert (event["id"], event["severity"], event["title"]) == (key, "warning", "Something happened")
    assert (event["origin"], event["count"], event["last_seen_at"]) == ("api", 1, event["created_at"])


@pytest.mark.scenario("REC-10")
def test_an_insight_has_its_id_and_category_and_is_linked_to_the_events_of_its_object(kube9: Kube9):
    old = recent("web-0.old", 60 * 25, message="old")
    kube9.record(recent(), recent("web-1.1"), old)
    key = recorded(kube9, *INSIGHT, "--object", "po/web-0", "-n", "prod")
    insight = kube9.query("events", "get", key).json
    assert insight["metadata"] == {"insight_id": "cost-17", "category": "cost"}
    assert (insight["object_kind"], insight["object_namespace"], insight["object_name"]) == ("Pod", "prod", "web-0")
    assert related(kube9, key) == [("linked", "Pod BackOff")]
    (told,) = [event["id"] for event in kube9.events("--object-name", "web-0", "--type", "cluster", "--since", "1h")]
    assert related(kube9, told) == [("linked", "Requests far above use")]


def test_an_insight_is_linked_to_the_twenty_newest_events_of_its_object(kube9: Kube9):
    kube9.record(*(recent(f"web-0.{number:02}", number) for number in range(1, 31)))
    key = recorded(kube9, *INSIGHT, "--object", "pod/web-0", "-n", "prod")
    newest = rows(kube9.db, "SELECT id FROM events WHERE event_type = 'cluster' ORDER BY last_seen_at DESC LIMIT 20")
    assert set(rows(kube9.db, f"SELECT linked_id FROM event_links WHERE event_id = '{key}'")) == set(newest)


def test_an_event_about_no_object_is_linked_to_nothing(kube9: Kube9):
    kube9.record(recent(involvedObject={}))
    assert related(kube9, recorded(kube9, *INSIGHT)) == []


def test_links_are_found_by_the_index_of_objects(kube9: Kube9):
    recorded(kube9, *INSIGHT)
    from kube9.links import LINK

    steps = [step for *_, step in rows(kube9.db, f"EXPLAIN QUERY PLAN {LINK.replace('?', chr(39) * 2)}")]
    assert any("told USING INDEX idx_events_object (object_name=? AND object_kind=? AND object_namespace=?" in s for s in steps)


def test_what_went_on_with_the_same_object_about_the_same_time_belongs_to_an_event(kube9: Kube9):
    kube9.record(
        recent("web-0.1", 300, reason="A"), recent("web-0.2", 310, reason="B"), recent("web-0.3", 500, reason="C"),
        recent("web-1.1", 300, reason="D"),
    )  # fmt: skip
    (key,) = [event["id"] for event in kube9.events("--reason", "A")]
    assert related(kube9, key) == [("same object", "Pod B")]
    assert related(kube9, key, "--within", "5m") == []
    assert related(kube9, key, "--within", "4h") == [("same object", "Pod B"), ("same object", "Pod C")]


@pytest.mark.parametrize("query", ["related", "occurrences"])
def test_what_belongs_to_an_unknown_event_is_not_found(sampled: Kube9, query: str):
    done = sampled.query("events", query, "evt_20260101_000000_000000")
    assert (done.code, done.out) == (1, "")
    assert done.error["error"] == "Event not found"
    assert (done.error["code"], done.error["event_id"]) == ("NOT_FOUND", "evt_20260101_000000_000000")


@pytest.mark.scenario("REC-36")
def test_each_rise_of_a_count_is_a_span_and_they_sum_up(kube9: Kube9):
    first = {"firstTimestamp": "2026-03-01T10:00:00Z"}
    for time, count in (("10:00:00", 1), ("10:01:00", 3), ("10:05:00", 4)):
        kube9.record(make_event(**first, lastTimestamp=f"2026-03-01T{time}Z", count=count))
    (event,) = kube9.events()
    day = "2026-03-01T10:0{}:00.000Z"
    assert spans(kube9, event["id"]) == [
        (day.format(0), day.format(0), 1, None),
        (day.format(0), day.format(1), 2, 2),
        (day.format(1), day.format(5), 1, 0.25),
    ]
    assert sum(count for *_, count, _ in spans(kube9, event["id"])) == event["count"] == 4


@pytest.mark.scenario("REC-36")
def test_a_count_that_was_high_when_it_was_seen_first_is_one_span(kube9: Kube9):
    kube9.record(make_event(firstTimestamp="2026-03-01T09:12:00Z", lastTimestamp="2026-03-01T10:40:00Z", count=214))
    (event,) = kube9.events()
    expected = [("2026-03-01T09:12:00.000Z", "2026-03-01T10:40:00.000Z", 214, round(213 / 88, 3))]
    assert spans(kube9, event["id"]) == expected
    shown = kube9.query("events", "occurrences", event["id"], "--format", "table").out
    assert "(x214 over 88m)  2026-03-01T09:12:00Z  2026-03-01T10:40:00Z    214        2.42" in shown


def test_the_row_is_printed_as_json(kube9: Kube9):
    done = kube9("record", "health", "Fine", "--metadata", "a=b=c", "--metadata", '{"n": [1, {"x": null}]}', "-o", "json")
    assert done.json == kube9.query("events", "get", done.json["id"]).json
    assert done.json["metadata"] == {"a": "b=c", "n": [1, {"x": None}]}


def test_a_description_comes_from_standard_input(kube9: Kube9):
    recorded(kube9, "system", "Said", "--description", "-", input="first line\nsecond “line”\n".encode())
    assert kube9.events()[0]["description"] == "first line\nsecond “line”"


def test_long_texts_are_cut_and_secrets_taken_out(kube9: Kube9):
    recorded(
        kube9, "system", "t" * 300, "--description", f"password=hunter22 {'d' * 2000}",
        "--metadata", '{"token": "abc123", "nested": {"apiKey": "x1y2z3"}}',
    )  # fmt: skip
    (event,) = kube9.events()
    assert event["title"] == "t" * (TITLE_LENGTH - 1) + "…"
    assert len(event["description"]) == DESCRIPTION_LENGTH
    assert event["description"].startswith("password=[REDACTED] ddd")
    assert event["metadata"] == {"token": "[REDACTED]", "nested": {"apiKey": "[REDACTED]"}}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cluster", "x"), "cluster"),
        (("insight", "x", "--category", "cost"), "insight_id"),
        (("insight", "x", "--insight-id", "1"), "category"),
        (("health", " "), "title"),
        (("health", "x", "--severity", "bad"), "severity"),
        (("health", "x", "--object", "web"), "KIND/NAME"),
        (("health", "x", "--object", "pod/a/b"), "KIND/NAME"),
        (("health", "x", "--object", "pod/web", "--object-name", "web"), "twice"),
        (("health", "x", "--object-name", "a\nb"), "object_name"),
        (("health", "x", "--object-kind", "k" * 254), "object_kind"),
        (("health", "x", "--metadata", "nothing"), "KEY=VALUE"),
        (("health", "x", "--metadata", '{"a": '), "JSON"),
        (("health",), "TITLE"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_plain_words(kube9: Kube9, words: tuple, said: str):
    done = kube9("record", *words, "-o", "json")
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    assert said in done.error["error"] + done.error["details"]
    assert not kube9.db.exists()


def test_an_older_database_is_not_written(kube9: Kube9):
    recorded(kube9, "health", "Fine")
    with closing(sqlite3.connect(kube9.db)) as connection, connection:
        connection.execute(f"DELETE FROM schema_version WHERE version = {store.newest_version()}")
    done = kube9("record", "health", "Fine", "-o", "json")
    assert (done.code, done.error["code"]) == (1, "FAILED_PRECONDITION")
    assert len(rows(kube9.db, "SELECT 1 FROM events")) == 1


def test_another_event_with_the_same_id_goes_to_the_next_one(kube9: Kube9):
    recorded(kube9, "health", "Fine")
    event = own.make("health", "One")
    with closing(sqlite3.connect(kube9.db, isolation_level=None)) as connection:
        write(connection, [Batch([event, event._replace(title="Other"), event], "api")])
        tally = write(connection, [Batch([event._replace(title="Other")], "api")])
    assert (tally.added, tally.unchanged) == (0, 1)
    found = rows(kube9.db, "SELECT title, event_name FROM events WHERE title <> 'Fine' ORDER BY id")
    assert found == [("One", None), ("Other", None)]


@pytest.mark.parametrize(("state", "severity"), [("healthy", "info"), ("degraded", "warning"), ("unhealthy", "error")])
def test_a_change_of_health_is_as_bad_as_the_new_state(state: str, severity: str):
    event = own.health_changed("starting", state, ["no connection to the API server"])
    assert (event.event_type, event.severity, event.title) == ("operator", severity, "Operator health changed")
    assert event.metadata == {"previous": "starting", "current": state}
    assert "no connection" in str(event.description)


def test_a_start_and_a_stop_tell_version_and_tier():
    for event, title in ((own.started("1.2", "free"), "Operator started"), (own.stopped("1.2", "free"), "Operator stopped")):
        assert (event.event_type, event.severity, event.title) == ("operator", "info", title)
        assert event.metadata == {"version": "1.2", "tier": "free"}


@pytest.mark.parametrize(
    "facts",
    [
        {"metadata": {"a": object()}}, {"metadata": {"a": "\ud800"}}, {"metadata": [1]},
        {"title": 7}, {"created_at": "soon"}, {"severity": "Info"}, {"object_name": ""}, {"category": 1},
    ],
)  # fmt: skip
def test_a_wrong_fact_is_an_invalid_argument(facts: dict):
    with pytest.raises(errors.InvalidArgument):
        own.make(**{"event_type": "health", "title": "x"} | facts)


def test_what_was_given_may_change_afterwards():
    given = {"list": [1]}
    event = own.make("health", "x", metadata=given)
    given["list"].append(2)
    assert event.metadata == {"list": [1]}


def test_a_time_may_be_given_in_every_form():
    moment = datetime(2026, 3, 1, 11, 30, 0, 250_999, tzinfo=UTC)
    for given in (moment, "2026-03-01T12:30:00.250+01:00"):
        event = own.make("health", "x", created_at=given)
        assert (event.created_at, event.id[:22]) == ("2026-03-01T11:30:00.250Z", "evt_20260301_113000_6y")


def test_the_vocabulary_is_that_of_the_queries_and_the_rules(kube9: Kube9):
    listed = json.loads(kube9.query("capabilities", db=False).out)["queries"]
    (events,) = [query for query in listed if query["name"] == "events list"]
    values = {param["name"]: param["values"] for param in events["parameters"]}
    assert tuple(values["severity"]) == vocabulary.SEVERITIES == get_args(rules.Severity)
    assert tuple(values["type"]) == vocabulary.EVENT_TYPES

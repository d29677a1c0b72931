"""Filters of `query events list`, each alone and with others, against the same filters written in Python."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import combinations
from typing import Any

import pytest
from conftest import ROOT, Kube9, make_event
from hypothesis import given, settings
from hypothesis import strategies as st

from kube9 import bind, compiler, query

PLAN = compiler.compile_text("queries.yaml", (ROOT / "queries.yaml").read_text(), "key")
LISTED = PLAN["queries"]["events list"]
NOW_MS = 1_772_409_600_000  # 2026-03-02T00:00:00Z, when all of it has happened
EVENTS = 420
TYPES = LISTED["params"]["type"]["choices"]
SEVERITIES = LISTED["params"]["severity"]["choices"]
KINDS = ["Pod", "Pod", "Pod", "Deployment", "ReplicaSet", "Node", "Certificate", "Policy", "Bus", "kafkaTopic", None]
NAMESPACES = ["prod", "shop", "kube-system", "Prod", None]
OBJECTS = ["web", "web-0", "web-1", "api", "WEB", "10", None]
REASONS = ["BackOff", "Failed", "NodeNotReady", "ScalingReplicaSet", "backoff", "Évincé", None]
MESSAGES = [
    "Back-off restarting failed container web in pod web-0", "100% of the disk is full", "100 per cent", "a_b", "axb",
    r"C:\new", "Readiness probe failed: HTTP 503", "READINESS PROBE OK", "line one\nline two", "it's 'quoted'",
    "50%_\\ all three", None,
]  # fmt: skip
OWNERS = [("Deployment", "web"), ("CronJob", "nightly"), ("Rollout", "web"), (None, None), (None, None)]
SPELLED = {  # what is typed for a kind -> the kind as it is stored
    "Pod": "Pod", "po": "Pod", "PODS": "Pod", "deploy": "Deployment", "deployments.apps": "Deployment", "rs": "ReplicaSet",
    "no": "Node", "certificate": "Certificate", "CERTIFICATES.cert-manager.io": "Certificate", "policies": "Policy",
    "buses": "Bus", "KafkaTopics": "kafkaTopic", "Nothing": "Nothing",
}  # fmt: skip


def at(minute: int) -> str:
    return f"2026-03-01T{minute // 60:02}:{minute % 60:02}:{minute % 7 * 8:02}Z"


def event_object(number: int, chance: random.Random) -> dict:
    """An Event object with odd and absent fields."""
    first = chance.randrange(1200)
    last = min(first + chance.choice([0, 0, 1, 5, 60, 600]), 1439)
    involved = {"kind": chance.choice(KINDS), "namespace": chance.choice(NAMESPACES), "name": chance.choice(OBJECTS)}
    source = {
        "component": chance.choice(["kubelet", "scheduler", "Kubelet", None]),
        "host": chance.choice(["node-1", "node-2", None]),
    }
    changes = {
        "involvedObject": {key: value for key, value in involved.items() if value},
        "source": {key: value for key, value in source.items() if value},
        "reason": chance.choice(REASONS),
        "message": chance.choice(MESSAGES),
        "firstTimestamp": at(first),
        "lastTimestamp": at(last),
        "count": chance.choice([1, 1, 2, 3, 10, 999]),
        "type": chance.choice(["Normal", "Warning"]),
    }
    return make_event(f"event-{number}.1", **changes)


class Corpus:
    """A database, and its rows as dicts with the type that the Event object had."""

    def __init__(self, kube9: Kube9) -> None:
        chance = random.Random(4)
        self.kube9, self.path = kube9, str(kube9.db)
        objects = [event_object(number, chance) for number in range(EVENTS)]
        kube9.record(*objects)
        types = {made["metadata"]["uid"]: made["type"] for made in objects}
        with closing(sqlite3.connect(kube9.db)) as connection:
            connection.row_factory = sqlite3.Row
            with connection:
                for row in connection.execute("SELECT id, uid FROM events ORDER BY id").fetchall():
                    kind, name = chance.choice(OWNERS)
                    connection.execute(
                        "UPDATE events SET event_type = ?, owner_kind = ?, owner_name = ? WHERE id = ?",
                        (chance.choice(TYPES), kind, name, row["id"]),
                    )
                    if chance.random() < 0.5:  # a rule may change the severity; the type is kept then
                        changed = "UPDATE events SET severity = ?, metadata = json_set(coalesce(metadata, '{}'), '$.type', ?)"
                        connection.execute(f"{changed} WHERE id = ?", (chance.choice(SEVERITIES), types[row["uid"]], row["id"]))
                # Events of kube9's own have no Event object.
                connection.execute("UPDATE events SET event_name = NULL WHERE change_seq % 10 = 0")
            self.rows = [dict(row) for row in connection.execute("SELECT * FROM events")]
        for row in self.rows:
            row["type"] = None if row["event_name"] is None else types[row["uid"]]

    def ask(self, values: dict[str, Any]) -> query.Answer:
        """The answer of kube9."""
        return query.run(self.path, bind.bind(PLAN, LISTED, values, NOW_MS), 30)

    def expected(self, values: dict[str, Any]) -> list[str]:
        """The ids of all rows that the values allow, in order."""
        key = (lambda row: row["id"]) if values.get("sort") == "created_at" else lambda row: (row["last_seen_at"], row["id"])
        holds = [HOLDS[name] for name in values if name in HOLDS]
        found = [row for row in self.rows if all(one(row, values) for one in holds)]
        return [row["id"] for row in sorted(found, key=key, reverse=True)]

    def agrees(self, values: dict[str, Any]) -> int:
        """Ask, and hold the answer against what is expected of it. Returns how many rows there are in all."""
        answer, expected = self.ask(values), self.expected(values)
        limit, offset = values.get("limit", 50), values.get("offset", 0)
        assert [row[0] for row in answer.rows] == expected[offset : offset + limit], values
        assert (answer.total, answer.exact) == (len(expected), True), values
        return len(expected)


def the_object(row: dict, kind: str, name: str) -> bool:
    return (row["object_kind"], row["object_name"]) == (kind, name)


def is_for(row: dict, values: dict) -> bool:
    kind, _, name = values["for_"].partition("/")
    owned = (row["owner_kind"], row["owner_name"]) == (SPELLED[kind], name)
    return the_object(row, SPELLED[kind], name) or (owned and not values.get("only"))


def has_text(row: dict, values: dict) -> bool:
    return any(values["contains"].lower() in (row[column] or "").lower() for column in ("title", "description"))


Holds = Callable[[dict, dict], bool]
HOLDS: dict[str, Holds] = {  # what a row must be, by the parameter
    "type": lambda row, values: row["event_type"] in values["type"],
    "types": lambda row, values: row["type"] in values["types"],
    "severity": lambda row, values: row["severity"] in values["severity"],
    "min_severity": lambda row, values: SEVERITIES.index(row["severity"]) >= SEVERITIES.index(values["min_severity"]),
    "since": lambda row, values: row["last_seen_at"] >= values["since"].replace("Z", ".000Z"),
    "until": lambda row, values: row["created_at"] < values["until"].replace("Z", ".000Z"),
    "object_kind": lambda row, values: row["object_kind"] == SPELLED[values["object_kind"]],
    "object_namespace": lambda row, values: row["object_namespace"] == values["object_namespace"],
    "object_name": lambda row, values: row["object_name"] == values["object_name"],
    "for_": is_for,
    "only": lambda row, values: not values["only"] or is_for(row, values),
    "reason": lambda row, values: row["reason"] in values["reason"],
    "contains": has_text,
    "node": lambda row, values: row["node"] == values["node"],
    "component": lambda row, values: row["component"] == values["component"],
    "min_count": lambda row, values: row["count"] >= values["min_count"],
}
NO_FILTERS = {"limit", "offset", "page_token", "require_coverage", "after", "sort"}


def several(values: list) -> st.SearchStrategy:
    return st.lists(st.sampled_from([value for value in values if value]), min_size=1, max_size=4)


def one_of(values: list) -> st.SearchStrategy:
    return st.sampled_from(sorted({value for value in values if value}))


MINUTES = st.integers(0, 1439)
VALUES: dict[str, st.SearchStrategy] = {
    "type": several(TYPES),
    "types": several(["Normal", "Warning"]),
    "severity": several(SEVERITIES),
    "min_severity": st.sampled_from(SEVERITIES),
    "since": MINUTES.map(at),
    "until": MINUTES.map(at),
    "object_kind": one_of([*SPELLED]),
    "object_namespace": one_of([*NAMESPACES, "nowhere"]),
    "object_name": one_of([*OBJECTS, "Web"]),
    "for_": st.builds("{}/{}".format, one_of([*SPELLED]), one_of(["web", "nightly", *OBJECTS])),
    "only": st.booleans(),
    "reason": several([*REASONS, "None"]),
    "contains": st.sampled_from(
        [
            "back-off",
            "BACK",
            "100%",
            "%",
            "_",
            "a_b",
            "\\",
            r"c:\n",
            "web",
            "'",
            "line one\nline",
            "503",
            "per cent",
            "x",
            "no such",
        ]
    ),
    "node": st.sampled_from(["node-1", "node-2", "NODE-1"]),
    "component": st.sampled_from(["kubelet", "Kubelet", "scheduler", "x"]),
    "min_count": st.sampled_from([0, 1, 2, 3, 10, 999, 1000]),
}


@st.composite
def questions(draw) -> dict[str, Any]:
    """Values for some filters that may stand together, an order and a page."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=6))
    values = {name: draw(VALUES[name]) for name in names}
    for name, others in (("for_", ["object_kind", "object_name"]), ("min_severity", ["severity"])):
        for other in others if name in values else ():
            values.pop(other, None)
    if "for_" not in values:
        values.pop("only", None)
    if values.get("since", "") >= values.get("until", "~"):
        del values["until"]
    values |= draw(st.sampled_from([{}, {"sort": "created_at"}, {"sort": "last_seen_at"}]))
    return values | draw(st.sampled_from([{}, {"limit": 1000}, {"limit": 3}, {"limit": 7, "offset": 5}, {"offset": 1000}]))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, cache) -> Corpus:
    return Corpus(Kube9(tmp_path_factory.mktemp("corpus"), cache))


def test_every_filter_of_the_spec_is_tried_here():
    assert HOLDS.keys() == VALUES.keys() == LISTED["params"].keys() - NO_FILTERS


@pytest.mark.scenario("CLI-05", "CLI-06", "CLI-28")
@pytest.mark.parametrize("name", [name for name in VALUES if name != "only"])
def test_each_filter_alone_gives_exactly_its_rows(corpus: Corpus, name: str):
    found = set()

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(VALUES[name])
    def every_value(value: Any) -> None:
        found.add(corpus.agrees({name: value, "limit": 1000}))

    every_value()
    assert max(found) > 0
    assert min(found) < EVENTS


@pytest.mark.scenario("CLI-09", "CLI-28")
def test_filters_together_give_exactly_the_rows_of_them_all_in_order(corpus: Corpus):
    found = []

    @settings(max_examples=600, deadline=None, derandomize=True, database=None)
    @given(questions())
    def any_question(values: dict[str, Any]) -> None:
        found.append(corpus.agrees(values))

    any_question()
    assert sum(0 < total < EVENTS for total in found) > 100


@pytest.mark.parametrize("values", [{}, {"sort": "created_at"}])
def test_without_filters_all_rows_come_in_order(corpus: Corpus, values: dict):
    assert corpus.agrees(values | {"limit": 1000}) == EVENTS


@pytest.mark.scenario("CLI-28")
@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--reason", "BackOff", "--reason", "Failed"], {"reason": ["BackOff", "Failed"]}),
        (["--reason=Évincé"], {"reason": ["Évincé"]}),
        (["--contains", "100%"], {"contains": "100%"}),
        (["--contains", "RESTARTING"], {"contains": "restarting"}),
        (["--node", "node-1", "--component", "kubelet"], {"node": "node-1", "component": "kubelet"}),
        (["--min-count", "10"], {"min_count": 10}),
        (["--types", "Warning"], {"types": ["Warning"]}),
        (["--types", "Warning,Normal"], {"types": ["Warning", "Normal"]}),
        (["--min-severity", "error"], {"min_severity": "error"}),
        (["--for", "PODS/web-0", "-n", "prod"], {"for_": "PODS/web-0", "object_namespace": "prod"}),
    ],
)
def test_the_command_line_gives_the_same_rows(corpus: Corpus, words: list[str], values: dict):
    done = corpus.kube9.query("events", "list", "--limit", "1000", *words).json
    expected = corpus.expected(values)
    assert expected
    assert [event["id"] for event in done["events"]] == expected
    assert (done["pagination"]["total"], done["pagination"]["total_exact"]) == (len(expected), True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only"], ["--only", "--for"]),
        (["--for", "pod/x", "--object-kind", "Pod"], ["--for", "--object-kind", "exclude"]),
        (["--for", "pod/x", "--kind", "Pod"], ["--for", "--object-kind", "exclude"]),
        (["--for", "pod/x", "--object-name", "x"], ["--for", "--object-name", "exclude"]),
        (["--severity", "error", "--min-severity", "error"], ["--min-severity", "--severity", "exclude"]),
        (["--for", "pod"], ["KIND/NAME"]),
        (["--for", "pod/"], ["KIND/NAME"]),
        (["--for", "/x"], ["KIND/NAME"]),
        (["--types", "Warnin"], ["Normal, Warning", "did you mean Warning"]),
        (["--min-count", "many"], ["whole number"]),
        (["--min-severity", "error,critical"], ["info, warning, error, critical"]),
        (["--contains", ""], ["contains"]),
        (["--reason="], ["reason"]),
    ],
    ids=" ".join,
)
def test_what_does_not_fit_together_is_refused(corpus: Corpus, words: list[str], said: list[str]):
    done = corpus.kube9.query("events", "list", *words)
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    assert not [part for part in said if part not in f"{done.error['error']} {done.error['details']}"], done


STORED = ["Pod", "Deployment", "CronJob", "Certificate", "NetworkAttachmentDefinition", "Policy", "Bus", "Proxy", "kafkaTopic"]
OWNER = {"Pod-x": ("Deployment", "web"), "Certificate-x": ("Deployment", "web"), "Bus-x": ("Rollout", "blue")}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory, cache) -> Kube9:
    """An event about an x of each kind; what some belong to is written into the file."""
    runner = Kube9(tmp_path_factory.mktemp("kinds"), cache)
    runner.record(
        *(make_event(f"{kind}-x.1", involvedObject={"kind": kind, "name": "x", "namespace": "prod"}) for kind in STORED),
        make_event("deploy-web.1", involvedObject={"kind": "Deployment", "name": "web", "namespace": "prod"}),
    )
    with closing(sqlite3.connect(runner.db)) as connection, connection:
        for name, owner in OWNER.items():
            connection.execute(
                "UPDATE events SET owner_kind = ?, owner_name = ? WHERE object_kind = ?", (*owner, name.removesuffix("-x"))
            )
    return runner


@pytest.mark.scenario("CLI-08")
@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("pod", "Pod"), ("po", "Pod"), ("PODS", "Pod"), ("Pod", "Pod"), ("pods.v1", "Pod"),
        ("deploy", "Deployment"), ("DEPLOY", "Deployment"), ("deployments.apps", "Deployment"),
        ("Deployment.v1.apps", "Deployment"),
        ("cj", "CronJob"), ("cronjobs.batch", "CronJob"),
        ("certificate", "Certificate"), ("Certificates", "Certificate"), ("CERTIFICATE", "Certificate"),
        ("certificates.cert-manager.io", "Certificate"), ("certificates.v1.cert-manager.io", "Certificate"),
        ("networkattachmentdefinitions", "NetworkAttachmentDefinition"), ("policy", "Policy"), ("POLICIES", "Policy"),
        ("policies.kyverno.io", "Policy"), ("bus", "Bus"), ("buses", "Bus"), ("proxies", "Proxy"),
        ("KAFKATOPICS", "kafkaTopic"),
    ],
)  # fmt: skip
def test_a_kind_may_be_typed_as_kubectl_takes_it(kinds: Kube9, typed: str, kind: str):
    for words in ([f"--for={typed}/x"], ["--kind", typed, "--object-name", "x"]):
        assert [(event["object_kind"], event["object_name"]) for event in kinds.events(*words)] == [(kind, "x")]


@pytest.mark.parametrize(
    "typed", ["polic", "prox", "polici", "certificat", "s", "es", "ies", ".", ".io", "Certificate_", "%", "p_d"]
)
def test_what_only_resembles_a_kind_is_none(kinds: Kube9, typed: str):
    assert kinds.events("--object-kind", typed) == []
    assert kinds.events("--for", f"{typed}/x") == []


def about(events: list[dict]) -> set[str]:
    return {f"{event['object_kind']}/{event['object_name']}" for event in events}


@pytest.mark.scenario("CLI-08")
def test_for_includes_what_the_object_owns_and_only_leaves_that_out(kinds: Kube9):
    for typed in ("deploy/web", "Deployments.apps/web"):
        assert about(kinds.events("--for", typed)) == {"Deployment/web", "Pod/x", "Certificate/x"}
        assert about(kinds.events("--for", typed, "--only")) == {"Deployment/web"}
        assert about(kinds.events("--for", typed, "-n", "elsewhere")) == set()
    assert about(kinds.events("--for", "deploy/x")) == {"Deployment/x"}


def test_for_finds_what_an_owner_without_events_of_its_own_owns(kinds: Kube9):
    assert about(kinds.events("--for", "Rollout/blue")) == {"Bus/x"}
    assert kinds.events("--for", "Rollout/blue", "--only") == []


# Reason and kind of events whose severity a rule sets, and of some that no rule knows.
RULED = [
    ("NodeNotReady", "Node"), ("BackOff", "Pod"), ("FailedScheduling", "Pod"), ("ProvisioningFailed", "PersistentVolumeClaim"),
    ("OOMKilling", "Node"), ("ScalingReplicaSet", "Deployment"), ("Scheduled", "Pod"), ("Unheard", "Thing"), (None, None),
]  # fmt: skip


@pytest.mark.scenario("CLI-28")
@pytest.mark.parametrize("asked", [["Normal"], ["Warning"], ["Normal", "Warning"]], ids=",".join)
def test_types_are_those_of_the_event_objects_whatever_the_severity(kube9: Kube9, asked: list[str]):
    made = [
        make_event(
            f"{number}-{kind}.{type_name}", reason=reason, type=type_name, involvedObject={"kind": kind, "name": f"{number}"}
        )
        for number, (reason, kind) in enumerate(RULED)
        for type_name in ("Normal", "Warning", "Error", "Odd")
    ]
    kube9.record(*made)
    found = kube9.events("--types", ",".join(asked), "--limit", "1000")
    expected = sorted(event["metadata"]["uid"] for event in made if event["type"] in asked)
    assert sorted(event["uid"] for event in found) == expected
    if asked == ["Normal"]:
        assert {"critical", "info"} <= {event["severity"] for event in found}


@pytest.mark.scenario("CLI-25")
@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("100% full", "100%"), ("a_b", "A_B"), (r"C:\temp", "c:\\T"), ("50%_\\", "%_\\"), ("it's", "IT'S"),
        ("[a]", "[A]"), ("a*b?", "*B?"), ("naïve", "naïve"), ("日本の", "本"), ("🔥 alarm", "🔥 ALARM"),
        ("tab\there", "tab\tHERE"),
        ("a\nb", "A\nB"), ("--", "--"),
    ],
)  # fmt: skip
def test_contains_takes_each_character_for_itself(kube9: Kube9, text: str, typed: str):
    kube9.record(
        make_event("here.1", message=f"before {text} after"),
        make_event("reason.1", message="nothing", reason=f"x{text}x", involvedObject={"kind": "Pod", "name": "reason"}),
        make_event("not.1", message="100 full aXb C:temp 50 its a ab tabhere naive alarm - "),
    )
    assert {event["object_name"] for event in kube9.events(f"--contains={typed}")} == {"here", "reason"}


@pytest.mark.scenario("CLI-28")
@pytest.mark.parametrize(("rows", "total", "exact"), [(10_000, 10_000, True), (10_001, 10_000, False), (12_000, 10_000, False)])
def test_a_total_that_reads_the_table_stops_at_ten_thousand(kube9: Kube9, rows: int, total: int, exact: bool):
    kube9.record(make_event("other.1", message="nothing", source={}))
    with closing(sqlite3.connect(kube9.db)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
            "INSERT INTO events (id, event_type, severity, title, node, component, created_at, last_seen_at, change_seq) "
            "SELECT printf('evt_20260301_100000_%06d', n), 'cluster', 'info', 'needle ' || n, 'node-1', 'kubelet', "
            "'2026-03-01T10:00:00.000Z', '2026-03-01T10:00:00.000Z', n + 1 FROM numbers",
            (rows,),
        )
    for words in (["--contains", "NEEDLE"], ["--node", "node-1"], ["--component", "kubelet", "--type", "cluster"]):
        for page in ([], ["--offset", "5000"], ["--offset", "20000"]):
            found = kube9.query("events", "list", *words, *page).json["pagination"]
            assert (found["total"], found["total_exact"]) == (total, exact)
    found = kube9.query("events", "list", "--type", "cluster").json["pagination"]
    assert (found["total"], found["total_exact"]) == (rows + 1, True)  # an index counts them all


INDEXED: dict[str, list[dict[str, Any]]] = {
    "type": [{"type": ["cluster"]}, {"type": TYPES}],
    "severity": [{"severity": ["critical"]}, {"severity": SEVERITIES}],
    "since": [{"since": "2026-03-01T10:00:00Z"}],
    "window": [{"since": "2026-03-01T10:00:00Z", "until": "2026-03-01T12:00:00Z"}],
    "object_kind": [{"object_kind": "Pod"}],
    "object_namespace": [{"object_namespace": "prod"}],
    "object_name": [{"object_name": "web-0"}],
    "reason": [{"reason": ["BackOff"]}, {"reason": ["BackOff", "Failed", "Killing"]}],
    "for_": [{"for_": "deploy/web"}, {"for_": "deploy/web", "only": True}],
}
TOGETHER = [
    chosen
    for size in range(1, len(INDEXED) + 1)
    for chosen in combinations(INDEXED, size)
    if not {"since", "window"} <= set(chosen) and not ("for_" in chosen and {"object_kind", "object_name"} & set(chosen))
]


# A window alone, in the order of first occurrence, is answered by walking the ids, which have that order.
WALKS = {"created_at": [("since",), ("window",)]}


@pytest.mark.scenario("CLI-09")
@pytest.mark.parametrize("part", ["select", "count"])
@pytest.mark.parametrize("sort", LISTED["orders"])
def test_every_combination_of_the_indexed_filters_is_a_search(corpus: Corpus, part: str, sort: str):
    found = []
    with closing(sqlite3.connect(corpus.path)) as connection:
        for chosen in TOGETHER:
            for form in (0, -1):
                values = {"sort": sort} | {key: value for name in chosen for key, value in INDEXED[name][form].items()}
                sql, parameters = query.statement(LISTED, part, bind.bind(PLAN, LISTED, values, NOW_MS).values)
                steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
                events = [step for step in steps if " events" in step]
                searched = [step.startswith("SEARCH events USING") and "INDEX" in step for step in events]
                if chosen in WALKS.get(sort, ()) and part == "select":
                    searched = [step.startswith("SCAN events USING INDEX") for step in events]
                if not events or not all(searched):
                    found.append((values, steps))
    assert not found, f"{len(found)} of {2 * len(TOGETHER)}: {found[:5]}"

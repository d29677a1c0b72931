"""From an Event object of Kubernetes, in either view and however odd, to an event of ours."""

import json
import re

import pytest
from conftest import SAMPLE, Kube9, make_event
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kube9 import migrations, rules
from kube9.model import Batch, Event
from kube9.normalise import normalise
from kube9.upsert import write

RULES = rules.built_in()
ITEMS = json.loads(SAMPLE.read_text())["items"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# Where a field of core/v1 stands in events.k8s.io/v1: the same object, read through the other API.
OTHER_NAMES = {"involvedObject": "regarding", "message": "note", "reportingComponent": "reportingController"}
OTHER_NAMES |= {name: f"deprecated{name[0].upper()}{name[1:]}" for name in ("source", "firstTimestamp", "lastTimestamp")}
OTHER_NAMES |= {"count": "deprecatedCount"}
NEW_STYLE = dict.fromkeys(["firstTimestamp", "lastTimestamp", "count"]) | {
    "source": {},
    "eventTime": "2026-03-01T10:00:00.123456Z",
    "series": {"count": 7, "lastObservedTime": "2026-03-01T10:20:00.654321Z"},
    "reportingComponent": "default-scheduler",
    "reportingInstance": "default-scheduler-control-plane",
    "action": "Scheduling",
}


def read(**changes: object) -> Event:
    return normalise(make_event(**changes), RULES)


def other_view(event: dict) -> dict:
    return {OTHER_NAMES.get(key, key): value for key, value in event.items()} | {"apiVersion": "events.k8s.io/v1"}


def saying(text: str) -> list[dict]:
    """The events of the sample whose message says this; there must be some."""
    return [item for item in ITEMS if text in item.get("message", "")] or pytest.fail(f"no event says {text}")


# The two views of an event.


def test_both_views_of_a_sample_event_are_the_same_event() -> None:
    assert [normalise(other_view(item), RULES) for item in ITEMS] == [normalise(item, RULES) for item in ITEMS]


@pytest.mark.parametrize("view", [dict, other_view])
def test_an_old_style_event_in_either_view(view) -> None:
    event = normalise(view(make_event()), RULES)
    assert (event.namespace, event.name, event.uid) == ("prod", "web-0.17b2c4", "uid-of-web-0.17b2c4")
    assert (event.created_at, event.last_seen_at, event.count) == ("2026-03-01T10:00:00.000Z", "2026-03-01T10:05:00.000Z", 3)
    assert (event.object_kind, event.object_namespace, event.object_name) == ("Pod", "prod", "web-0")
    assert (event.reason, event.component, event.node) == ("BackOff", "kubelet", "node-1")


@pytest.mark.parametrize("view", [dict, other_view])
def test_a_new_style_event_in_either_view(view) -> None:
    event = normalise(view(make_event(**NEW_STYLE)), RULES)
    assert (event.created_at, event.last_seen_at, event.count) == ("2026-03-01T10:00:00.123Z", "2026-03-01T10:20:00.654Z", 7)
    assert (event.component, event.metadata["action"]) == ("default-scheduler", "Scheduling")


# What happened when.


@pytest.mark.parametrize(
    ("changes", "created_at"),
    [
        ({"eventTime": "2026-03-01T09:00:00.5Z"}, "2026-03-01T09:00:00.500Z"),
        ({"eventTime": None}, "2026-03-01T10:00:00.000Z"),
        ({"firstTimestamp": None}, "2026-03-01T10:00:05.000Z"),
        ({"firstTimestamp": "soon"}, "2026-03-01T10:00:05.000Z"),
        ({"firstTimestamp": 7}, "2026-03-01T10:00:05.000Z"),
        ({"firstTimestamp": "2026-02-30T10:00:00Z"}, "2026-03-01T10:00:05.000Z"),
        ({"firstTimestamp": "2026-03-01T12:00:00+02:00"}, "2026-03-01T10:00:00.000Z"),
        ({"firstTimestamp": "2026-03-01T10:00:00.999999999Z"}, "2026-03-01T10:00:00.999Z"),
    ],
)
def test_the_first_time_is_the_best_that_is_known(changes: dict, created_at: str) -> None:
    assert read(**changes).created_at == created_at


def test_an_event_without_any_time_has_the_same_one_each_time() -> None:
    bare = {"firstTimestamp": None, "lastTimestamp": None, "metadata": {"name": "web-0.1"}}
    assert read(**bare) == read(**bare)
    assert TIME.fullmatch(read(**bare).created_at)


def test_the_last_time_is_never_before_the_first() -> None:
    assert read(lastTimestamp="2026-03-01T09:00:00Z").last_seen_at == "2026-03-01T10:00:00.000Z"
    assert read(lastTimestamp=None).last_seen_at == "2026-03-01T10:00:00.000Z"


@pytest.mark.parametrize(("count", "stored"), [(None, 1), (0, 1), (-3, 1), (2**70, 2**53), (1.5, 1)])
def test_a_count_is_a_whole_number_that_can_be_stored(count: object, stored: int) -> None:
    assert read(count=count).count == stored


# What the rules make of it.


def test_a_restarting_container_is_a_pod_backoff() -> None:
    for item in saying("Back-off restarting failed container"):
        event = normalise(item, RULES)
        container = item["involvedObject"]["fieldPath"].removeprefix("spec.containers{")[:-1]
        assert (event.event_type, event.severity, event.title) == ("cluster", "warning", "Pod BackOff")
        assert (event.description, event.metadata["container"]) == (item["message"], container)


@pytest.mark.parametrize(
    "message",
    [
        "Back-off restarting failed container web in pod web-0_prod(b9c1)",
        "back-off 5m0s restarting failed container=web pod=web-0_prod(b9c1)",
    ],
)
def test_the_container_is_read_out_of_the_message_where_the_object_does_not_tell_it(message: str) -> None:
    assert read(message=message).metadata["container"] == "web"


@pytest.mark.scenario("REC-02")
def test_a_node_that_is_not_ready_is_critical_and_has_no_namespace() -> None:
    (item,) = [item for item in ITEMS if item["reason"] == "NodeNotReady" and item["involvedObject"]["kind"] == "Node"]
    event = normalise(item | {"involvedObject": item["involvedObject"] | {"namespace": "default"}}, RULES)
    assert (event.severity, event.title, event.object_namespace) == ("critical", "Node NotReady", None)


@pytest.mark.parametrize(
    ("reason", "message", "image"),
    [
        ("Failed", 'Failed to pull image "registry.test/web:1": not found', "registry.test/web:1"),
        ("BackOff", 'Back-off pulling image "registry.test/web:1"', "registry.test/web:1"),
        ("Failed", "Error: ErrImagePull", None),
        ("Failed", "Error: ImagePullBackOff", None),
        ("InspectFailed", 'Failed to apply default image tag "WEB::1": invalid reference format', None),
        ("ErrImageNeverPull", 'Container image "web:1" is not present with pull policy of Never', "web:1"),
    ],
)
def test_an_image_that_cannot_be_pulled_is_an_error(reason: str, message: str, image: str | None) -> None:
    event = read(reason=reason, message=message, type="Normal")
    assert (event.severity, event.title, event.reason) == ("error", "Image pull failed", reason)
    assert event.metadata.get("image") == image


@pytest.mark.parametrize(
    "message",
    [
        'Error: configmap "mailer-settings" not found',
        'Error: secret "image-pull-secret" not found',
        'Error: failed to start container "web": exec: "pull.sh": executable file not found in $PATH',
    ],
)
def test_another_failure_of_a_pod_is_no_failed_pull(message: str) -> None:
    assert read(reason="Failed", message=message).title == "Pod Failed"


@pytest.mark.scenario("REC-11")
def test_an_exceeded_quota_is_recorded_with_its_numbers(sampled: Kube9) -> None:
    uids = {item["metadata"]["uid"] for item in saying("exceeded quota")}
    found = [event for event in sampled.events("--limit", 1000) if event["title"] == "Resource quota exceeded"]
    assert {event["uid"] for event in found} == uids
    for event in found:
        assert event["severity"] == "warning"
        metadata = {key: event["metadata"][key] for key in ("quota_limit", "requested", "resource")}
        assert metadata == {"quota_limit": "100m", "requested": "60m", "resource": "requests.cpu"}


def test_a_claim_that_is_not_bound_is_an_error_with_its_storage_class() -> None:
    (item,) = [item for item in ITEMS if item["reason"] == "ProvisioningFailed"]
    event = normalise(item, RULES)
    assert (event.severity, event.title, event.object_kind) == ("error", "PVC binding failed", "PersistentVolumeClaim")
    assert event.metadata["storage_class"] == "fast-ssd"


def test_the_size_that_a_claim_asks_for_is_read_where_a_provisioner_tells_it() -> None:
    message = 'failed to provision volume with StorageClass "fast": requested size 20Gi exceeds the limit of 10Gi'
    claim = {"kind": "PersistentVolumeClaim", "namespace": "prod", "name": "data"}
    event = read(reason="ProvisioningFailed", message=message, involvedObject=claim)
    assert (event.metadata["storage_class"], event.metadata["requested_size"]) == ("fast", "20Gi")


def test_the_severity_comes_from_the_type_where_no_rule_is_about_the_event() -> None:
    types = {"Normal": "info", "Warning": "warning", "Error": "error", "Critical": "critical", "Odd": "warning", None: "info"}
    found = {name: read(type=name, reason="Whatever") for name in types}
    assert {name: event.severity for name, event in found.items()} == types
    assert found["Odd"].metadata["type"] == "Odd"  # for nothing else tells it


# Odd events.


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"type": None}, "Pod BackOff"),
        ({"reason": None}, "Back-off restarting failed container web in pod web-0_prod(b9c1)"),
        ({"reason": ""}, "Back-off restarting failed container web in pod web-0_prod(b9c1)"),
        ({"reason": None, "message": "first line\nsecond line"}, "first line"),
        ({"reason": None, "message": None}, "Pod"),
        ({"reason": "Odd", "involvedObject": {}}, "Odd"),
        ({"reason": None, "message": None, "involvedObject": None}, "Event"),
        ({"reason": None, "message": "\n \t", "involvedObject": {}}, "Event"),
        ({"reason": "Odd", "message": "(combined from similar events): it failed"}, "Pod Odd"),
    ],
)
def test_an_event_that_lacks_something_has_a_title_all_the_same(changes: dict, title: str) -> None:
    assert read(**changes).title == title


@pytest.mark.parametrize("metadata", [{}, None, {"name": None}, {"name": ""}])
def test_an_event_without_a_name_is_told_apart_by_what_it_says(metadata: object) -> None:
    event = read(metadata=metadata)
    assert event.name == read(metadata=metadata).name != read(metadata=metadata, message="another").name


def test_an_event_without_a_name_goes_by_its_uid() -> None:
    assert read(metadata={"uid": "b9c1"}).name == read(metadata={"uid": "b9c1"}, count=9).name


def test_what_is_not_known_is_none() -> None:
    event = normalise({}, RULES)
    assert {event.description, event.object_kind, event.object_namespace, event.object_name} == {None}
    assert {event.reason, event.component, event.node, event.uid} == {None}
    assert (event.namespace, event.count, event.metadata) == ("", 1, {})


@pytest.mark.parametrize(("length", "end"), [(200, "x"), (201, "…"), (10_000, "…")])
def test_a_long_title_is_cut(length: int, end: str) -> None:
    title = read(reason="x" * (length - len("Pod "))).title
    assert (len(title), title[-1]) == (min(length, 200), end)


@pytest.mark.parametrize(("length", "end"), [(1000, "ä"), (1001, "…"), (10_000, "…")])
def test_a_long_description_is_cut(length: int, end: str) -> None:
    description = read(message="ä" * length).description
    assert (len(description), description[-1]) == (min(length, 1000), end)


def test_a_message_of_several_lines_is_kept_as_it_is() -> None:
    assert read(message="one\n\ttwo\r\n\0three").description == "one\n\ttwo\r\n\ufffdthree"  # NUL hides the rest


LONG = "ä" * 20_000


@pytest.mark.parametrize(
    "changes",
    [
        {"action": LONG},
        {"type": LONG},
        {"related": {"kind": LONG, "namespace": LONG, "name": LONG}},
        {"involvedObject": {"kind": "Pod", "name": "web-0", "fieldPath": f"spec.containers{{{LONG}}}"}},
        {"message": f'Back-off pulling image "{LONG}"'},
        {"message": f"exceeded quota: {LONG}, requested: {LONG}={LONG}, used: x=1, limited: x={LONG}"},
    ],
    ids=lambda changes: "".join(changes),
)
def test_metadata_stays_under_10_kib(changes: dict) -> None:
    assert len(json.dumps(read(**changes).metadata, ensure_ascii=False).encode()) <= 10_240


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)  # with lone surrogates, which JSON allows
SCALAR = st.none() | st.booleans() | st.integers() | st.sampled_from([2**64, -(2**70), 10**400]) | st.floats() | ANY_TEXT
JUNK = st.recursive(SCALAR, lambda part: st.lists(part, max_size=3) | st.dictionaries(ANY_TEXT, part, max_size=3), max_leaves=6)
FIELDS = [*make_event(), *OTHER_NAMES.values(), *NEW_STYLE, "related"]
PARTS = ["name", "namespace", "uid", "creationTimestamp", "kind", "fieldPath", "component", "host", "count", "lastObservedTime"]
JUNK_EVENT = st.dictionaries(
    st.sampled_from(FIELDS), JUNK | st.dictionaries(st.sampled_from(PARTS), JUNK, max_size=len(PARTS)), max_size=len(FIELDS)
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory):
    connection = migrations.open_writer(str(tmp_path_factory.mktemp("junk") / "kube9.db"))
    yield connection
    connection.close()


@settings(max_examples=300, deadline=None)
@given(junk=JUNK_EVENT, real=st.booleans())
@example(junk={"message": "\ud800", "reason": "\udfff", "type": "\ud800", "metadata": {"name": "\ud800"}}, real=True)
@example(junk={"firstTimestamp": "9999-12-31T23:59:59-01:00", "count": True}, real=True)
def test_whatever_a_reporter_writes_becomes_an_event_that_can_be_stored(database, junk: dict, real: bool) -> None:
    event = normalise((make_event() if real else {}) | junk, RULES)
    assert 1 <= len(event.title) <= 200
    assert event.description is None or 1 <= len(event.description) <= 1000
    assert event.severity in ("info", "warning", "error", "critical")
    assert TIME.fullmatch(event.created_at)
    assert TIME.fullmatch(event.last_seen_at)
    assert event.created_at <= event.last_seen_at
    tally = write(database, [Batch([event], "import")])
    assert tally.added + tally.updated + tally.unchanged == 1

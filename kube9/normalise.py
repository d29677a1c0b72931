"""An Event object of Kubernetes, in either API view, to an event of ours.

Fields of core/v1: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/. Whatever a reporter
leaves out or gets wrong, the event is recorded; what is not known is None.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from kube9 import redact
from kube9.fields import NAME_LENGTH, as_map, as_name, as_text, as_time, as_word
from kube9.metadata import fit
from kube9.model import DESCRIPTION_LENGTH, TITLE_LENGTH, Event, cut
from kube9.rules import LOOKED_AT, Rules

EPOCH = "1970-01-01T00:00:00.000Z"  # for an event without any time: the same at each import
FACT_LENGTH, WORD_LENGTH = 300, 128  # characters
MAX_COUNT = 2**53  # what every reader of JSON can hold


def normalise(source: dict[str, Any], rules: Rules, secrets: list[redact.Secret] | None = None) -> Event:
    """Turn an Event object (core/v1 or events.k8s.io/v1, as parsed JSON) into an event. Never fails on its content.

    What was redacted is added to `secrets`.
    """
    get = source.get
    metadata = as_map(get("metadata"))
    involved = as_map(get("involvedObject") or get("regarding"))
    series = as_map(get("series"))
    reporter = as_map(get("source") or get("deprecatedSource"))

    kind, reason = as_word(involved.get("kind")), as_word(get("reason"))
    message = redact.text(as_text(get("message")) or as_text(get("note")) or "", secrets)
    told = rules.match(reason, kind, message[:LOOKED_AT])

    type_name = as_word(get("type"))
    usual = rules.severities.get(type_name or "Normal", "warning")
    severity = told.severity or usual
    details = _details(source, involved, told.facts)
    if type_name and (severity != usual or type_name not in rules.severities):
        details["type"] = cut(type_name, WORD_LENGTH)  # elsewhere the severity tells it

    created_at = (
        as_time(get("eventTime"))
        or as_time(get("firstTimestamp") or get("deprecatedFirstTimestamp"))
        or as_time(metadata.get("creationTimestamp"))
        or EPOCH
    )
    last_seen_at = created_at
    for seen in (series.get("lastObservedTime"), get("lastTimestamp"), get("deprecatedLastTimestamp")):
        last_seen_at = max(last_seen_at, as_time(seen) or "")
    component = as_word(reporter.get("component")) or as_word(get("reportingComponent")) or as_word(get("reportingController"))
    instance = as_word(get("reportingInstance")) if component == "kubelet" else None
    return Event(
        namespace=as_word(metadata.get("namespace")) or "",
        name=_identity(metadata, (kind, reason, message, created_at)),
        created_at=created_at,
        last_seen_at=last_seen_at,
        count=max(_count(get("count")), _count(get("deprecatedCount")), _count(series.get("count"))),
        severity=severity,
        title=cut(told.title or _title(kind, reason, message), TITLE_LENGTH),
        description=cut(message, DESCRIPTION_LENGTH) or None,
        object_kind=kind,
        object_namespace=None if kind in rules.cluster_scoped else as_word(involved.get("namespace")),
        object_name=as_name(involved.get("name")),
        metadata=fit(details),
        reason=reason,
        component=component,
        node=as_word(reporter.get("host")) or instance,
        uid=as_name(metadata.get("uid")),
    )


def _title(kind: str | None, reason: str | None, message: str) -> str:
    if reason:
        return f"{kind} {reason}" if kind else reason
    return message.strip().partition("\n")[0] or kind or "Event"


def _details(source: dict[str, Any], involved: dict[str, Any], facts: Mapping[str, str]) -> dict[str, Any]:
    """What is worth keeping and stands in no column."""
    details: dict[str, Any] = {name: cut(value, FACT_LENGTH) for name, value in facts.items()} if facts else {}
    path = as_word(involved.get("fieldPath"))
    if path and path.endswith("}") and "{" in path:
        details["container"] = cut(path[path.index("{") + 1 : -1], WORD_LENGTH)  # spec.containers{web}
    action = as_word(source.get("action"))
    if action:
        details["action"] = cut(action, WORD_LENGTH)
    related = as_map(source.get("related"))
    if related.get("name"):
        parts = {key: as_text(related.get(key)) for key in ("kind", "namespace", "name")}
        details["related"] = {key: part and cut(part, NAME_LENGTH) for key, part in parts.items()}
    return details


def _count(value: Any) -> int:
    return min(max(value, 1), MAX_COUNT) if value and isinstance(value, int) else 1


def _identity(metadata: dict[str, Any], facts: tuple[str | None, ...]) -> str:
    """The name of the Event object; for one without, or with one too long, the same made-up name each time it is read."""
    name = as_text(metadata.get("name")) or as_text(metadata.get("uid"))
    if name and len(name) <= 2 * NAME_LENGTH:
        return name
    return f"nameless-{blake2b(repr((name, facts)).encode(errors='replace'), digest_size=8).hexdigest()}"

"""An Event object of Kubernetes, in either API view, to an event of ours.

Fields of core/v1: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/. Whatever a reporter
leaves out or gets wrong, the event is recorded; what is not known is None.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Any

from kube9 import redact, times
from kube9.model import DESCRIPTION_LENGTH, TITLE_LENGTH, Event, cut
from kube9.rules import Rules

EPOCH = "1970-01-01T00:00:00.000Z"  # for an event without any time: the same at each import
FACT_LENGTH, NAME_LENGTH, WORD_LENGTH = 300, 253, 128  # characters; all facts together stay under 10 KiB of UTF-8
LOOKED_AT = 4096  # characters of a message that rules read
NO_TIME = "0001-01-01"  # what Go writes for a time that was never set
MAX_COUNT = 2**53  # what every reader of JSON can hold


def normalise(source: dict[str, Any], rules: Rules) -> Event:
    """Turn an Event object (core/v1 or events.k8s.io/v1, as parsed JSON) into an event. Never fails on its content."""
    get = source.get
    metadata = _map(get("metadata"))
    involved = _map(get("involvedObject") or get("regarding"))
    series = _map(get("series"))
    reporter = _map(get("source") or get("deprecatedSource"))

    kind, reason = _word(involved.get("kind")), _word(get("reason"))
    message = redact.text(_text(get("message")) or _text(get("note")) or "")
    matcher, facts = rules.match(reason, kind, message[:LOOKED_AT])

    type_name = _word(get("type"))
    usual = rules.severities.get(type_name or "Normal", "warning")
    severity = (matcher and matcher.severity) or usual
    details = _details(source, involved, facts)
    if type_name and (severity != usual or type_name not in rules.severities):
        details["type"] = cut(type_name, WORD_LENGTH)  # elsewhere the severity tells it

    created_at = (
        _time(get("eventTime"))
        or _time(get("firstTimestamp") or get("deprecatedFirstTimestamp"))
        or _time(metadata.get("creationTimestamp"))
        or EPOCH
    )
    last_seen_at = created_at
    for seen in (series.get("lastObservedTime"), get("lastTimestamp"), get("deprecatedLastTimestamp")):
        last_seen_at = max(last_seen_at, _time(seen) or "")
    component = _word(reporter.get("component")) or _word(get("reportingComponent")) or _word(get("reportingController"))
    instance = _word(get("reportingInstance")) if component == "kubelet" else None
    return Event(
        namespace=_word(metadata.get("namespace")) or "",
        name=_identity(metadata, (kind, reason, message, created_at)),
        created_at=created_at,
        last_seen_at=last_seen_at,
        count=max(_count(get("count")), _count(get("deprecatedCount")), _count(series.get("count"))),
        severity=severity,
        title=cut((matcher and matcher.title) or _title(kind, reason, message), TITLE_LENGTH),
        description=cut(message, DESCRIPTION_LENGTH) or None,
        object_kind=kind,
        object_namespace=None if kind in rules.cluster_scoped else _word(involved.get("namespace")),
        object_name=_name(involved.get("name")),
        metadata=details,
        reason=reason,
        component=component,
        node=_word(reporter.get("host")) or instance,
        uid=_name(metadata.get("uid")),
    )


def _title(kind: str | None, reason: str | None, message: str) -> str:
    if reason:
        return f"{kind} {reason}" if kind else reason
    return message.strip().partition("\n")[0] or kind or "Event"


def _details(source: dict[str, Any], involved: dict[str, Any], facts: dict[str, str]) -> dict[str, Any]:
    """What is worth keeping and stands in no column."""
    details: dict[str, Any] = {name: cut(value, FACT_LENGTH) for name, value in facts.items()} if facts else {}
    path = _word(involved.get("fieldPath"))
    if path and path.endswith("}") and "{" in path:
        details["container"] = cut(path[path.index("{") + 1 : -1], WORD_LENGTH)  # spec.containers{web}
    action = _word(source.get("action"))
    if action:
        details["action"] = cut(action, WORD_LENGTH)
    related = _map(source.get("related"))
    if related.get("name"):
        parts = {key: _text(related.get(key)) for key in ("kind", "namespace", "name")}
        details["related"] = {key: part and cut(part, NAME_LENGTH) for key, part in parts.items()}
    return details


def _map(value: Any) -> dict[str, Any]:
    return value if value.__class__ is dict else {}


def _text(value: Any) -> str | None:
    """A string as it is, None for an empty or absent one; whatever else a reporter wrote, as text."""
    if isinstance(value, str):
        # A lone surrogate and a NUL are legal in JSON; the first cannot be stored, the second hides what is behind it.
        if "\0" in value:
            value = value.replace("\0", "\ufffd")
        return (value if value.isascii() else value.encode(errors="replace").decode()) or None
    return None if value is None or isinstance(value, dict | list) else str(value)


def _name(value: Any) -> str | None:
    """A name, which Kubernetes keeps under 254 characters; what a dump has longer is cut."""
    text = _text(value)
    return text and cut(text, NAME_LENGTH)


def _word(value: Any) -> str | None:
    """As `_name`, for names that come again and again: kinds, reasons, namespaces, nodes."""
    return _known_word(value) if value.__class__ is str else _name(value)


_known_word = lru_cache(maxsize=4096)(_name)


def _count(value: Any) -> int:
    return min(max(value, 1), MAX_COUNT) if value and isinstance(value, int) else 1


def _time(value: Any) -> str | None:
    """A Kubernetes time (RFC 3339, with or without a fraction) in our form; None when it is none."""
    return _known_time(value) if value.__class__ is str else None


@lru_cache(maxsize=4096)  # an event has several that are the same, and so have its neighbours
def _known_time(value: str) -> str | None:
    if len(value) < 20 or value[10] not in "Tt" or value.startswith(NO_TIME):
        return None
    if value[-1] != "Z" or value[19] not in ".Z":
        return _parsed(value)
    second = _parsed(value[:19] + "Z")
    fraction = value[20:-1][:3]
    if not second or (fraction and not (fraction.isascii() and fraction.isdigit())):
        return None
    return f"{second[:20]}{fraction:0<3}Z"


@lru_cache(maxsize=4096)
def _parsed(value: str) -> str | None:
    try:
        return times.iso(times.parse(value, 0))
    except ValueError:
        return None


def _identity(metadata: dict[str, Any], facts: tuple[str | None, ...]) -> str:
    """The name of the Event object; for one without, or with one too long, the same made-up name each time it is read."""
    name = _text(metadata.get("name")) or _text(metadata.get("uid"))
    if name and len(name) <= 2 * NAME_LENGTH:
        return name
    return f"nameless-{blake2b(repr((name, facts)).encode(errors='replace'), digest_size=8).hexdigest()}"

"""Events of our own: what kube9 and other programs record beside what the cluster tells. Making one does no I/O."""

import itertools
import os
import random
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from types import NoneType
from typing import Any

import msgspec

from kube9 import bind, errors, plan, redact, times
from kube9.fields import NAME_LENGTH
from kube9.metadata import fit
from kube9.model import DESCRIPTION_LENGTH, HASHES, TITLE_LENGTH, Event, cut, own_id
from kube9.vocabulary import OWN_EVENT_TYPES, SEVERITIES

MOST_BYTES = 1024 * 1024  # of metadata, before it is cut to fit
LOOKED_AT = 16 * 1024  # characters of a text that are looked at: far more than is kept
STEP_MS = 60_000  # a clock that steps back further than this was wrong before
SEVERITY_OF_HEALTH = {"healthy": "info", "degraded": "warning", "unhealthy": "error"}

_TYPE = plan.param("string", doc="", choices=list(OWN_EVENT_TYPES))
_SEVERITY = plan.param("string", doc="", choices=list(SEVERITIES))


class Moments:
    """Times for new events, each with a number that rises, so that ids sort by time.

    A clock that steps back a little stands still here until it has caught up.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # may be entered again: a signal handler may record
        self._latest_ms = 0
        self.restart()

    def restart(self, first: int | None = None) -> None:
        """Number on from elsewhere: processes that begin together are not to give the same ids."""
        self._numbers = itertools.count(random.randrange(HASHES // 2) if first is None else first)

    def number(self) -> int:
        """The next number, below HASHES."""
        return next(self._numbers) % HASHES

    def now(self, clock_ms: int) -> tuple[int, int]:
        """The time of an event made now, in milliseconds since 1970, and its number.

        Args:
            clock_ms: what the clock says.
        """
        with self._lock:
            number = self.number()
            ms = self._latest_ms if 0 < self._latest_ms - clock_ms <= STEP_MS else clock_ms
            # The numbers begin again here, and those before may be of this very millisecond.
            self._latest_ms = ms + 1 if number == 0 else ms
            return self._latest_ms, number


_MOMENTS = Moments()
os.register_at_fork(after_in_child=_MOMENTS.restart)


def make(
    event_type: str,
    title: str,
    *,
    severity: str = "info",
    description: str | None = None,
    object: str | None = None,
    object_kind: str | None = None,
    object_namespace: str | None = None,
    object_name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    insight_id: str | None = None,
    category: str | None = None,
    created_at: str | datetime | None = None,
    kinds: Mapping[str, str] | None = None,
) -> Event:
    """Make an event of our own.

    Args:
        event_type: one of vocabulary.OWN_EVENT_TYPES.
        title: what happened; cut to 200 characters.
        severity: info, warning, error or critical.
        description: more of it; cut to 1,000 characters.
        object: the object that it is about as `pod/web`, instead of its kind and name.
        object_kind: kind of that object, such as Pod or po.
        object_namespace: its namespace; none for cluster-scoped kinds.
        object_name: its name.
        metadata: details, which JSON can hold; at most 10 KiB.
        insight_id: of an insight, which must have one: its id where it was found.
        category: of an insight, which must have one: what it is about, such as cost or reliability.
        created_at: when it happened, as ISO 8601 or a duration before now; by default now.
        kinds: how kinds are spelled, by what may be written for them in lower case.

    Raises:
        InvalidArgument: says which of these is wrong.
    """
    given = (title, description, object, object_kind, object_namespace, object_name, insight_id, category)
    for text in given:
        if not isinstance(text, str | NoneType):
            raise errors.InvalidArgument(f"{text!r} is no text", "all but the metadata and the time is")
    if not title.strip():
        raise errors.InvalidArgument("the title is empty", "say in a few words what happened")
    if event_type == "insight" and not (insight_id and category):
        raise errors.InvalidArgument(
            "an insight needs both its insight_id and its category",
            "the id that it has where it was found, and what it is about, such as cost (--insight-id and --category)",
        )
    if object is not None:
        if object_kind is not None or object_name is not None:
            raise errors.InvalidArgument("the object is given twice", "give either object, or object_kind and object_name")
        object_kind, object_name = _kind_and_name(object)
    named = {"insight_id": insight_id, "category": category}
    when, number = _moment(created_at)
    return Event(
        id=own_id(when, number),
        event_type=bind.convert("event_type", _TYPE, event_type, 0),
        severity=bind.convert("severity", _SEVERITY, severity, 0),
        title=_kept(title, TITLE_LENGTH),
        description=_kept(description, DESCRIPTION_LENGTH) if description else None,
        object_kind=None if object_kind is None else _spelled(object_kind, kinds or {}),
        object_namespace=_name("object_namespace", object_namespace),
        object_name=_name("object_name", object_name),
        metadata=_details(metadata, {key: text for key, text in named.items() if text is not None}),
        created_at=when,
        last_seen_at=when,
        count=1,
        namespace=object_namespace or "",
        name="",
        reason=None,
        component=None,
        node=None,
        uid=None,
    )


def started(version: str, tier: str) -> Event:
    """The operator began to record."""
    return make("operator", "Operator started", metadata={"version": version, "tier": tier})


def stopped(version: str, tier: str) -> Event:
    """The operator was told to stop, and does."""
    return make("operator", "Operator stopped", metadata={"version": version, "tier": tier})


def health_changed(previous: str, current: str, problems: Iterable[str] = ()) -> Event:
    """The operator's health is another one: healthy, degraded or unhealthy, and what keeps it from being healthy."""
    return make(
        "operator",
        "Operator health changed",
        severity=SEVERITY_OF_HEALTH[current],
        description="\n".join([f"from {previous} to {current}", *problems]),
        metadata={"previous": previous, "current": current},
    )


def _moment(created_at: str | datetime | None) -> tuple[str, int]:
    """When an event happened, and its number."""
    if created_at is None:
        ms, number = _MOMENTS.now(times.now_ms())
        return f"{_second(ms // 1000)}{ms % 1000:03}Z", number
    text = created_at.isoformat() if isinstance(created_at, datetime) else created_at
    try:
        return times.iso(times.parse(text, times.now_ms())), _MOMENTS.number()
    except ValueError as error:
        raise errors.InvalidArgument(f'created_at: "{text}" is {error}') from None


@lru_cache(maxsize=4)  # events of one second share it
def _second(seconds: int) -> str:
    return times.iso(seconds * 1000)[:-4]


def _kind_and_name(text: str) -> tuple[str, str]:
    kind, _, name = text.partition("/")
    if not kind or not name or "/" in name:
        raise errors.InvalidArgument(f'object: "{text}" is not KIND/NAME', "such as pod/web")
    return kind, name


def _spelled(kind: str, kinds: Mapping[str, str]) -> str:
    word = str(_name("object_kind", kind)).lower()  # deployments.apps is a resource with its group, as kubectl takes it
    return kinds.get(word) or kinds.get(word.partition(".")[0], kind)


def _name(argument: str, value: str | None) -> str | None:
    """A name of Kubernetes as it is; never cut, because it would then be another one's."""
    if value is not None and not (0 < len(value) <= NAME_LENGTH and value.isprintable()):
        raise errors.InvalidArgument(
            f"{argument}: {value[:NAME_LENGTH]!r} is no name", f"1 to {NAME_LENGTH} printable characters"
        )
    return value


def _kept(text: str, length: int) -> str:
    """A text as it is stored: without secrets, cut, and nothing in it that SQLite would not take."""
    plain = text[:LOOKED_AT]
    if "\0" in plain or not plain.isascii():
        plain = plain.replace("\0", "\ufffd").encode(errors="replace").decode()
    return cut(redact.text(plain), length)


def _details(metadata: Mapping[str, Any] | None, further: dict[str, str]) -> dict[str, Any]:
    """Details as they are stored: a copy without secrets, for the caller may go on with the object that was given."""
    if not metadata and not further:
        return {}
    try:
        text = msgspec.json.encode({**(metadata or {}), **further})
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        allowed = "it may hold texts, numbers, lists, objects, true, false and null"
        raise errors.InvalidArgument(f"the metadata is no JSON object: {error}", allowed) from None
    if len(text) > MOST_BYTES:
        raise errors.InvalidArgument(f"the metadata has {len(text)} bytes", f"at most {MOST_BYTES} are taken")
    details: Any = redact.value(msgspec.json.decode(text))
    return fit(dict(details))

"""kube9: the flight recorder for Kubernetes events, as type checkers and editors see it.

Written by `kube9 spec export stubs`; an edit belongs into queries.yaml.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from os import PathLike
from typing import Any, Generic, Literal, TypeAlias, TypeVar, overload

from kube9 import errors as errors
from kube9.errors import Kube9Error as Kube9Error
from kube9.messages import Coverage as Coverage
from kube9.messages import Gap as Gap
from kube9.messages import Message, Page, Request
from kube9.messages import Pagination as Pagination
from kube9.recording import Recorder as Recorder
from kube9.recording import recorder as recorder
from kube9.version import __version__ as __version__

_EventType: TypeAlias = Literal["cluster", "operator", "insight", "assessment", "health", "system"]
_Severity: TypeAlias = Literal["info", "warning", "error", "critical"]
_Origin: TypeAlias = Literal["watch", "import", "api"]
_Health: TypeAlias = Literal["healthy", "degraded", "unhealthy"]
_Relation: TypeAlias = Literal["linked", "same object"]
_KubernetesType: TypeAlias = Literal["Normal", "Warning"]
_ListEventsSort: TypeAlias = Literal["last_seen_at", "created_at"]
_SummaryEventsBy: TypeAlias = Literal["type", "severity", "reason", "namespace", "kind"]
_T = TypeVar("_T")
_Many: TypeAlias = _T | Sequence[_T] | set[_T] | frozenset[_T]

class _Page(Page, Generic[_T]):
    @property
    def rows(self) -> list[_T]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_T]: ...  # type: ignore[override]
    def __getitem__(self, index: int) -> _T: ...

class Event(Message):
    """Something that happened. Absent facts are null."""

    id: str
    """evt_YYYYMMDD_HHMMSS_xxxxxx; sorts by time"""
    event_type: _EventType
    """what kind of event it is"""
    severity: _Severity
    """how bad it is"""
    title: str
    """what happened, in at most 200 characters"""
    description: str | None
    """the message, at most 1,000 characters"""
    object_kind: str | None
    """kind of the object it is about"""
    object_namespace: str | None
    """namespace of the object, null for cluster-scoped kinds"""
    object_name: str | None
    """name of the object"""
    metadata: dict[str, Any]
    """details; at most 10 KiB"""
    created_at: datetime
    """first occurrence"""
    last_seen_at: datetime
    """last occurrence"""
    count: int
    """how often it occurred"""
    reason: str | None
    """reason as Kubernetes words it, such as BackOff"""
    component: str | None
    """who reported it, such as kubelet"""
    node: str | None
    """from which node"""
    owner_kind: str | None
    """kind of the controller at the top"""
    owner_name: str | None
    """name of the controller at the top"""
    uid: str | None
    """uid of the Event object"""
    cluster: str | None
    """uid of the cluster's namespace kube-system, or of the one namespace that was watched"""
    origin: _Origin
    """how it came here"""
    recorded_at: datetime
    """when it was recorded first"""
    change_seq: int
    """order of arrival; rises with each row that is added or updated"""

class RelatedEvent(Message):
    """An event that belongs to another."""

    relation: _Relation
    """whether it is linked, or only about the same object"""
    id: str
    """its id"""
    event_type: _EventType
    """what kind of event it is"""
    severity: _Severity
    """how bad it is"""
    title: str
    """what happened"""
    description: str | None
    """the message"""
    object_kind: str | None
    """kind of the object it is about"""
    object_namespace: str | None
    """namespace of the object"""
    object_name: str | None
    """name of the object"""
    created_at: datetime
    """first occurrence"""
    last_seen_at: datetime
    """last occurrence"""
    count: int
    """how often it occurred"""

class Status(Message):
    """How kube9 is."""

    status: str
    """always operated"""
    tier: str
    """always free"""
    version: str
    """of the program that answers"""
    health: _Health
    """of the recorder"""
    health_detail: str | None
    """why it is not healthy"""
    problems: list[Any]
    """what keeps the recorder from being healthy, a line each"""
    last_update: datetime | None
    """last sign of life of `kube9 serve`"""
    last_commit_age_seconds: float | None
    """seconds since that was committed"""
    database_readable: bool
    """true where there is an answer at all"""
    last_quick_check: datetime | None
    """last quick check of the database"""
    last_full_check: datetime | None
    """last full check of the database"""
    database: str
    """kind of database"""
    database_path: str
    """the file"""
    database_size_bytes: int
    """size of the file and its -wal"""
    schema_version: int
    """number of the newest migration"""
    total_events: int
    """events recorded"""
    events_24h: int
    """events seen in the last 24 hours"""
    queue_size: int
    """events that wait to be written"""
    dropped_total: int
    """events dropped because the queue was full"""
    namespace: str | None
    """the only namespace that is watched; null for all"""
    watch: dict[str, Any]
    """for each watched resource: connected, last_event_at, lag_seconds, proven_at, problem and more"""
    query_problems: list[Any]
    """what is wrong in the files of KUBE9_QUERIES"""

class Capabilities(Message):
    """What can be asked."""

    version: str
    """of the program that answers"""
    contract_version: int
    """of the answers; new keys come without a new one"""
    queries: list[Any]
    """each query with its parameters, fields and formats"""

class EventCount(Message):
    """How many events there are of what was asked for."""

    event_type: _EventType | None
    """kind of event"""
    severity: _Severity | None
    """how bad"""
    reason: str | None
    """reason as Kubernetes words it"""
    object_namespace: str | None
    """namespace of the object"""
    object_kind: str | None
    """kind of the object"""
    events: int
    """how many events"""
    occurrences: int
    """how often they occurred"""

class NoisyObject(Message):
    """An object that events keep coming from."""

    object_kind: str | None
    """kind of the object"""
    object_namespace: str | None
    """namespace of the object"""
    object_name: str | None
    """name of the object"""
    events: int
    """how many events are about it"""
    occurrences: int
    """how often they occurred"""
    first_seen_at: datetime
    """first occurrence"""
    last_seen_at: datetime
    """last occurrence"""

class ReasonCount(Message):
    """A reason, and how often it was given."""

    reason: str | None
    """reason as Kubernetes words it, null for events without one"""
    events: int
    """how many events give it"""
    occurrences: int
    """how often they occurred"""
    objects: int
    """how many objects they are about"""
    first_seen_at: datetime
    """first occurrence"""
    last_seen_at: datetime
    """last occurrence"""

class Occurrence(Message):
    """What `kube9 query events occurrences` gives."""

    from_at: datetime
    """begin of the span"""
    to_at: datetime
    """its end, when it was last seen"""
    count: int
    """how often it occurred in it"""
    per_minute: float | None
    """how often in a minute"""

class EventInterval(Message):
    """What `kube9 query events timeline` gives."""

    start: datetime
    """begin of the interval"""
    end: datetime
    """its end, and the begin of the next"""
    events: int
    """events last seen in it"""
    info: int
    """those of severity info"""
    warning: int
    """those of severity warning"""
    error: int
    """those of severity error"""
    critical: int
    """those of severity critical"""
    covered: bool
    """whether nothing of it is missing: it was watched, or read afterwards, and is still kept"""

class CapabilitiesRequest(Request):
    """What `kube9 query capabilities` takes."""

class StatusRequest(Request):
    """What `kube9 query status` takes."""

class ListEventsRequest(Request):
    """What `kube9 query events list` takes."""

    type: _EventType | list[_EventType] | None = None
    """only events of these types"""
    types: _KubernetesType | list[_KubernetesType] | None = None
    """only events of these types, as kubectl has them"""
    severity: _Severity | list[_Severity] | None = None
    """only events of these severities"""
    min_severity: _Severity | None = None
    """only events that are at least so bad"""
    since: str | datetime | timedelta | None = None
    """only events that went on at this time or later"""
    until: str | datetime | timedelta | None = None
    """only events that began before this time"""
    object_kind: str | None = None
    """only events about this kind of object, such as Pod or po"""
    object_namespace: str | None = None
    """only events about objects in this namespace"""
    object_name: str | None = None
    """only events about the object of this name"""
    for_: str | None = None
    """only events about this object and what it owns, such as deploy/web"""
    only: bool | None = None
    """not about what the object owns"""
    reason: str | list[str] | None = None
    """only events with these reasons"""
    contains: str | None = None
    """only events with this in title or description; a to z in any case"""
    node: str | None = None
    """only events reported from this node"""
    component: str | None = None
    """only events reported by this component, such as kubelet"""
    min_count: int | None = None
    """only events that occurred at least so often"""
    limit: int | None = 50
    """at most so many rows"""
    offset: int | None = 0
    """leave out so many rows first"""
    page_token: str | None = None
    """go on where a page ended, with the next_page_token it gave"""
    after: str | None = None
    """only what was added or updated since, in the order of changes, with the sync_token of an earlier answer"""
    require_coverage: str | float | None = None
    """answer only if at least so much of the time asked for was watched, or read afterwards"""
    sort: _ListEventsSort | None = "last_seen_at"
    """in which order"""

class ListEventsResponse(_Page[Event]):
    """List events, newest first."""

    events: list[Event]
    pagination: Pagination
    coverage: Coverage

class GetEventsRequest(Request):
    """What `kube9 query events get` takes."""

    id: str
    """id of the event"""

class OccurrencesEventsRequest(Request):
    """What `kube9 query events occurrences` takes."""

    id: str
    """id of the event"""
    limit: int | None = 1000
    """at most so many rows"""
    offset: int | None = 0
    """leave out so many rows first"""
    page_token: str | None = None
    """go on where a page ended, with the next_page_token it gave"""

class OccurrencesEventsResponse(_Page[Occurrence]):
    """List when an event occurred, and how often."""

    occurrences: list[Occurrence]
    pagination: Pagination

class RelatedEventsRequest(Request):
    """What `kube9 query events related` takes."""

    id: str
    """id of the event"""
    within: str | timedelta | None = "1h"
    """how long before and after it, for events of the same object"""
    limit: int | None = 50
    """at most so many rows"""
    offset: int | None = 0
    """leave out so many rows first"""
    page_token: str | None = None
    """go on where a page ended, with the next_page_token it gave"""

class RelatedEventsResponse(_Page[RelatedEvent]):
    """List what belongs to an event."""

    related_events: list[RelatedEvent]
    pagination: Pagination

class SummaryEventsRequest(Request):
    """What `kube9 query events summary` takes."""

    type: _EventType | list[_EventType] | None = None
    """only events of these types"""
    severity: _Severity | list[_Severity] | None = None
    """only events of these severities"""
    since: str | datetime | timedelta | None = "24h"
    """only events that went on at this time or later"""
    until: str | datetime | timedelta | None = None
    """only events that began before this time"""
    object_kind: str | None = None
    """only events about this kind of object, such as Pod or po"""
    object_namespace: str | None = None
    """only events about objects in this namespace"""
    reason: str | list[str] | None = None
    """only events with these reasons"""
    by: _SummaryEventsBy | list[_SummaryEventsBy] | None = ...
    """what to count by"""
    limit: int | None = 50
    """at most so many rows"""
    offset: int | None = 0
    """leave out so many rows first"""
    page_token: str | None = None
    """go on where a page ended, with the next_page_token it gave"""
    require_coverage: str | float | None = None
    """answer only if at least so much of the time asked for was watched, or read afterwards"""

class SummaryEventsResponse(_Page[EventCount]):
    """Count events by type, severity, reason, namespace or kind."""

    event_counts: list[EventCount]
    pagination: Pagination
    coverage: Coverage

class NoisyEventsRequest(Request):
    """What `kube9 query events noisy` takes."""

    type: _EventType | list[_EventType] | None = None
    """only events of these types"""
    severity: _Severity | list[_Severity] | None = None
    """only events of these severities"""
    since: str | datetime | timedelta | None = "24h"
    """only events that went on at this time or later"""
    until: str | datetime | timedelta | None = None
    """only events that began before this time"""
    object_kind: str | None = None
    """only events about this kind of object, such as Pod or po"""
    object_namespace: str | None = None
    """only events about objects in this namespace"""
    reason: str | list[str] | None = None
    """only events with these reasons"""
    limit: int | None = 20
    """at most so many rows"""
    offset: int | None = 0
    """leave out so many rows first"""
    page_token: str | None = None
    """go on where a page ended, with the next_page_token it gave"""
    require_coverage: str | float | None = None
    """answer only if at least so much of the time asked for was watched, or read afterwards"""

class NoisyEventsResponse(_Page[NoisyObject]):
    """List the objects whose events repeat most."""

    noisy_objects: list[NoisyObject]
    pagination: Pagination
    coverage: Coverage

class ReasonsEventsRequest(Request):
    """What `kube9 query events reasons` takes."""

    type: _EventType | list[_EventType] | None = None
    """only events of these types"""
    severity: _Severity | list[_Severity] | None = None
    """only events of these severities"""
    since: str | datetime | timedelta | None = "24h"
    """only events that went on at this time or later"""
    until: str | datetime | timedelta | None = None
    """only events that began before this time"""
    object_kind: str | None = None
    """only events about this kind of object, such as Pod or po"""
    object_namespace: str | None = None
    """only events about objects in this namespace"""
    limit: int | None = 50
    """at most so many rows"""
    offset: int | None = 0
    """leave out so many rows first"""
    page_token: str | None = None
    """go on where a page ended, with the next_page_token it gave"""
    require_coverage: str | float | None = None
    """answer only if at least so much of the time asked for was watched, or read afterwards"""

class ReasonsEventsResponse(_Page[ReasonCount]):
    """List the reasons of events with how often each was given."""

    reason_counts: list[ReasonCount]
    pagination: Pagination
    coverage: Coverage

class TimelineEventsRequest(Request):
    """What `kube9 query events timeline` takes."""

    since: str | datetime | timedelta | None = "24h"
    """only events that went on at this time or later"""
    until: str | datetime | timedelta | None = None
    """only events last seen before this time"""
    interval: str | timedelta | None = None
    """length of an interval, such as 5m or 1h"""
    type: _EventType | list[_EventType] | None = None
    """only events of these types"""
    object_kind: str | None = None
    """only events about this kind of object, such as Pod or po"""
    object_namespace: str | None = None
    """only events about objects in this namespace"""
    object_name: str | None = None
    """only events about the object of this name"""
    reason: str | list[str] | None = None
    """only events with these reasons"""
    limit: int | None = 1000
    """at most so many rows"""
    offset: int | None = 0
    """leave out so many rows first"""
    page_token: str | None = None
    """go on where a page ended, with the next_page_token it gave"""
    require_coverage: str | float | None = None
    """answer only if at least so much of the time asked for was watched, or read afterwards"""

class TimelineEventsResponse(_Page[EventInterval]):
    """Count events by time, in intervals that fit the window."""

    event_intervals: list[EventInterval]
    pagination: Pagination
    coverage: Coverage

class _EventsService:
    """The queries about events."""

    def list(
        self,
        *,
        type: _Many[_EventType] | None = None,
        types: _Many[_KubernetesType] | None = None,
        severity: _Many[_Severity] | None = None,
        min_severity: _Severity | None = None,
        since: str | datetime | date | timedelta | None = None,
        until: str | datetime | date | timedelta | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        object_name: str | None = None,
        for_: str | None = None,
        only: bool | None = None,
        reason: _Many[str] | None = None,
        contains: str | None = None,
        node: str | None = None,
        component: str | None = None,
        min_count: int | None = None,
        limit: int | None = 50,
        offset: int | None = 0,
        page_token: str | None = None,
        after: str | None = None,
        require_coverage: str | float | None = None,
        sort: _ListEventsSort | None = "last_seen_at",
        request: ListEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> ListEventsResponse:
        """List events, newest first.

        Args:
            type: only events of these types
            types: only events of these types, as kubectl has them
            severity: only events of these severities
            min_severity: only events that are at least so bad
            since: only events that went on at this time or later
            until: only events that began before this time
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            object_name: only events about the object of this name
            for_: only events about this object and what it owns, such as deploy/web
            only: not about what the object owns
            reason: only events with these reasons
            contains: only events with this in title or description; a to z in any case
            node: only events reported from this node
            component: only events reported by this component, such as kubelet
            min_count: only events that occurred at least so often
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            after: only what was added or updated since, in the order of changes, with the sync_token of an earlier answer
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            sort: in which order
            request: all of these as a ListEventsRequest
            timeout: time limit in seconds
        """
    def list_all(
        self,
        *,
        type: _Many[_EventType] | None = None,
        types: _Many[_KubernetesType] | None = None,
        severity: _Many[_Severity] | None = None,
        min_severity: _Severity | None = None,
        since: str | datetime | date | timedelta | None = None,
        until: str | datetime | date | timedelta | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        object_name: str | None = None,
        for_: str | None = None,
        only: bool | None = None,
        reason: _Many[str] | None = None,
        contains: str | None = None,
        node: str | None = None,
        component: str | None = None,
        min_count: int | None = None,
        limit: int | None = 50,
        offset: int | None = 0,
        page_token: str | None = None,
        after: str | None = None,
        require_coverage: str | float | None = None,
        sort: _ListEventsSort | None = "last_seen_at",
        request: ListEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> Iterator[Event]:
        """List events, newest first.

        Gives every row, read page by page, and then those that changed meanwhile.

        Args:
            type: only events of these types
            types: only events of these types, as kubectl has them
            severity: only events of these severities
            min_severity: only events that are at least so bad
            since: only events that went on at this time or later
            until: only events that began before this time
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            object_name: only events about the object of this name
            for_: only events about this object and what it owns, such as deploy/web
            only: not about what the object owns
            reason: only events with these reasons
            contains: only events with this in title or description; a to z in any case
            node: only events reported from this node
            component: only events reported by this component, such as kubelet
            min_count: only events that occurred at least so often
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            after: only what was added or updated since, in the order of changes, with the sync_token of an earlier answer
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            sort: in which order
            request: all of these as a ListEventsRequest
            timeout: time limit in seconds
        """
    def watch(
        self,
        *,
        type: _Many[_EventType] | None = None,
        types: _Many[_KubernetesType] | None = None,
        severity: _Many[_Severity] | None = None,
        min_severity: _Severity | None = None,
        since: str | datetime | date | timedelta | None = None,
        until: str | datetime | date | timedelta | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        object_name: str | None = None,
        for_: str | None = None,
        only: bool | None = None,
        reason: _Many[str] | None = None,
        contains: str | None = None,
        node: str | None = None,
        component: str | None = None,
        min_count: int | None = None,
        limit: int | None = 50,
        offset: int | None = 0,
        page_token: str | None = None,
        after: str | None = None,
        require_coverage: str | float | None = None,
        sort: _ListEventsSort | None = "last_seen_at",
        request: ListEventsRequest | None = None,
        timeout: float | None = ...,
    ) -> Iterator[Event]:
        """List events, newest first.

        Gives what is added or updated from now on, or since `after`, until the client is closed or the time is up.

        Args:
            type: only events of these types
            types: only events of these types, as kubectl has them
            severity: only events of these severities
            min_severity: only events that are at least so bad
            since: only events that went on at this time or later
            until: only events that began before this time
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            object_name: only events about the object of this name
            for_: only events about this object and what it owns, such as deploy/web
            only: not about what the object owns
            reason: only events with these reasons
            contains: only events with this in title or description; a to z in any case
            node: only events reported from this node
            component: only events reported by this component, such as kubelet
            min_count: only events that occurred at least so often
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            after: only what was added or updated since, in the order of changes, with the sync_token of an earlier answer
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            sort: in which order
            request: all of these as a ListEventsRequest
            timeout: time limit in seconds
        """
    @overload
    def get(self, id: str, *, timeout: float | None = 30.0) -> Event:
        """Show one event.

        Args:
            id: id of the event
            timeout: time limit in seconds
        """
    @overload
    def get(self, *, request: GetEventsRequest, timeout: float | None = 30.0) -> Event: ...
    @overload
    def occurrences(
        self,
        id: str,
        *,
        limit: int | None = 1000,
        offset: int | None = 0,
        page_token: str | None = None,
        timeout: float | None = 30.0,
    ) -> OccurrencesEventsResponse:
        """List when an event occurred, and how often.

        Each row is a span in which its count rose by so much; the first one begins with its first occurrence. Their
        counts sum up to the count of the event. The rate of a span is per minute; what happened at one moment has none.

        Args:
            id: id of the event
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            timeout: time limit in seconds
        """
    @overload
    def occurrences(self, *, request: OccurrencesEventsRequest, timeout: float | None = 30.0) -> OccurrencesEventsResponse: ...
    @overload
    def occurrences_all(
        self,
        id: str,
        *,
        limit: int | None = 1000,
        offset: int | None = 0,
        page_token: str | None = None,
        timeout: float | None = 30.0,
    ) -> Iterator[Occurrence]:
        """List when an event occurred, and how often.

        Gives every row, read page by page, and then those that changed meanwhile.

        Each row is a span in which its count rose by so much; the first one begins with its first occurrence. Their
        counts sum up to the count of the event. The rate of a span is per minute; what happened at one moment has none.

        Args:
            id: id of the event
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            timeout: time limit in seconds
        """
    @overload
    def occurrences_all(self, *, request: OccurrencesEventsRequest, timeout: float | None = 30.0) -> Iterator[Occurrence]: ...
    @overload
    def related(
        self,
        id: str,
        *,
        within: str | timedelta | None = "1h",
        limit: int | None = 50,
        offset: int | None = 0,
        page_token: str | None = None,
        timeout: float | None = 30.0,
    ) -> RelatedEventsResponse:
        """List what belongs to an event.

        First what is linked to it: the cluster's events that an insight is about, and the insights about an event. Then
        the other events of the same object that went on while it did, or shortly before or after.

        Args:
            id: id of the event
            within: how long before and after it, for events of the same object
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            timeout: time limit in seconds
        """
    @overload
    def related(self, *, request: RelatedEventsRequest, timeout: float | None = 30.0) -> RelatedEventsResponse: ...
    @overload
    def related_all(
        self,
        id: str,
        *,
        within: str | timedelta | None = "1h",
        limit: int | None = 50,
        offset: int | None = 0,
        page_token: str | None = None,
        timeout: float | None = 30.0,
    ) -> Iterator[RelatedEvent]:
        """List what belongs to an event.

        Gives every row, read page by page, and then those that changed meanwhile.

        First what is linked to it: the cluster's events that an insight is about, and the insights about an event. Then
        the other events of the same object that went on while it did, or shortly before or after.

        Args:
            id: id of the event
            within: how long before and after it, for events of the same object
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            timeout: time limit in seconds
        """
    @overload
    def related_all(self, *, request: RelatedEventsRequest, timeout: float | None = 30.0) -> Iterator[RelatedEvent]: ...
    def summary(
        self,
        *,
        type: _Many[_EventType] | None = None,
        severity: _Many[_Severity] | None = None,
        since: str | datetime | date | timedelta | None = "24h",
        until: str | datetime | date | timedelta | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        reason: _Many[str] | None = None,
        by: _Many[_SummaryEventsBy] | None = ...,
        limit: int | None = 50,
        offset: int | None = 0,
        page_token: str | None = None,
        require_coverage: str | float | None = None,
        request: SummaryEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> SummaryEventsResponse:
        """Count events by type, severity, reason, namespace or kind.

        Args:
            type: only events of these types
            severity: only events of these severities
            since: only events that went on at this time or later
            until: only events that began before this time
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            reason: only events with these reasons
            by: what to count by
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            request: all of these as a SummaryEventsRequest
            timeout: time limit in seconds
        """
    def summary_all(
        self,
        *,
        type: _Many[_EventType] | None = None,
        severity: _Many[_Severity] | None = None,
        since: str | datetime | date | timedelta | None = "24h",
        until: str | datetime | date | timedelta | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        reason: _Many[str] | None = None,
        by: _Many[_SummaryEventsBy] | None = ...,
        limit: int | None = 50,
        offset: int | None = 0,
        page_token: str | None = None,
        require_coverage: str | float | None = None,
        request: SummaryEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> Iterator[EventCount]:
        """Count events by type, severity, reason, namespace or kind.

        Gives every row, read page by page, and then those that changed meanwhile.

        Args:
            type: only events of these types
            severity: only events of these severities
            since: only events that went on at this time or later
            until: only events that began before this time
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            reason: only events with these reasons
            by: what to count by
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            request: all of these as a SummaryEventsRequest
            timeout: time limit in seconds
        """
    def noisy(
        self,
        *,
        type: _Many[_EventType] | None = None,
        severity: _Many[_Severity] | None = None,
        since: str | datetime | date | timedelta | None = "24h",
        until: str | datetime | date | timedelta | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        reason: _Many[str] | None = None,
        limit: int | None = 20,
        offset: int | None = 0,
        page_token: str | None = None,
        require_coverage: str | float | None = None,
        request: NoisyEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> NoisyEventsResponse:
        """List the objects whose events repeat most.

        Args:
            type: only events of these types
            severity: only events of these severities
            since: only events that went on at this time or later
            until: only events that began before this time
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            reason: only events with these reasons
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            request: all of these as a NoisyEventsRequest
            timeout: time limit in seconds
        """
    def noisy_all(
        self,
        *,
        type: _Many[_EventType] | None = None,
        severity: _Many[_Severity] | None = None,
        since: str | datetime | date | timedelta | None = "24h",
        until: str | datetime | date | timedelta | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        reason: _Many[str] | None = None,
        limit: int | None = 20,
        offset: int | None = 0,
        page_token: str | None = None,
        require_coverage: str | float | None = None,
        request: NoisyEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> Iterator[NoisyObject]:
        """List the objects whose events repeat most.

        Gives every row, read page by page, and then those that changed meanwhile.

        Args:
            type: only events of these types
            severity: only events of these severities
            since: only events that went on at this time or later
            until: only events that began before this time
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            reason: only events with these reasons
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            request: all of these as a NoisyEventsRequest
            timeout: time limit in seconds
        """
    def reasons(
        self,
        *,
        type: _Many[_EventType] | None = None,
        severity: _Many[_Severity] | None = None,
        since: str | datetime | date | timedelta | None = "24h",
        until: str | datetime | date | timedelta | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        limit: int | None = 50,
        offset: int | None = 0,
        page_token: str | None = None,
        require_coverage: str | float | None = None,
        request: ReasonsEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> ReasonsEventsResponse:
        """List the reasons of events with how often each was given.

        Args:
            type: only events of these types
            severity: only events of these severities
            since: only events that went on at this time or later
            until: only events that began before this time
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            request: all of these as a ReasonsEventsRequest
            timeout: time limit in seconds
        """
    def reasons_all(
        self,
        *,
        type: _Many[_EventType] | None = None,
        severity: _Many[_Severity] | None = None,
        since: str | datetime | date | timedelta | None = "24h",
        until: str | datetime | date | timedelta | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        limit: int | None = 50,
        offset: int | None = 0,
        page_token: str | None = None,
        require_coverage: str | float | None = None,
        request: ReasonsEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> Iterator[ReasonCount]:
        """List the reasons of events with how often each was given.

        Gives every row, read page by page, and then those that changed meanwhile.

        Args:
            type: only events of these types
            severity: only events of these severities
            since: only events that went on at this time or later
            until: only events that began before this time
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            request: all of these as a ReasonsEventsRequest
            timeout: time limit in seconds
        """
    def timeline(
        self,
        *,
        since: str | datetime | date | timedelta | None = "24h",
        until: str | datetime | date | timedelta | None = None,
        interval: str | timedelta | None = None,
        type: _Many[_EventType] | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        object_name: str | None = None,
        reason: _Many[str] | None = None,
        limit: int | None = 1000,
        offset: int | None = 0,
        page_token: str | None = None,
        require_coverage: str | float | None = None,
        request: TimelineEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> TimelineEventsResponse:
        """Count events by time, in intervals that fit the window.

        Each event counts once, in the interval of its last occurrence. There are at most 60 intervals, unless --interval
        says how long one is; then at most 1,000. Where an interval is not covered, its numbers are those of what is
        known.

        Args:
            since: only events that went on at this time or later
            until: only events last seen before this time
            interval: length of an interval, such as 5m or 1h
            type: only events of these types
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            object_name: only events about the object of this name
            reason: only events with these reasons
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            request: all of these as a TimelineEventsRequest
            timeout: time limit in seconds
        """
    def timeline_all(
        self,
        *,
        since: str | datetime | date | timedelta | None = "24h",
        until: str | datetime | date | timedelta | None = None,
        interval: str | timedelta | None = None,
        type: _Many[_EventType] | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        object_name: str | None = None,
        reason: _Many[str] | None = None,
        limit: int | None = 1000,
        offset: int | None = 0,
        page_token: str | None = None,
        require_coverage: str | float | None = None,
        request: TimelineEventsRequest | None = None,
        timeout: float | None = 30.0,
    ) -> Iterator[EventInterval]:
        """Count events by time, in intervals that fit the window.

        Gives every row, read page by page, and then those that changed meanwhile.

        Each event counts once, in the interval of its last occurrence. There are at most 60 intervals, unless --interval
        says how long one is; then at most 1,000. Where an interval is not covered, its numbers are those of what is
        known.

        Args:
            since: only events that went on at this time or later
            until: only events last seen before this time
            interval: length of an interval, such as 5m or 1h
            type: only events of these types
            object_kind: only events about this kind of object, such as Pod or po
            object_namespace: only events about objects in this namespace
            object_name: only events about the object of this name
            reason: only events with these reasons
            limit: at most so many rows
            offset: leave out so many rows first
            page_token: go on where a page ended, with the next_page_token it gave
            require_coverage: answer only if at least so much of the time asked for was watched, or read afterwards
            request: all of these as a TimelineEventsRequest
            timeout: time limit in seconds
        """

class Client:
    """A database to ask. Made by `connect`; a context manager; safe to use from many threads."""

    path: str
    events: _EventsService
    def __init__(self, path: str) -> None: ...
    def __enter__(self) -> Client: ...
    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None:
        """Refuse further calls, and end the watches. Nothing is open between calls."""
    def capabilities(self, *, request: CapabilitiesRequest | None = None, timeout: float | None = 30.0) -> Capabilities:
        """Show what can be asked, and with which options.

        Args:
            request: all of these as a CapabilitiesRequest
            timeout: time limit in seconds
        """
    def status(self, *, request: StatusRequest | None = None, timeout: float | None = 30.0) -> Status:
        """Show how kube9 is.

        Args:
            request: all of these as a StatusRequest
            timeout: time limit in seconds
        """

def connect(path: str | PathLike[str] | None = None) -> Client:
    """Open a kube9 database to ask it: a file, by default the one that the command line asks, or `kubectl://NAMESPACE`."""

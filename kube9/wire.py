"""What the API server sends, as Python objects: the pages of a list, and the lines of a watch.

A `Wire` for events takes only the fields that are stored, which is what makes it fast. An object that does not have the
shape that Kubernetes documents is read whole instead, by `json`: real events are odd.
"""

import json
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import msgspec

T = TypeVar("T")


class Metadata(TypedDict, total=False):
    """What is read of an object's metadata."""

    name: Any
    namespace: Any
    uid: Any
    creationTimestamp: Any
    resourceVersion: Any


class Event(TypedDict, total=False):
    """What is read of an Event, in core/v1 and events.k8s.io/v1."""

    metadata: Metadata
    involvedObject: Any
    regarding: Any
    related: Any
    reason: Any
    action: Any
    type: Any
    message: Any
    note: Any
    source: Any
    deprecatedSource: Any
    reportingComponent: Any
    reportingController: Any
    reportingInstance: Any
    eventTime: Any
    firstTimestamp: Any
    lastTimestamp: Any
    deprecatedFirstTimestamp: Any
    deprecatedLastTimestamp: Any
    count: Any
    deprecatedCount: Any
    series: Any
    code: Any  # of the Status in an ERROR line


class Items(NamedTuple):
    """A page of a list; `resource_version` is the list's, `token` is for the next page, empty on the last."""

    objects: list[Any]
    resource_version: str
    token: str


class _Line(msgspec.Struct, Generic[T]):
    type: str
    object: T


class _ListMetadata(msgspec.Struct, rename={"token": "continue", "resource_version": "resourceVersion"}):
    resource_version: str = ""
    token: str = ""


class _List(msgspec.Struct, Generic[T]):
    items: list[T] | None = None
    metadata: _ListMetadata = msgspec.field(default_factory=_ListMetadata)


class Wire:
    """Reads the answers about one kind of object. `EVENTS` is for events, `OBJECTS` for all else, read whole."""

    def __init__(self, kind: Any) -> None:
        self._lines = msgspec.json.Decoder(_Line[kind])
        self._list = msgspec.json.Decoder(_List[kind])

    def page(self, body: bytes) -> Items:
        """The page of a list. Raises ValueError for what is none."""
        try:
            found = self._list.decode(body)
            return Items(found.items or [], found.metadata.resource_version, found.metadata.token)
        except (msgspec.DecodeError, UnicodeDecodeError):
            answer = json.loads(body)
        try:
            metadata = answer.get("metadata") or {}
            return Items(answer.get("items") or [], metadata.get("resourceVersion") or "", metadata.get("continue") or "")
        except AttributeError:
            raise ValueError("the answer is no list") from None

    def lines(self, lines: bytes) -> list[tuple[str, Any]]:
        """The type and the object of each line of a watch. Raises ValueError for a line that is none."""
        try:
            return [(line.type, line.object) for line in self._lines.decode_lines(lines)]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return [self._line(line) for line in lines.split(b"\n") if line.strip()]

    def _line(self, line: bytes) -> tuple[str, Any]:
        try:
            found = self._lines.decode(line)
            return found.type, found.object
        except (msgspec.DecodeError, UnicodeDecodeError):
            change = json.loads(line)
        try:
            kind, subject = change["type"], change["object"]
        except (KeyError, TypeError):
            raise ValueError("the line is no change of an object") from None
        if not isinstance(kind, str) or not isinstance(subject, dict):
            raise ValueError("the line is no change of an object")
        return kind, subject


EVENTS = Wire(Event)
OBJECTS = Wire(dict[str, Any])

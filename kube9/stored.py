"""Rows of events as they are stored: found again by id, told apart by identity, with names kept short."""

import sqlite3
from collections.abc import Sequence

from kube9.model import Event

Identity = tuple[str, str, str]  # namespace, name, created_at of the Event object

FOUND = """
SELECT
    id, event_namespace, object_namespace,
    coalesce(event_name, '/' || event_type || ' ' || title || ' ' || coalesce(description, '')),
    object_name, created_at, cluster_id, last_seen_at, count
FROM events
WHERE id IN ({})
"""


class Row:
    """A stored or pending row: its identity and how new it is."""

    __slots__ = ("cluster_id", "count", "identity", "last_seen_at", "pending")

    def __init__(self, identity: Identity, cluster_id: int | None, last_seen_at: str, count: int) -> None:
        self.identity, self.cluster_id = identity, cluster_id
        self.last_seen_at, self.count = last_seen_at, count
        self.pending: Event | None = None

    def is_of(self, identity: Identity, cluster_id: int | None, alike: frozenset[int] = frozenset()) -> bool:
        """Whether it is the row of an event; a dump that does not tell its cluster may be of any.

        `alike` are the other clusters that may be the same one as `cluster_id`.
        """
        same = self.cluster_id == cluster_id or self.cluster_id is None or cluster_id is None or self.cluster_id in alike
        return same and self.identity == identity


def find(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Row]:
    """The rows that have these ids."""
    marks = ", ".join("?" * len(ids))
    # Nearly always nothing is found, and the index alone says so.
    there = [key for (key,) in connection.execute(f"SELECT id FROM events WHERE id IN ({marks})", ids)]
    if not there:
        return {}
    rows = connection.execute(FOUND.format(", ".join("?" * len(there))), there)
    return {
        key: Row(_identity(namespace, object_namespace, name, object_name, created_at), cluster_id, last_seen_at, count)
        for key, namespace, object_namespace, name, object_name, created_at, cluster_id, last_seen_at, count in rows
    }


def identity_of(event: Event) -> Identity:
    """What tells an event from any other; one of our own, which has no name, is told by what it says."""
    name = event.name or f"{event.event_type} {event.title} {event.description or ''}"
    return event.namespace, name, event.created_at


def short_namespace(event: Event) -> str | None:
    """`event_namespace`: null where it equals that of the object."""
    return None if event.namespace == (event.object_namespace or "") else event.namespace


def short_name(event: Event) -> str | None:
    """`event_name`: without its first part where that is the object's name; null for an event of our own."""
    name, object_name = event.name, event.object_name
    if object_name and name.startswith(object_name) and name[len(object_name) : len(object_name) + 1] == ".":
        return name[len(object_name) :]
    # A reporter that knows no object names its event `.17b2c4`; a slash, which no name has, keeps that apart.
    return f"/{name}" if name.startswith((".", "/")) else name or None


def _identity(
    namespace: str | None, object_namespace: str | None, name: str, object_name: str | None, created_at: str
) -> Identity:
    full = f"{object_name}{name}" if name.startswith(".") else name.removeprefix("/")
    return (namespace if namespace is not None else object_namespace or "", full, created_at)

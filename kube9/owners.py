"""Who owned what an event is about: the controller at the top, such as the Deployment of a pod's ReplicaSet.

It is looked up in what is known of watched objects when the event is stored, because pods vanish. Of an object that is
gone already an earlier event may know it. An event that was stored before its object was known is completed as soon as
it is; so is one whose owner was only the ReplicaSet or the Job in between.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from kube9 import change_seq, times
from kube9.model import Event
from kube9.object_change import Change

Object = tuple[str | None, str | None, str | None]  # kind, namespace, name
Owner = tuple[str, str]  # kind, name

# What has an owner that is looked up, and where; what any other controller owns ends there.
RESOURCES = {"Pod": "pods", "ReplicaSet": "replicasets", "Job": "jobs"}
KINDS = {resource: kind for kind, resource in RESOURCES.items()}
LEVELS = 5  # of owners; ReplicaSet and Deployment are two
RECENT_MS = times.DAY_MS  # what was stored before its object was known is not older
ANYTHING = "SELECT 1 FROM watched_objects WHERE cluster_id = ? AND resource IN ('pods', 'replicasets', 'jobs') LIMIT 1"
OWNER = """
SELECT json_extract(state, '$.owner[0]'), json_extract(state, '$.owner[1]')
FROM watched_objects
WHERE cluster_id = ? AND resource = ? AND namespace = ? AND name = ?
"""
EARLIER = """
SELECT owner_kind, owner_name
FROM (
    SELECT owner_kind, owner_name
    FROM events
    WHERE object_kind = ? AND object_namespace = ? AND object_name = ? AND cluster_id = ?
    ORDER BY last_seen_at DESC
    LIMIT 20
)
WHERE owner_name IS NOT NULL
LIMIT 1
"""
WITHOUT = """
SELECT id
FROM events
WHERE object_kind = ? AND object_namespace = ? AND object_name = ? AND last_seen_at >= ? AND cluster_id = ?
    AND owner_name IS NULL
"""
OWNED = """
SELECT id
FROM events
WHERE owner_kind = ? AND owner_name = ? AND last_seen_at >= ? AND object_namespace = ? AND cluster_id = ?
"""
SET = "UPDATE events SET owner_kind = ?, owner_name = ?, change_seq = ? WHERE id = ?"


def find(connection: sqlite3.Connection, cluster_id: int | None, events: Iterable[Event]) -> dict[Object, Owner]:
    """The owners of the objects that events are about, as far as they have one that is known."""
    asked = {
        (event.object_kind, event.object_namespace, event.object_name) for event in events if event.object_kind in RESOURCES
    }
    if cluster_id is None or not asked or connection.execute(ANYTHING, (cluster_id,)).fetchone() is None:
        return {}
    lookup = _Lookup(connection, cluster_id)
    found: dict[Object, Owner] = {}
    for kind, namespace, name in asked:
        if kind and namespace and name and (owner := lookup.top(kind, namespace, name)):
            found[kind, namespace, name] = owner
    return found


def complete(connection: sqlite3.Connection, cluster_id: int, resource: str, changes: Sequence[Change]) -> None:
    """Write the owners of objects that became known into the recent rows that lack them."""
    kind = KINDS.get(resource)
    if kind is None:
        return
    lookup = _Lookup(connection, cluster_id)
    for change in changes:
        owner = (change.after or {}).get("owner")
        if owner is None or owner == (change.before or {}).get("owner"):
            continue
        since = times.iso(times.ms(change.at) - RECENT_MS)
        rows = connection.execute(WITHOUT, (kind, change.namespace, change.name, since, cluster_id)).fetchall()
        if kind != "Pod":
            rows += connection.execute(OWNED, (kind, change.name, since, change.namespace, cluster_id)).fetchall()
        if rows and (top := lookup.top(kind, change.namespace, change.name)):
            numbers = change_seq.take(connection, len(rows))
            connection.executemany(SET, [(*top, number, row) for number, (row,) in zip(numbers, rows, strict=True)])


class _Lookup:
    """Owners of a few hundred objects, each asked for once."""

    def __init__(self, connection: sqlite3.Connection, cluster_id: int) -> None:
        self._execute, self._cluster_id = connection.execute, cluster_id
        self._direct: dict[Object, Owner | None] = {}

    def top(self, kind: str, namespace: str, name: str) -> Owner | None:
        """The controller at the top; None of an object that nobody owns, or that is not known."""
        owner = self._owner(kind, namespace, name)
        for _ in range(LEVELS):
            above = self._owner(owner[0], namespace, owner[1]) if owner and owner[0] in RESOURCES else None
            if above is None:
                break
            owner = above
        return owner

    def _owner(self, kind: str, namespace: str, name: str) -> Owner | None:
        key: Object = (kind, namespace, name)
        if key not in self._direct:
            row = self._execute(OWNER, (self._cluster_id, RESOURCES[kind], namespace, name)).fetchone()
            if row is None:
                row = self._execute(EARLIER, (*key, self._cluster_id)).fetchone()
            self._direct[key] = row if row and row[0] else None
        return self._direct[key]

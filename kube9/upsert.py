"""Batches into the database: rows, counts, positions and change_seq in one transaction.

A row is found by the event's id and told apart by its identity. What it was first stored with (id, severity, title,
object) stays; an update is taken only when `(last_seen_at, count)` is newer, so that a late or repeated delivery changes
nothing.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from kube9 import times
from kube9.model import Batch, Event, event_id, next_id

CHUNK = 500  # ids in one SELECT; SQLite allows 32,766 parameters
FOUND = (
    "SELECT id, event_namespace, object_namespace, event_name, object_name, created_at, cluster_id, last_seen_at, count "
    "FROM events WHERE id IN ({})"
)
INSERT = """
INSERT INTO events (
    id, event_type, severity, title, description, object_kind, object_namespace, object_name, metadata, created_at,
    last_seen_at, count, reason, component, node, uid, event_namespace, event_name, cluster_id, origin, recorded_at,
    change_seq)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPDATE = """
UPDATE events
SET last_seen_at = ?, count = ?, description = ?, metadata = ?, component = ?, node = ?, uid = ?,
    cluster_id = coalesce(cluster_id, ?), change_seq = ?
WHERE id = ?
"""
PLACE = "UPDATE events SET cluster_id = ?, change_seq = ? WHERE id = ?"  # its dump did not tell the cluster
POSITION = """
INSERT INTO watch_position (cluster_id, resource, resource_version, updated_at)
VALUES (?, ?, ?, ?)
ON CONFLICT (cluster_id, resource) DO UPDATE
SET resource_version = excluded.resource_version, updated_at = excluded.updated_at
"""


class Tally:
    """How many events a transaction added, updated and found already stored."""

    __slots__ = ("added", "unchanged", "updated")

    def __init__(self, added: int = 0, updated: int = 0, unchanged: int = 0) -> None:
        self.added, self.updated, self.unchanged = added, updated, unchanged

    def __iadd__(self, other: "Tally") -> "Tally":
        self.added += other.added
        self.updated += other.updated
        self.unchanged += other.unchanged
        return self


class _Row:
    """A stored or pending row: its identity and how new it is."""

    __slots__ = ("cluster_id", "count", "identity", "last_seen_at", "pending")

    def __init__(self, identity: tuple[str, str, str], cluster_id: int | None, last_seen_at: str, count: int) -> None:
        self.identity, self.cluster_id = identity, cluster_id
        self.last_seen_at, self.count = last_seen_at, count
        self.pending: Event | None = None

    def is_of(self, identity: tuple[str, str, str], cluster_id: int | None) -> bool:
        # A dump that does not tell its cluster may be of any.
        same = self.cluster_id == cluster_id or self.cluster_id is None or cluster_id is None
        return same and self.identity == identity


def write(connection: sqlite3.Connection, batches: Sequence[Batch]) -> Tally:
    """Store batches in one transaction. Raises sqlite3.Error, with nothing stored."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        now = times.iso(times.now_ms())
        ((seq,),) = connection.execute("SELECT value FROM counters WHERE name = 'change_seq'").fetchall()
        before, tally = seq, Tally()
        for batch in batches:
            cluster_id = _cluster_id(connection, batch.cluster)
            for start in range(0, len(batch.events), CHUNK):
                done, seq = _store(connection, batch.events[start : start + CHUNK], batch.origin, cluster_id, seq, now)
                tally += done
            if batch.position and cluster_id is not None:
                position = (cluster_id, batch.position.resource, batch.position.resource_version, now)
                connection.execute(POSITION, position)
        if seq != before:
            connection.execute("UPDATE counters SET value = ? WHERE name = 'change_seq'", (seq,))
        connection.execute("COMMIT")
        return tally
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _store(
    connection: sqlite3.Connection, events: Sequence[Event], origin: str, cluster_id: int | None, seq: int, now: str
) -> tuple[Tally, int]:
    ids = [event_id(event.created_at, event.namespace, event.name) for event in events]
    known, asked = _known(connection, ids), set(ids)
    added: dict[str, int] = {}
    updated: dict[str, int] = {}
    placed: dict[str, int] = {}
    tally = Tally()
    for event, first_id in zip(events, ids, strict=True):
        identity, key = (event.namespace, event.name, event.created_at), first_id
        while True:
            if key not in asked:
                asked.add(key)
                known |= _known(connection, [key])
            row = known.get(key)
            if row is None or row.is_of(identity, cluster_id):
                break
            key = next_id(key)  # another event has this id
        if row is None:
            row = known[key] = _Row(identity, cluster_id, event.last_seen_at, event.count)
            seq += 1
            added[key], row.pending = seq, event
            tally.added += 1
        elif (event.last_seen_at, event.count) > (row.last_seen_at, row.count):
            row.last_seen_at, row.count = event.last_seen_at, event.count
            row.pending = _repeated(row.pending, event)
            placed.pop(key, None)  # the update tells the cluster too
            seq += 1
            (added if key in added else updated)[key] = seq
            tally.updated += 1
        elif row.cluster_id is None and cluster_id is not None:
            seq += 1
            placed[key] = seq
            tally.updated += 1
        else:
            tally.unchanged += 1
        row.cluster_id = cluster_id if row.cluster_id is None else row.cluster_id
    rows = ((key, known[key].pending, number) for key, number in added.items())
    connection.executemany(
        INSERT, [_insert(key, event, cluster_id, origin, now, number) for key, event, number in rows if event]
    )
    rows = ((key, known[key].pending, number) for key, number in updated.items())
    connection.executemany(UPDATE, [_update(key, event, cluster_id, number) for key, event, number in rows if event])
    connection.executemany(PLACE, [(cluster_id, number, key) for key, number in placed.items()])
    return tally, seq


def _repeated(first: Event | None, later: Event) -> Event:
    """An event of this batch as its row will be: what is frozen from the first, the rest from the later one."""
    if first is None:
        return later
    return later._replace(
        event_type=first.event_type, severity=first.severity, title=first.title, reason=first.reason,
        object_kind=first.object_kind, object_namespace=first.object_namespace, object_name=first.object_name,
    )  # fmt: skip


def _known(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, _Row]:
    found = connection.execute(FOUND.format(", ".join("?" * len(ids))), ids)
    return {
        key: _Row(
            (namespace if namespace is not None else object_namespace or "", _full_name(name, object_name), created_at),
            cluster_id,
            last_seen_at,
            count,
        )
        for key, namespace, object_namespace, name, object_name, created_at, cluster_id, last_seen_at, count in found
    }


def _insert(key: str, event: Event, cluster_id: int | None, origin: str, now: str, seq: int) -> tuple[Any, ...]:
    return (
        key, event.event_type, event.severity, event.title, event.description, event.object_kind,
        event.object_namespace, event.object_name, _json(event.metadata), event.created_at, event.last_seen_at,
        event.count, event.reason, event.component, event.node, event.uid,
        None if event.namespace == (event.object_namespace or "") else event.namespace,
        _short_name(event.name, event.object_name), cluster_id, origin, now, seq,
    )  # fmt: skip


def _update(key: str, event: Event, cluster_id: int | None, seq: int) -> tuple[Any, ...]:
    return (
        event.last_seen_at, event.count, event.description, _json(event.metadata), event.component, event.node,
        event.uid, cluster_id, seq, key,
    )  # fmt: skip


def _short_name(name: str, object_name: str | None) -> str:
    if object_name and name.startswith(f"{object_name}."):
        return name[len(object_name) :]
    # A reporter that knows no object names its event `.17b2c4`; a slash, which no name has, keeps that apart.
    return f"/{name}" if name.startswith((".", "/")) else name


def _full_name(name: str | None, object_name: str | None) -> str:
    if name and name.startswith("."):
        return f"{object_name}{name}"
    return (name or "").removeprefix("/")


def _json(metadata: dict[str, Any]) -> str | None:
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":")) if metadata else None


def _cluster_id(connection: sqlite3.Connection, uid: str | None) -> int | None:
    if uid is None:
        return None
    connection.execute("INSERT INTO clusters (uid) VALUES (?) ON CONFLICT (uid) DO NOTHING", (uid,))
    return int(connection.execute("SELECT id FROM clusters WHERE uid = ?", (uid,)).fetchone()[0])

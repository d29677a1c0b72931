"""Batches into the database: rows, counts, occurrences, positions, coverage and change_seq in one transaction.

A row is found by the event's id and told apart by its identity. What it was first stored with (id, severity, title,
object) stays; an update is taken only when `(last_seen_at, count)` is newer, so that a late or repeated delivery changes
nothing.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from kube9 import change_seq, claims, clusters, links, objects, occurrences, owners, stored, stretches, times
from kube9.metadata import TRUNCATED
from kube9.model import Batch, Event, event_id, next_id
from kube9.occurrences import Change

CHUNK = 5000  # events that are looked up and inserted at once; SQLite allows 32,766 parameters
INSERT = """
INSERT INTO events (
    id, event_type, severity, title, description, object_kind, object_namespace, object_name, metadata, created_at,
    last_seen_at, count, reason, component, node, uid, event_namespace, event_name, cluster_id, origin, recorded_at,
    change_seq, owner_kind, owner_name)
VALUES
"""
VALUES = f"({', '.join('?' * 24)})"
# Rows in one statement. While it runs, SQLite lets go of the interpreter's lock, and the watch is read meanwhile; with a
# statement a row, each would wait for the lock again, up to `sys.getswitchinterval` long.
SIZES = (1000, 100, 1)
INSERTS = {size: INSERT + ",\n".join([VALUES] * size) for size in SIZES}
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
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Tally:
    """How many events a transaction added, updated and found already stored.

    `kinds` counts those added by (event_type, severity); `cut` names those whose metadata was cut to fit.
    """

    __slots__ = ("added", "cut", "kinds", "unchanged", "updated")

    def __init__(self, added: int = 0, updated: int = 0, unchanged: int = 0) -> None:
        self.added, self.updated, self.unchanged = added, updated, unchanged
        self.kinds: Counter[tuple[str, str]] = Counter()
        self.cut: list[str] = []

    def __iadd__(self, other: "Tally") -> "Tally":
        self.added += other.added
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.kinds.update(other.kinds)
        self.cut += other.cut
        return self


def write(connection: sqlite3.Connection, batches: Sequence[Batch]) -> Tally:
    """Store batches in one transaction. Raises sqlite3.Error, with nothing stored."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        now, tally = times.iso(times.now_ms()), Tally()
        for batch in _joined(batches):
            cluster_id = clusters.identify(connection, batch.cluster, batch.namespace) if batch.cluster else None
            alike = clusters.alike(connection, cluster_id)
            events = batch.events
            if batch.objects and cluster_id is not None:
                events = events + objects.apply(connection, cluster_id, batch.objects, alike)
            for start in range(0, len(events), CHUNK):
                tally += _Chunk(connection, batch.origin, cluster_id, alike, now).store(events[start : start + CHUNK])
            if batch.position and cluster_id is not None:
                position = (cluster_id, batch.position.resource, batch.position.resource_version, now)
                connection.execute(POSITION, position)
            if batch.proof:
                stretches.prove(connection, cluster_id, batch.proof)
            elif batch.origin == "import" and batch.events:
                first, last = min(event.created_at for event in batch.events), max(event.last_seen_at for event in batch.events)
                stretches.imported(connection, cluster_id, first, last)
        connection.execute("COMMIT")
        return tally
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _joined(batches: Sequence[Batch]) -> Iterator[Batch]:
    """The same as fewer batches, because many small ones come from a watch that is read as it arrives."""
    joined: Batch | None = None
    for batch in batches:
        if joined and _follows(joined, batch):
            joined.events.extend(batch.events)
            joined = joined._replace(position=batch.position or joined.position, proof=batch.proof or joined.proof)
        else:
            if joined:
                yield joined
            joined = batch._replace(events=list(batch.events))
    if joined:
        yield joined


def _follows(first: Batch, second: Batch) -> bool:
    """Whether two batches may be one: the same but for their events, and no gap lies before what either proves."""
    same = (first.origin, first.cluster, first.namespace) == (second.origin, second.cluster, second.namespace)
    resources = {part.resource for part in (first.position, second.position, first.proof, second.proof) if part}
    whole = not any(batch.proof and batch.proof.cause for batch in (first, second))
    return same and first.objects is None and second.objects is None and len(resources) <= 1 and whole


class _Chunk:
    """At most CHUNK events on their way into the table."""

    def __init__(
        self, connection: sqlite3.Connection, origin: str, cluster_id: int | None, alike: frozenset[int], now: str
    ) -> None:
        self.connection, self.origin, self.cluster_id, self.now = connection, origin, cluster_id, now
        self.alike = alike
        self.before = self.seq = change_seq.latest(connection)
        self.added: dict[str, int] = {}
        self.updated: dict[str, int] = {}
        self.placed: dict[str, int] = {}
        self.changes: list[Change] = []
        self.tally = Tally()

    def store(self, events: Sequence[Event]) -> Tally:
        events = claims.describe(self.connection, self.cluster_id, events)
        self.owners = owners.find(self.connection, self.cluster_id, events)
        ids = [event.id or event_id(event.created_at, event.namespace, event.name) for event in events]
        self.known, self.asked = stored.find(self.connection, ids), set(ids)
        for event, first_id in zip(events, ids, strict=True):
            self._take(event, first_id)
        self._write()
        return self.tally

    def _take(self, event: Event, key: str) -> None:
        identity, cluster_id = stored.identity_of(event), self.cluster_id
        while (row := self.known.get(key)) and not row.is_of(identity, cluster_id, self.alike):
            key = next_id(key)  # another event has this id
            if key not in self.asked:
                self.asked.add(key)
                self.known |= stored.find(self.connection, [key])
        if row is None:
            row = self.known[key] = stored.Row(identity, cluster_id, event.last_seen_at, event.count)
            self.seq += 1
            self.added[key], row.pending = self.seq, event
            self.tally.added += 1
        elif (event.last_seen_at, event.count) > (row.last_seen_at, row.count):
            self.changes.append(Change(key, event.created_at, row.last_seen_at, row.count, event.last_seen_at, event.count))
            row.last_seen_at, row.count = event.last_seen_at, event.count
            row.pending = _repeated(row.pending, event)
            self.placed.pop(key, None)  # the update tells the cluster too
            self.seq += 1
            (self.added if key in self.added else self.updated)[key] = self.seq
            self.tally.updated += 1
        elif row.cluster_id is None and cluster_id is not None:
            self.seq += 1
            self.placed[key] = self.seq
            self.tally.updated += 1
        else:
            self.tally.unchanged += 1
        row.cluster_id = cluster_id if row.cluster_id is None else row.cluster_id

    def _write(self) -> None:
        execute = self.connection.executemany
        self._insert([self._inserted(key, number) for key, number in self.added.items()])
        if self.origin == "api":
            links.link(self.connection, self.added)
        if self.updated:
            execute(UPDATE, [self._updated(key, number) for key, number in self.updated.items()])
        if self.placed:
            execute(PLACE, [(self.cluster_id, number, key) for key, number in self.placed.items()])
        if self.changes:
            occurrences.record(self.connection, self.changes)
        if self.seq != self.before:
            change_seq.take(self.connection, self.seq - self.before)

    def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        start = 0
        for size in SIZES:
            for end in range(start + size, len(rows) + 1, size):
                self.connection.execute(INSERTS[size], [value for row in rows[start:end] for value in row])
                start = end

    def _inserted(self, key: str, seq: int) -> tuple[Any, ...]:
        event = self._pending(key)
        self.tally.kinds[event.event_type, event.severity] += 1
        if TRUNCATED in event.metadata:
            self.tally.cut.append(key)
        return (
            key, event.event_type, event.severity, event.title, event.description, event.object_kind,
            event.object_namespace, event.object_name, _json(event.metadata), event.created_at, event.last_seen_at,
            event.count, event.reason, event.component, event.node, event.uid, stored.short_namespace(event),
            stored.short_name(event), self.cluster_id, self.origin, self.now, seq,
            *self.owners.get((event.object_kind, event.object_namespace, event.object_name), (None, None)),
        )  # fmt: skip

    def _updated(self, key: str, seq: int) -> tuple[Any, ...]:
        event = self._pending(key)
        return (
            event.last_seen_at, event.count, event.description, _json(event.metadata), event.component, event.node,
            event.uid, self.cluster_id, seq, key,
        )  # fmt: skip

    def _pending(self, key: str) -> Event:
        event = self.known[key].pending
        assert event is not None
        return event


def _repeated(first: Event | None, later: Event) -> Event:
    """An event of this batch as its row will be: what is frozen from the first, the rest from the later one."""
    if first is None:
        return later
    return later._replace(
        event_type=first.event_type, severity=first.severity, title=first.title, reason=first.reason,
        object_kind=first.object_kind, object_namespace=first.object_namespace, object_name=first.object_name,
    )  # fmt: skip


def _json(metadata: dict[str, Any]) -> str | None:
    return _encoded(metadata) if metadata else None

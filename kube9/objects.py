"""Watched objects into the table of what is known of them, and the events of what changed.

All of it belongs to the writer's transaction: what is known, and the events that are derived by comparing with it, are
stored together, so that a change is derived once, whenever the recorder is stopped or killed.

The pages of one list share the time at which it was asked for, which numbers it. A page names objects; when the whole
list was read, what it did not name is gone. A list that broke off is never whole and takes nothing away. The first whole
list of a resource is the ground that changes are measured from: what it names is not new. An object of another uid
under the same name is another object.

Lines of a watch may be older than what a list that broke off has told already; their resource version says so. What a
list tells is taken as it is, because versions go back when etcd is restored.

What a recorder of one namespace knows is kept apart from what is known of its cluster (`kube9.clusters`). Of an object
that both know, changes are measured from what is newer, or what one has told already the other would tell again.
"""

import sqlite3
from collections.abc import Iterator

from kube9 import claims, endpoints, known_objects, owners, times
from kube9.derive import derive
from kube9.known_objects import Known
from kube9.model import Event, Objects, Seen
from kube9.object_change import Change, State

NAMED = "UPDATE watched_objects SET list_id = ? WHERE cluster_id = ? AND resource = ? AND namespace = ? AND name = ?"
NOT_NAMED = "SELECT namespace, name, uid FROM watched_objects WHERE cluster_id = ? AND resource = ? AND list_id <> ?"
LISTED = "SELECT 1 FROM counters WHERE name = ?"
LIST = "INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


def apply(
    connection: sqlite3.Connection, cluster_id: int, objects: Objects, alike: frozenset[int] = frozenset()
) -> list[Event]:
    """Store what was read of objects. Returns what is derived from it, to be stored in the same transaction.

    `alike` are the other clusters that may be the same one. Rows of events of which it tells the owner, or the size and
    class of their claim, are completed and take a new `change_seq`. Raises sqlite3.Error.
    """
    table = _Table(connection, cluster_id, objects, alike)
    events: list[Event] = []
    changes: list[Change] = []
    for seen in table.seen():
        known, newer = table.find(seen), table.find_elsewhere(seen)
        if newer and not table.list_id and 0 < (seen.state or {}).get("version", 0) < newer.version:
            continue  # a watch that goes on where it stood tells it again
        for change in _compare(known, seen, objects.at, listed=table.list_id > 0, grounded=table.grounded):
            derived = derive(objects.resource, change._replace(before=newer.state) if newer and change.after else change)
            events += derived.events
            table.keep(change, derived.kept)
            changes.append(change)
    owners.complete(connection, cluster_id, objects.resource, changes)
    claims.complete(connection, cluster_id, objects.resource, changes)
    if objects.resource == endpoints.SLICES:
        events += endpoints.follow(connection, cluster_id, changes, objects)
    if objects.whole:
        table.note_list()
    return events


def _compare(known: Known | None, seen: Seen, at: str, *, listed: bool, grounded: bool) -> list[Change]:
    """What became of an object; `grounded` when all that there was is known, so that what is not known is new."""
    same = known is not None and known.uid == seen.uid
    if seen.state is None:
        # Of another uid it is the end of a former one, which the present one's beginning has told already.
        return [_end(known, seen, at)] if known and same else []
    after = dict(seen.state)
    version = after.pop("version", 0)
    if known and not listed and 0 < version < known.version:
        return []  # older than what is known
    if known and same:
        return [Change(seen.namespace, seen.name, seen.uid, known.state, after, version, at)]
    former = [_end(known, seen, at)] if known else []
    return [*former, Change(seen.namespace, seen.name, seen.uid, None, after, version, at, made=grounded or bool(former))]


def _end(known: Known, seen: Seen, at: str) -> Change:
    return Change(seen.namespace, seen.name, known.uid, known.state, None, 0, at)


class _Table:
    """The rows of one resource, on the way of one page or of lines of a watch."""

    def __init__(self, connection: sqlite3.Connection, cluster_id: int, objects: Objects, alike: frozenset[int]) -> None:
        self._connection, self._execute, self._objects = connection, connection.execute, objects
        self._resource = (cluster_id, objects.resource)
        self._elsewhere = [(other, objects.resource) for other in alike]
        self._counter = f"list:{cluster_id}:{objects.resource}"
        self._known: Known | None = None  # as it was found last
        self.list_id = times.ms(objects.at) if objects.listed or objects.whole else 0
        self.grounded = self._execute(LISTED, (self._counter,)).fetchone() is not None

    def seen(self) -> Iterator[Seen]:
        """What was read; and at the end of a list, what it did not name."""
        yield from self._objects.seen
        if self._objects.whole:
            for namespace, name, uid in self._execute(NOT_NAMED, (*self._resource, self.list_id)).fetchall():
                yield Seen(namespace, name, uid, None)

    def find(self, seen: Seen) -> Known | None:
        """What is known of the object of this name."""
        self._known = known_objects.find(self._connection, (*self._resource, seen.namespace, seen.name))
        return self._known

    def find_elsewhere(self, seen: Seen) -> Known | None:
        """What is known of the object that was found last where it is known as newer, if it is."""
        here, newest = self._known, None
        for resource in self._elsewhere:
            other = known_objects.find(self._connection, (*resource, seen.namespace, seen.name))
            if other and other.uid == seen.uid and (here is None or here.uid != other.uid or here.version < other.version):
                here = newest = other
        return newest

    def keep(self, change: Change, kept: State) -> None:
        """Write what is to be known of the object that was found last; only what differs."""
        key, known = (*self._resource, change.namespace, change.name), self._known
        if change.after is None:
            known_objects.forget(self._connection, key)
        elif change.before == kept and known and not (self.list_id and change.version < known.version):
            if self.list_id:
                self._execute(NAMED, (self.list_id, *key))
        else:
            known_objects.keep(self._connection, key, Known(change.uid, kept, change.version), self.list_id)

    def note_list(self) -> None:
        """A list was read to its end."""
        self._execute(LIST, (self._counter, self.list_id))

"""How the counts of events rose: a row for each rise, and one for the count that an event had before its first.

An event whose count never rose has no rows: it is one span from its first to its last time. The counts of an event's
rows sum up to its count.
"""

import sqlite3
from typing import NamedTuple

from kube9 import transaction

BASE = """
INSERT INTO occurrences (event_id, from_at, to_at, count)
SELECT :event_id, :created_at, :before_at, :before
WHERE NOT EXISTS (SELECT 1 FROM occurrences WHERE event_id = :event_id)
"""
RISE = """
INSERT INTO occurrences (event_id, from_at, to_at, count)
VALUES (:event_id, :before_at, :last_seen_at, :count - :before)
ON CONFLICT (event_id, to_at) DO UPDATE SET count = count + excluded.count
"""
FORGET = "DELETE FROM occurrences WHERE event_id = ?"
OLD = """
SELECT event_id, min(from_at), max(to_at), sum(count)
FROM occurrences
WHERE to_at < ?
GROUP BY event_id
HAVING count(*) > 1
LIMIT ?
"""
FOLD = "DELETE FROM occurrences WHERE event_id = ? AND to_at < ?"
FOLDED = "INSERT INTO occurrences (event_id, from_at, to_at, count) VALUES (?, ?, ?, ?)"


FOLDED_AT_ONCE = 500


class Change(NamedTuple):
    """An update of an event: when it was last seen before and how often, and now."""

    event_id: str
    created_at: str
    before_at: str
    before: int
    last_seen_at: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs


def record(connection: sqlite3.Connection, changes: list[Change]) -> None:
    """Keep the rises among changes, which are in the order in which they happened."""
    rises = [change._asdict() for change in changes if change.count > change.before]
    if len(rises) == len(changes):
        connection.executemany(BASE, rises)
        connection.executemany(RISE, rises)
        return
    for change in changes:
        if change.count > change.before:
            connection.execute(BASE, change._asdict())
            connection.execute(RISE, change._asdict())
        elif change.count < change.before:  # counted anew by its reporter: the row itself is the span again
            connection.execute(FORGET, (change.event_id,))


def fold(connection: sqlite3.Connection, before: str) -> None:
    """Make one row of those of an event that ended before a time, for a few hundred events in a transaction."""
    while True:
        with transaction.immediate(connection):
            old = connection.execute(OLD, (before, FOLDED_AT_ONCE)).fetchall()
            connection.executemany(FOLD, [(event_id, before) for event_id, *_ in old])
            connection.executemany(FOLDED, old)
        if len(old) < FOLDED_AT_ONCE:
            return

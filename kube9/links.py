"""Links from events of our own to the cluster's events about the same object, so that either leads to the other."""

import sqlite3
from collections.abc import Iterable

MOST = 20  # newest events that one of our own is linked to
LINK = f"""
INSERT OR IGNORE INTO event_links (event_id, linked_id)
SELECT own.id, told.id
FROM events AS own
JOIN events AS told
    ON told.object_kind = own.object_kind
    AND told.object_namespace IS own.object_namespace
    AND told.object_name = own.object_name
WHERE own.id = ?
    AND told.event_type = 'cluster'
    AND told.last_seen_at >= strftime('%Y-%m-%dT%H:%M:%fZ', own.created_at, '-1 day')
ORDER BY told.last_seen_at DESC, told.id DESC
LIMIT {MOST}
"""


def link(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Link events of our own, just stored, to those of the cluster that their object had within a day before them."""
    connection.executemany(LINK, [(key,) for key in ids])

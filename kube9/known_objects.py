"""The table of what is known of watched objects: one row for each, by cluster, resource, namespace and name."""

import json
import sqlite3
from typing import NamedTuple

from kube9.object_change import State

Key = tuple[int, str, str | None, str | None]  # cluster, resource, namespace, name
FIND = "SELECT uid, state FROM watched_objects WHERE cluster_id = ? AND resource = ? AND namespace = ? AND name = ?"
KEEP = """
INSERT INTO watched_objects (cluster_id, resource, namespace, name, uid, state, list_id)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (cluster_id, resource, namespace, name) DO UPDATE
SET uid = excluded.uid, state = excluded.state, list_id = excluded.list_id
"""
FORGET = "DELETE FROM watched_objects WHERE cluster_id = ? AND resource = ? AND namespace = ? AND name = ?"
_encoded = json.JSONEncoder(separators=(",", ":")).encode


class Known(NamedTuple):
    """What is known of an object; `version` is 0 where it has none that is a number."""

    uid: str
    state: State
    version: int


def find(connection: sqlite3.Connection, key: Key) -> Known | None:
    """What is known of an object; None when nothing is. Raises sqlite3.Error, as all here."""
    row = connection.execute(FIND, key).fetchone()
    if row is None:
        return None
    state = json.loads(row[1])
    return Known(row[0], state, state.pop("version", 0))


def keep(connection: sqlite3.Connection, key: Key, known: Known, list_id: int = 0) -> None:
    """Write what is known of an object, and the list that named it; 0 is a watch."""
    state = known.state | {"version": known.version} if known.version else known.state
    connection.execute(KEEP, (*key, known.uid, _encoded(state), list_id))


def forget(connection: sqlite3.Connection, key: Key) -> None:
    """Remove an object that is gone."""
    connection.execute(FORGET, key)

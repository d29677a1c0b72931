"""What a claim asked for, beside the events that say it is not bound: their messages seldom tell its size and class."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from kube9 import change_seq, known_objects
from kube9.model import Event
from kube9.object_change import Change, State

KIND, RESOURCE = "PersistentVolumeClaim", "persistentvolumeclaims"
REASONS = ("FailedBinding", "ProvisioningFailed", "VolumeMismatch")
ROWS = """
SELECT id, metadata
FROM events
WHERE object_kind = ? AND object_namespace = ? AND object_name = ? AND reason IN (?, ?, ?) AND cluster_id = ?
"""
SET = "UPDATE events SET metadata = ?, change_seq = ? WHERE id = ?"


def describe(connection: sqlite3.Connection, cluster_id: int | None, events: Sequence[Event]) -> Sequence[Event]:
    """The events, those about claims that are not bound with `requested_size` and `storage_class`, where these are known."""
    if cluster_id is None or not any(event.object_kind == KIND for event in events):
        return events
    return [_described(connection, cluster_id, event) for event in events]


def _described(connection: sqlite3.Connection, cluster_id: int, event: Event) -> Event:
    if event.object_kind != KIND or event.reason not in REASONS:
        return event
    claim = known_objects.find(connection, (cluster_id, RESOURCE, event.object_namespace, event.object_name))
    return event._replace(metadata=_wanted(claim.state) | event.metadata) if claim else event


def complete(connection: sqlite3.Connection, cluster_id: int, resource: str, changes: Sequence[Change]) -> None:
    """Write what claims that became known ask for into the rows that were stored before."""
    if resource != RESOURCE:
        return
    for change in changes:
        if change.before is None and change.after:
            wanted = _wanted(change.after)
            for row, text in connection.execute(ROWS, (KIND, change.namespace, change.name, *REASONS, cluster_id)).fetchall():
                metadata: dict[str, Any] = json.loads(text or "{}")
                if wanted.keys() - metadata.keys():
                    (number,) = change_seq.take(connection, 1)
                    described = json.dumps(wanted | metadata, ensure_ascii=False, separators=(",", ":"))
                    connection.execute(SET, (described, number, row))


def _wanted(claim: State) -> dict[str, Any]:
    facts = {"requested_size": claim.get("size"), "storage_class": claim.get("class")}
    return {name: fact for name, fact in facts.items() if fact is not None}

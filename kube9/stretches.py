"""What was watched: stretches of time without a break, extended by proof alone.

The gap between two stretches of a resource stands with the later one: its cause, and from when on it was refilled.
"""

import sqlite3
from collections.abc import Iterator

from kube9.model import Proof

LATEST = "SELECT id, to_at FROM coverage WHERE resource = ? AND cluster_id IS ? ORDER BY to_at DESC, id DESC LIMIT 1"
NEWEST = "SELECT max(to_at) FROM coverage WHERE resource = ?"
BEGIN = "INSERT INTO coverage (cluster_id, resource, from_at, to_at, cause, recovered_from) VALUES (?, ?, ?, ?, ?, ?)"
EXTEND = "UPDATE coverage SET to_at = ? WHERE id = ?"
INTERRUPT = """
INSERT INTO coverage (cluster_id, resource, from_at, to_at, cause, recovered_from)
SELECT cluster_id, resource, :until, :until, 'storage_unavailable', max(max(to_at), :kept_from)
FROM coverage
WHERE resource <> 'import'
GROUP BY cluster_id, resource
HAVING max(to_at) BETWEEN :watched_since AND :until
"""
# The last stretch of each stays, because what is proven next goes on from it.
FORGET = """
DELETE FROM coverage
WHERE id IN (
    SELECT id
    FROM coverage AS old
    WHERE resource <> 'import' AND to_at < :before AND EXISTS (
        SELECT 1
        FROM coverage
        WHERE resource = old.resource AND cluster_id IS old.cluster_id AND (to_at, id) > (old.to_at, old.id)
    )
    ORDER BY to_at, id
    LIMIT :size
)
"""
# What a file told is known as long as anything is kept of that time.
FORGET_IMPORTED = """
DELETE FROM coverage
WHERE id IN (
    SELECT id
    FROM coverage AS old
    WHERE resource = 'import' AND to_at < :before
        AND NOT EXISTS (SELECT 1 FROM events WHERE last_seen_at BETWEEN old.from_at AND old.to_at)
    LIMIT :size
)
"""
FORGOTTEN_AT_ONCE = 500
IMPORTED = "SELECT 1 FROM coverage WHERE resource = 'import' AND cluster_id IS ? AND from_at <= ? AND to_at >= ?"


def prove(connection: sqlite3.Connection, cluster_id: int | None, proof: Proof) -> None:
    """Extend a resource's stretch up to a proof, or begin another behind a gap.

    Only the last stretch of a resource grows: one of another cluster, or of one namespace, that came between ends it.
    """
    latest = connection.execute(LATEST, (proof.resource, cluster_id)).fetchone()
    (newest,) = connection.execute(NEWEST, (proof.resource,)).fetchone()
    if latest is None or proof.cause or latest[1] < newest:
        at = max(proof.at, newest or "")  # the clock may have been set back
        cause, recovered_from = proof.cause, proof.recovered_from
        if cause is None:  # so short that it would be no gap, had the same cluster been watched before it
            cause, recovered_from = ("not_running", newest) if newest else ("before_first_recording", recovered_from)
        connection.execute(BEGIN, (cluster_id, proof.resource, at, at, cause, recovered_from))
    elif proof.at > latest[1]:
        connection.execute(EXTEND, (proof.at, latest[0]))


def interrupt(connection: sqlite3.Connection, *, watched_since: str, until: str, kept_from: str) -> None:
    """Begin another stretch of all that was watched, because nothing could be written before `until`.

    What ended before `watched_since` was not watched when the writing failed, and keeps its own gap. What was read
    meanwhile waited, but for what the API server kept no longer than since `kept_from`.
    """
    given = {"watched_since": watched_since, "until": until, "kept_from": kept_from}
    connection.execute(INTERRUPT, given)


def forget(connection: sqlite3.Connection, before: str) -> Iterator[int]:
    """Delete the stretches that ended before a time, oldest first; yields how many went with each transaction."""
    for sql in (FORGET, FORGET_IMPORTED):
        gone = FORGOTTEN_AT_ONCE
        while gone == FORGOTTEN_AT_ONCE:
            gone = connection.execute(sql, {"before": before, "size": FORGOTTEN_AT_ONCE}).rowcount
            if gone:
                yield gone


def imported(connection: sqlite3.Connection, cluster_id: int | None, first: str, last: str) -> None:
    """Note what a file told of; nothing when another file told of all of it."""
    if connection.execute(IMPORTED, (cluster_id, first, last)).fetchone() is None:
        connection.execute(BEGIN, (cluster_id, "import", first, last, "imported_only", None))

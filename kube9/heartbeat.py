"""The sign of life that a recorder leaves in the database, for whoever asks it: `kube9 query status`, `/readyz`."""

import json
import os
import sqlite3

from kube9 import health, times
from kube9.health import Database, Facts, Health
from kube9.version import __version__

BEAT = """
INSERT OR REPLACE INTO heartbeat (
    id, beat_at, started_at, pid, version, health, queue_size, dropped_total, watch, problems, namespace)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def write(connection: sqlite3.Connection, facts: Facts, *, dropped: int, now_ms: int) -> Health:
    """Write the verdict about a recorder, and commit it.

    Args:
        connection: of the writer.
        facts: what is known, of the database apart: who reads this row knows that it was committed.
        dropped: how many events were not recorded since the start.
        now_ms: the present.

    Returns: the verdict. Raises sqlite3.Error.
    """
    at = times.iso(now_ms)
    verdict = health.judge(facts._replace(database=Database(last_commit_at=at)), now_ms)
    watches = {watch.resource: health.report(watch, now_ms) for watch in facts.watches}
    row = (
        at, facts.started_at, os.getpid(), __version__, verdict.state, facts.queue_size, dropped, json.dumps(watches),
        json.dumps(verdict.problems), facts.namespace,
    )  # fmt: skip
    connection.execute(BEAT, row)
    return verdict

"""Retention: events that are older than what is kept are deleted, oldest first, in short transactions.

With an event go its occurrences and links. What is gone is noted in the same transaction, so that an answer about that
time says so.
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from kube9 import times, transaction
from kube9.model import next_id
from kube9.vocabulary import SEVERITIES

BATCH = 200  # events in a transaction; an event takes a page in each of ten indexes
EARLY = ("", "", 0, 0)  # before all that is in the index

# By the index on (severity, last_seen_at, event_type, count), from where the batch before ended: what is spared there is not
# looked at again. What was brought in by hand is as old as its arrival, else the next start would undo an import.
DUE = """
severity = :severity
    AND last_seen_at > '0'
    AND last_seen_at < :before
    AND (origin = 'watch' OR recorded_at < :brought_in_before)
"""
LOOK = f"""
SELECT id, {DUE}, last_seen_at, event_type, count, rowid
FROM events
WHERE severity = :severity
    AND last_seen_at < :before
    AND (last_seen_at, event_type, count, rowid) > (:last_seen_at, :event_type, :count, :rowid)
ORDER BY last_seen_at, event_type, count, rowid
LIMIT :size
"""
# CROSS JOIN, because else SQLite goes through all that is due by the index.
STILL_DUE = f"SELECT events.id FROM json_each(:ids) CROSS JOIN events ON events.id = value WHERE {DUE}"
TAKEN = "SELECT id FROM events WHERE id IN (SELECT value FROM json_each(?))"
DELETE = "DELETE FROM events WHERE id IN (SELECT value FROM json_each(?)) RETURNING last_seen_at"
COUNT = f"SELECT count(*) FROM events WHERE {DUE}"
# All before it is gone. Of a time to come that a wrong clock noted, what is true is that all up to now went.
NOTE = """
INSERT INTO evictions (severity, cause, before_at, evicted_at)
VALUES (:severity, :cause, :before_at, :now)
ON CONFLICT (severity, cause) DO UPDATE
SET before_at = max(min(before_at, excluded.evicted_at), excluded.before_at), evicted_at = excluded.evicted_at
"""
# Recorded earlier, or read afterwards from an API server that keeps events for longer.
RECORDED_BEFORE = """
SELECT 1 FROM coverage WHERE resource = 'events' AND coalesce(recovered_from, from_at) < ? LIMIT 1
"""


class Limit(NamedTuple):
    """Which events of a severity go, and why. Times are ISO 8601 text.

    What did not come from a watch goes only when it was recorded before `brought_in_before` too.
    """

    severity: str
    before: str  # what was last seen earlier goes
    brought_in_before: str
    cause: str = "older_than_retention"


class Policy(NamedTuple):
    """How long events are kept after they were last seen, in milliseconds; None is for ever."""

    info_warning_ms: int | None = 7 * times.DAY_MS
    error_critical_ms: int | None = 30 * times.DAY_MS

    def kept_ms(self, severity: str) -> int | None:
        """How long events of a severity are kept."""
        return self.info_warning_ms if severity in SEVERITIES[:2] else self.error_critical_ms

    def limits(self, now_ms: int) -> list[Limit]:
        """What is past it at a time, in milliseconds since 1970: a limit for each severity that is not kept for ever."""
        ages = {severity: self.kept_ms(severity) for severity in SEVERITIES}
        cuts = {severity: times.iso(now_ms - age_ms) for severity, age_ms in ages.items() if age_ms is not None}
        return [Limit(severity, before, before) for severity, before in cuts.items()]

    @property
    def longest_ms(self) -> int | None:
        """How long the longest-lived events are kept."""
        if self.info_warning_ms is None or self.error_critical_ms is None:
            return None
        return max(self.info_warning_ms, self.error_critical_ms)

    def __str__(self) -> str:
        said = ("for ever" if ms is None else f"for {days(ms)}" for ms in self)
        return "info and warning events {}, error and critical ones {}".format(*said)


FOR_EVER = Policy(None, None)


def days(ms: int) -> str:
    """`7 d`, `0.5 d`."""
    return f"{ms / times.DAY_MS:.6g} d"


def sweep(connection: sqlite3.Connection, limits: list[Limit], *, now_ms: int, size: int = BATCH) -> Iterator[tuple[str, int]]:
    """Delete what is past the limits, a batch each time it is gone on with; yields the severity and how many went.

    Between two batches nothing is held: whoever calls it decides who else may write, and when it is enough. It may be
    left at any time, and begun again.

    Args:
        connection: that may write, with foreign_keys=ON.
        limits: in the order in which they are to be kept.
        now_ms: the present, milliseconds since 1970.
        size: most events in a transaction.

    Raises:
        sqlite3.Error: of a batch, of which nothing was done.
    """
    for limit in limits:
        place: tuple[Any, ...] = EARLY
        spared: list[str] = []
        while found := connection.execute(LOOK, _from(limit, place, size)).fetchall():
            place = found[-1][2:]
            due = [key for key, is_due, *_ in found if is_due]
            gone, left = _delete(connection, limit, due, now_ms) if due else (0, [])
            spared += left
            yield limit.severity, gone
        while spared:  # for one that may be gone now
            tried, spared = spared, []
            for start in range(0, len(tried), size):
                gone, left = _delete(connection, limit, tried[start : start + size], now_ms)
                spared += left
                yield limit.severity, gone
            if len(spared) == len(tried):
                break


def count(connection: sqlite3.Connection, limits: list[Limit]) -> dict[str, int]:
    """How many events `sweep` would delete, by severity."""
    return {limit.severity: connection.execute(COUNT, limit._asdict()).fetchone()[0] for limit in limits}


def note(connection: sqlite3.Connection, limits: list[Limit], *, read_from: str, now_ms: int) -> None:
    """Say of limits that were swept that nothing before them is kept, where it was recorded at all.

    `read_from` is how far back a list of the API server may tell: what is older than is kept is left out of it.
    """
    reached = [
        limit
        for limit in limits
        if read_from < limit.before or connection.execute(RECORDED_BEFORE, (limit.before,)).fetchone() is not None
    ]
    if reached:
        with transaction.immediate(connection):
            connection.executemany(NOTE, [_noted(limit, limit.before, now_ms) for limit in reached])


def _from(limit: Limit, place: tuple[Any, ...], size: int) -> dict[str, Any]:
    names = ("last_seen_at", "event_type", "count", "rowid")
    return limit._asdict() | dict(zip(names, place, strict=True)) | {"size": size}


def _delete(connection: sqlite3.Connection, limit: Limit, ids: list[str], now_ms: int) -> tuple[int, list[str]]:
    """Delete those of these events that are still due. Returns how many went, and which were spared."""
    with transaction.immediate(connection):
        # Another process may have updated some since they were looked for.
        due = {key for (key,) in connection.execute(STILL_DUE, limit._asdict() | {"ids": json.dumps(ids)})}
        leading = _leading(connection, due)
        gone = connection.execute(DELETE, (json.dumps([*due - leading]),)).fetchall()
        if gone:
            reached = _behind(max(last_seen_at for (last_seen_at,) in gone)) or limit.before
            connection.execute(NOTE, _noted(limit, reached, now_ms))
    return len(gone), [*leading]


def _leading(connection: sqlite3.Connection, due: set[str]) -> set[str]:
    """Those that an event which stays may be found by.

    An event whose id was taken has the next one and is looked for from the first on: where that is gone, a repeat would be
    stored as another event. So the first stays as long as the next, which is rare.
    """
    before = {next_id(key): key for key in due}
    staying = {key for (key,) in connection.execute(TAKEN, (json.dumps([*before]),))} - due
    leading: set[str] = set()
    while staying:
        staying = {before[key] for key in staying if key in before}
        leading |= staying
    return leading


def _behind(at: str) -> str | None:
    """The millisecond behind a time; None when it is none, which another program may have written."""
    try:
        return times.iso(times.ms(at) + 1)
    except ValueError:
        return None


def _noted(limit: Limit, before_at: str, now_ms: int) -> dict[str, str]:
    return {"severity": limit.severity, "cause": limit.cause, "before_at": before_at, "now": times.iso(now_ms)}

"""What of a window of time was watched: is an answer empty, or was nobody looking?

A row of the table `coverage` is a stretch that was watched without a break, and tells of the gap before it. Answers rest
on the resource `events`; the others are watched for the events that kube9 derives from them.
"""

from kube9 import errors, times

EVENTS = "events"
MOST_GAPS = 50  # in an answer, the newest
ALIVE_MS = 60_000  # a recorder with a sign of life younger than this runs
PROVEN_MS = 90_000  # a watch without lines is proven every 30 s: what is younger than this is no gap
ALIKE_MS = 90_000  # gaps of several resources that begin and end so near to each other are one

# From value to value by the index. A resource that the recorder has stopped to watch, because it was told so, has no gap.
OTHERS = """
WITH RECURSIVE known (resource) AS (
    SELECT min(resource) FROM coverage
    UNION ALL
    SELECT (SELECT min(resource) FROM coverage WHERE resource > known.resource) FROM known WHERE resource IS NOT NULL
)
SELECT resource
FROM known
WHERE resource NOT IN ('events', 'import') AND (
    NOT EXISTS (SELECT 1 FROM heartbeat)
    OR resource IN (SELECT key FROM heartbeat, json_each(CASE WHEN json_valid(watch) THEN watch ELSE '{}' END))
)
"""
STRETCH = "SELECT from_at, to_at, cause, recovered_from, after_at, watched_ms, known_ms FROM coverage WHERE resource = ?"
FIRST, LAST = f"{STRETCH} ORDER BY to_at LIMIT 1", f"{STRETCH} ORDER BY to_at DESC LIMIT 1"
NEXT = f"{STRETCH} AND to_at >= ? ORDER BY to_at LIMIT 1"
WITHIN = f"{STRETCH} AND to_at > ? AND to_at <= ? ORDER BY to_at DESC LIMIT {MOST_GAPS + 1}"
IMPORTED = "SELECT from_at, to_at FROM coverage WHERE resource = 'import' ORDER BY from_at"
EVICTED = "SELECT severity, cause, before_at FROM evictions WHERE before_at > ?"
BEAT = "SELECT beat_at FROM heartbeat"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kube9.store import Connection

    Gap = dict[str, Any]


class Coverage:
    """What of a window was watched. Times are ISO 8601 text, None where nothing was ever recorded.

    `gaps` are dicts as answers have them, oldest first; `more_gaps` says that older ones are left out. `percent` is how
    much of the window nothing is missing of: it was watched, or read afterwards, and is still kept.
    """

    __slots__ = ("complete", "covered_seconds", "from_at", "gaps", "more_gaps", "percent", "to_at")

    def __init__(self, from_at: str | None, to_at: str | None) -> None:
        self.from_at, self.to_at = from_at, to_at
        self.covered_seconds, self.complete, self.percent = 0, False, 0.0
        self.gaps: list[Gap] = []
        self.more_gaps = False


def read(connection: "Connection", since: str | None, until: str | None, *, severities: list[str], now_ms: int) -> Coverage:
    """What of a window was watched, as a connection sees the database.

    Args:
        connection: of a database.
        since: begin of the window; None is the first recording.
        until: end of the window; None is the present, or the last proof while the recorder is at work.
        severities: those asked for; what is no longer kept of others is no gap.
        now_ms: the present, milliseconds since 1970.
    """
    events, imported = _Track(connection, EVENTS), connection.execute(IMPORTED).fetchall()
    begin = since or min([row[0] for row in (events.first, *imported[:1]) if row], default=None)
    if begin is None:
        return Coverage(None, None)
    end, why = _present(connection, events.last, now_ms)
    end = max(begin, min(end, until or end))
    found = Coverage(begin, end)
    others = [_Track(connection, resource) for (resource,) in connection.execute(OTHERS).fetchall()]
    tracks = [events, *others]
    gaps = _together([track.gaps(begin, end, why) for track in tracks])
    complete = all(gap["recovered"] for gap in gaps) and all(track.is_known(begin, end) for track in tracks if track.cut)
    evicted = [row for row in connection.execute(EVICTED, (begin,)).fetchall() if row[0] in severities]
    gaps = [*_with_imports(gaps, imported), *_evicted(begin, end, evicted, severities)]
    gaps.sort(key=lambda gap: gap["to"])
    found.gaps, found.more_gaps = gaps[-MOST_GAPS:], len(gaps) > MOST_GAPS or any(track.cut for track in tracks)
    found.complete = complete and not evicted
    found.covered_seconds = events.watched_ms(begin, end) // 1000
    kept_from = min(max([begin, *(before for _, _, before in evicted)]), end)
    length_ms = _ms(end) - _ms(begin)
    found.percent = 100 * events.known_ms(kept_from, end) / length_ms if length_ms else 100.0
    return found


def demand(found: Coverage, percent: float) -> None:
    """Raise FailedPrecondition where more of the window is missing than may be."""
    if found.percent >= percent:
        return
    from kube9 import account  # typing: 6 ms

    what = f"{account.percent(found)} of the time asked for is covered, and {percent:g}% is required"
    raise errors.FailedPrecondition(what, account.gap_lines(found) or account.line(found))


class _Track:
    """The stretches of one resource."""

    def __init__(self, connection: "Connection", resource: str) -> None:
        self.connection, self.resource = connection, resource
        self.first, self.last = (connection.execute(sql, (resource,)).fetchone() for sql in (FIRST, LAST))
        self.cut = False  # `gaps` left out older ones

    def gaps(self, begin: str, end: str, why: str) -> "list[Gap]":
        """The gaps of a window, newest first; `why` nobody watches behind the last stretch."""
        found: list[Gap] = []
        if begin == end:
            return found
        if not self.last:
            return [_gap(begin, end, "before_first_recording", self.resource)]
        if self.last[1] < end:
            found.append(_gap(max(begin, self.last[1]), end, why, self.resource))
        behind = self._next(end)  # its gap may begin within the window
        rows = self.connection.execute(WITHIN, (self.resource, begin, behind[1])).fetchall()
        self.cut = len(rows) > MOST_GAPS
        for from_at, _, cause, recovered_from, after_at, _, _ in rows[:MOST_GAPS]:
            first, last = max(begin, after_at or begin), min(from_at, end)
            if first < last:
                middle = last if recovered_from is None else min(max(first, recovered_from), last)
                if middle < last:
                    found.append(_gap(middle, last, cause, self.resource, recovered=True))
                if first < middle:
                    found.append(_gap(first, middle, cause, self.resource))
        if self.first[4] and begin < self.first[4]:  # the stretches before it are no longer kept
            found.append(_gap(begin, min(self.first[4], end), "older_than_retention", self.resource))
        return found

    def watched_ms(self, begin: str, end: str) -> int:
        """How much of a window was watched, in milliseconds."""
        return self._sums(end)[0] - self._sums(begin)[0]

    def known_ms(self, begin: str, end: str) -> int:
        """How much of a window was watched or read afterwards, in milliseconds."""
        return self._sums(end)[1] - self._sums(begin)[1]

    def is_known(self, begin: str, end: str) -> bool:
        """Whether all of a window was watched or read afterwards."""
        return self.known_ms(begin, end) == _ms(end) - _ms(begin)

    def _sums(self, at: str) -> tuple[int, int]:
        """How much was watched, and how much watched or read afterwards, up to a time; from the first stretch on."""
        if not self.last:
            return 0, 0
        from_at, to_at, _, recovered_from, _, watched_ms, known_ms = self._next(at)
        at_ms, from_ms = _ms(min(at, to_at)), _ms(from_at)
        if at_ms >= from_ms:
            return watched_ms + at_ms - from_ms, known_ms + at_ms - from_ms
        if recovered_from:
            known_ms -= max(0, from_ms - max(at_ms, _ms(recovered_from)))
        return watched_ms, known_ms

    def _next(self, at: str) -> "tuple[Any, ...]":
        """The stretch that goes on at a time, else the next one, else the last."""
        found: tuple[Any, ...] | None = self.connection.execute(NEXT, (self.resource, at)).fetchone()
        return found or self.last


def _present(connection: "Connection", last: "tuple[Any, ...] | None", now_ms: int) -> tuple[str, str]:
    """Where a window ends that has no end, and why nobody watches behind the last stretch."""
    now = times.iso(now_ms)
    beat = connection.execute(BEAT).fetchone()
    if beat is None or beat[0] < times.iso(now_ms - ALIVE_MS):
        return now, "not_running"
    return (last[1] if last and last[1] > times.iso(now_ms - PROVEN_MS) else now), "disconnected"


def _together(found: "list[list[Gap]]") -> "list[Gap]":
    """The gaps of all resources, those of `events` first; what all of them have is told once, without a resource."""
    events, *others = found
    told = list(events)
    shared = [0] * len(events)
    for gaps in others:
        start = 0  # both lists are newest first
        for gap in gaps:
            while start < len(events) and events[start]["from"] >= gap["to"]:
                start += 1
            index = start
            while index < len(events) and events[index]["to"] > gap["from"] and not _alike(events[index], gap):
                index += 1
            if index < len(events) and events[index]["to"] > gap["from"]:
                shared[index] += 1
            else:
                told.append(gap)
    for gap, count in zip(events, shared, strict=True):
        if count >= len(others):
            gap["resource"] = None
    return told


def _alike(one: "Gap", other: "Gap") -> bool:
    return (
        one["cause"] == other["cause"]
        and one["recovered"] == other["recovered"]
        and all(abs(_ms(one[side]) - _ms(other[side])) <= ALIKE_MS for side in ("from", "to"))
    )


def _with_imports(gaps: "list[Gap]", imported: "list[tuple[str, str]]") -> "list[Gap]":
    """The gaps, those of events cut where a file tells what happened."""
    found = []
    for gap in gaps:
        at = gap["from"]
        if not gap["recovered"] and gap["resource"] in (None, EVENTS):
            for begin, end in imported:  # by their begin; they may overlap
                begin, end = max(begin, at), min(end, gap["to"])
                if begin < end:
                    if at < begin:
                        found.append(gap | {"from": at, "to": begin})
                    found.append(gap | {"from": begin, "to": end, "cause": "imported_only"})
                    at = end
        if at < gap["to"]:
            found.append(gap | {"from": at})
    return found


def _evicted(begin: str, end: str, evicted: "list[tuple[str, str, str]]", severities: list[str]) -> "list[Gap]":
    """What is no longer kept of a window, once for each cause and time."""
    gone: dict[tuple[str, str], list[str]] = {}
    for severity, cause, before in sorted(evicted, key=lambda row: severities.index(row[0])):
        gone.setdefault((cause, min(before, end)), []).append(severity)
    return [
        _gap(begin, before, cause, None) | {"severities": found} for (cause, before), found in gone.items() if begin < before
    ]


def _gap(begin: str, end: str, cause: str, resource: str | None, *, recovered: bool = False) -> "Gap":
    return {"from": begin, "to": end, "cause": cause, "recovered": recovered, "resource": resource, "severities": None}


def _ms(at: str) -> int:
    try:
        return times.parse(at, 0)
    except ValueError as error:
        raise errors.DataLoss("the database is damaged", f'a time in the table coverage, "{at}", is {error}') from None

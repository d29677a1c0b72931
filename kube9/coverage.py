"""What of a window of time was watched: is an answer empty, or was nobody looking?

A row of the table `coverage` is a stretch that was watched without a break, and tells of the gap before it. Answers rest
on the resource `events`; the others are watched for the events that kube9 derives from them.
"""

from kube9 import times
from kube9.unwatched import EVENTS, MOST_GAPS, Gap, all_gaps, ms_of

ALIVE_MS = 60_000  # a recorder with a sign of life younger than this runs
PROVEN_MS = 90_000  # a watch without lines is proven every 30 s: what is younger than this is no gap

ENDS = "SELECT {}(to_at), from_at, after_at FROM coverage WHERE resource = 'events'"
SUMS = """
SELECT from_at, to_at, recovered_from, watched_ms, known_ms
FROM coverage
WHERE resource = ? AND to_at >= ?
ORDER BY to_at
LIMIT 1
"""
IMPORTED = "SELECT from_at, to_at FROM coverage WHERE resource = 'import' ORDER BY from_at"
EVICTED = "SELECT severity, cause, before_at FROM evictions WHERE before_at > ?"
BEAT = "SELECT beat_at FROM heartbeat"
SCOPES = "SELECT from_at, namespace, recovered_from, after_at FROM scopes ORDER BY id"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kube9.reach import Span
    from kube9.store import Connection


class Coverage:
    """What of a window was watched. Times are ISO 8601 text, None where nothing was ever recorded.

    `gaps` are the newest, oldest first; `more_gaps` says that there are older ones. `percent` is how much of the window
    nothing is missing of: it was watched, or read afterwards, and is still kept.
    """

    __slots__ = ("begin", "complete", "covered_seconds", "end", "gaps", "more_gaps", "percent")

    def __init__(self, begin: str | None, end: str | None) -> None:
        self.begin, self.end = begin, end
        self.covered_seconds, self.complete, self.percent = 0, False, 0.0
        self.gaps: list[Gap] = []
        self.more_gaps = False


def read(
    connection: "Connection",
    since: str | None,
    until: str | None,
    *,
    severities: list[str],
    namespaces: list[str] | None = None,
    now_ms: int,
) -> Coverage:
    """What of a window was watched, as a connection sees the database.

    Args:
        connection: of a database.
        since: begin of the window; None is the first recording.
        until: end of the window; None is the present, or the last proof while the recorder is at work.
        severities: those asked for; what is no longer kept of others is no gap.
        namespaces: those asked for, None for all; while only one was watched, answers about it alone are covered.
        now_ms: the present, milliseconds since 1970.

    Raises:
        DataLoss: a time in the database is none.
    """
    (first,), (last,) = (connection.execute(ENDS.format(which)).fetchall() for which in ("min", "max"))
    imported = connection.execute(IMPORTED).fetchall()
    begin = since or min([at for at in (first[1], *(row[0] for row in imported[:1])) if at], default=None)
    if begin is None:
        return Coverage(None, None)
    present, why, proven_from = _present(connection, last[0], now_ms)
    end = max(begin, min(until or present, present))
    outside: list[Span] = []
    left_out: tuple[str, ...] = ()
    scopes = connection.execute(SCOPES).fetchall()
    if scopes:
        from kube9 import reach  # which most databases do not need

        outside = reach.out_of_reach(scopes, namespaces, begin=begin, end=end, last=last[0] or end)
        left_out = reach.CLUSTER_WIDE if namespaces else ()
    gaps, cut = all_gaps(connection, begin, end, why, proven_from, outside, left_out)
    if first[2] and begin < first[2]:  # the stretches before it are no longer kept
        gaps.append(Gap(begin, min(first[2], end), "older_than_retention", None))
    complete = all(gap.recovered for gap in gaps) and all(_is_known(connection, name, begin, end) for name in cut)
    evicted = [row for row in connection.execute(EVICTED, (begin,)).fetchall() if row[0] in severities]
    gaps = [*_with_imports(gaps, imported), *_evicted(begin, end, evicted, severities)]
    gaps.sort(key=lambda gap: gap.end)
    found = Coverage(begin, end)
    found.gaps, found.more_gaps = gaps[-MOST_GAPS:], bool(cut) or len(gaps) > MOST_GAPS
    found.complete = complete and not evicted
    watched, known = _within(connection, begin, end, last[0], outside)
    found.covered_seconds = watched // 1000
    if evicted:
        kept_from = min(max(begin, *(before for _, _, before in evicted)), end)
        known = _within(connection, kept_from, end, last[0], outside)[1]
    length_ms = ms_of(end) - ms_of(begin)
    found.percent = 100 * known / length_ms if length_ms else 100.0
    return found


def _present(connection: "Connection", proven_at: str | None, now_ms: int) -> tuple[str, str, str]:
    """Where a window without an end ends, why nobody watches behind it, and after which time a last proof is young."""
    now = times.iso(now_ms)
    beat = connection.execute(BEAT).fetchone()
    if beat is None or beat[0] < times.iso(now_ms - ALIVE_MS):
        return now, "not_running", now
    proven_from = times.iso(now_ms - PROVEN_MS)
    return (proven_at if proven_at and proven_at > proven_from else now), "disconnected", proven_from


def _is_known(connection: "Connection", resource: str, begin: str, end: str) -> bool:
    """Whether all of a window was watched or read afterwards; it ends before the last stretch of the resource does."""
    return _sums(connection, resource, end, end)[1] - _sums(connection, resource, begin, end)[1] == ms_of(end) - ms_of(begin)


def _within(connection: "Connection", begin: str, end: str, last: str | None, outside: "list[Span]") -> tuple[int, int]:
    """How long events were watched in a window, and how long they were or were read afterwards: milliseconds."""
    (watched, known), before = (_sums(connection, EVENTS, at, last) for at in (end, begin))
    watched, known = watched - before[0], known - before[1]
    for span in outside:
        first, until = max(span.begin, begin), span.end
        if first < until:
            lost = _within(connection, first, until, last, [])
            watched, known = watched - lost[0], known - lost[1] + ms_of(until) - ms_of(max(first, span.known_from))
    return watched, known


def _sums(connection: "Connection", resource: str, at: str, last: str | None) -> tuple[int, int]:
    """How much was watched, and how much watched or read afterwards, up to a time: milliseconds from the first stretch on.

    Args:
        connection: of a database.
        resource: the resource.
        at: the time.
        last: where its last stretch ends.
    """
    found = connection.execute(SUMS, (resource, min(at, last or at))).fetchone()
    if not found:
        return 0, 0
    from_at, to_at, recovered_from, watched_ms, known_ms = found
    at_ms, from_ms = ms_of(min(at, to_at)), ms_of(from_at)
    if at_ms >= from_ms:
        return watched_ms + at_ms - from_ms, known_ms + at_ms - from_ms
    if recovered_from:
        known_ms -= max(0, from_ms - max(at_ms, ms_of(recovered_from)))
    return watched_ms, known_ms


def _with_imports(gaps: list[Gap], imported: list[tuple[str, str]]) -> list[Gap]:
    """The gaps, those of events cut where a file tells what happened."""
    if not imported:
        return gaps
    found = []
    for gap in gaps:
        at = gap.begin
        if not gap.recovered and gap.resource in (None, EVENTS):
            for begin, end in imported:  # by their begin; they may overlap
                begin, end = max(begin, at), min(end, gap.end)
                if begin < end:
                    if at < begin:
                        found.append(Gap(at, begin, gap.cause, gap.resource))
                    found.append(Gap(begin, end, "imported_only", gap.resource))
                    at = end
        if at < gap.end:
            found.append(Gap(at, gap.end, gap.cause, gap.resource, recovered=gap.recovered))
    return found


def _evicted(begin: str, end: str, evicted: list[tuple[str, str, str]], severities: list[str]) -> list[Gap]:
    """What is no longer kept of a window, once for each cause and time."""
    gone: dict[tuple[str, str], Gap] = {}
    for severity, cause, before in sorted(evicted, key=lambda row: severities.index(row[0])):
        gap = gone.setdefault((cause, before), Gap(begin, min(before, end), cause, None))
        gap.severities = [*(gap.severities or []), severity]
    return [gap for gap in gone.values() if gap.begin < gap.end]

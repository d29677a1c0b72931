"""The gaps in a window of time: what lay between the stretches that were watched, of events and of the other resources."""

from kube9 import errors, times

EVENTS = "events"
MOST_GAPS = 20  # in an answer, the newest
START_MS = 10_000  # resources that are first listed so soon after events were recorded from the start on
ALIKE_MS = 90_000  # gaps of several resources that begin and end so near to each other are one

# From value to value by the index. A resource that the recorder was told to watch no longer has no gap.
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
# Those that end within a window, and the one that ends behind it, whose gap may begin within; the newest first.
STRETCHES = f"""
SELECT from_at, to_at, cause, recovered_from, after_at
FROM coverage
WHERE resource = :resource
  AND to_at > :begin
  AND to_at <= coalesce((SELECT min(to_at) FROM coverage WHERE resource = :resource AND to_at >= :end), :end)
ORDER BY to_at DESC
LIMIT {MOST_GAPS + 1}
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kube9.reach import Span
    from kube9.store import Connection


class Gap:
    """A part of a window that was not watched, or is not there any more. Times are ISO 8601 text.

    `resource` is None for all, and so is `severities`.
    """

    __slots__ = ("begin", "cause", "end", "recovered", "resource", "severities")

    def __init__(self, begin: str, end: str, cause: str, resource: str | None, *, recovered: bool = False) -> None:
        self.begin, self.end, self.cause, self.resource, self.recovered = begin, end, cause, resource, recovered
        self.severities: list[str] | None = None


def all_gaps(
    connection: "Connection",
    begin: str,
    end: str,
    why: str,
    proven_from: str,
    outside: "list[Span]",
    left_out: tuple[str, ...],
) -> tuple[list[Gap], list[str]]:
    """The gaps of a window, and the resources whose older ones are left out. A gap that all resources have is told once.

    Args:
        connection: of a database.
        begin: of the window.
        end: of the window.
        why: the cause of a gap behind the last stretch of a resource.
        proven_from: a last stretch that ends later than this is not over.
        outside: what is out of reach, because another namespace was watched.
        left_out: resources that nothing is missed of.

    Raises:
        DataLoss: a time in the database is none.
    """
    events, more = _gaps_of(connection, EVENTS, begin, end, why, proven_from)
    cut = [EVENTS] if more else []
    together = _Together(_without(events, outside))
    for (resource,) in connection.execute(OTHERS).fetchall():
        if resource not in left_out:
            gaps, more = _gaps_of(connection, resource, begin, end, why, proven_from)
            cut += [resource] if more else []
            together.add(resource, _without(gaps, outside))
    scoped = [Gap(*part[:2], "outside_scope", None, recovered=part[2]) for span in outside for part in span.parts()]
    return together.told() + scoped, cut


def _without(gaps: list[Gap], outside: "list[Span]") -> list[Gap]:
    """The parts of gaps that are within reach."""
    if not outside:
        return gaps
    from kube9 import reach

    pieces = ((gap, piece) for gap in gaps for piece in reach.rest(gap.begin, gap.end, outside))
    return [Gap(*piece, gap.cause, gap.resource, recovered=gap.recovered) for gap, piece in pieces]


class _Together:
    """The gaps of events, and beside each what other resources missed at that time. All lists are newest first."""

    def __init__(self, events: list[Gap]) -> None:
        self.events, self.others = events, 0
        self.spans = [(ms_of(gap.begin), ms_of(gap.end)) for gap in events]
        self.alike: list[list[Gap]] = [[] for _ in events]
        self.unwatched: list[set[str]] = [set() for _ in events]
        self.apart: list[Gap] = []

    def add(self, resource: str, gaps: list[Gap]) -> None:
        """Put the gaps of another resource beside those of events."""
        self.others += 1
        index = 0
        for gap in gaps:
            while index < len(self.events) and self.events[index].begin >= gap.end:
                index += 1
            place = self._alike(resource, gap, index)
            (self.apart if place is None else self.alike[place]).append(gap)

    def _alike(self, resource: str, gap: Gap, index: int) -> int | None:
        """The place of the gap that is the same for events, from an index on."""
        begin_ms, end_ms = ms_of(gap.begin), ms_of(gap.end)
        for place in range(index, len(self.events)):
            event, (first_ms, last_ms) = self.events[place], self.spans[place]
            if event.end <= gap.begin:
                break
            near = abs(first_ms - begin_ms) <= ALIKE_MS and abs(last_ms - end_ms) <= ALIKE_MS
            same = near and (event.cause, event.recovered) == (gap.cause, gap.recovered)
            if same or (begin_ms <= first_ms and last_ms <= end_ms):
                self.unwatched[place].add(resource)
            if same:
                return place
        return None

    def told(self) -> list[Gap]:
        """Each gap as it is told: once for all, where nobody watched any resource."""
        found = self.events + self.apart
        for gap, same, resources in zip(self.events, self.alike, self.unwatched, strict=True):
            if len(resources) == self.others:
                gap.resource = None
            else:
                found += same
        return found


def _gaps_of(
    connection: "Connection", resource: str, begin: str, end: str, why: str, proven_from: str
) -> tuple[list[Gap], bool]:
    """The gaps of a resource in a window, newest first, and whether there are more.

    Behind its last stretch it is not watched, for the reason `why`, unless that ends later than `proven_from`: each
    resource is proven in its own time.
    """
    if begin == end:
        return [], False
    stretches = connection.execute(STRETCHES, {"resource": resource, "begin": begin, "end": end}).fetchall()
    found = []
    last = stretches[0][1] if stretches else _end_before(connection, resource, begin)
    if last is None or (last < end and last <= proven_from):
        found.append(Gap(max(begin, last or begin), end, why if last else "before_first_recording", resource))
    for from_at, _, cause, recovered_from, after_at in stretches[:MOST_GAPS]:
        first, last = max(begin, after_at or begin), min(from_at, end)
        together = resource != EVENTS and cause == "before_first_recording" and ms_of(last) - ms_of(first) < START_MS
        if first < last and not together:
            middle = last if recovered_from is None else min(max(first, recovered_from), last)
            if middle < last:
                found.append(Gap(middle, last, cause, resource, recovered=True))
            if first < middle:
                found.append(Gap(first, middle, cause, resource))
    return found, len(stretches) > MOST_GAPS


def _end_before(connection: "Connection", resource: str, at: str) -> str | None:
    """Where the last stretch of a resource before a time ends; None when it was not watched."""
    sql = "SELECT max(to_at) FROM coverage WHERE resource = ? AND to_at <= ?"
    end: str | None = connection.execute(sql, (resource, at)).fetchone()[0]
    return end


def ms_of(at: str) -> int:
    """A time of the table coverage in milliseconds since 1970. Raises DataLoss where it is none."""
    try:
        return times.ms(at)
    except ValueError:
        raise errors.DataLoss("the database is damaged", f'"{at}" in the table coverage is no time') from None

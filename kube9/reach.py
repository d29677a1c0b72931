"""Which parts of a window an answer cannot tell of, because one namespace alone was watched and more was asked for.

A row of the table `scopes` says from when on what was watched: one namespace, or all of them (null). What lies before the first
row was watched of all. This is needed only where there are rows, which means where `serve --namespace` has ever recorded.
"""

CLUSTER_WIDE = ("nodes", "namespaces")  # resources that are in no namespace: an answer about one misses nothing of them
CONTAINING = "SELECT from_at FROM coverage WHERE resource = 'events' AND to_at >= ? ORDER BY to_at LIMIT 1"
ENDED = "SELECT max(to_at) FROM coverage WHERE resource = 'events' AND to_at <= ?"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kube9.store import Connection

    Scope = tuple[str, str | None, str | None]


class Span:
    """A part of a window that is out of reach. Times are ISO 8601 text; from `known_from` on it was read afterwards."""

    __slots__ = ("begin", "end", "known_from")

    def __init__(self, begin: str, end: str, known_from: str) -> None:
        self.begin, self.end, self.known_from = begin, end, known_from

    def parts(self) -> "Iterator[tuple[str, str, bool]]":
        """Begin, end and whether it was read afterwards, of what it consists of."""
        for begin, end, known in ((self.begin, self.known_from, False), (self.known_from, self.end, True)):
            if begin < end:
                yield begin, end, known


def out_of_reach(
    connection: "Connection", scopes: "list[Scope]", namespaces: list[str] | None, begin: str, end: str
) -> list[Span]:
    """The parts of a window that are out of reach, oldest first.

    Args:
        connection: of a database.
        scopes: the rows of `scopes`.
        namespaces: those that are asked for; None for all.
        begin: of the window.
        end: of the window.
    """
    found = []
    for since, until, known_from in _foreign(scopes, namespaces, end):
        # Behind the last stretch of a scope nobody watched at all, which is told as a gap like any other.
        first, last = max(since, begin), min(_watched_until(connection, min(until, end)), end)
        if first < last:
            found.append(Span(first, last, min(max(first, known_from or last), last)))
    return found


def rest(begin: str, end: str, spans: list[Span]) -> "Iterator[tuple[str, str]]":
    """What is left of a time without spans, newest first."""
    for span in reversed(spans):
        if span.begin < end and begin < span.end:
            if span.end < end:
                yield span.end, end
            end = span.begin
    if begin < end:
        yield begin, end


def _foreign(scopes: "list[Scope]", namespaces: list[str] | None, end: str) -> "Iterator[tuple[str, str, str | None]]":
    """From when until when another scope was watched, and from when on the scope behind it read afterwards."""
    since = None
    for from_at, namespace, recovered_from in scopes:
        if namespace is not None and (not namespaces or any(asked != namespace for asked in namespaces)):
            since = since or from_at
        elif since:
            yield since, from_at, recovered_from
            since = None
    if since:
        yield since, end, None


def _watched_until(connection: "Connection", at: str) -> str:
    """The time itself where events were watched just before it, else the end of the stretch before."""
    found = connection.execute(CONTAINING, (at,)).fetchone()
    if found and found[0] < at:
        return at
    ended: str | None = connection.execute(ENDED, (at,)).fetchone()[0]
    return ended or at

"""Which parts of a window an answer cannot tell of, because one namespace alone was watched and more was asked for.

A row of the table `scopes` says from when on what was watched: one namespace, or all of them (null). What lies before the first
row was watched of all. This is needed only where there are rows, which means where `serve --namespace` has ever recorded.
"""

CLUSTER_WIDE = ("nodes", "namespaces")  # resources that are in no namespace: an answer about one misses nothing of them

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Scope = tuple[str, str | None, str | None, str | None]  # from_at, namespace, recovered_from, after_at


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


def out_of_reach(scopes: "Iterable[Scope]", namespaces: list[str] | None, *, begin: str, end: str, last: str) -> list[Span]:
    """The parts of a window that are out of reach, oldest first.

    Args:
        scopes: the rows of `scopes`.
        namespaces: those that are asked for; None for all.
        begin: of the window.
        end: of the window.
        last: where the last stretch of events ends; what lies behind it is a gap like any other.
    """
    found = []
    for since, until, known_from in _elsewhere(scopes, namespaces, last):
        first, until = max(since, begin), min(until, end)
        if first < until:
            found.append(Span(first, until, min(max(first, known_from or until), until)))
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


def _elsewhere(scopes: "Iterable[Scope]", namespaces: list[str] | None, last: str) -> "Iterator[tuple[str, str, str | None]]":
    """From when until when only something else was watched, and from when on that was read afterwards.

    What the first list of one namespace told of the time before is known of that namespace alone, so it begins there.
    """
    since = None
    for from_at, namespace, recovered_from, after_at in scopes:
        if namespace is not None and (not namespaces or any(asked != namespace for asked in namespaces)):
            since = since or min(from_at, max(after_at or "", recovered_from or from_at))
        elif since:
            yield since, after_at or from_at, recovered_from
            since = None
    if since:
        yield since, last, None

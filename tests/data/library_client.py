"""A sample program over the typed library: `python library_client.py DATABASE`. mypy reads it, and it runs."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import kube9
from kube9 import Event, ListEventsRequest, ListEventsResponse


def titles(page: ListEventsResponse) -> list[str]:
    """The rows of a page are typed, by name, by index and in a loop."""
    first: Event = page[0]
    begun: datetime = first.created_at
    said = [f"{event.severity}: {event.title}" for event in page if event.created_at <= begun or event.object_name]
    return said[: len(page.events)]


def main(path: str) -> None:
    """Ask each kind of question once."""
    with kube9.connect(path) as db:
        page = db.events.list(severity=["error", "critical"], since=datetime(2026, 1, 1, tzinfo=UTC), limit=3)
        print(*titles(page), sep="\n")
        total: int = page.pagination.total
        begin: datetime | None = page.coverage.from_
        print(total, begin)

        request = ListEventsRequest(severity="warning", reason=["BackOff"], limit=2)
        asked = db.events.list(request=request, timeout=5)
        print(asked.pagination.returned, request.severity)

        rows: Iterator[Event] = db.events.list_all(min_severity="error", type=("cluster", "operator"))
        print(len(list(rows)) == db.events.list(min_severity="error", limit=1).pagination.total)

        newest = db.events.list(limit=1)[0]
        print(db.events.get(newest.id) == db.events.get(request=kube9.GetEventsRequest(id=newest.id)))
        print([row.start < row.end for row in db.events.timeline(since=timedelta_ago(hours=2), interval=timedelta(hours=1))])
        print(*sorted(row.severity or "" for row in db.events.summary(by=["severity"], since="2026-01-01")))
        print(list(db.events.watch(severity={"critical"}, timeout=0.01)))
        print(db.status().health, db.capabilities().contract_version)
        try:
            db.events.get("evt_nope")
        except kube9.Kube9Error as error:
            print(error.code)


def timedelta_ago(hours: int) -> datetime:
    """The time so many hours ago."""
    return datetime.now(UTC) - timedelta(hours=hours)


main(sys.argv[1])

"""Services that lose more than half of their ready endpoints, from their EndpointSlices.

A service has several slices, which are added up in a row of its own in `watched_objects`, together with the numbers of
the last minute: a restart neither forgets nor repeats. The highest number of that minute is what a fall is measured by,
so a rolling update, which keeps the number, is none. Where pods have two families of addresses, the family that has more
of them counts.

One row stands for a fall until the number is back where it was. A further fall raises its count. After an hour on the
lower level that level is the usual one.
"""

import sqlite3
from collections.abc import Iterable

from kube9 import known_objects, times
from kube9.known_objects import Key, Known
from kube9.model import Event, Objects
from kube9.object_change import Change, State, make_event

Service = tuple[str, str]  # namespace, name

SLICES = "endpointslices"
SERVICES = "services with endpoints"  # no resource of the API has a name like this
RECENT_MS = 60_000
USUAL_MS = 3_600_000
UNSETTLED = """
SELECT namespace, name
FROM watched_objects
WHERE cluster_id = ? AND resource = ? AND json_extract(state, '$.unsettled')
"""
NOTHING: State = {"slices": 0, "ready": {}, "settled": 0, "before": []}


def follow(connection: sqlite3.Connection, cluster_id: int, changes: Iterable[Change], objects: Objects) -> list[Event]:
    """Take changes of slices into the numbers of their services. Returns the falls that it shows."""
    changed = {service for change in changes for service in _add_up(connection, cluster_id, change)}
    if objects.whole:
        changed = set(connection.execute(UNSETTLED, (cluster_id, SERVICES)))
    elif objects.listed:
        # Within a list a slice that was replaced is counted twice: its end tells that the old one is gone.
        return []
    falls = [_settle(connection, cluster_id, service, objects.at) for service in sorted(changed)]
    return [event for event in falls if event]


def _add_up(connection: sqlite3.Connection, cluster_id: int, change: Change) -> list[Service]:
    services = []
    for slice_, sign in ((change.before or {}, -1), (change.after or {}, 1)):
        if "service" in slice_ and change.before != change.after:
            key = (cluster_id, SERVICES, change.namespace, slice_["service"])
            found = known_objects.find(connection, key)
            _keep(connection, key, _added(found.state if found else NOTHING, slice_, sign))
            services.append((change.namespace, slice_["service"]))
    return services


def _added(known: State, slice_: State, sign: int) -> State:
    ready = known["ready"]
    count = ready.get(slice_["family"], 0) + sign * slice_["ready"]
    return known | {"slices": known["slices"] + sign, "ready": ready | {slice_["family"]: count}, "unsettled": True}


def _settle(connection: sqlite3.Connection, cluster_id: int, service: Service, at: str) -> Event | None:
    key = (cluster_id, SERVICES, *service)
    found = known_objects.find(connection, key)
    if found is None or found.state["slices"] <= 0:
        # Its controller keeps a slice for a service without endpoints: without any, the service itself is gone.
        known_objects.forget(connection, key)
        return None
    kept, event = fall(found.state, service, at)
    _keep(connection, key, kept)
    return event


def _keep(connection: sqlite3.Connection, key: Key, state: State) -> None:
    known_objects.keep(connection, key, Known("", state, 0))


def fall(known: State, service: Service, at: str) -> tuple[State, Event | None]:
    """What is kept of a service at a time, and the event when it has lost more than half of its ready endpoints.

    Args:
        known: `slices`, `ready` by family, `settled` (the number when it was last looked at, at `settled_at`), `before`
            (numbers of the last minute, each with the milliseconds up to which it held), and `fallen` while it has.
        service: its namespace and name.
        at: ISO 8601.
    """
    now, number = times.ms(at), max(known["ready"].values(), default=0)
    before = [(until, held) for until, held in known["before"] if until > now - RECENT_MS and held > number]
    if known["settled"] > number:
        before.append((now, known["settled"]))
    fallen = known.get("fallen")
    if fallen and (number >= fallen["from"] or now - fallen["at"] > USUAL_MS):
        fallen = None
    highest, event = max((held for _, held in before), default=0), None
    if number * 2 < highest and (fallen is None or number < fallen["to"]):
        if fallen is None:
            fallen = {"since": at, "from": highest, "count": 0}
        fallen = fallen | {"to": number, "at": now, "count": fallen["count"] + 1}
        event = _event(service, fallen, at)
    kept = {"slices": known["slices"], "ready": known["ready"], "settled": number, "before": before}
    return (kept | {"fallen": fallen} if fallen else kept), event


def _event(service: Service, fallen: State, at: str) -> Event:
    return make_event(
        Change(*service, "", None, None, 0, at),
        "Service",
        key=f"EndpointsReduced:{service[1]}",
        severity="warning",
        title="Service endpoints reduced",
        description=f"{fallen['to']} of {fallen['from']} endpoints of service {service[1]} are ready",
        reason="EndpointsReduced",
        metadata={"previous_endpoints": fallen["from"], "new_endpoints": fallen["to"]},
        created_at=fallen["since"],
        last_seen_at=at,
        count=fallen["count"],
    )

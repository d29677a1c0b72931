"""What became of a watched object, and the events that are made of it."""

from typing import Any, NamedTuple

from kube9.model import DESCRIPTION_LENGTH, TITLE_LENGTH, Event, cut

State = dict[str, Any]


class Change(NamedTuple):
    """An object as it was known and as it is.

    Attributes:
        before: what was kept of it; None when it was not known.
        after: what is read of it now; None when it is gone.
        version: its resource version; 0 when it has none that is a number.
        at: when it was read.
        made: it came into being while its resource was watched, or between two of its lists.
    """

    namespace: str
    name: str
    uid: str
    before: State | None
    after: State | None
    version: int
    at: str
    made: bool = False


class Derived(NamedTuple):
    """The events of a change, and what is kept of the object."""

    events: list[Event]
    kept: State


def make_event(
    change: Change,
    kind: str,
    *,
    key: str,
    severity: str,
    title: str,
    description: str,
    reason: str,
    metadata: dict[str, Any],
    created_at: str | None = None,
    last_seen_at: str = "",
    count: int = 1,
    node: str | None = None,
) -> Event:
    """An event about the changed object.

    `key` makes its name, which is the same whenever the same thing is derived: of two deliveries of it the second
    changes nothing. Without `created_at` it happened when the change was read. Facts that are None are left out.
    """
    created_at = created_at or change.at
    return Event(
        namespace=change.namespace,
        name=f"kube9:{key}",
        created_at=created_at,
        last_seen_at=max(created_at, last_seen_at),
        count=count,
        severity=severity,
        title=cut(title, TITLE_LENGTH),
        description=cut(description, DESCRIPTION_LENGTH),
        object_kind=kind,
        object_namespace=change.namespace or None,
        object_name=change.name,
        metadata={name: fact for name, fact in metadata.items() if fact is not None},
        reason=reason,
        component="kube9",
        node=node,
        uid=None,
    )

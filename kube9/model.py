"""The event as kube9 records it, and its id."""

from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
PAIRS = [high + low for high in DIGITS for low in DIGITS]
HASHES = len(PAIRS) ** 2  # what four characters of an id can tell apart
TITLE_LENGTH = 200
DESCRIPTION_LENGTH = 1000
# How long the API server keeps an event, by default: --event-ttl of
# https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
EVENT_TTL_MS = 3_600_000


class Event(NamedTuple):
    """An event, ready to be stored. Times are ISO 8601 text; absent facts are None.

    `namespace` and `name` are those of the Event object: with the cluster and `created_at` they are its identity.
    Not the uid: an expired event may be created again under the same name and first time with another uid. An event
    that kube9 derives from a change of an object has a name that begins with `kube9:`, which no object can have; an
    event of our own (`kube9 record`) has no name, and its `id` instead.
    """

    namespace: str
    name: str  # empty for an event of our own
    created_at: str
    last_seen_at: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs
    severity: str
    title: str
    description: str | None
    object_kind: str | None
    object_namespace: str | None
    object_name: str | None
    metadata: dict[str, Any]  # only what stands in no other field
    reason: str | None
    component: str | None
    node: str | None
    uid: str | None
    event_type: str = "cluster"
    id: str = ""  # given to an event of our own when it is made; that of Kubernetes is made from its identity


class Seen(NamedTuple):
    """An object of a watched resource, reduced to what is kept of it."""

    namespace: str  # empty for cluster-scoped kinds
    name: str
    uid: str
    state: dict[str, Any] | None  # JSON; None when the object is gone


class Objects(NamedTuple):
    """Objects of a watched resource that were read at a time."""

    resource: str  # as in `resources.WATCHED`
    seen: list[Seen]
    at: str  # when they were read, for a change that carries no time of its own
    listed: bool = False  # they are part of a list
    whole: bool = False  # the last page of a list: what it did not name is gone


class Proof(NamedTuple):
    """That a resource was watched up to a time.

    Without a cause it extends the stretch that was watched so far. With one it begins another: nobody watched between
    that stretch and this time, for this cause (one of vocabulary.CAUSES); what happened from `recovered_from` on was read
    afterwards.
    """

    resource: str
    at: str
    cause: str | None = None
    recovered_from: str | None = None


class Position(NamedTuple):
    """Up to where a resource of a cluster has been read."""

    resource: str
    resource_version: str


class Batch(NamedTuple):
    """What is committed together: events, objects, and the position and the coverage that reading them reached."""

    events: list[Event]
    origin: str  # watch, import or api
    cluster: str | None = None  # uid of kube-system, or of the namespace; None where a dump does not tell
    position: Position | None = None
    proof: Proof | None = None
    objects: Objects | None = None
    namespace: str | None = None  # the only one of the cluster that is watched

    @property
    def size(self) -> int:
        """How many events and objects it holds."""
        return len(self.events) + (len(self.objects.seen) if self.objects else 0)


def event_id(created_at: str, namespace: str, name: str) -> str:
    """The id of an event of Kubernetes: `evt_YYYYMMDD_HHMMSS_xxxxxx`.

    The second and (as two characters) the millisecond of `created_at`, then four characters that are a hash of
    namespace and name, so that every recorder and every import gives the same id.
    """
    number = int.from_bytes(blake2b(f"{namespace}/{name}".encode(errors="replace"), digest_size=8).digest()) % HASHES
    return own_id(created_at, number)


def own_id(created_at: str, number: int) -> str:
    """The id of an event of our own: as `event_id`, but its last four characters are a number below HASHES."""
    return id_prefix(created_at) + _four(number)


@lru_cache(maxsize=4096)  # what happens at once comes at once
def id_prefix(created_at: str) -> str:
    """What every id of this millisecond begins with: all but the last four characters."""
    day = created_at[:4] + created_at[5:7] + created_at[8:10]
    clock = created_at[11:13] + created_at[14:16] + created_at[17:19]
    return f"evt_{day}_{clock}_{PAIRS[int(created_at[20:23])]}"


def next_id(taken: str) -> str:
    """The id to try when another event has this one: the next value of its hash."""
    number = int(taken[-4:], 36)
    return taken[:-4] + _four((number + 1) % HASHES)


def cut(text: str, length: int) -> str:
    """The text, cut to at most `length` characters, the last of them `…`."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _four(number: int) -> str:
    high, low = divmod(number, len(PAIRS))
    return PAIRS[high] + PAIRS[low]

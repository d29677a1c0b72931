"""What the recorder knows of itself, and whether that is well. The heartbeat, the probes and the metrics all tell from
here, and it goes by what was last done: a thread that exists proves nothing."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from kube9 import times

NEEDED = "events"  # without this resource there is nothing to record; all others are a help
PROVEN_S = 90.0  # how old the last sign of a watch may be: a silent one is asked every 30 s
COMMITTED_S = 60.0  # how old the last heartbeat may be: there is one every 10 s
STUCK_S = 300.0  # how late a thread may be

# Why a watch failed or started again; a closed set, because it labels a metric.
REASONS = (
    "expired",  # the version was too old: listed again
    "restored",  # the server's versions went back: listed again
    "empty",  # an answer without a line that closed at once
    "silent",  # no line for a while, and the question after it was not answered
    "stalled",  # open and silent, while there was something to send
    "broken",  # cut in the middle, or no JSON
    "unreachable",  # no connection
    "unauthorized",  # HTTP 401
    "forbidden",  # HTTP 403
    "throttled",  # HTTP 429
    "refused",  # any other HTTP status
)


class Watch:
    """One watched resource. Times are ISO 8601 text, None until it happened."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.connected = False
        self.forbidden = False  # the API server refuses it for good, until the rights come back
        self.problem: str | None = None  # what is wrong now, in one line
        self.last_list_at: str | None = None  # when a list ended
        self.last_line_at: str | None = None  # when a line of the watch was read
        self.last_probe_at: str | None = None  # when a small list was answered
        self.last_event_at: str | None = None  # the newest event read
        self.resource_version: str | None = None
        self.failures: Counter[str] = Counter()  # by REASONS
        self.loop = Loop(f"watch {resource}")
        self._lock = threading.Lock()

    def proven_at(self) -> str | None:
        """When it last showed that it works: a list, a line, an answered probe."""
        return max(filter(None, (self.last_list_at, self.last_line_at, self.last_probe_at)), default=None)

    def answered(self) -> None:
        """The server answers."""
        self.connected, self.forbidden, self.problem = True, False, None

    def failed(self, reason: str, problem: str | None = None, *, connected: bool = False) -> None:
        """Count a failure, one of REASONS; `connected` where the server still answers."""
        with self._lock:
            self.failures[reason] += 1
        self.connected, self.forbidden = connected, reason == "forbidden"
        self.problem = None if connected else problem


class Loop:
    """A thread that goes round and says so, so that one that is stuck can be told from one that waits.

    Args:
        name: what the thread does.
        monotonic: a clock in seconds that never goes back.
    """

    def __init__(self, name: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._monotonic = monotonic
        self._due = math.inf

    def turn(self, wait_s: float = 0.0) -> None:
        """It goes round, and may now wait so many seconds; `math.inf` before a wait that has no end."""
        self._due = self._monotonic() + wait_s + STUCK_S

    def stuck(self) -> bool:
        """Whether it should have gone round; False before its first turn."""
        return self._monotonic() > self._due


class Database(NamedTuple):
    """What is known of the database. Times are ISO 8601 text, None until it happened."""

    problem: str | None = None  # why it cannot be read, in one line
    write_problem: str | None = None  # why the last write failed
    last_commit_at: str | None = None  # of the heartbeat: a write that is rolled back succeeds on a full disk
    size_bytes: int | None = None  # of the file and its -wal
    last_quick_check: str | None = None
    last_full_check: str | None = None


class Facts(NamedTuple):
    """What is known of a recorder at one moment."""

    started_at: str
    watches: Sequence[Watch]
    loops: Sequence[Loop]
    database: Database
    queue_size: int
    queue_capacity: int
    stopping: bool = False
    namespace: str | None = None  # the only one that is watched
    left_out: Sequence[str] = ()  # what of the configuration is not used, because it is wrong


class Health(NamedTuple):
    """The verdict about a recorder.

    healthy: all is watched and written. degraded: something is not, and it will be without anyone's help once the API
    server, a permission or the disk is back. unhealthy: only a restart helps, or it was told to stop.
    """

    state: str  # one of the type Health in queries.yaml
    ready: bool  # events are watched, and the database takes them
    problems: list[str]  # one line each


def judge(facts: Facts, now_ms: int) -> Health:
    """Decide from the facts how the recorder is; `now_ms` is the present in milliseconds since 1970."""
    stopped = ["kube9 serve stopped"] if facts.stopping else []
    lasting = stopped + [f"the thread {name} is stuck: only a restart helps" for name in stuck(facts.loops)]
    blocking = _of_database(facts.database, now_ms)
    lesser: list[str] = []
    if not any(watch.resource == NEEDED for watch in facts.watches):
        blocking.append(f"{NEEDED}: nobody watches them")
    for watch in facts.watches:
        current = not watch.forbidden and _is_young(watch.proven_at(), PROVEN_S, now_ms)
        if not current or watch.problem:
            (lesser if current or watch.resource != NEEDED else blocking).append(_of_watch(watch))
    state = "unhealthy" if lasting else "degraded" if blocking or lesser else "healthy"
    return Health(state, not lasting and not blocking, [*lasting, *blocking, *lesser, *facts.left_out])


def is_known(facts: Facts) -> bool:
    """Whether all that a recorder does has worked once since its start, or failed: until then the verdict says little."""
    database = facts.database
    written = (database.last_commit_at or "") >= facts.started_at
    tried = all(watch.proven_at() or watch.problem or watch.forbidden for watch in facts.watches)
    return bool(tried and (written or database.problem or database.write_problem))


def is_well(database: Database, now_ms: int) -> bool:
    """Whether a database can be read, and has taken the last write and a heartbeat not long ago."""
    return not _of_database(database, now_ms)


def report(watch: Watch, now_ms: int) -> dict[str, Any]:
    """A watch for `query status` and `/healthz`; `lag_seconds` is the age of the newest event."""
    proven = watch.proven_at()
    return {
        "connected": watch.connected,
        "last_event_at": watch.last_event_at,
        "resource_version": watch.resource_version,
        "lag_seconds": age_s(watch.last_event_at, now_ms),
        "proven_at": proven,
        "proof_age_seconds": age_s(proven, now_ms),
        "forbidden": watch.forbidden,
        "problem": watch.problem,
        "failures": dict(watch.failures),
    }


def stuck(loops: Iterable[Loop]) -> list[str]:
    """The names of the threads that should have gone round and did not."""
    return [loop.name for loop in loops if loop.stuck()]


def age_s(at: str | None, now_ms: int) -> float | None:
    """How many seconds ago a time was, at least 0; None for None."""
    return None if at is None else max(0.0, (now_ms - times.ms(at)) / 1000)


def _is_young(at: str | None, limit_s: float, now_ms: int) -> bool:
    age = age_s(at, now_ms)
    return age is not None and age <= limit_s


def _of_watch(watch: Watch) -> str:
    why = watch.problem or ("the API server refuses them" if watch.forbidden else None)
    proven = watch.proven_at()
    since = f"last heard of at {proven}" if proven else "not read yet"
    return f"{watch.resource}: {why}; {since}" if why else f"{watch.resource}: {since}"


def _of_database(database: Database, now_ms: int) -> list[str]:
    if problem := database.problem or database.write_problem:
        return [f"database: {problem}"]
    if _is_young(database.last_commit_at, COMMITTED_S, now_ms):
        return []
    at = database.last_commit_at
    return [f"database: nothing committed since {at}" if at else "database: nothing committed yet"]

"""Recording events of our own from any process: `kube9.recorder` for programs, `record_one` for the command line.

    with kube9.recorder("kube9.db") as rec:
        rec.record("insight", "Requests far above use", object="deploy/web", object_namespace="shop",
                   insight_id="cost-17", category="cost")

Events are local: they are written into the database file and nowhere else.
"""

import atexit
import logging
import os
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any

from kube9 import bind, errors, fresh, own, query, render, store, times
from kube9.lane import CAPACITY
from kube9.model import Batch
from kube9.writer import Writer

log = logging.getLogger("kube9.recorder")

CLOSE_S = 5.0  # for writing what waits at the end
BUSY_TIMEOUT_S = 1.0  # of one try, so that an end in time is possible while another process writes
PATIENCE_S = 30.0  # of the command line, with a disk that is full or a database that is locked


class Recorder:
    """Records events of our own into a database beside whoever else writes it. Made by `recorder`.

    A context manager, safe to use from many threads. What is recorded waits in memory until a thread of its own has
    written it, a moment later; a write that fails is tried again.
    """

    def __init__(self, path: str, *, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise errors.InvalidArgument(f"capacity: {capacity} is not 1 or more", "it is how many events may wait")
        self.path = path
        self._kinds = _kinds()
        self._pid, self._closed = os.getpid(), False
        self._writer = Writer(path, lane_capacity=capacity, busy_timeout_s=BUSY_TIMEOUT_S, guest=True)
        self._writer.start()
        atexit.register(self._close_at_exit)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except errors.Kube9Error as failure:
            if error is None:
                raise
            log.error("%s", failure)  # the error that ended the block is the one to raise

    def __repr__(self) -> str:
        return f"<kube9.Recorder {self.path}{' (closed)' if self._closed else ''}>"

    @property
    def waiting(self) -> int:
        """How many events wait to be written."""
        return self._writer.queue_size

    @property
    def dropped(self) -> dict[str, int]:
        """How many events were not recorded, by why: `queue_full`, `stopped`, `set_aside`."""
        return self._writer.dropped

    @property
    def error(self) -> errors.Kube9Error | None:
        """Why the last write failed; None while they succeed."""
        found = self._writer.dead or self._writer.error
        return found if found is None or isinstance(found, errors.Kube9Error) else store.translate(found, self.path)

    def record(
        self,
        event_type: str,
        title: str,
        *,
        severity: str = "info",
        description: str | None = None,
        object: str | None = None,
        object_kind: str | None = None,
        object_namespace: str | None = None,
        object_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        insight_id: str | None = None,
        category: str | None = None,
        created_at: str | datetime | None = None,
    ) -> str:
        """Record an event: queue it, without waiting and without I/O. Returns its id.

        When `capacity` events wait, the oldest of the least severe is dropped, and counted in `dropped`. Another event
        that has the id already, which another process made in the same millisecond, gives this one the next id.

        Args:
            event_type: operator, insight, assessment, health or system.
            title: what happened; cut to 200 characters.
            severity: info, warning, error or critical.
            description: more of it; cut to 1,000 characters.
            object: the object that it is about as `pod/web`, instead of its kind and name.
            object_kind: kind of that object, such as Pod or po.
            object_namespace: its namespace; none for cluster-scoped kinds.
            object_name: its name.
            metadata: details, which JSON can hold; at most 10 KiB.
            insight_id: of an insight, which must have one: its id where it was found.
            category: of an insight, which must have one: what it is about, such as cost or reliability.
            created_at: when it happened, as ISO 8601, a datetime, or a duration before now; by default now.

        Raises:
            InvalidArgument: says which of these is wrong.
            FailedPrecondition: the recorder is closed, or was made before this process was forked.
        """
        self._check_usable()
        event = own.make(
            event_type,
            title,
            severity=severity,
            description=description,
            object=object,
            object_kind=object_kind,
            object_namespace=object_namespace,
            object_name=object_name,
            metadata=metadata,
            insight_id=insight_id,
            category=category,
            created_at=created_at,
            kinds=self._kinds,
        )
        self._writer.offer(event)
        return event.id

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was recorded before is written; `timeout` is in seconds, None waits for ever.

        Returns: False when it was not written in time.
        """
        self._check_usable()
        return self._writer.flush(timeout)

    def close(self, timeout: float = CLOSE_S) -> None:
        """Write what waits, and end. Does so by itself at the end of a `with` block, and of the program.

        Args:
            timeout: seconds in which all must be written.

        Raises:
            Unavailable: says how many events were not written, and why.
            Internal: a mistake of kube9's own ended the recording.
        """
        if self._closed or os.getpid() != self._pid:
            return  # what waits in a forked process is its parent's to write
        self._closed = True
        atexit.unregister(self._close_at_exit)
        left = self._writer.close(timeout)
        if left:
            why = str(self.error or f"{self.path}: the writing took too long")
            raise errors.Unavailable(f"{left} events were not written", why)

    def _check_usable(self) -> None:
        if self._closed:
            raise errors.FailedPrecondition("the recorder is closed", "make another one with kube9.recorder")
        if os.getpid() != self._pid:
            raise errors.FailedPrecondition("the recorder belongs to the process before the fork", "make one in each process")

    def _close_at_exit(self) -> None:
        try:
            self.close()
        except errors.Kube9Error as error:
            log.error("%s", error)


def recorder(path: str | os.PathLike[str] | None = None, *, capacity: int = CAPACITY) -> Recorder:
    """Open a kube9 database to record events of our own into it, beside `kube9 serve` and others.

    Args:
        path: the database file, made when there is none; by default where the command line looks for it.
        capacity: how many events may wait to be written before the least severe are dropped.

    Raises:
        FailedPrecondition: the database is at an older or newer schema.
        Unavailable, PermissionDenied, DataLoss: see `kube9.errors`.
    """
    return Recorder(store.database_path(None if path is None else os.fspath(path)), capacity=capacity)


def record_one(path: str, event_type: str, title: str, **facts: Any) -> str:
    """Record one event, and return its id once it is written.

    Args:
        path: the database file; made when there is none.
        event_type: as for `Recorder.record`, and so are `title` and `facts`.

    Raises:
        InvalidArgument: a fact is wrong; the database has not been opened.
        Unavailable, PermissionDenied, DataLoss, FailedPrecondition: as `recorder`, and for a write that failed for 30 s.
    """
    event = own.make(event_type, title, kinds=_kinds(), **facts)
    writer = Writer(path, patience_s=PATIENCE_S, guest=True)
    writer.start()
    writer.put(Batch([event], "api"))
    writer.close()
    if writer.set_aside:
        raise errors.Internal("the event was not written", "SQLite does not take it; the log says why")
    return event.id


def read_back(path: str, key: str) -> str:
    """The event with this id, as the JSON of `kube9 query events get`. Raises as `query.run`."""
    compiled = fresh.current()
    asked = bind.bind(compiled, compiled["queries"]["events get"], {"id": key}, times.now_ms())
    return render.json(query.run(path, asked, PATIENCE_S), compiled)


def _kinds() -> Mapping[str, str]:
    """How kinds are spelled, by what may be written for them in lower case."""
    spellings: Mapping[str, str] = fresh.current()["types"]["Kind"]["spellings"]
    return spellings

"""`kube9 serve`: one process that records a cluster into a database until it is told to stop."""

import ctypes
import gc
import logging
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kube9 import fresh, lock, migrations
from kube9.apiserver import ApiServer
from kube9.cluster_recorder import Choices, ClusterRecorder
from kube9.selection import Selection

log = logging.getLogger("kube9.serve")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
QUERIES_S = 60.0  # between two looks at the files of the user's own queries
M_ARENA_MAX = -8
SWITCH_S = 0.001  # how soon the writer gets on between two statements while a burst is read
GARBAGE = 200_000  # new objects between two searches for cycles


def serve(database: str, api: ApiServer, selection: Selection, choices: Choices) -> int:
    """Record the cluster's events until SIGTERM or SIGINT. Returns how many events could not be written.

    Args:
        database: the database file.
        api: the API server.
        selection: which events to record, and the rules.
        choices: all else that people choose.

    Raises:
        FailedPrecondition: another `serve` holds the database, or a newer kube9 made it.
        Unavailable, PermissionDenied: as `probes.Server`.
        Unavailable, PermissionDenied, DataLoss: as `migrations.open_writer`.
        Internal: a mistake of kube9's own ended the recording.
    """
    _share_memory()
    with lock.held(database), _stop_signals() as told_to_stop:
        before, after = migrations.migrate(database)
        if before != after:
            log.info("database %s: %s at schema version %d", "migrated" if before else "initialised", database, after)
        for problem in selection.rules.problems:
            log.warning("rules left out: %s", problem)
        recorder = ClusterRecorder(database, api, selection, choices)
        recorder.start()
        # What a burst brings is freed by its last reference; looking for cycles among it took a third of the time.
        gc.freeze()
        gc.set_threshold(GARBAGE)
        sys.setswitchinterval(SWITCH_S)
        of = f"{choices.namespace} at {api.host}" if choices.namespace else api.host
        log.info("recording the events of %s into %s", of, database)
        log.info("keeping %s", choices.kept)
        looked_at = 0.0
        while recorder.alive() and not told_to_stop(1.0):
            if time.monotonic() - looked_at > QUERIES_S or not looked_at:
                looked_at = time.monotonic()
                for problem in fresh.keep_for_all():
                    log.warning("left out: %s", problem)
        return recorder.stop()


def _share_memory() -> None:
    """Let the threads share two arenas of memory: one for each, as glibc has it, took 10 MB more of 98.

    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


@contextmanager
def _stop_signals() -> Iterator[Callable[[float], bool]]:
    """Take SIGTERM and SIGINT; yields what waits so many seconds for one and tells whether it came."""
    # The handler does nothing, because it could meet a lock that is held; Python itself writes to the socket.
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in STOP_SIGNALS}
    fd_before = signal.set_wakeup_fd(writing.fileno())
    try:
        yield lambda seconds: bool(select.select([reading], [], [], seconds)[0])
    finally:
        signal.set_wakeup_fd(fd_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        reading.close()
        writing.close()

"""Following: a page, and then what arrives, until the reader goes away or the caller stops.

The file is looked at a few times a second, and asked only when it was written; each look is a short read, so nobody is
held up. `kubectl exec -i` passes no signals to the program, but it closes stdin: its end is the sign to stop. Without -i there
is no sign: stdout stays open when the caller goes, and the program would go on in the pod for ever. So it does not begin.
"""

import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kube9 import caller, paging, query, render
from kube9.bind import Asked
from kube9.errors import InvalidArgument
from kube9.store import looks

if TYPE_CHECKING:
    from kube9.table import Tables

LOOK_S = 0.25
ASK_AT_LEAST_S = 0.75  # two writes within a tick of the clock may look like one


def follow(path: str, asked: Asked, writer: "render.Lines | Tables", run: Callable[[Asked], query.Answer]) -> None:
    """Write a page, oldest first, and then what arrives, to stdout. Returns when nobody reads on.

    Args:
        path: the database file, which is looked at.
        asked: the query.
        writer: what writes pages.
        run: answers a query.

    Raises:
        InvalidArgument: nothing would ever tell that the caller has gone.
        Kube9Error: as `query.run`.
    """
    if _goes_on_for_ever():
        what = "following needs a stdin here: nothing else tells the pod that you went away"
        raise InvalidArgument(what, "give `kubectl exec` the flag -i, as in `kubectl exec -i POD -- kube9 query …`")
    signal.alarm(0)  # which bounds any other answer to an exec: this one ends with stdin
    seen = looks(path)
    latest = answer = run(asked)
    if "after" not in asked.values:  # which come in the order of their changes already
        answer.rows = answer.rows[::-1]
    going_on = writer.page(answer)
    asked_at = time.monotonic()
    while going_on and _reader_is_there():
        now = looks(path)
        if now == seen and time.monotonic() - asked_at < ASK_AT_LEAST_S:
            continue
        seen, asked_at = now, time.monotonic()
        arrived = paging.arrived(asked, latest)
        for latest in paging.pages(run, arrived):
            going_on = not latest.rows or writer.page(latest)
            if not going_on:
                break


def _reader_is_there() -> bool:
    """Wait for the next look; False when stdin has ended, where it is a pipe or socket, or nobody reads stdout any more."""
    poll = select.poll()
    if sys.stdin is not None and caller.is_pipe(sys.stdin.fileno()) and not caller.listening():
        poll.register(sys.stdin.fileno(), select.POLLIN)
    if sys.stdout is not None:
        poll.register(sys.stdout.fileno(), 0)  # its errors are always told
    until = time.monotonic() + LOOK_S
    while (left := until - time.monotonic()) > 0:
        for descriptor, events in poll.poll(left * 1000):
            if sys.stdin is not None and descriptor == sys.stdin.fileno():
                if events & (select.POLLERR | select.POLLNVAL) or not os.read(descriptor, 4096):
                    return False
            elif events & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                return False
    return not caller.input_ended()


def _goes_on_for_ever() -> bool:
    """Whether this is an exec into a container without a stdin: no parent here, not the container's own process, /dev/null."""
    if os.getppid() != 0 or os.getpid() == 1 or sys.stdin is None:
        return False
    stdin = os.fstat(sys.stdin.fileno())
    return stat.S_ISCHR(stdin.st_mode) and stdin.st_rdev == os.stat(os.devnull).st_rdev

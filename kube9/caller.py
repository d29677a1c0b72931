"""Who asks through an exec, as both ends know it: the program in the pod, and kube9 on the machine of who asks.

`kubectl exec` passes no signals, and a container runtime keeps the pipes of a program whose caller is gone: one that writes
waits for ever. The one thing that ends is stdin. So the caller holds stdin open, lets a byte go down it now and then, and
says by CALLER that its end, or silence, ends the program.
"""

import _thread
import os
import select
import stat

CALLER = "KUBE9_CALLER"  # of the environment: after how many seconds of silence the caller is gone
SILENCE_S = 120  # a dead network is noticed by nothing else for half an hour
BEAT_S = 20
BEAT, END_OF_INPUT = b"\n", b"\x04"  # as Ctrl-D is: what the caller's own stdin gave has ended, and the caller is there
GONE = 1  # an exit code that nobody reads
CHUNK = 4096

_heard = {"listening": False, "ended": False}


def listen() -> None:
    """Where a caller has said so, end this process with it: at once when stdin ends, and when nothing came for so long."""
    limit = os.environ.get(CALLER, "")
    if limit.isascii() and limit.isdigit() and is_pipe(0):
        _heard["listening"] = True
        _thread.start_new_thread(_listen, (int(limit),))


def _listen(limit_s: int) -> None:
    poll = select.poll()
    poll.register(0, select.POLLIN)
    try:
        while poll.poll(limit_s * 1000) and (found := os.read(0, CHUNK)):
            if END_OF_INPUT in found:
                _heard["ended"] = True
    finally:
        os._exit(GONE)  # whatever it is at: nobody waits for an answer, and a write to nobody has no end


def listening() -> bool:
    """Whether stdin is listened to already, so that nothing else may read it."""
    return _heard["listening"]


def input_ended() -> bool:
    """Whether the caller has said that its own stdin has ended."""
    return _heard["ended"]


def is_pipe(descriptor: int) -> bool:
    """Whether a descriptor is a pipe or a socket, whose end says something.

    /dev/null, as a daemon or `kubectl exec` without -i has it, is always at its end and says nothing.
    """
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)

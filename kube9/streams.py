"""stdout and stderr: a reader that has gone away, a stream that is closed, a terminal at the other end."""

import os
import sys

from kube9.errors import Unavailable

TERMINAL = "KUBE9_TERMINAL"  # which of stdout and stderr a caller from afar shows on a terminal, joined by commas
EPIPE, EBADF = 32, 9  # of errno, whose import is not needed for two numbers that every POSIX has

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def write(text: str) -> bool:
    """Write to standard output. False when its reader has gone away (`| head`); raises Unavailable for another failure."""
    return write_bytes(text.encode())


def write_bytes(data: bytes) -> bool:
    """As `write`, of what is encoded."""
    try:
        if sys.stdout is None:
            raise OSError(EBADF, "it is closed")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        give_up_stdout()
        if error.errno != EPIPE:
            raise Unavailable("the answer could not be written", f"standard output: {error.strerror}") from None
        return False
    return True


def give_up_stdout() -> None:
    """Send what is still to be written to nowhere, so that the exit does not try again and fail."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """Write a line to stderr, where there is one: `print` would take stdout in its place."""
    if sys.stderr is not None:
        print(harmless(text), file=sys.stderr)


def harmless(text: str) -> str:
    """Text in which no character steers a terminal: what cannot be printed is written as `\\uXXXX`, as JSON has it."""
    if text.replace("\n", "").isprintable():
        return text
    from json import dumps

    return "".join(char if char.isprintable() or char == "\n" else dumps(char)[1:-1] for char in text)


def is_terminal(stream: "TextIO | None") -> bool:
    """Whether stdout or stderr is shown on a terminal: one of this machine, or at the other end of an exec."""
    if stream is None:
        return False
    elsewhere = os.environ.get(TERMINAL, "").split(",")
    return stream.isatty() or ("stdout" if stream is sys.stdout else "stderr") in elsewhere

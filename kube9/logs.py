"""Log lines of the long-running commands: one a record on stderr, in UTC with milliseconds, as text or as JSON.

Whatever a record holds, it is one line (a traceback in text has its further lines indented) and steers no terminal, so
the name of an event cannot forge a line. A stderr that is closed or full costs lines, which are counted, and never stops
who logs.
"""

import json
import logging
import math
import os
import select
import sys
import threading
import time
from typing import Any

from kube9.streams import harmless

PATIENCE_MS = 100  # how long the first line that finds stderr full waits
STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime"}
FAULTS = select.POLLERR | select.POLLHUP | select.POLLNVAL

log = logging.getLogger("kube9")


def set_up(level: str, form: str = "text") -> None:
    """Log from the given level on (debug, info, warning or error), in the given form (text or json)."""
    # Where there is no stderr, its number may be that of any other file.
    handler: logging.Handler = Lines(sys.stderr.fileno()) if sys.stderr is not None else logging.NullHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("urllib3").setLevel("ERROR")  # its retries are ours, and its warnings would come twice
    threading.excepthook = _log_failed_thread


class TextFormatter(logging.Formatter):
    """`2026-03-01T10:00:00.123Z INFO message`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without its end."""
        line = f"{_time(record)} {record.levelname} {_escaped(_message(record))}"
        if record.exc_info:
            line += "".join(f"\n    {harmless(part)}" for part in self.formatException(record.exc_info).splitlines())
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object: time, level, logger, message, then the fields given as `extra`, and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without its end."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        for name, value in vars(record).items():
            if name not in STANDARD:
                line.setdefault(name, _plain(value))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return harmless(json.dumps(line, ensure_ascii=False))


class Lines(logging.Handler):
    """Writes lines to a file descriptor, as much as it takes without waiting."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lost = 0  # lines, since the last that was written
        self._torn = False  # the last line was written in part

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a record, or count it as lost."""
        if self._lost and not self._write(self.format(_about_lost(self._lost))):
            self._lost += 1
            return
        self._lost = 0 if self._write(self.format(record)) else 1

    def _write(self, line: str) -> bool:
        data = f"{line}\n".encode()
        if self._torn:
            data = b"\n" + data
        # A pipe that is ready takes so many bytes at once: https://docs.python.org/3/library/select.html#select.PIPE_BUF
        parts = [data[start : start + select.PIPE_BUF] for start in range(0, len(data), select.PIPE_BUF)]
        for part in parts:
            try:
                ready = self._poll.poll(0 if self._lost else PATIENCE_MS)
                if not ready or ready[0][1] & FAULTS:
                    return False
                written = os.write(self._descriptor, part)
            except OSError:
                return False
            self._torn = part is not parts[-1] or written < len(part)
            if written < len(part):
                return False
        return True


def _about_lost(number: int) -> logging.LogRecord:
    said = {"name": log.name, "levelno": logging.WARNING, "levelname": "WARNING", "lost": number}
    return logging.makeLogRecord({**said, "msg": f"{number} log lines are lost: stderr took none"})


def _log_failed_thread(failed: threading.ExceptHookArgs) -> None:
    name = failed.thread.name if failed.thread else "unknown"
    failure = failed.exc_value or failed.exc_type()
    log.critical("the thread %s failed", name, exc_info=failure)


def _time(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # its arguments do not fit
        return f"{record.msg} {record.args}"


def _escaped(text: str) -> str:
    return harmless(text).replace("\n", "\\n")


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)

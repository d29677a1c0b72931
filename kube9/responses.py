"""Answers of the API server, as they are read: whole, line by line, or as a refusal."""

import json
import time
from collections.abc import Generator
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from kube9 import transport

LINE_BYTES = 16 * 1024 * 1024  # an object is at most 1.5 MiB in etcd


class Refused(Exception):
    """An answer other than 200. `retry_after_s` is what the server asks to wait, 0 when it does not say."""

    def __init__(self, status: int, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"HTTP {status} {reason}".strip())
        self.status, self.reason, self.retry_after_s = status, reason, retry_after_s


class Unreachable(Exception):
    """No answer."""


class Broken(Unreachable):
    """An answer that broke off, or is not what was asked for."""


class Silent(Exception):
    """A watch without a whole line for longer than was allowed."""


def whole(response: Any, within_s: float) -> bytes:
    """The body of an answer. Raises Broken when it breaks off, or has not ended within so many seconds."""
    parts, until = [], time.monotonic() + within_s
    try:
        while data := response.read1(transport.READ_BYTES):
            parts.append(data)
            if time.monotonic() > until:
                raise Broken(f"the answer did not end within {within_s:.0f} s")
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Broken(f"the answer broke off: {words(error)}") from error
    finally:
        response.close()  # only a body that was not read to its end; the connection of any other is used again
    return b"".join(parts)


def lines(response: Any, silence_s: float) -> Generator[bytes, None, None]:
    """The whole lines that have arrived of a watch, as one piece each time. Raises Silent and Broken."""
    begun: list[bytes] = []  # of a line whose end has not come
    size, since = 0, time.monotonic()
    try:
        while data := response.read1(transport.READ_BYTES):
            end = data.rfind(b"\n") + 1
            if end:
                yield b"".join((*begun, data[:end]))
                begun, size, since = [], 0, time.monotonic()
            begun.append(data[end:])
            size += len(data) - end
            if size > LINE_BYTES:
                raise Broken(f"a line is longer than {LINE_BYTES} bytes")
            if time.monotonic() - since > silence_s:
                raise Silent
    except urllib3.exceptions.ReadTimeoutError:
        raise Silent from None
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Broken(f"the watch broke off: {words(error)}") from error
    finally:
        response.close()
    if size:
        raise Broken("the watch ended in the middle of a line")


def refusal(response: Any) -> Refused:
    """What an answer other than 200 says. It is closed."""
    try:
        return Refused(response.status, _reason(response), _retry_after_s(response.headers))
    finally:
        response.close()


def words(error: Exception) -> str:
    """What an error says; urllib3 puts what it knows of the cause last."""
    return str(error.args[-1]) if error.args else type(error).__name__


def _reason(response: Any) -> str:
    """What the server says: the message of its Status, or else the reason of the status line."""
    try:
        message = json.loads(response.read1(transport.READ_BYTES))["message"]
    except (urllib3.exceptions.HTTPError, OSError, ValueError, KeyError, TypeError):
        message = None
    return f"{response.reason or ''}: {message}" if message else str(response.reason or "")


def _retry_after_s(headers: Any) -> float:
    """Seconds of a Retry-After, which may be a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after."""
    asked = headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked).timestamp()
        now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, until - now)

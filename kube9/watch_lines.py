"""What the lines of a watch say: the objects that changed, the version reached, and the error that ended them."""

import http.client
import logging
from typing import Any, NamedTuple

from kube9.failures import Expired
from kube9.responses import Broken, Refused
from kube9.wire import Wire

log = logging.getLogger("kube9.watch")


class Changes(NamedTuple):
    """The lines that came whole, in the order of the server."""

    lines: int  # that say something: objects, bookmarks
    objects: list[Any]  # added or modified
    deleted: list[Any]
    resource_version: str | None  # of the last line
    failure: Exception | None  # Expired, Refused or Broken: why there is nothing to be read after them


def read(piece: bytes, wire: Wire) -> Changes:
    """Read lines of a watch, as many as came whole. A line of an unknown type is left out."""
    decoded, failure = _decode(piece, wire)
    objects: list[Any] = []
    deleted: list[Any] = []
    last, lines = None, 0
    for kind, subject in decoded:
        if kind in ("ADDED", "MODIFIED"):
            objects.append(subject)
        elif kind == "DELETED":
            deleted.append(subject)
        elif kind == "ERROR":
            failure = _failure(subject)
            break
        elif kind != "BOOKMARK":
            log.debug("left out a line of the unknown type %.40s", kind)
            continue
        last, lines = subject, lines + 1
    return Changes(lines, objects, deleted, version_of(last), failure)


def version_of(subject: Any) -> str | None:
    """The resource version of an object; None where it has none."""
    metadata = subject.get("metadata") if isinstance(subject, dict) else None
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    return version if isinstance(version, str) and version else None


def is_lower(version: str | None, other: str | None) -> bool:
    """Whether a version came before another one; not where one of them is no number, as no server is known to have."""
    return bool(version and other and version.isdecimal() and other.isdecimal() and int(version) < int(other))


def _decode(piece: bytes, wire: Wire) -> tuple[list[tuple[str, Any]], Exception | None]:
    try:
        return wire.lines(piece), None
    except (ValueError, RecursionError):
        pass
    decoded: list[tuple[str, Any]] = []
    for line in piece.split(b"\n"):
        try:
            decoded += wire.lines(line)
        except (ValueError, RecursionError) as error:
            return decoded, Broken(f"the watch sent a line that is none: {error}")
    return decoded, None


def _failure(status: Any) -> Exception:
    """The exception for the Status in an ERROR line."""
    code, message = status.get("code"), str(status.get("message") or "")
    if code == http.client.GONE or status.get("reason") in ("Expired", "Gone"):
        return Expired(message or "the version expired")
    return Refused(code if isinstance(code, int) else 500, message)

"""List, then watch, without end: every reason to start again has a name, and every wait is bounded and jittered.

    watch ended          watch again from the last version
    expired              list again (HTTP 410, or an ERROR line that says so)
    refused, unreachable back off, up to a minute; Retry-After is obeyed up to that bound

The version to watch from is the list's, never an item's. The API's rules:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

import json
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kube9.apiserver import ApiServer, Refused, Unreachable, explain

log = logging.getLogger("kube9.watch")

PAGE = 500
SERVER_TIMEOUT_S = (300, 600)  # a watch is ended by the server after a random time between these
FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 60.0
GONE = 410


class Expired(Exception):
    """The version is too old: what happened since is only to be had by a list."""


class Page(NamedTuple):
    """Objects in the order of the server, and the version reached with them (None before a list's last page)."""

    objects: list[dict[str, Any]]
    resource_version: str | None


def list_then_watch(
    api: ApiServer, path: str, resource_version: str | None, pause: Callable[[float], bool], connected: Callable[[bool], None]
) -> Iterator[Page]:
    """What a resource holds and then everything that happens to it.

    Args:
        api: the API server.
        path: the resource, such as /api/v1/events.
        resource_version: where to go on watching; None lists first.
        pause: waits so many seconds, and tells whether to go on.
        connected: told when the server answers and when it does not.
    """
    version, delay = resource_version, FIRST_DELAY_S
    going = True
    while going:
        wait_s = FIRST_DELAY_S
        try:
            if version is None:
                for page in _list(api, path):
                    version, delay = page.resource_version, FIRST_DELAY_S
                    yield page
            connected(True)
            lines = 0
            for page in _watch(api, path, version or "0"):
                version, delay = page.resource_version or version, FIRST_DELAY_S
                lines += 1
                yield page
            if lines:
                wait_s = 0.0  # an orderly end after work: go on at once
            else:
                wait_s, delay = _jitter(delay), min(delay * 2, 10.0)  # an empty answer must not become a busy loop
        except Expired as reason:
            log.info("%s: %s; listing again", path, reason)
            version = None
        except (Refused, Unreachable) as failure:
            if not pause(0.0):
                return  # told to stop: the watch was ended from this side
            connected(False)
            asked_s = failure.retry_after_s if isinstance(failure, Refused) else 0.0
            wait_s = min(max(_jitter(delay), asked_s), LONGEST_DELAY_S)
            log.warning("%s: %s; trying again in %.0f s", path, explain(failure), wait_s)
            delay = min(delay * 2, LONGEST_DELAY_S)
        going = pause(wait_s)


def _list(api: ApiServer, path: str) -> Iterator[Page]:
    query = {"limit": str(PAGE)}
    while True:
        try:
            answer = api.get(path, **query)
        except Refused as refusal:
            if refusal.status == GONE:
                raise Expired("the list expired between its pages") from None
            raise
        metadata = answer.get("metadata") or {}
        token = metadata.get("continue")
        yield Page(answer.get("items") or [], None if token else metadata.get("resourceVersion"))
        if not token:
            return
        query["continue"] = token


def _watch(api: ApiServer, path: str, version: str) -> Iterator[Page]:
    timeout_s = random.randint(*SERVER_TIMEOUT_S)
    query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(timeout_s)}
    try:
        for lines in api.lines(path, timeout_s + 30.0, **query):
            yield _read(lines)
    except Refused as refusal:
        if refusal.status == GONE:
            raise Expired(f"version {version} expired") from None
        raise


def _read(lines: list[bytes]) -> Page:
    """The lines of a watch as a page. Raises Expired, Refused, and Unreachable for a line that is no JSON."""
    objects, version = [], None
    for line in lines:
        try:
            change = json.loads(line)
            kind, subject = change["type"], change["object"]
            metadata = subject.get("metadata") or {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreachable(f"the watch sent a line that is no event: {error}") from error
        if kind == "ERROR":
            if subject.get("code") == GONE:
                raise Expired(str(subject.get("message") or "the version expired"))
            raise Refused(int(subject.get("code") or 500), str(subject.get("message") or ""))
        version = metadata.get("resourceVersion") or version
        if kind in ("ADDED", "MODIFIED"):  # DELETED is an event's own expiry; BOOKMARK carries a version alone
            objects.append(subject)
    return Page(objects, version)


def _jitter(delay_s: float) -> float:
    return delay_s * random.uniform(0.5, 1.0)

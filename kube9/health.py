"""What the recorder knows of itself: each watch, by what it last did, and the writer. The heartbeat, the probes and the
metrics all tell from here."""

import threading
from collections import Counter

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

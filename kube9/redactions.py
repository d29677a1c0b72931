"""What was redacted, counted, and said in the log: one warning a minute at most, and never the secret itself."""

import logging
import threading
from collections import Counter

from kube9.clock import Clock
from kube9.counts import Counts
from kube9.redact import Secret

log = logging.getLogger("kube9.redact")

EVERY_S = 60.0


class Redactions:
    """Notes what was redacted, from any thread; `counts` has the number."""

    def __init__(self, clock: Clock, counts: Counts) -> None:
        self._clock, self._counts = clock, counts
        self._lock = threading.Lock()
        self._silent = 0  # those since the last warning
        self._next_warning = clock.monotonic()

    def note(self, secrets: list[Secret], event: str) -> None:
        """Count what was redacted in an event; `event` says which, as in `default/web-1.17b2c4`."""
        if not secrets:
            return
        self._counts.redact(len(secrets))
        with self._lock:
            if self._clock.monotonic() < self._next_warning:
                self._silent += len(secrets)
                return
            self._next_warning = self._clock.monotonic() + EVERY_S
            silent, self._silent = self._silent, 0
        earlier = f", and {silent} more in other events since the last such line" if silent else ""
        log.warning(
            "redacted %s in the event %s%s; whoever wrote it should not write secrets", summary(secrets), event, earlier
        )


def summary(secrets: list[Secret]) -> str:
    """How many secrets, by kind: `3 secrets (2 password, 1 token)`."""
    kinds = Counter(secret.kind for secret in secrets)
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{len(secrets)} secret{'s' * (len(secrets) != 1)} ({parts})" if secrets else "no secrets"

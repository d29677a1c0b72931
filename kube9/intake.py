"""What comes in: Event objects of Kubernetes, chosen, redacted and normalised."""

import time
from collections.abc import Iterable
from typing import Any

from kube9 import times
from kube9.clock import Clock
from kube9.counts import Counts
from kube9.model import Event
from kube9.normalise import END_OF_TIME, normalise
from kube9.redact import Secret
from kube9.redactions import Redactions
from kube9.selection import Selection

AHEAD_MS = 3_600_000  # how far the clock of a reporter may be ahead of ours


class Intake:
    """The way from objects to events, for the watch and for imports alike.

    Args:
        selection: which events are recorded, and the rules.
        counts: where to count what is read, redacted and cut.
        clock: for how often the log tells of secrets.
    """

    def __init__(self, selection: Selection, counts: Counts, clock: Clock) -> None:
        self._selection, self._counts = selection, counts
        self._redactions = Redactions(clock, counts)

    def events(self, sources: Iterable[dict[str, Any]], read_at: str | None = None) -> list[Event]:
        """The events that are recorded of these objects, in their order; `read_at` is when an API server gave them."""
        # An event from the year 9999 would head every list for good, and hide that no other arrives any more.
        latest = times.iso(times.parse(read_at, 0) + AHEAD_MS) if read_at else END_OF_TIME
        started, events, secrets = time.perf_counter(), [], list[Secret]()
        recorded, rules = self._selection.recorded, self._selection.rules
        for source in sources:
            if recorded(source):
                event = normalise(source, rules, secrets, latest=latest)
                events.append(event)
                if secrets:
                    self._redactions.note(secrets, f"{event.namespace}/{event.name}")
                    secrets.clear()
        self._counts.processing.observe(time.perf_counter() - started)
        return events

"""What comes in: Event objects of Kubernetes, chosen, redacted and normalised."""

import time
from collections.abc import Iterable
from typing import Any

from kube9.clock import Clock
from kube9.counts import Counts
from kube9.model import Event
from kube9.normalise import normalise
from kube9.redact import Secret
from kube9.redactions import Redactions
from kube9.selection import Selection


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

    def events(self, sources: Iterable[dict[str, Any]]) -> list[Event]:
        """The events that are recorded of these objects, in their order."""
        started, events, secrets = time.perf_counter(), [], list[Secret]()
        recorded, rules = self._selection.recorded, self._selection.rules
        for source in sources:
            if recorded(source):
                event = normalise(source, rules, secrets)
                events.append(event)
                if secrets:
                    self._redactions.note(secrets, f"{event.namespace}/{event.name}")
                    secrets.clear()
        self._counts.processing.observe(time.perf_counter() - started)
        return events

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
from kube9.retention import FOR_EVER, Policy
from kube9.selection import Selection


class Intake:
    """The way from objects to events, for the watch and for imports alike.

    Args:
        selection: which events are recorded, and the rules.
        counts: where to count what is read, redacted and cut.
        clock: the time, also for how often the log tells of secrets.
        kept: what is older than that is left out: an API server may list it for as long as it likes, and retention would
            delete it each time.
    """

    def __init__(self, selection: Selection, counts: Counts, clock: Clock, kept: Policy = FOR_EVER) -> None:
        self._selection, self._counts, self._clock, self._kept = selection, counts, clock, kept
        self._redactions = Redactions(clock, counts)

    def events(self, sources: Iterable[dict[str, Any]]) -> list[Event]:
        """The events that are recorded of these objects, in their order."""
        started, events, secrets = time.perf_counter(), [], list[Secret]()
        recorded, rules = self._selection.recorded, self._selection.rules
        kept_from = {limit.severity: limit.before for limit in self._kept.limits(self._clock.now_ms())}
        for source in sources:
            if recorded(source):
                event = normalise(source, rules, secrets)
                if event.last_seen_at >= kept_from.get(event.severity, ""):
                    events.append(event)
                if secrets:
                    self._redactions.note(secrets, f"{event.namespace}/{event.name}")
                    secrets.clear()
        self._counts.processing.observe(time.perf_counter() - started)
        return events

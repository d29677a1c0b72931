"""The thread that publishes how the recorder is: every minute, at each change of its health, and at its end."""

import threading
import time
from collections.abc import Callable

from kube9 import health, times
from kube9.census import Census
from kube9.counts import Counts
from kube9.health import Facts, Health
from kube9.status_map import Stats, StatusMap

EVERY_S = 60.0
AGAIN_S = 15.0  # after a try that failed
LOOK_S = 2.0  # between two looks at the health


class Publisher:
    """Publishes the status of a recorder, which never waits for it.

    Args:
        status: where to.
        facts: what is known of the recorder now. It may look at the database; it must come back soon.
        counts: the recorder's.
        census: of its database.
        every_s: seconds between two statuses while nothing changes.
        look_s: seconds between two looks at the health.
        again_s: seconds after a try that failed.
    """

    def __init__(
        self,
        status: StatusMap,
        facts: Callable[[], Facts],
        counts: Counts,
        census: Census,
        *,
        every_s: float = EVERY_S,
        look_s: float = LOOK_S,
        again_s: float = AGAIN_S,
    ) -> None:
        self.loop = health.Loop("status")
        self._status, self._facts, self._counts, self._census = status, facts, counts, census
        self._every_s, self._look_s, self._again_s = every_s, look_s, again_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self) -> None:
        """Begin to look; the first status is published as soon as the health is known."""
        self._thread.start()

    def stop(self) -> None:
        """Publish once more, and end. Does not wait for it: `join` does."""
        self._stopping.set()

    def join(self, within_s: float) -> None:
        """Wait for the end, so many seconds; an API server that hangs is then left alone."""
        self._thread.join(max(0.0, within_s))

    def _run(self) -> None:
        published: str | None = None  # the health that was last told, or tried to be
        due_at = time.monotonic() + self._every_s
        stopping = False
        while not stopping:
            self.loop.turn(self._look_s)
            stopping = self._stopping.wait(self._look_s)
            self.loop.turn()
            facts = self._facts()
            verdict = health.judge(facts, times.now_ms())
            changed = verdict.state != published if published else health.is_known(facts)
            if stopping or changed or time.monotonic() >= due_at:
                published = verdict.state
                due_at = time.monotonic() + (self._every_s if self._publish(verdict, facts) else self._again_s)

    def _publish(self, verdict: Health, facts: Facts) -> bool:
        counts = self._counts
        stats = Stats(
            succeeded=counts.operations["insert"] + counts.operations["update"],
            failed=counts.dropped_total + sum(watch.failures[reason] for watch in facts.watches for reason in health.REASONS),
            stored=self._census.take() or 0,
            last_success_at=facts.database.last_commit_at,
        )
        done = self._status.publish(verdict.state, verdict.problems, stats)
        if not done:
            counts.fail_publish()
        return done

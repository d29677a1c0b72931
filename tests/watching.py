"""The watch of events in a thread of its own, for tests."""

import threading
import time
from collections.abc import Callable

from kube9 import health, watch, wire
from kube9.apiserver import ApiServer
from kube9.clock import Clock
from kube9.watch import Page, Start

EVENTS = "/api/v1/events"


class Watching:
    """The loop in a thread of its own, and what it gave."""

    def __init__(
        self,
        api: ApiServer,
        clock: Clock,
        *,
        start: Start | None = None,
        verify: Callable[[], None] | None = None,
        metadata_only: bool = False,
        patience_s: float = 10.0,
        **settings: object,
    ) -> None:
        self.api, self.clock, self.patience_s = api, clock, patience_s
        self.state = health.Watch("events")
        self.pages: list[Page] = []
        self.error: Exception | None = None
        self._loop = watch.list_then_watch(
            self.api,
            EVENTS,
            wire.OBJECTS if metadata_only else wire.EVENTS,
            self.state,
            start=start or Start(),
            clock=self.clock,
            verify=verify or (lambda: None),
            settings=watch.Settings(**({"silence_s": 0.1, "settle_s": 0.03} | settings)),
            metadata_only=metadata_only,
        )
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for page in self._loop:
                self.pages.append(page)
        except Exception as error:  # noqa: BLE001 - told by the test
            self.error = error

    def names(self) -> list[str]:
        """Of the events, in the order they came."""
        return [found["metadata"]["name"] for page in list(self.pages) for found in page.objects]

    def counts(self) -> dict[str, tuple[str, int]]:
        """The last uid and count of each event."""
        return {
            found["metadata"]["name"]: (found["metadata"]["uid"], found.get("count"))
            for page in list(self.pages)
            for found in page.objects
        }

    def gaps(self) -> list[tuple[str | None, str | None]]:
        """Cause and start of what was recovered, of each page that has a cause, but for the first."""
        return [(page.cause, page.recovered_from) for page in self.pages if page.cause][1:]

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until it is so."""
        deadline = time.monotonic() + self.patience_s
        while not condition():
            assert time.monotonic() < deadline, (what, self.error, self.names()[-9:], self.state.failures)
            time.sleep(0.002)

    def seen(self, *names: str) -> None:
        """Wait until these events came."""
        self.until(lambda: set(names) <= set(self.names()), f"{names} to come")

    def stop(self) -> None:
        """End it as `kube9 serve` does."""
        self.clock.stop()
        self.api.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()

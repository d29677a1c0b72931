"""The clock that long-running work lives by: the time, and waiting that a stop ends. Tests hand in another one."""

import threading
import time

from kube9 import times


class Clock:
    """The clock of this machine."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def now_ms(self) -> int:
        """The present in milliseconds since 1970-01-01 UTC; it may jump."""
        return times.now_ms()

    def now(self) -> str:
        """The present as ISO 8601 text."""
        return times.iso(self.now_ms())

    def monotonic(self) -> float:
        """Seconds since some moment; it never goes back."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait so many seconds, or until `stop`. Tells whether to go on."""
        return not self._stopped.wait(seconds)

    def stop(self) -> None:
        """End every wait, the present ones and those to come."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

"""How long to wait before the next try: twice as long each time, jittered, bounded."""

import random


class Backoff:
    """The delays between tries that fail in a row, in seconds."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self.tries = 0

    def reset(self) -> None:
        """It works: the next failure is the first."""
        self.tries = 0

    def delay_s(self, *, asked_s: float = 0.0, first_at_once: bool = False) -> float:
        """Count a failure, and say how long to wait after it.

        Args:
            asked_s: what the server asked for; obeyed up to the longest delay, and a little more than that waited instead
                of what is longer.
            first_at_once: try again without delay after the first failure in a row.
        """
        self.tries += 1
        if asked_s > self._longest_s:
            return self._longest_s * random.uniform(1.0, 1.25)
        if first_at_once and self.tries == 1:
            return asked_s
        doubled_s = min(self._first_s * 2.0 ** min(self.tries - 1, 30), self._longest_s)
        return max(doubled_s * random.uniform(0.5, 1.0), asked_s)

"""The lane of events of our own: bounded, and whoever adds to it never waits.

When it is full, the oldest of the least severe is dropped. Not safe for threads by itself: the writer holds its lock.
"""

from collections import deque

from kube9.model import Event
from kube9.vocabulary import SEVERITIES

CAPACITY = 1000  # events that may wait


class Lane:
    """Events that wait to be written, at most `capacity`. Adding costs the same however many wait."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._size, self._number = capacity, 0, 0
        self._waiting: dict[str, deque[tuple[int, Event]]] = {severity: deque() for severity in SEVERITIES}  # rising

    def __len__(self) -> int:
        return self._size

    def add(self, event: Event) -> bool:
        """Add an event. False when the lane was full: then the oldest of the least severe went, which may be this one."""
        full = self._size >= self._capacity
        if not full or self._make_room(event.severity):
            self._number += 1
            self._waiting[event.severity].append((self._number, event))
            self._size += 1
        return not full

    def take(self) -> list[Event]:
        """All that waits, in the order in which it came."""
        found = sorted(numbered for waiting in self._waiting.values() for numbered in waiting)
        for waiting in self._waiting.values():
            waiting.clear()
        self._size = 0
        return [event for _, event in found]

    def _make_room(self, severity: str) -> bool:
        """Whether there was one to drop that is not more severe."""
        for least, waiting in self._waiting.items():
            if waiting:
                waiting.popleft()
                self._size -= 1
                return True
            if least == severity:
                break
        return False

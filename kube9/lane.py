"""The lane of events of our own: bounded, and whoever adds to it never waits.

When it is full, the oldest of the least severe is dropped. Not safe for threads by itself: the writer holds its lock.
"""

import logging
from collections import deque

from kube9.model import Event
from kube9.vocabulary import SEVERITIES

log = logging.getLogger("kube9.writer")

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


class DropLog:
    """Tells the log when a lane begins to drop, and how many it dropped in all once it drops no more."""

    def __init__(self) -> None:
        self._told = self._burst_from = 0  # how many drops the log knows of, and knew of before the present burst
        self._bursting = False

    def tell(self, dropped: int, *, written: bool) -> None:
        """Log what is new, given how many were ever dropped; `written` when the lane was emptied meanwhile."""
        if dropped > self._told and not self._bursting:
            log.warning("events of our own come faster than they are written: the oldest of the least severe are dropped")
            self._bursting, self._burst_from = True, self._told
        elif self._bursting and written and dropped == self._told:
            log.info("%d events of our own were dropped", dropped - self._burst_from)
            self._bursting = False
        self._told = dropped

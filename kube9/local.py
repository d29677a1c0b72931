"""What the library asks of a database file here. `kube9.remote` is its twin for the operator's pod.

Every question opens the file, reads in one short transaction and closes it, so nothing holds up the writer.
"""

import threading
import time
from collections.abc import Iterator
from typing import Any

from kube9 import bind, paging, query, render, store, times
from kube9.errors import FailedPrecondition
from kube9.plan import Plan

LOOK_S = 0.25  # between two looks of a watch
Row = dict[str, Any]


class File:
    """A database file. Answers are plain dicts, as their JSON has them.

    Args:
        path: the file.
        plan: the compiled plan.
        closed: what ends its watches and refuses further questions.

    Raises:
        Kube9Error: as `store.open_reader`; what is wrong with the file is said now and not at the first question.
    """

    def __init__(self, path: str, plan: Plan, closed: threading.Event) -> None:
        self._path, self._plan, self._closed = path, plan, closed
        with store.open_reader(path):
            pass

    def call(self, declared: Plan, given: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """The answer to a query. `given` is as `bind` takes it. Raises as `bind.bind` and `query.run`."""
        return render.plain(self._run(self._asked(declared, given), timeout_s), self._plan)

    def walk(self, declared: Plan, given: dict[str, Any], timeout_s: float) -> Iterator[Row]:
        """Every row, page by page, and then those that changed meanwhile; the time limit is that of a page."""
        asked = paging.whole_pages(self._asked(declared, given))
        pages = paging.pages(lambda asked: self._run(asked, timeout_s), asked)
        return (row for answer in pages for row in self._rows(answer))

    def watch(self, declared: Plan, given: dict[str, Any], timeout_s: float) -> Iterator[Row]:
        """What is added or updated from now on, or since `after`, until it is closed or the time limit has passed."""
        asked = self._asked(declared, given)
        if "after" in asked.values:
            return self._follow(asked, self._run(asked, timeout_s), timeout_s)
        latest = self._run(asked.but(asked.values | {"limit": 1}), timeout_s)
        latest.rows = []
        return self._follow(asked, latest, timeout_s)

    def _follow(self, asked: bind.Asked, latest: query.Answer, timeout_s: float) -> Iterator[Row]:
        yield from self._rows(latest)
        until = time.monotonic() + timeout_s
        while not self._closed.is_set() and time.monotonic() < until:
            arrived = paging.arrived(asked, latest)
            for latest in paging.pages(lambda asked: self._run(asked, timeout_s), arrived):
                yield from self._rows(latest)
            self._closed.wait(LOOK_S)

    def _asked(self, declared: Plan, given: dict[str, Any]) -> bind.Asked:
        return bind.bind(self._plan, declared, given, times.now_ms())

    def _run(self, asked: bind.Asked, timeout_s: float) -> query.Answer:
        if self._closed.is_set():
            raise FailedPrecondition("the client is closed", "make another one with kube9.connect")
        return query.run(self._path, asked, timeout_s)

    def _rows(self, answer: query.Answer) -> Iterator[Row]:
        rows: list[Row] = render.plain(answer, self._plan)[self._plan["messages"][answer.query["message"]]["plural"]]
        return iter(rows)

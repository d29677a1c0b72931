"""Pages: what asks for the next one, for all of them, and for what has arrived since."""

from kube9 import tokens
from kube9.bind import Asked
from kube9.query import Answer, behind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


def pages(run: "Callable[[Asked], Answer]", asked: Asked) -> "Iterator[Answer]":
    """A query's pages to the last. Each is a read of its own, so nobody waits for who consumes them.

    Pages are pinned to what the first one saw. Rows that changed since come at the end, as they are then: some of them a
    second time, but none not at all.
    """
    first, more = None, True
    while more:
        answer = run(asked)
        first = first or answer
        asked, more = next_page(asked, answer)
        yield answer
    if first and first.sync_token and "after" not in asked.values:
        yield from (answer for answer in pages(run, arrived(asked, first)) if answer.rows)


def next_page(asked: Asked, answer: Answer) -> tuple[Asked, bool]:
    """What asks for the page behind an answer, and whether there is one."""
    if "after" in asked.values and len(answer.rows) == answer.limit:
        return arrived(asked, answer), True
    if not answer.next_page_token:
        return asked, False
    return asked.but(_further(asked) | {"page_token": behind(asked, answer)}), True


def whole_pages(asked: Asked) -> Asked:
    """The same in pages that are as long as they may be."""
    return asked.but(asked.values | {"limit": asked.query["params"]["limit"]["bounds"][1]})


def arrived(asked: Asked, since: Answer) -> Asked:
    """What asks for all that was added or updated since an answer."""
    after = tokens.read_sync_token(since.sync_token or "")
    kept = {name: value for name, value in _further(whole_pages(asked)).items() if name != "page_token"}
    return asked.but(kept | {"after": after, "offset": 0})


def _further(asked: Asked) -> "dict[str, Any]":
    """The values for what comes after a first page: what that page has passed stops no other."""
    return {name: value for name, value in asked.values.items() if name != "require_coverage"}

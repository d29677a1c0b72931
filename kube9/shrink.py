"""Free pages of the database given back to the file system, a few at a time: https://www.sqlite.org/pragma.html#pragma_incremental_vacuum.

What was deleted leaves free pages, and what comes next fills them. Only what is free beyond that goes, because to make a
file smaller and larger by turns moves pages for nothing.
"""

import sqlite3
from collections.abc import Iterator

STEP = 250  # pages of 4 KiB in a transaction
RESERVE = 0.05  # of the file; a quarter of a day is 4 % of seven


def shrink(connection: sqlite3.Connection, *, reserve: float = RESERVE, step: int = STEP) -> Iterator[int]:
    """Give free pages back until no more than a part of the file is free; yields how many went with each transaction.

    Does nothing to a file that was made without auto_vacuum=INCREMENTAL. Raises sqlite3.Error.
    """
    while True:
        size, free = (_number(connection, name) for name in ("page_count", "freelist_count"))
        surplus = free - round(size * reserve)
        if surplus <= 0:
            return
        connection.executescript(f"PRAGMA incremental_vacuum({min(surplus, step)})")  # `execute` stops behind the first page
        given_back = free - _number(connection, "freelist_count")
        if given_back <= 0:
            return
        yield given_back


def _number(connection: sqlite3.Connection, name: str) -> int:
    ((number,),) = connection.execute(f"PRAGMA {name}").fetchall()
    return int(number)

"""The numbers that order arrivals: each added or changed row of events takes the next one."""

import sqlite3

LATEST = "SELECT value FROM counters WHERE name = 'change_seq'"
TAKE = "UPDATE counters SET value = value + ? WHERE name = 'change_seq' RETURNING value"


def latest(connection: sqlite3.Connection) -> int:
    """The number that was taken last. Raises sqlite3.Error."""
    ((number,),) = connection.execute(LATEST).fetchall()
    return int(number)


def take(connection: sqlite3.Connection, count: int) -> range:
    """So many numbers, in the transaction that writes the rows. Raises sqlite3.Error."""
    ((last,),) = connection.execute(TAKE, (count,)).fetchall()
    return range(last - count + 1, last + 1)

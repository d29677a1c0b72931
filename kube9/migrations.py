"""Making the database and bringing it to the newest schema, by the numbered files of schema/.

`open_writer` makes a new file; an old one is migrated by `migrate` alone, which `serve` and `kube9 db migrate` call.
"""

import os
import sqlite3
import time

from kube9 import errors, shipped, store, times, transaction

WRITER_PRAGMAS = (
    "synchronous=NORMAL",
    "foreign_keys=ON",
    "cache_size=-10000",  # KiB
    "temp_store=MEMORY",
    "wal_autocheckpoint=4000",  # pages: 16 MB. At SQLite's 1,000, a burst copies the same pages into the file again and again
)


def open_writer(path: str, busy_timeout_s: float = store.BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """Open the database to write, making it when there is none.

    `busy_timeout_s` is how long a statement waits while another process writes.

    A file at an older schema is refused: `migrate` is for `serve` and `kube9 db migrate`. Raises as `open_reader`
    does, and Unavailable when the directory cannot be made or written.
    """
    connection = _writer(path, busy_timeout_s)
    try:
        version = store.schema_version(connection, path)
        if version == 0:
            _create(connection, path)
        elif version < store.newest_version():
            raise errors.FailedPrecondition(
                f"database at schema version {version}, this kube9 writes {store.newest_version()}",
                f"{path}: run `kube9 db migrate --db {path}`, or let `kube9 serve` do it when it starts",
            )
        elif version > store.newest_version():
            raise _too_new(path, version)
        return connection
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise store.translate(error, path) from error
        raise


def migrate(path: str) -> tuple[int, int]:
    """Bring the database to the newest schema, each migration in one transaction with its row in schema_version.

    Returns: the versions before and after.

    Raises:
        FailedPrecondition: the file is newer than this program, or another program's.
        Internal: a migration failed and was rolled back; says which file and statement.
    """
    connection = _writer(path, store.BUSY_TIMEOUT_S)
    try:
        before = store.schema_version(connection, path)
        if before == 0:
            _create(connection, path)
        elif before > store.newest_version():
            raise _too_new(path, before)
        else:
            _apply(connection, path, before)
        return before, store.newest_version()
    except sqlite3.Error as error:
        raise store.translate(error, path) from error
    finally:
        connection.close()


def migrations() -> list[tuple[int, str, str]]:
    """The numbered migrations as (version, file name, SQL), in order. Raises Internal for a gap or a duplicate."""
    directory = shipped.path("schema")
    names = sorted(name for name in os.listdir(directory) if name.endswith(".sql"))
    if any(not name.startswith(f"{number:04}_") for number, name in enumerate(names, 1)):
        raise errors.Internal("the migrations are not numbered 1, 2, 3 …", f"{directory}: {', '.join(names)}")
    found = []
    for number, name in enumerate(names, 1):
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            found.append((number, name, file.read()))
    return found


def _refuse_foreign(path: str) -> None:
    # Before it is opened to write, because closing that would fold its -wal into another program's file.
    if not os.path.exists(path) or not os.path.getsize(path):
        return
    if os.path.exists(f"{path}-shm") or not os.path.exists(f"{path}-wal"):  # else only a writer can take the -wal in
        store.Reader(path).connection.close()


def make_directory(path: str) -> None:
    """Make the directory that a database file is to lie in. Raises PermissionDenied and Unavailable."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        kind = errors.PermissionDenied if isinstance(error, PermissionError) else errors.Unavailable
        raise kind("cannot make the directory of the database", f"{path}: {error.strerror}") from None


def _writer(path: str, busy_timeout_s: float) -> sqlite3.Connection:
    make_directory(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise errors.Unavailable("not a file", f"{path}: {store.NOT_A_FILE}")
    if not os.access(path if os.path.exists(path) else os.path.dirname(path), os.W_OK):
        raise errors.PermissionDenied("the database may not be written", f"{path}: {store.WHERE}")
    _refuse_foreign(path)
    connection = store.connect(path, "?mode=rwc", busy_timeout_s)
    try:
        for pragma in WRITER_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error as error:
        connection.close()
        raise store.translate(error, path) from error
    return connection


def _too_new(path: str, version: int) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        f"database at schema version {version}, newer than this kube9 knows ({store.newest_version()})",
        f"{path}: this kube9 answers queries on it and writes nothing; install the newer one again, or give --db another file",
    )


def _create(connection: sqlite3.Connection, path: str) -> None:
    # These three are fixed by the first table, so they come before it.
    connection.execute("PRAGMA page_size=4096")
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute(f"PRAGMA application_id={store.APPLICATION_ID}")
    _use_wal(connection)
    # In one transaction, so that nobody ever sees a new file at an old version.
    with transaction.immediate(connection):
        if store.schema_version(connection, path) == 0:  # else another process came first
            for migration in migrations():
                _run(connection, path, *migration)


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for its busy timeout here, and another process may be making the same file.
    deadline = time.monotonic() + store.BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _apply(connection: sqlite3.Connection, path: str, version: int) -> None:
    for migration in migrations()[version:]:
        with transaction.immediate(connection):
            if migration[0] > store.schema_version(connection, path):  # else another process came first
                _run(connection, path, *migration)


def _run(connection: sqlite3.Connection, path: str, number: int, name: str, sql: str) -> None:
    statement = ""
    try:
        for statement in _statements(sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_version (version, applied_at, description) VALUES (?, ?, ?)",
            (number, times.iso(times.now_ms()), name[5:-4].replace("_", " ")),
        )
    except sqlite3.Error as error:
        raise errors.Internal(f"migration {name} failed and was rolled back", f"{path}: {error} in: {statement}") from error


def _statements(sql: str) -> list[str]:
    """The statements of a script. Python's `executescript` would commit the open transaction first."""
    found, part = [], ""
    for piece in sql.split(";"):
        part += piece + ";"
        if sqlite3.complete_statement(part):
            found.append(part.strip())
            part = ""
    last = [line for line in part.removesuffix(";").splitlines() if line.strip() and not line.strip().startswith("--")]
    return [*found, part.strip()] if last else found

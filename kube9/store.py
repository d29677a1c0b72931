"""The database file: where it is, and opening it to read.

A reader creates nothing and changes nothing. Only SQLite ever opens the file: closing another descriptor of it in
this process would drop SQLite's locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
"""

import os
import time

from kube9 import errors, shipped

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
else:
    try:
        import _sqlite3 as sqlite3  # the C part alone: `import sqlite3` adds datetime, 1.6 ms of a 16 ms query
    except ImportError:  # another Python than CPython
        import sqlite3

APPLICATION_ID = 0x6B756239  # "kub9": tells our lineage from the TypeScript operator's, which numbers other things
BUSY_TIMEOUT_S = 10.0
WAL_LOOKS, WAL_LOOK_S = 5, 0.02  # at a -wal that has no -shm yet
READER_CACHE_KIB = 1024

# Numbers of SQLite's C interface (https://www.sqlite.org/c3ref/c_alter_table.html, c_limit_attached.html).
OK, DENY, READ, SELECT, FUNCTION, RECURSIVE = 0, 1, 20, 21, 31, 33
LIMIT_LENGTH, LIMIT_VDBE_OP = 0, 5
VIRTUAL = ("json_each", "json_tree")
UNSAFE = ("load_extension", "readfile", "writefile", "edit", "fts3_tokenizer")

Connection = sqlite3.Connection
Error = sqlite3.Error


def database_path(option: str | None) -> str:
    """Where the database is: the option (a file), else DB_PATH (a directory), else the place this machine uses.

    In a cluster that is /data/kube9.db, elsewhere the user's data directory
    (https://specifications.freedesktop.org/basedir-spec/latest/).
    """
    if option is not None:
        try:
            option.encode()
        except UnicodeEncodeError:
            raise errors.InvalidArgument("the name of the database is not UTF-8", ascii(option)) from None
        return os.path.realpath(option)
    directory = os.environ.get("DB_PATH")
    if not directory and "KUBERNETES_SERVICE_HOST" in os.environ:
        directory = "/data"
    if not directory:
        home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
        directory = os.path.join(home, "kube9")
    return os.path.realpath(os.path.join(directory, "kube9.db"))


NOT_A_FILE = "--db names a file, DB_PATH the directory it lies in"
RESTORE = "keep the file and start with a new one, or restore a copy"
WHERE = "check the owner and mode of the file and its directory"
# Primary result codes of SQLite (https://www.sqlite.org/rescode.html): our error, its message, what to do.
SQLITE_ERRORS: tuple[tuple[str, type[errors.Kube9Error], str, str], ...] = (
    ("SQLITE_NOTADB", errors.DataLoss, "not a database, or one that is damaged from its first page", RESTORE),
    ("SQLITE_CORRUPT", errors.DataLoss, "the database is damaged", RESTORE),
    ("SQLITE_CANTOPEN", errors.Unavailable, "cannot open the database", "is its directory there, and may this user use it?"),
    ("SQLITE_BUSY", errors.Unavailable, "the database is locked", "another process is writing, try again"),
    ("SQLITE_LOCKED", errors.Unavailable, "the database is locked", "another process is writing, try again"),
    ("SQLITE_INTERRUPT", errors.DeadlineExceeded, "the time limit passed", "ask for less, or raise --timeout"),
    ("SQLITE_NOMEM", errors.Unavailable, "the query needs more memory than it may use", "ask for less"),
    ("SQLITE_READONLY", errors.PermissionDenied, "the database may not be written", WHERE),
    ("SQLITE_PERM", errors.PermissionDenied, "access to the database was refused", WHERE),
    ("SQLITE_AUTH", errors.PermissionDenied, "the statement is not allowed", "only SELECT is"),
    ("SQLITE_PROTOCOL", errors.Unavailable, "the database is locked", "other processes keep opening it, try again"),
    ("SQLITE_NOLFS", errors.Unavailable, "the file system takes no file of this size", "keep the database on another one"),
    ("SQLITE_TOOBIG", errors.InvalidArgument, "a value in the query is longer than it may be", "ask for less"),
    ("SQLITE_FULL", errors.Unavailable, "the disk is full", "free some space"),
    ("SQLITE_IOERR", errors.Unavailable, "the disk did not answer", "look at the system's log"),
)


FLEETING = ("SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTINIT", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL")


class Reader:
    """One read-only look at a database, as a context manager.

    Without a -wal file nobody writes, and the file is opened immutable, because a plain read-only open of a WAL
    database would create -wal and -shm and leave them behind. `changed()` tells afterwards whether a writer came
    meanwhile; what was read is then to be read again.
    """

    def __init__(self, path: str, timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self.immutable, self._before = _how_to_read(path)
        self.connection = connect(
            path, "?immutable=1" if self.immutable else "?mode=ro", max(min(timeout_s, BUSY_TIMEOUT_S), 0)
        )
        try:
            for pragma in (f"cache_size=-{READER_CACHE_KIB}", "query_only=1"):
                self.connection.execute(f"PRAGMA {pragma}")
            self.version = schema_version(self.connection, path)
        except BaseException as error:
            self.connection.close()
            if isinstance(error, sqlite3.Error):
                raise translate(error, path) from error
            raise

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def changed(self) -> bool:
        """Whether an immutable file was written while it was read."""
        return self.immutable and looks(self.path) != self._before


class Nowhere:
    """What a query of no table reads: an empty database in memory."""

    path, immutable = "", False

    def __enter__(self) -> "Nowhere":
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def guard(connection: Connection, length: int, steps: int) -> None:
    """Allow a connection to read the tables of the file, and nothing else, from here on.

    Args:
        connection: an open one.
        length: the longest text or blob that a statement may make, in bytes.
        steps: the most instructions that a compiled statement may have.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def allowed(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action == READ:
            named = not (first or "").startswith(("sqlite_", "pragma_", "dbstat"))
            # Without a column the name may be that of a part of the statement itself (WITH).
            return OK if first in tables or first in VIRTUAL or (not second and named) else DENY
        if action == FUNCTION:
            return DENY if second in UNSAFE else OK
        return OK if action in (SELECT, RECURSIVE) else DENY

    for name in VIRTUAL:  # SQLite makes these on their first use, which the authorizer would refuse
        connection.execute(f"SELECT 1 FROM {name}('[]')")
    connection.text_factory = lambda raw: raw.decode(errors="replace")  # a blob may be called text
    connection.setlimit(LIMIT_LENGTH, length)
    connection.setlimit(LIMIT_VDBE_OP, steps)
    connection.set_authorizer(allowed)


def open_reader(path: str, timeout_s: float = BUSY_TIMEOUT_S) -> Reader:
    """Open the database to read.

    Raises:
        Unavailable: there is none, or it cannot be opened.
        PermissionDenied: the user may not read it.
        DataLoss: the file is damaged or no database.
        FailedPrecondition: another program's database, an older schema, or a -wal that must be taken in first.
    """
    reader = Reader(path, timeout_s)
    if reader.version >= newest_version():
        return reader
    reader.connection.close()
    if reader.version == 0:
        raise errors.Unavailable("the database is empty", f"{path}: `kube9 serve` or `kube9 import` fills it")
    raise errors.FailedPrecondition(
        f"database at schema version {reader.version}, this kube9 needs {newest_version()}",
        f"{path}: `kube9 serve` migrates it when it starts, or run `kube9 db migrate --db {path}`",
    )


def newest_version() -> int:
    """The schema version that this program writes: how many migrations there are."""
    return sum(name.endswith(".sql") for name in os.listdir(shipped.path("schema")))


def schema_version(connection: Connection, path: str) -> int:
    """The schema version of an open database; 0 without tables. Raises FailedPrecondition for another program's."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    # In this order, because a file that another process is just making has its application_id before its tables.
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id == APPLICATION_ID and "schema_version" in tables:
        return int(connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0])
    if not tables:
        return 0
    if {"schema_version", "events"} <= tables:
        raise errors.FailedPrecondition(
            "a database of the TypeScript operator, whose schema versions mean something else",
            f"{path}: give kube9 a file of its own; this one stays as it is",
        )
    raise errors.FailedPrecondition("another program's database", f"{path}: give kube9 a file of its own with --db")


def translate(error: Exception, path: str) -> errors.Kube9Error:
    """The error of ours for an error of SQLite's."""
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    if "not authorized" in str(error):
        name = "SQLITE_AUTH"
    for prefix, kind, message, advice in SQLITE_ERRORS:
        if name.startswith(prefix):
            return kind(message, f"{path}: {error} ({name}); {advice}")
    return errors.Internal("SQLite refused a statement", f"{path}: {error} ({name})")


def size_bytes(path: str) -> int:
    """Size of a database and its -wal; what is not there has none. The file is not opened."""
    size = 0
    for name in (path, f"{path}-wal"):
        try:
            size += os.stat(name).st_size
        except OSError:
            pass  # a -wal comes and goes
    return size


def looks(path: str) -> tuple[int, int, tuple[int, int] | None]:
    """What tells that a file was written: its time and size, and those of its -wal."""
    try:
        main = os.stat(path)
    except FileNotFoundError:
        raise errors.Unavailable(
            "no database", f"{path} does not exist: `kube9 serve` or `kube9 import FILE` makes it, --db names another"
        ) from None
    except PermissionError:
        raise errors.PermissionDenied("may not look at the database", f"{path}: check the mode of its directory") from None
    except (OSError, ValueError) as error:
        raise errors.Unavailable("cannot open the database", f"{path}: {error}") from None
    if not os.path.isfile(path):
        raise errors.Unavailable("not a file", f"{path}: {NOT_A_FILE}")
    if not os.access(path, os.R_OK):
        raise errors.PermissionDenied("may not read the database", f"{path}: {WHERE}")
    try:
        wal = os.stat(path + "-wal")
    except OSError:
        return main.st_mtime_ns, main.st_size, None
    return main.st_mtime_ns, main.st_size, (wal.st_mtime_ns, wal.st_size)


def is_fleeting(error: errors.Kube9Error) -> bool:
    """Whether an error comes from meeting a writer while it opens or closes the file, so that a next try may succeed."""
    return getattr(error.__cause__, "sqlite_errorname", "") in FLEETING


def _how_to_read(path: str) -> tuple[bool, tuple[int, int, tuple[int, int] | None]]:
    """Whether to open a database immutable, and how it looks before."""
    for _ in range(WAL_LOOKS):
        before = looks(path)
        wal = before[2]
        if wal is None or os.path.exists(path + "-shm"):
            return wal is None, before
        if wal[1] == 0:
            return True, before  # a writer is just opening it; `changed` will tell
        time.sleep(WAL_LOOK_S)  # or it has made the -wal and not yet the -shm
    raise errors.FailedPrecondition(
        "the database has a -wal without its -shm, which a reader would have to make",
        f"{path}: left by a copy or a crash; `kube9 serve` takes it in when it starts, or run `kube9 db migrate --db {path}`",
    )


def connect(path: str, query: str, timeout_s: float) -> Connection:
    """A connection by a URI's query, such as `?mode=ro`; transactions are begun by hand. Raises as `open_reader`."""
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    try:
        return sqlite3.connect(
            f"file:{quoted}{query}", timeout=timeout_s, isolation_level=None, check_same_thread=False, uri=True
        )
    except sqlite3.Error as error:
        raise translate(error, path) from error

"""Answering: run one statement on the database, and say where its rows stand in the whole."""

import time

from kube9 import coverage, errors, store, times, tokens
from kube9.bind import Asked, Cursor, named, page_token
from kube9.statement import MOST_COUNTED, counts_some, order_of, statement
from kube9.version import __version__

PROGRESS_STEPS = 10_000  # of SQLite's virtual machine between two looks at the clock, about a millisecond
TRIES, PAUSE_S = 5, 0.02  # at reading a file that a writer keeps opening and closing
OWN_LENGTH, OWN_VDBE_STEPS = 100_000, 100_000  # of a value and of a compiled statement, in a query of the user's own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from kube9.plan import Plan


class Answer:
    """The rows of a query, and where they stand in the whole; `total` is None where the answer is no page.

    `exact` is False where `total` stands for itself or more. `coverage` is what was watched of the time asked for, where
    the query has a window.
    """

    __slots__ = (
        "coverage", "exact", "fields", "limit", "next_page_token", "offset", "query", "rows", "sync_token", "total",
    )  # fmt: skip

    def __init__(self, query: "Plan", rows: "list[tuple[Any, ...]]") -> None:
        self.query, self.rows, self.fields = query, rows, query["fields"]
        self.total: int | None = None
        self.exact = True
        self.limit = self.offset = 0
        self.next_page_token = ""
        self.sync_token: str | None = None
        self.coverage: coverage.Coverage | None = None


def run(path: str, asked: Asked, timeout_s: float, heap_bytes: int = 0, hung: "Callable[[], None] | None" = None) -> Answer:
    """Run a query on the database at a path.

    Args:
        path: the database file.
        asked: as `bind` gives it.
        timeout_s: time limit in seconds, enforced inside SQLite.
        heap_bytes: what SQLite may allocate in this whole process; 0 is without bound.
        hung: called in another thread a second behind the time limit, when a user's own query is still at work: SQLite looks
            at the clock between its instructions, and one function over a long text is one instruction.

    Raises:
        NotFound: a query for one thing found none, or there is none with the name that was given.
        DeadlineExceeded: the time limit passed.
        FailedPrecondition: a token of another database, or less was watched than is required.
        Unavailable, PermissionDenied, DataLoss, FailedPrecondition: as `store.open_reader`.
    """
    if hung and asked.query["own"]:
        from threading import Timer

        timer = Timer(timeout_s + 1, hung)
        timer.daemon = True
        timer.start()
        try:
            return run(path, asked, timeout_s, heap_bytes)
        finally:
            timer.cancel()
    deadline = time.monotonic() + timeout_s
    if not asked.query["database"]:
        with store.Nowhere() as reader:
            try:
                _limit_heap(reader.connection, heap_bytes)
                return _read(reader, asked, deadline)
            except store.Error as error:
                raise store.translate(error, "no database") from error
    for left in reversed(range(TRIES)):
        try:
            opened = store.open_reader(path, timeout_s)
        except errors.Kube9Error as error:
            if left and store.is_fleeting(error):
                time.sleep(PAUSE_S)
                continue
            raise
        with opened as reader:
            try:
                _limit_heap(reader.connection, heap_bytes)
                answer = _read(reader, asked, deadline)
            except (store.Error, errors.Kube9Error) as error:
                if reader.changed():
                    continue
                if isinstance(error, errors.Kube9Error):
                    raise
                raise store.translate(error, path) from error
            if not reader.changed():
                return answer
    raise errors.Unavailable("the database keeps changing while it is read", f"{path}: try again")


def behind(asked: Asked, answer: Answer) -> Cursor:
    """What a page token holds that goes on behind the last row of an answer."""
    places = order_of(asked.query, asked.values)["places"]
    keys = [answer.rows[-1][place] for place in places]
    lineage, seq = tokens.read_sync_token(answer.sync_token) if answer.sync_token else (0, 0)
    return Cursor(lineage, seq, answer.total or 0, answer.exact, answer.offset + len(answer.rows), keys)


def _limit_heap(connection: store.Connection, heap_bytes: int) -> None:
    if heap_bytes:
        connection.execute(f"PRAGMA hard_heap_limit={heap_bytes}")


def _read(reader: store.Reader | store.Nowhere, asked: Asked, deadline: float) -> Answer:
    connection, query, values = reader.connection, asked.query, asked.values
    if time.monotonic() >= deadline:
        raise errors.DeadlineExceeded("the time limit passed", "ask for less, or raise --timeout")
    connection.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
    if query["context"]:
        values = values | _context(asked, reader.path)
    if query["database"]:
        connection.execute("BEGIN")  # rows and total from the same moment
        values = _settled(connection, query, values)
    watched = _coverage(connection, asked) if query["window"] else None
    if query["own"]:
        store.guard(connection, OWN_LENGTH, OWN_VDBE_STEPS)
    for name, message, thing, sql in query["subjects"]:
        if name in values and connection.execute(sql, {name: values[name]}).fetchone() is None:
            raise _not_found(query, message, thing, {name: values[name]})
    sql, parameters = statement(query, "select", values)
    if not query["paged"]:
        rows = _rows(connection.execute(f"{sql}\nLIMIT 1", parameters), asked)
        if not rows:
            keys = {name: values[name] for name, param in query["params"].items() if not param["flags"]}
            raise _not_found(query, query["message"], query["key"], keys)
        return Answer(query, rows)
    state = _state(connection, query, values) if query["arrivals"] else None
    rows = _rows(connection.execute(sql, parameters), asked)
    more = len(rows) > values["limit"]
    answer = Answer(query, rows[: values["limit"]])
    answer.limit = values["limit"]
    answer.coverage = watched
    _count(connection, answer, values, more)
    if state:
        last = answer.rows[-1][query["arrivals"]["place"]] if more and "after" in values else state[1]
        answer.sync_token = tokens.sync_token(state[0], last)
    if more and "after" not in values:
        answer.next_page_token = page_token(asked, behind(asked, answer))
    return answer


def _coverage(connection: store.Connection, asked: Asked) -> coverage.Coverage:
    """What was watched of the time asked for. Raises FailedPrecondition where it is less than what is required."""
    query, values = asked.query, asked.values
    if not query["database"]:
        return coverage.Coverage(None, None)
    since, until = (values.get(name) for name in query["window"])
    found = coverage.read(
        connection, since, until, severities=_severities(asked), namespaces=_namespaces(asked), now_ms=times.now_ms()
    )
    if "require_coverage" in values:
        from kube9 import coverage_text  # which most queries do not need

        coverage_text.demand(found, values["require_coverage"])
    return found


def _severities(asked: Asked) -> list[str]:
    """The severities that filters let through, in their order."""
    found: list[str] = asked.plan["types"].get("Severity", {"values": []})["values"]
    for name, param in asked.query["params"].items():
        chosen = asked.values.get(name)
        if param["type"] == "Severity" and isinstance(chosen, list):
            found = [severity for severity in found if severity in chosen]
    return found


def _namespaces(asked: Asked) -> "list[str] | None":
    """The namespaces that the answer keeps to; None for all."""
    for name in asked.query["namespaces"]:
        given = asked.values.get(name)
        if given:
            return given if isinstance(given, list) else [given]
    return None


def _rows(found: "Iterable[tuple[Any, ...]]", asked: Asked) -> "list[tuple[Any, ...]]":
    if not asked.query["own"]:
        return list(found)
    from kube9 import conform  # json: 4 ms

    return conform.rows(found, asked)


def _count(connection: store.Connection, answer: Answer, values: "dict[str, Any]", more: bool) -> None:
    """How many rows there are in all: known from page 1, from the end of the list, or counted."""
    query, cursor = answer.query, values.get("page_token")
    answer.offset = cursor.offset if cursor else values["offset"]
    if cursor:
        answer.total, answer.exact = cursor.total, cursor.exact
        return
    answer.total = answer.offset + len(answer.rows)
    if more or (answer.offset and not answer.rows):
        sql, parameters = statement(query, "count", values)
        (answer.total,) = connection.execute(sql, parameters).fetchone()
        if counts_some(query, values) and answer.total > MOST_COUNTED:
            answer.total, answer.exact = MOST_COUNTED, False


def _state(connection: store.Connection, query: "Plan", values: "dict[str, Any]") -> tuple[int, int]:
    """The lineage of the database and its last change, or the one that page 1 saw. Raises FailedPrecondition."""
    sql = "SELECT value FROM counters WHERE name IN ('change_seq', 'lineage') ORDER BY name"
    (newest,), (lineage,) = connection.execute(sql).fetchall()
    cursor, after, of = values.get("page_token"), values.get("after"), query["arrivals"]
    given = (cursor.lineage, cursor.seq) if cursor else after
    ((last,),) = connection.execute(f"SELECT coalesce(max({of['column']}), 0) FROM {of['table']}").fetchall()
    if given and (given[0] != lineage or given[1] > max(newest, last)):
        raise errors.FailedPrecondition(
            "the token is of another database", "the file was replaced or restored since: ask again without the token"
        )
    return lineage, cursor.seq if cursor else max(last, after[1]) if after else last


def _settled(connection: store.Connection, query: "Plan", values: "dict[str, Any]") -> "dict[str, Any]":
    """The values with names that nobody declared, such as the kind of a custom resource, as the database spells them."""
    found = {}
    for name, param in query["params"].items():
        for key, of in named(name, param):
            value = values.get(key)
            if of["spellings"] and isinstance(value, str) and value not in of["spellings"].values():
                found[key] = _as_stored(connection, of["known"], value) or value
    return values | found


def _as_stored(connection: store.Connection, known: str | None, word: str) -> str | None:
    if not known:
        return None
    resource = word.partition(".")[0].lower()
    forms = [resource] if resource else []  # and its singulars, as kubectl takes a plural
    for ending, instead in (("s", ""), ("es", ""), ("ies", "y")):
        if resource.endswith(ending) and resource != ending:
            forms.append(resource.removesuffix(ending) + instead)
    marks = ", ".join("?" * len(forms))
    sql = (
        f"SELECT value FROM ({known}) WHERE value = ? OR value COLLATE NOCASE IN ({marks}) "
        "ORDER BY value = ? DESC, value COLLATE NOCASE = ? DESC LIMIT 1"
    )
    row = connection.execute(sql, [word, *forms, word, resource]).fetchone()
    return row and str(row[0])


def _context(asked: Asked, path: str) -> "dict[str, Any]":
    """What `sql:` may use besides its filters."""
    names = asked.query["context"]
    namespaces = _namespaces(asked) or []
    found: dict[str, Any] = {
        "program_version": __version__, "known_schema_version": store.newest_version(),
        "database_path": path, "database_size_bytes": store.size_bytes(path),
        "asked_namespace": namespaces[0] if len(namespaces) == 1 else None,
    }  # fmt: skip
    if "capabilities" in names or "query_problems" in names:
        found |= {"capabilities": "[]", "query_problems": "[]"}
        if "capabilities" in names or asked.plan["problems"]:
            from kube9 import capabilities  # json brings re: 4 ms

            found |= {"capabilities": capabilities.listed(asked.plan), "query_problems": capabilities.problems(asked.plan)}
    return {name: found[name] for name in names if name in found}


def _not_found(query: "Plan", message: str, thing: str, keys: "dict[str, Any]") -> errors.NotFound:
    said = ", ".join(f"{name} {value!r}" for name, value in keys.items())
    fields = {f"{thing}_{name}": str(value) for name, value in keys.items()}
    what = f"nothing recorded has {said}" if said else f"{query['name']} gives nothing here"
    return errors.NotFound(f"{message} not found", what, **fields)

"""Answering: check the values that a caller gave, run one statement, bring back its rows.

Everything is driven by the plan; no filter is known here by name. Values travel as parameters only.
"""

import os
import time

from kube9 import errors, store, times
from kube9.version import __version__

PROGRESS_STEPS = 10_000  # of SQLite's virtual machine between two looks at the clock, about a millisecond
MANY = 2**31  # a bound from here on is none that a person needs to know
TRIES, PAUSE_S = 5, 0.02  # at reading a file that a writer keeps opening and closing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kube9.plan import Plan


class Answer:
    """The rows of a query. `total` is None where the answer is no page."""

    __slots__ = ("limit", "offset", "query", "rows", "total")

    def __init__(self, query: "Plan", rows: "list[tuple[Any, ...]]", total: int | None, limit: int, offset: int) -> None:
        self.query, self.rows, self.total, self.limit, self.offset = query, rows, total, limit, offset


def bind(query: "Plan", given: "dict[str, Any]", now_ms: int) -> "dict[str, Any]":
    """Check and convert what a caller gave for a query's parameters.

    Args:
        query: the query's plan.
        given: parameter name -> text, number, or a list of these; None and absent mean not given.
        now_ms: what `24h` is reckoned from, milliseconds since 1970.

    Returns: parameter name -> value for SQLite, defaults filled in.

    Raises:
        InvalidArgument: says which parameter, what was found and what is allowed.
    """
    params = query["params"]
    values: dict[str, Any] = {}
    for name in given:
        if name not in params:
            raise errors.InvalidArgument(f'no parameter "{name}"', f"{query['name']} takes {', '.join(params) or 'none'}")
    for name, param in params.items():
        found = given.get(name)
        if found is None or found == []:
            if param["default"] is not None:
                values[name] = param["default"]
            elif not param["flags"]:
                raise errors.InvalidArgument(f"{name.upper()} is missing", f"{query['name']} needs it: {param['doc']}")
        elif param["many"]:
            values[name] = convert_many(name, param, found, now_ms)
        else:
            values[name] = convert(name, param, found, now_ms)
    for name, param in params.items():
        before = param["after"]
        if before in values and name in values and values[before] >= values[name]:
            raise errors.InvalidArgument(
                f"{before} is not before {name}", f"{before} is {values[before]}, {name} is {values[name]}: swap them"
            )
    return values


def convert_many(name: str, param: "Plan", found: object, now_ms: int) -> "list[Any]":
    """Every value of a parameter that may be given several times, each once; a closed set also takes `a,b`."""
    entries = found if isinstance(found, list | tuple) else [found]
    if param["choices"]:
        entries = [part for entry in entries for part in str(entry).split(",")]
    return list(dict.fromkeys(convert(name, param, entry, now_ms) for entry in entries))


def convert(name: str, param: "Plan", found: object, now_ms: int) -> str | int:
    """One value, checked. Raises InvalidArgument."""
    kind, choices, bounds = param["type"], param["choices"], param["bounds"]
    if choices:
        if found not in choices:
            from difflib import get_close_matches  # an error may take its time

            near = get_close_matches(str(found), choices, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _invalid(name, found, f"is not one of {', '.join(choices)}{hint}")
        return str(found)
    if kind == "integer":
        text = str(found)
        if not (text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 20):
            raise _invalid(name, found, "is not a whole number")
        if bounds and not bounds[0] <= int(text) <= bounds[1]:
            said = f"between {bounds[0]} and {bounds[1]}" if bounds[1] < MANY else f"{bounds[0]} or more"
            raise _invalid(name, found, f"is not {said}")
        return int(text)
    text = str(found)
    if not text and kind == "string":
        raise _invalid(name, found, "is empty")
    try:
        text.encode()
        if kind == "time":
            return times.iso(times.parse(text, now_ms))
        if kind == "duration":
            return times.duration_ms(text)
    except UnicodeEncodeError:
        raise _invalid(name, text.encode(errors="replace").decode(), "is not UTF-8") from None
    except ValueError as error:
        raise _invalid(name, found, f"is {error}") from None
    return text


def statement(query: "Plan", part: str, values: "dict[str, Any]") -> "tuple[str, dict[str, Any]]":
    """The SQL of a query and its parameters.

    Args:
        query: the query's plan.
        part: "select" for the rows, "count" for how many there are.
        values: as `bind` gives them; a filter without a value leaves no trace in the SQL.
    """
    conditions, parameters = [], dict.fromkeys(query["params"]) | values
    for name, before, after in query["where"]:
        if name in values:
            value = values[name]
            if isinstance(value, list):
                marks = [f"{name}_{index}" for index in range(len(value))]
                parameters.update(zip(marks, value, strict=True))
                conditions.append(f"{before}:{', :'.join(marks)}{after}")
                del parameters[name]
            else:
                conditions.append(f"{before}:{name}{after}")
    sql, joined = query[part], " AND ".join(conditions)
    if "{filters}" in sql:
        sql = sql.replace("{filters}", f"({joined or 1})")
    elif conditions:
        sql += f" {'AND' if query['fixed'] else 'WHERE'} {joined}"
    if part == "select":
        sql += query["tail"]
        if "limit" in values:
            sql += " LIMIT :limit OFFSET :offset"
    return sql, parameters


def run(path: str, query: "Plan", values: "dict[str, Any]", timeout_s: float) -> Answer:
    """Run a query on the database at a path.

    Args:
        path: the database file.
        query: the query's plan.
        values: as `bind` gives them.
        timeout_s: time limit in seconds, enforced inside SQLite.

    Raises:
        NotFound: a query for one thing found none.
        DeadlineExceeded: the time limit passed.
        Unavailable, PermissionDenied, DataLoss, FailedPrecondition: as `store.open_reader`.
    """
    deadline = time.monotonic() + timeout_s
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
                answer = _read(reader, query, values, deadline)
            except store.Error as error:
                if reader.changed():
                    continue
                raise store.translate(error, path) from error
            if not reader.changed():
                return answer
    raise errors.Unavailable("the database keeps changing while it is read", f"{path}: try again")


def _read(reader: store.Reader, query: "Plan", values: "dict[str, Any]", deadline: float) -> Answer:
    connection = reader.connection
    connection.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
    if query["context"]:
        values = values | _context(reader.path)
    connection.execute("BEGIN")  # rows and total from the same moment
    sql, parameters = statement(query, "select", values)
    rows = connection.execute(sql, parameters).fetchall()
    if not query["paged"]:
        if not rows:
            raise _not_found(query, values)
        return Answer(query, rows, None, 0, 0)
    limit, offset = values["limit"], values["offset"]
    total = offset + len(rows)
    if len(rows) == limit or (offset and not rows):
        sql, parameters = statement(query, "count", values)
        (total,) = connection.execute(sql, parameters).fetchone()
    return Answer(query, rows, total, limit, offset)


def _context(path: str) -> "dict[str, Any]":
    size = sum(os.path.getsize(name) for name in (path, f"{path}-wal") if os.path.exists(name))
    now = times.iso(times.now_ms())
    return {"now": now, "program_version": __version__, "database_path": path, "database_size_bytes": size}


def _not_found(query: "Plan", values: "dict[str, Any]") -> errors.NotFound:
    thing = query["key"]
    keys = {name: values[name] for name, param in query["params"].items() if not param["flags"]}
    said = ", ".join(f"{name} {value!r}" for name, value in keys.items())
    fields = {f"{thing}_{name}": str(value) for name, value in keys.items()}
    return errors.NotFound(f"{query['message']} not found", f"nothing recorded has {said}", **fields)


def _invalid(name: str, found: object, problem: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(f'{name}: "{found}" {problem}')

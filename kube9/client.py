"""The typed library: `db.events.list(…)` and the rest, grown from the same plan as the command line.

    with kube9.connect("kube9.db") as db:
        for event in db.events.list(severity=["error"], since="24h", limit=20):
            print(event.last_seen_at, event.title)

Every call opens the database, reads in one short transaction and closes it, so one client serves many threads and
never holds up the writer.
"""

import inspect
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from kube9 import bind, fresh, plan, query, render, store, times
from kube9.capabilities import methods
from kube9.errors import FailedPrecondition, InvalidArgument
from kube9.messages import (
    TIMEOUT_S,
    Message,
    Page,
    argument,
    call_name,
    default_of,
    messages,
    parameter_type,
    response_name,
)

LOOK_S = 0.25  # between two looks of a watch


_COMPILING = threading.Lock()


def compiled() -> tuple[plan.Plan, dict[str, type[Message]]]:
    """As `_compiled`, by one thread at a time: else each of those that begin together makes types of its own."""
    with _COMPILING:
        return _compiled()


@cache
def _compiled() -> tuple[plan.Plan, dict[str, type[Message]]]:
    """The plan and its messages, made once in a process. Raises SpecError."""
    loaded = fresh.current()
    return loaded, messages(loaded)


class Service:
    """The queries of one group as methods, such as `db.events`."""

    def __init__(self, client: "Client", group: str) -> None:
        self._client, self._group = client, group

    def __repr__(self) -> str:
        methods = sorted(name for name in vars(type(self)) if not name.startswith("_"))
        return f"<kube9 {self._group}: {', '.join(methods)}>"


class Client:
    """A database to ask. Made by `connect`; a context manager; safe to use from many threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._closed = threading.Event()
        with store.open_reader(path):
            pass  # what is wrong with the file is said now and not at the first question
        loaded, _ = compiled()
        groups: dict[str, dict[str, Any]] = {}
        for name, declared in loaded["queries"].items():
            group = name.replace("-", "_").rpartition(" ")[0]
            if group:
                groups.setdefault(group, {}).update(_methods(declared))
            else:
                for method_name, method in _methods(declared).items():
                    setattr(self, method_name, method.__get__(self))
        for group, found in groups.items():
            setattr(self, group, type(f"{group.capitalize()}Service", (Service,), found)(self, group))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<kube9.Client {self.path}{' (closed)' if self._closed.is_set() else ''}>"

    def __getattr__(self, name: str) -> Any:
        # Only reached for what the spec does not have; declared for type checkers, which cannot see the spec.
        raise AttributeError(f"no query or group of queries {name!r}; `kube9 query --help` lists them")

    def close(self) -> None:
        """Refuse further calls, and end the watches. Nothing is open between calls."""
        self._closed.set()

    def _asked(self, declared: plan.Plan, given: dict[str, Any]) -> bind.Asked:
        return bind.bind(compiled()[0], declared, {name: argument(value) for name, value in given.items()}, times.now_ms())

    def _run(self, asked: bind.Asked, timeout_s: float) -> query.Answer:
        if self._closed.is_set():
            raise FailedPrecondition("the client is closed", "make another one with kube9.connect")
        return query.run(self.path, asked, timeout_s)

    def _call(self, declared: plan.Plan, given: dict[str, Any], timeout_s: float) -> Message:
        return _response(self._run(self._asked(declared, given), timeout_s))

    def _all(self, declared: plan.Plan, given: dict[str, Any], timeout_s: float) -> Iterator[Message]:
        if "limit" in given:
            raise InvalidArgument("a walk through every row has no limit", "itertools.islice takes some of them")
        return self._walk(query.whole_pages(self._asked(declared, given)), timeout_s)

    def _walk(self, asked: bind.Asked, timeout_s: float) -> Iterator[Message]:
        for answer in query.pages(lambda asked: self._run(asked, timeout_s), asked):
            yield from _rows(answer)

    def _watch(self, declared: plan.Plan, given: dict[str, Any], timeout_s: float) -> Iterator[Message]:
        asked = self._asked(declared, given)
        if "after" in asked.values:
            return self._follow(asked, self._run(asked, timeout_s), timeout_s, _rows)
        return self._follow(asked, self._run(asked.but(asked.values | {"limit": 1}), timeout_s), timeout_s, lambda _: iter(()))

    def _follow(self, asked: bind.Asked, latest: query.Answer, timeout_s: float, first: Any) -> Iterator[Message]:
        yield from first(latest)
        until = time.monotonic() + timeout_s
        while not self._closed.is_set() and time.monotonic() < until:
            arrived = query.arrived(asked, latest)
            for latest in query.pages(lambda asked: self._run(asked, timeout_s), arrived):
                yield from _rows(latest)
            self._closed.wait(LOOK_S)


def connect(path: str | os.PathLike[str] | None = None) -> Client:
    """Open a kube9 database to ask it.

    Args:
        path: the database file; by default where the command line looks for it.

    Raises:
        Unavailable: there is no database, or it cannot be opened.
        PermissionDenied, DataLoss, FailedPrecondition: see `kube9.errors`.
    """
    return Client(store.database_path(None if path is None else os.fspath(path)))


def _response(answer: query.Answer) -> Message:
    loaded, models = compiled()
    return models[response_name(answer.query)].model_validate(render.plain(answer, loaded))


def _rows(answer: query.Answer) -> Iterator[Message]:
    page = _response(answer)
    return iter(page.rows) if isinstance(page, Page) else iter([page])


def _methods(declared: plan.Plan) -> dict[str, Callable[..., Any]]:
    """The methods of a query: itself, `…_all` where it returns pages, and a watch where rows arrive."""
    _, models = compiled()
    item: Any = models[declared["message"]]
    rows: Any = Iterator[item]
    kinds: dict[str, tuple[Callable[..., Any], Any, float, str]] = {
        "call": (Client._call, models[response_name(declared)], TIMEOUT_S, ""),
        "all": (Client._all, rows, TIMEOUT_S, " Gives every row, read page by page, and then those that changed meanwhile."),
        "watch": (
            Client._watch,
            rows,
            float("inf"),
            " Gives what is added or updated from now on, or since `after`, as it is committed, until the client is closed"
            " or the time limit has passed; by default there is none.",
        ),
    }
    return {name: _method(name, declared, *kinds[kind]) for kind, name in methods(declared).items()}


def _method(
    name: str, declared: plan.Plan, call: Callable[..., Any], returns: Any, timeout_s: float, about: str
) -> Callable[..., Any]:
    """A method for a query, with the signature and the documentation that its declaration gives."""
    _, models = compiled()
    request = models[f"{call_name(declared)}Request"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [_parameter(param_name, param) for param_name, param in declared["params"].items()]
    parameters.append(inspect.Parameter("request", keyword, default=None, annotation=request | None))
    parameters.append(inspect.Parameter("timeout", keyword, default=timeout_s, annotation=float))
    parameters.sort(key=lambda parameter: parameter.kind)
    signature = inspect.Signature(parameters, return_annotation=returns)

    def method(self: Client | Service, *args: Any, **kwargs: Any) -> Any:
        client = self if isinstance(self, Client) else self._client
        limit_s = _seconds(name, kwargs.pop("timeout", timeout_s))
        asked = kwargs.pop("request", None)
        if asked is None:
            given = signature.bind(*args, **kwargs).arguments
        elif args or kwargs:
            raise InvalidArgument(f"{name}: takes either a request or its fields", "give one of them")
        elif not isinstance(asked, request):
            raise InvalidArgument(f"{name}: the request is no {request.__name__}", f"it is a {type(asked).__name__}")
        else:
            given = {field: value for field in asked.model_fields_set if (value := getattr(asked, field)) is not None}
        return call(client, declared, given, limit_s)

    method.__name__ = method.__qualname__ = name
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(parameters=[own, *parameters])  # type: ignore[attr-defined]
    described = "\n".join(f"    {param_name}: {param['doc']}" for param_name, param in declared["params"].items())
    tail = f"    request: all of these as a {request.__name__}\n    timeout: time limit in seconds\n"
    method.__doc__ = f"{declared['summary']}.{about}\n\nArgs:\n{described}\n{tail}"
    return method


def _seconds(name: str, timeout: Any) -> float:
    """A time limit in seconds; None is without bound. Raises InvalidArgument."""
    if timeout is None:
        return float("inf")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout != timeout:
        raise InvalidArgument(f"{name}: timeout: {timeout!r} is not a number of seconds", "None is without bound")
    return timeout


def _parameter(name: str, param: plan.Plan) -> inspect.Parameter:
    default = default_of(param)
    empty = inspect.Parameter.empty
    if not param["flags"]:
        return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=parameter_type(param))
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=empty if default is ... else default, annotation=parameter_type(param)
    )

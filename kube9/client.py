"""The typed library: `db.events.list(…)` and the rest, grown from the same plan as the command line.

    with kube9.connect("kube9.db") as db:
        for event in db.events.list(severity=["error"], since="24h", limit=20):
            print(event.last_seen_at, event.title)

A client asks a file here (`kube9.local`) or the operator's pod in a cluster (`kube9.remote`). Nothing is open between calls, so
one client serves many threads.
"""

import inspect
import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pydantic

from kube9 import fresh, local, plan, remote, store
from kube9.capabilities import methods
from kube9.errors import FailedPrecondition, InvalidArgument
from kube9.messages import (
    TIMEOUT_S,
    Message,
    argument,
    call_name,
    default_of,
    messages,
    parameter_type,
    response_name,
)

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
        self._source = _source(path, self._closed)
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

    def _call(self, declared: plan.Plan, given: dict[str, Any], timeout_s: float) -> Message:
        return _made(response_name(declared), self._source.call(declared, _arguments(given), timeout_s))

    def _all(self, declared: plan.Plan, given: dict[str, Any], timeout_s: float) -> Iterator[Message]:
        if "limit" in given:
            raise InvalidArgument("a walk through every row has no limit", "itertools.islice takes some of them")
        rows = self._source.walk(declared, _arguments(given), timeout_s)
        return (_made(declared["message"], row) for row in rows)

    def _watch(self, declared: plan.Plan, given: dict[str, Any], timeout_s: float) -> Iterator[Message]:
        rows = self._source.watch(declared, _arguments(given), timeout_s)
        return (_made(declared["message"], row) for row in rows)


def connect(path: str | os.PathLike[str] | None = None) -> Client:
    """Open a kube9 database to ask it.

    Args:
        path: the database file; by default where the command line looks for it. `kubectl://NAMESPACE?context=NAME&kubeconfig=FILE`
            asks the operator that runs in this namespace of a cluster, as `kubectl exec` reaches it.

    Raises:
        Unavailable: there is no database, or it cannot be opened.
        InvalidArgument: the URL is none.
        PermissionDenied, DataLoss, FailedPrecondition: see `kube9.errors`.
    """
    if isinstance(path, str) and path.startswith(remote.SCHEME):
        return Client(path)
    return Client(store.database_path(None if path is None else os.fspath(path)))


def _source(path: str, closed: threading.Event) -> local.File | remote.OperatorPod:
    """What answers: the file at a path, or the pod that a URL names."""
    if path.startswith(remote.SCHEME):
        place = remote.place(path)
        return remote.OperatorPod(place, compiled()[0], closed)
    return local.File(path, compiled()[0], closed)


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    return {name: argument(value) for name, value in given.items()}


def _made(name: str, found: dict[str, Any]) -> Message:
    """A message of plain data. Raises FailedPrecondition where another version of kube9 has another form of it."""
    try:
        return compiled()[1][name].model_validate(found)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"the answer is of another version of kube9: {name}.{where}: {first['msg']}"
        raise FailedPrecondition(what, "let both sides have the same version, or ask with the command line") from None


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

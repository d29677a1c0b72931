"""The typed library: `db.events.list(…)` and the rest, grown from the same plan as the command line.

    with kube9.connect("kube9.db") as db:
        page = db.events.list(severity=["error"], since="24h", limit=20)
        for event in page.events:
            print(event.last_seen_at, event.title)

Every call opens the database, reads in one short transaction and closes it, so one client serves many threads and
never holds up the writer.
"""

import inspect
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from kube9 import fresh, plan, query, render, store, times
from kube9.errors import FailedPrecondition
from kube9.messages import PYTHON_TYPES, Message, argument, messages, response_name

TIMEOUT_S = 30.0


@cache
def compiled() -> tuple[plan.Plan, dict[str, type[Message]]]:
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
        self._closed = False
        with store.open_reader(path):
            pass  # what is wrong with the file is said now and not at the first question
        loaded, _ = compiled()
        groups: dict[str, dict[str, Any]] = {}
        for name, declared in loaded["queries"].items():
            group, _, verb = name.replace("-", "_").partition(" ")
            if verb:
                groups.setdefault(group, {})[verb] = _method(declared)
            else:
                setattr(self, group, _method(declared).__get__(self))
        for group, methods in groups.items():
            setattr(self, group, type(f"{group.capitalize()}Service", (Service,), methods)(self, group))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<kube9.Client {self.path}{' (closed)' if self._closed else ''}>"

    def __getattr__(self, name: str) -> Any:
        # Only reached for what the spec does not have; declared for type checkers, which cannot see the spec.
        raise AttributeError(f"no query or group of queries {name!r}; `kube9 query --help` lists them")

    def close(self) -> None:
        """Refuse further calls. Nothing is open between calls."""
        self._closed = True

    def _call(self, declared: plan.Plan, given: dict[str, Any], timeout_s: float) -> Message:
        if self._closed:
            raise FailedPrecondition("the client is closed", "make another one with kube9.connect")
        loaded, models = compiled()
        values = query.bind(declared, {name: _argument(value) for name, value in given.items()}, times.now_ms())
        answer = query.run(self.path, declared, values, timeout_s)
        return models[response_name(declared)].model_validate(render.document(answer, loaded))


def connect(path: str | None = None) -> Client:
    """Open a kube9 database to ask it.

    Args:
        path: the database file; by default where the command line looks for it.

    Raises:
        Unavailable: there is no database, or it cannot be opened.
        PermissionDenied, DataLoss, FailedPrecondition: see `kube9.errors`.
    """
    return Client(store.database_path(path))


def _argument(value: Any) -> Any:
    return [argument(entry) for entry in value] if isinstance(value, list | tuple | set | frozenset) else argument(value)


def _method(declared: plan.Plan) -> Callable[..., Message]:
    """A method for a query, with the signature and the documentation that its declaration gives."""
    _, models = compiled()
    parameters = [_parameter(name, param) for name, param in declared["params"].items()]
    parameters.append(inspect.Parameter("timeout", inspect.Parameter.KEYWORD_ONLY, default=TIMEOUT_S, annotation=float))
    parameters.sort(key=lambda parameter: parameter.kind)
    signature = inspect.Signature(parameters, return_annotation=models[response_name(declared)])

    def method(self: Client | Service, *args: Any, **kwargs: Any) -> Message:
        given = signature.bind(*args, **kwargs).arguments
        timeout_s = given.pop("timeout", TIMEOUT_S)
        client = self if isinstance(self, Client) else self._client
        return client._call(declared, given, timeout_s)

    method.__name__ = method.__qualname__ = declared["name"].rpartition(" ")[2].replace("-", "_")
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(parameters=[own, *parameters])  # type: ignore[attr-defined]
    described = "\n".join(f"    {name}: {param['doc']}" for name, param in declared["params"].items())
    method.__doc__ = f"{declared['summary']}.\n\nArgs:\n{described}\n    timeout: time limit in seconds\n"
    return method


def _parameter(name: str, param: plan.Plan) -> inspect.Parameter:
    kind: Any = str if param["choices"] else PYTHON_TYPES[param["type"]]
    if param["type"] == "time":
        kind = str | datetime
    if param["many"]:
        kind = kind | list[kind]
    if not param["flags"]:
        return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=param["default"], annotation=kind | None)

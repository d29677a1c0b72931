"""The `.pyi` of the package, for editors and type checkers, read off the models of `kube9.messages` and the plan."""

import json
import keyword
import textwrap
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic

from kube9.capabilities import methods
from kube9.messages import FIXED, TIMEOUT_S, Message, Page, Request, call_name, messages, parameter_type, response_name
from kube9.plan import Plan

WIDTH = 128
STUB_HEAD = '''\
"""kube9: the flight recorder for Kubernetes events, as type checkers and editors see it.

Written by `kube9 spec export stubs`; an edit belongs into queries.yaml.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from os import PathLike
from typing import Any, Generic, Literal, TypeAlias, TypeVar, overload

from kube9 import errors as errors
from kube9.errors import Kube9Error as Kube9Error
from kube9.messages import Coverage as Coverage
from kube9.messages import Gap as Gap
from kube9.messages import Message, Page, Request
from kube9.messages import Pagination as Pagination
from kube9.recording import Recorder as Recorder
from kube9.recording import recorder as recorder
from kube9.version import __version__ as __version__
'''
STUB_PAGE = """\
_T = TypeVar("_T")
_Many: TypeAlias = _T | Sequence[_T] | set[_T] | frozenset[_T]

class _Page(Page, Generic[_T]):
    @property
    def rows(self) -> list[_T]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_T]: ...  # type: ignore[override]
    def __getitem__(self, index: int) -> _T: ...
"""
STUB_CLIENT = '''\
class Client:
    """A database to ask. Made by `connect`; a context manager; safe to use from many threads."""

    path: str
    def __init__(self, path: str) -> None: ...
    def __enter__(self) -> Client: ...
    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None:
        """Refuse further calls, and end the watches. Nothing is open between calls."""
'''
STUB_CONNECT = '''\
def connect(path: str | PathLike[str] | None = None) -> Client:
    """Open a kube9 database to ask it: a file, by default the one that the command line asks, or `kubectl://NAMESPACE`."""
'''


def stubs(plan: Plan) -> str:
    """The text of `kube9/__init__.pyi`: the client with its methods, and all messages, as type checkers read them."""
    return _Stubs(plan).text()


class _Stubs:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.models = plan, messages(plan)
        sets = [(f"_{name}", of["values"]) for name, of in plan["types"].items()]
        for query in plan["queries"].values():
            for name, param in query["params"].items():
                sets.append((f"_{call_name(query)}{name.title().replace('_', '')}", param["choices"]))
        self.named: dict[tuple[str, ...], str] = {}
        for name, values in sets:
            if values:
                self.named.setdefault(tuple(values), name)

    def text(self) -> str:
        sets = "".join(f"{name}: TypeAlias = {_literal(values)}\n" for values, name in self.named.items())
        parts = [STUB_HEAD, sets + STUB_PAGE]
        parts += [self._message(name, model) for name, model in self.models.items() if model not in FIXED]
        groups: dict[str, dict[str, str]] = {}
        for name, query in self.plan["queries"].items():
            group, _, verb = name.replace("-", "_").partition(" ")
            groups.setdefault(group if verb else "", {}).update(self._methods(query))
        alone = groups.pop("", {})
        for group, found in groups.items():
            about = f"The queries about {group}."
            parts.append(f"class {_service(group)}:\n{_docstring(about, '    ')}\n{''.join(found.values())}")
        services = "".join(f"    {group}: {_service(group)}\n" for group in groups if not keyword.iskeyword(group))
        client = STUB_CLIENT.replace("    path: str\n", f"    path: str\n{services}")
        return "\n".join([*parts, client + "".join(alone.values()), STUB_CONNECT])

    def _message(self, name: str, model: type[Message]) -> str:
        base = "Request" if issubclass(model, Request) else "Message"
        if issubclass(model, Page):
            (row,) = get_args(next(iter(model.model_fields.values())).annotation)
            base = f"_Page[{row.__name__}]"
        returning = [query["name"] for query in self.plan["queries"].values() if query["message"] == name]
        about = model.__doc__ or f"What `kube9 query {(returning or [''])[0]}` gives."
        lines = [f"class {name}({base}):\n", _docstring(about, "    ")]
        for field, of in model.model_fields.items():
            if not keyword.iskeyword(field):  # Python cannot spell it
                default = "" if of.is_required() else f" = {_default(of.default)}"
                lines.append(f"    {field}: {self._hint(of.annotation)}{default}\n")
                lines.append(_docstring(of.description, "    ") if of.description else "")
        if model.model_fields:
            lines.insert(2, "\n")
        return "".join(lines)

    def _methods(self, query: Plan) -> Iterator[tuple[str, str]]:
        """The methods that `kube9.client` makes for a query, each with its name."""
        row, limit = f"Iterator[{query['message']}]", f"{TIMEOUT_S}"
        kinds = {
            "call": (response_name(query), "", limit),
            "all": (row, "Gives every row, read page by page, and then those that changed meanwhile.", limit),
            "watch": (
                row,
                "Gives what is added or updated from now on, or since `after`, until the client is closed or the time is up.",
                "...",
            ),
        }
        found = [(name, *kinds[kind]) for kind, name in methods(query).items()]
        for name, returns, about, timeout in found:
            if not keyword.iskeyword(name):
                yield name, self._method(name, query, returns, about, timeout)

    def _method(self, name: str, query: Plan, returns: str, about: str, timeout: str) -> str:
        request = f"{call_name(query)}Request"
        params = sorted(query["params"].items(), key=lambda item: bool(item[1]["flags"]))  # positional ones first
        given = [f"{name}: {self._hint(parameter_type(param), call=True)}{_default_of(param)}" for name, param in params]
        given.insert(sum(not param["flags"] for _, param in params), "*")
        limit = f"timeout: float | None = {timeout}"
        docs = [(name, _one_line(param["doc"])) for name, param in params]
        needs = any(param["required"] for _, param in params)
        docs += [] if needs else [("request", f"all of these as a {request}")]
        docs.append(("timeout", "time limit in seconds"))
        deprecated = f"Deprecated: {query['deprecated']}." if query["deprecated"] else ""
        said = _docstring(f"{query['summary']}.", " " * 8, [about, query["description"], deprecated], docs)
        if not needs:
            return _def(name, ["self", *given, f"request: {request} | None = None", limit], returns) + f"\n{said}"
        by_request = _def(name, ["self", "*", f"request: {request}", limit], returns)
        return f"    @overload\n{_def(name, ['self', *given, limit], returns)}\n{said}    @overload\n{by_request} ...\n"

    def _hint(self, kind: Any, call: bool = False) -> str:
        """A type as text; in a call a collection may be of any kind, and a time a date."""
        origin, args = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self._hint(args[0], call)
        if origin is Literal:
            return self.named.get(args) or _literal(args)
        if origin in (Union, UnionType):
            many = [f"_Many[{self._hint(item)}]" for arg in args if call and get_origin(arg) is list for item in get_args(arg)]
            if many:
                return " | ".join([*many, *("None" for arg in args if arg is NoneType)])
            return " | ".join(dict.fromkeys(self._hint(arg, call) for arg in args))
        if origin:
            return f"{origin.__name__}[{', '.join(self._hint(arg) for arg in args)}]"
        names = {pydantic.AwareDatetime: "datetime", NoneType: "None", Any: "Any"}
        name = names.get(kind) or str(kind.__name__)
        return "datetime | date" if name == "datetime" and call else name


def _def(name: str, params: Sequence[str], returns: str) -> str:
    one_line = f"    def {name}({', '.join(params)}) -> {returns}:"
    if len(one_line) + len(" ...") <= WIDTH:
        return one_line
    lines = "".join(f"        {param},\n" for param in params)
    return f"    def {name}(\n{lines}    ) -> {returns}:"


def _docstring(summary: str, pad: str, further: Sequence[str] = (), args: Sequence[tuple[str, str]] = ()) -> str:
    """A docstring with its line break, wrapped."""
    paragraphs = [_wrapped(text, pad) for text in (summary, *further) if text]
    listed = "\n".join(_wrapped(f"{name}: {doc}", f"{pad}    ", f"{pad}        ") for name, doc in args)
    if listed:
        paragraphs.append(f"{pad}Args:\n{listed}")
    text = "\n\n".join(paragraphs).strip().replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if text.endswith('"'):
        text = f'{text[:-1]}\\"'
    return f'{pad}"""{text}\n{pad}"""\n' if "\n" in text else f'{pad}"""{text}"""\n'


def _wrapped(text: str, pad: str, hanging: str | None = None) -> str:
    width = WIDTH - len('""""""')
    return textwrap.fill(_one_line(text), width, initial_indent=pad, subsequent_indent=hanging or pad, break_on_hyphens=False)


def _literal(values: Sequence[str]) -> str:
    return f"Literal[{', '.join(map(json.dumps, values))}]"


def _default(value: object) -> str:
    return "..." if isinstance(value, list) else json.dumps(value) if isinstance(value, str) else repr(value)


def _default_of(param: Plan) -> str:
    return "" if param["required"] else f" = {_default(param['default'])}"


def _service(group: str) -> str:
    return f"_{group.capitalize()}Service"


def _one_line(text: str) -> str:
    return " ".join(text.split())

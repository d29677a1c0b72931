"""The messages of the spec as pydantic models, for the typed library: what is asked, and what is answered."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

import pydantic

from kube9 import bind, errors, times
from kube9.plan import Plan
from kube9.unwatched import MOST_GAPS
from kube9.vocabulary import CAUSES

TIMEOUT_S = 30.0  # of a call, when none is given
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _iso(value: datetime) -> str:
    return times.iso((value - EPOCH) // timedelta(milliseconds=1))


Time = Annotated[pydantic.AwareDatetime, pydantic.PlainSerializer(_iso, when_used="json")]
PYTHON_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "time": Time,
    "duration": int,
    "json": dict[str, Any],
    "array": list[Any],
}


class Message(pydantic.BaseModel):
    """Base of all messages. They are values: nothing changes them, and fields of a newer kube9 are ignored."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What `repr` shows: the fields that say something."""
        return ((name, value) for name, value in super().__repr_args__() if value is not None)


class Pagination(Message):
    """Where a page stands in the whole."""

    total: int = pydantic.Field(description="how many rows there are in all")
    limit: int = pydantic.Field(description="how many were asked for at the most")
    offset: int = pydantic.Field(description="how many lie before the first")
    returned: int = pydantic.Field(description="how many there are here")
    next_page_token: str = pydantic.Field(description="for the page behind this one; empty at the end")
    sync_token: str | None = pydantic.Field(description="for what arrives from here on; null where rows do not arrive")
    total_exact: bool = pydantic.Field(description="false where `total` stands for itself or more")


class Gap(Message):
    """A part of the window that was not watched."""

    from_: Time = pydantic.Field(alias="from", description="begin")
    to: Time = pydantic.Field(description="end")
    cause: str = pydantic.Field(description=f"why: {', '.join(CAUSES)}")
    recovered: bool = pydantic.Field(description="whether what happened in it was read afterwards")
    resource: str | None = pydantic.Field(description="what was not watched, such as events or nodes; null for all")
    severities: list[str] | None = pydantic.Field(description="which severities are missing; null for all")


class Coverage(Message):
    """What of the window asked for was watched."""

    from_: Time | None = pydantic.Field(
        alias="from", description="begin of the window, else the first recording; null where nothing was ever recorded"
    )
    to: Time | None = pydantic.Field(
        description="its end; without one the present, or the recorder's last proof that is seconds old"
    )
    covered_seconds: int = pydantic.Field(description="how much of it events were watched")
    complete: bool = pydantic.Field(description="whether nothing is missing: every gap was read afterwards")
    gaps: list[Gap] = pydantic.Field(description=f"what was not watched, oldest first; the newest {MOST_GAPS}")
    more_gaps: bool = pydantic.Field(description="whether older gaps are left out")


FIXED: tuple[type[Message], ...] = (Pagination, Coverage, Gap)  # which no spec declares


class Request(Message):
    """Base of all requests: values are checked as the command line checks them."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Page(Message):
    """Base of all pages. A page has a length, and iterating over it gives its rows."""

    @property
    def rows(self) -> list[Any]:
        """The rows, whatever their message is called."""
        rows: list[Any] = getattr(self, next(iter(type(self).model_fields)))
        return rows

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return True  # an answer without rows is an answer

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return iter(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index]

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        pagination: Pagination = self.pagination  # type: ignore[attr-defined]
        more = "" if pagination.total_exact else "more than "
        return f"<{type(self).__name__} {len(self)} of {more}{pagination.total:,} {next(iter(type(self).model_fields))}>"


def messages(plan: Plan) -> dict[str, type[Message]]:
    """A model for each message of the plan, a request for each query, and a response for each that returns pages."""
    models: dict[str, type[Message]] = {model.__name__: model for model in FIXED}
    models |= {name: _message(plan, name, declared) for name, declared in plan["messages"].items()}
    for query in plan["queries"].values():
        models[f"{call_name(query)}Request"] = _request(query)
        if query["paged"]:
            item, plural = models[query["message"]], plan["messages"][query["message"]]["plural"]
            fields: dict[str, Any] = {plural: (list[item], ...), "pagination": (Pagination, ...)}  # type: ignore[valid-type]
            if query["window"]:
                fields["coverage"] = (Coverage, ...)
            name = response_name(query)
            models[name] = pydantic.create_model(name, __base__=Page, __doc__=f"{query['summary']}.", **fields)
    return models


def call_name(query: Plan) -> str:
    """A query's name as a call: `events list` is ListEvents, `status` is Status."""
    group, _, verb = query["name"].rpartition(" ")
    return "".join(word.capitalize() for word in (*verb.split("-"), *group.split("-")))


def response_name(query: Plan) -> str:
    """The name of what a query returns: `ListEventsResponse` for a page by `events list`, else its message."""
    return f"{call_name(query)}Response" if query["paged"] else str(query["message"])


def argument(value: Any) -> Any:
    """A value given to a library call in the form that `bind` takes: a datetime as text, a collection as a list."""
    if isinstance(value, list | tuple | set | frozenset):
        return [argument(entry) for entry in value]
    if isinstance(value, datetime):
        try:
            return _iso(value if value.tzinfo else value.replace(tzinfo=UTC))
        except ValueError as error:
            raise errors.InvalidArgument(f"{value} is {error}") from None
    return f"{int(value.total_seconds())}s" if isinstance(value, timedelta) else value


def parameter_type(param: Plan) -> Any:
    """The Python type of a parameter, None when it is not given."""
    kind: Any = Literal[tuple(param["choices"])] if param["choices"] else PYTHON_TYPES.get(param["type"], str)
    if param["type"] == "time":
        kind = str | datetime | timedelta
    elif param["type"] == "duration":
        kind = str | timedelta
    elif param["type"] == "percentage":
        kind = str | float
    elif param["bounds"]:
        kind = Annotated[int, pydantic.Field(ge=param["bounds"][0], le=param["bounds"][1])]
    if param["many"]:
        kind = kind | list[kind]
    return kind if param["required"] else kind | None


def default_of(param: Plan) -> Any:
    """What a parameter is when it is not given; `...` for one that must be."""
    return ... if param["required"] else param["default"]


def _request(query: Plan) -> type[Request]:
    fields: dict[str, Any] = {}
    for name, param in query["params"].items():
        check = pydantic.AfterValidator(partial(_checked, name, param))
        split = pydantic.BeforeValidator(partial(_split, param))
        about = pydantic.Field(default_of(param), description=param["doc"], validate_default=False)
        fields[name] = (Annotated[parameter_type(param), split, check], about)
    name = f"{call_name(query)}Request"
    return pydantic.create_model(name, __base__=Request, __doc__=f"What `kube9 query {query['name']}` takes.", **fields)


def _split(param: Plan, value: Any) -> Any:
    """`error,critical` as a list, where the set is closed, as the command line takes it."""
    return value.split(",") if param["many"] and param["choices"] and isinstance(value, str) and "," in value else value


def _checked(name: str, param: Plan, value: Any) -> Any:
    if value is not None:
        try:
            given = argument(value)
            if param["parts"]:
                bind.parts_of(name, param, str(given), times.now_ms())
            else:
                (bind.convert_many if param["many"] else bind.convert)(name, param, given, times.now_ms())
        except errors.InvalidArgument as error:
            raise ValueError(str(error)) from None
    return value


def _message(plan: Plan, name: str, declared: Plan) -> type[Message]:
    fields: dict[str, Any] = {}
    for field, of in declared["fields"].items():
        choices = plan["types"].get(of["type"], {}).get("values")
        kind: Any = Literal[tuple(choices)] if choices else PYTHON_TYPES.get(of["type"], str)
        fields[field] = (kind | None if of["nullable"] else kind, pydantic.Field(description=of["doc"] or None))
    return pydantic.create_model(name, __base__=Message, __doc__=declared["doc"] or None, **fields)

"""The messages of the spec as pydantic models, for the typed library."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import pydantic

from kube9 import times
from kube9.plan import Plan

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
    "json": dict[str, Any],
}


class Message(pydantic.BaseModel):
    """Base of all messages. They are values: nothing changes them, and fields of a newer kube9 are ignored."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")


class Pagination(Message):
    """Where a page stands in the whole."""

    total: int
    limit: int
    offset: int
    returned: int


def messages(plan: Plan) -> dict[str, type[Message]]:
    """A model for each message of the plan, and a response for each query that returns pages."""
    models = {name: _message(plan, name, declared) for name, declared in plan["messages"].items()}
    for query in plan["queries"].values():
        if query["paged"]:
            item, plural = models[query["message"]], plan["messages"][query["message"]]["plural"]
            fields: dict[str, Any] = {plural: (list[item], ...), "pagination": (Pagination, ...)}  # type: ignore[valid-type]
            name = response_name(query)
            models[name] = pydantic.create_model(name, __base__=Message, __doc__=f"{query['summary']}.", **fields)
    return models


def response_name(query: Plan) -> str:
    """The name of what a query returns: `ListEventsResponse` for a page by `events list`, else its message."""
    if not query["paged"]:
        return str(query["message"])
    words = query["name"].replace("-", " ").split()
    group, verbs = (words[:1], words[1:]) if " " in query["name"] else ([], words)
    return "".join(word.capitalize() for word in (*verbs, *group)) + "Response"


def argument(value: Any) -> Any:
    """A value given to a library call in the form that `query.bind` takes: a datetime as text."""
    if isinstance(value, datetime):
        return _iso(value if value.tzinfo else value.replace(tzinfo=UTC))
    return value


def _message(plan: Plan, name: str, declared: Plan) -> type[Message]:
    fields: dict[str, Any] = {}
    for field, of in declared["fields"].items():
        choices = plan["types"].get(of["type"])
        kind: Any = Literal[tuple(choices)] if choices else PYTHON_TYPES[of["type"]]
        fields[field] = (kind | None if of["nullable"] else kind, pydantic.Field(description=of["doc"] or None))
    return pydantic.create_model(name, __base__=Message, __doc__=declared["doc"] or None, **fields)

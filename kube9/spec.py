"""queries.yaml as records: types, messages, queries. What each key means is said at its field.

This room checks the form; whether columns exist and SQL is right is the compiler's part.
"""

import re
from typing import Annotated, Any, Literal

import pydantic

from kube9.declared import Document, Record

NAME = r"[a-z][a-z0-9_]{0,62}"
KEBAB = r"[a-z][a-z0-9]*(-[a-z0-9]+){0,7}"
SCALARS = ("string", "integer", "number", "boolean", "time", "json")
CELLS = {"seen": 3, "object": 3}  # forms of a table cell and how many fields each takes


def _named(pattern: str, like: str) -> pydantic.AfterValidator:
    def check(name: str) -> str:
        if not re.fullmatch(pattern, name):
            raise ValueError(f"not a name such as {like}")
        return name

    return pydantic.AfterValidator(check)


Identifier = Annotated[str, _named(NAME, "object_name")]
OptionName = Annotated[str, _named(KEBAB, "object-name")]
QueryName = Annotated[str, _named(f"{KEBAB}( {KEBAB})?", "status or events by-node")]
TypeName = Annotated[str, _named("[A-Z][A-Za-z0-9]{0,62}", "EventType")]
Flag = Annotated[str, _named(f"-[a-zA-Z]|--{KEBAB}", "-n or --namespace")]
Text = Annotated[str, pydantic.StringConstraints(min_length=1)]


class Field(Record):
    """A field of a message. `name: string` is short for `name: {type: string}`."""

    type: str
    doc: str = ""
    column: Identifier | None = None  # where the column has another name than the field
    sql: Text | None = None  # an expression over the columns, instead of a column

    @pydantic.model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value


class Message(Record):
    """What an answer is made of; `from` names the table that its fields are columns of."""

    doc: str = ""
    table: Identifier | None = pydantic.Field(default=None, alias="from")
    plural: Identifier | None = None  # the key of a page of them
    fields: dict[Identifier, Field] = pydantic.Field(min_length=1)


class Filter(Record):
    """A condition that is there only when its value is given."""

    column: Identifier
    op: Literal["=", "in", ">=", ">", "<=", "<"] = "="
    doc: str = ""
    type: str | None = None  # of the value, where it cannot be told from a field with this column
    flags: list[Flag] = []  # further spellings of the option
    after: OptionName | None = None  # the filter whose value must be smaller, as `since` for `until`


class Page(Record):
    """How many rows an answer holds when nothing is said, and at the most."""

    default: int = pydantic.Field(default=50, ge=1)
    max: int = pydantic.Field(default=1000, ge=1)


class Query(Record):
    """One command and one library method."""

    summary: Text
    description: str = ""
    returns: str  # a message, or `page of` one
    fields: dict[Identifier, Field] | None = None  # the message itself, where no other query returns it
    arguments: dict[OptionName, Filter] = {}  # required, given by position
    filters: dict[OptionName, Filter] = {}
    where: Text | None = None  # a condition that always holds
    sql: Text | None = None  # one SELECT for what the keys cannot say; {filters} stands for the filters
    order: list[str] = []  # columns; a leading - for falling
    page: Page | None = None
    table: dict[str, str] = {}  # header -> field, or a cell such as seen(last_seen_at, count, created_at)
    narrow: list[str] = []  # headers of the table's columns to leave out, in this order, when a terminal is too narrow
    examples: list[Text] = []


class Spec(Record):
    """The whole file."""

    version: Literal[1]
    types: dict[TypeName, Annotated[list[Text], pydantic.Field(min_length=1)]] = {}
    messages: dict[TypeName, Message] = {}
    queries: dict[QueryName, Query] = pydantic.Field(min_length=1)


def read(name: str, text: str) -> tuple[Spec, Document]:
    """Read a spec. Returns it with its document, to which the compiler adds its problems. Raises SpecError."""
    document = Document(name, text)
    return document.validate(Spec), document


def page_message(returns: str) -> tuple[bool, str]:
    """`page of Event` as (True, "Event"), `Event` as (False, "Event")."""
    match = re.fullmatch(r"page of (\w+)", returns)
    return (True, match[1]) if match else (False, returns)


def snake_case(name: str) -> str:
    """`NamespaceCount` as `namespace_count`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def table_cell(text: str) -> tuple[str, list[str]] | None:
    """`seen(a, b, c)` as ("seen", [a, b, c]) and `a` as ("", [a]); None when it is neither."""
    match = re.fullmatch(rf"(?:(\w+)\()?\s*({NAME}(?:\s*,\s*{NAME})*)\s*(\))?", text)
    if not match or bool(match[1]) != bool(match[3]):
        return None
    fields = [field.strip() for field in match[2].split(",")]
    cell = match[1] or ""
    return (cell, fields) if len(fields) == CELLS.get(cell, 1) and (not cell or cell in CELLS) else None

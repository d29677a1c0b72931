"""queries.yaml as records: types, messages, queries. What each key means is said at its field.

This room checks the form; whether columns exist and SQL is right is the compiler's part.
"""

import re
from typing import Annotated, Any, Literal

import pydantic

from kube9.declared import Document, Record

NAME = r"[a-z][a-z0-9_]{0,62}"
KEBAB = r"[a-z][a-z0-9]*(-[a-z0-9]+){0,7}"
SCALARS = ("string", "integer", "number", "boolean", "time", "duration", "json", "array")
NUMBERS, TEXT = ("integer", "number"), ()  # TEXT: what is neither a scalar but a string, nor JSON
# Forms of a table cell, and the types that the fields of each may have.
CELLS: dict[str, tuple[tuple[str, ...], ...]] = {
    "seen": (("time",), ("integer",), ("time",)),
    "object": (TEXT, TEXT, TEXT),
    "age": (("time",),),
    "bar": (NUMBERS,),
}
PYTHON_HAS = frozenset(dir(pydantic.BaseModel)) | {"rows"}  # no field of a message or a request can have these names
NAMESPACE = "object_namespace"  # the column by which an answer is about one namespace
MOST_QUERIES = 500  # in a file
MOST_ROWS = 10_000  # in an answer


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
Returns = Annotated[str, _named("(page of )?[A-Z][A-Za-z0-9]{0,62}", "Event or page of Event")]
Flag = Annotated[str, _named(f"-[a-zA-Z]|--{KEBAB}", "-n or --namespace")]
Text = Annotated[str, pydantic.StringConstraints(min_length=1)]
Sql = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=20_000)]


class Type(Record):
    """A set of values. `Name: [a, b]` is short for `Name: {values: [a, b]}`."""

    values: list[Text] = []  # the set is closed: nothing else is taken; in rising order, where `op: min` uses it
    spellings: dict[Text, list[Text]] = {}  # an open set: what people type, in any case, for the value that is stored
    column: Annotated[str, _named(rf"{NAME}\.{NAME}", "events.object_kind")] | None = None  # which holds values, for completion

    @pydantic.model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"values": value} if isinstance(value, list) else value

    @pydantic.model_validator(mode="after")
    def _closed_or_open(self) -> "Type":
        if bool(self.values) == bool(self.spellings or self.column):
            raise ValueError("needs either values, or spellings or a column")
        return self


class Field(Record):
    """A field of a message. `name: string` is short for `name: {type: string}`."""

    type: str
    doc: str = ""
    column: Identifier | None = None  # where the column has another name than the field
    sql: Sql | None = None  # an expression over the columns, instead of a column; count(*) and the like under `group`
    present: bool = False  # never null, where that cannot be told from the column

    @pydantic.model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value


class Message(Record):
    """What an answer is made of; `from` names the table that its fields are columns of."""

    doc: str = ""
    table: Identifier | None = pydantic.Field(default=None, alias="from")
    plural: Identifier | None = None  # the key of a page of them
    name: Identifier | None = None  # the field that `--format name` prints
    fields: dict[Identifier, Field] = pydantic.Field(min_length=1)


class Filter(Record):
    """An option, and the condition that is there when its value is given.

    Without `column` and `sql` it is no condition but a parameter of the query's own `sql`.
    """

    column: Identifier | Annotated[list[Identifier], pydantic.Field(min_length=1)] | None = None  # of several, any may hold
    op: Literal["=", "in", ">=", ">", "<=", "<", "contains", "prefix", "min"] = "="
    sql: Sql | None = None  # the condition itself, with :name for the value
    doc: str = ""
    type: str | None = None  # of the value, where it cannot be told from a field with this column
    names: str | None = None  # a message: the value must be the name of one that there is
    parts: dict[Identifier, str] = {}  # of a value such as pod/nginx, each with its type; `sql` has them as :name_part
    flags: list[Flag] = []  # further spellings of the option
    aliases: list[Flag] = []  # more of them, which help does not show
    default: str | None = None  # as it would be typed
    required: bool = False
    excludes: list[OptionName] = []  # filters that cannot be given beside it
    needs: list[OptionName] = []  # filters that must be given beside it
    scan: Literal["index", "table"] | None = None  # it may read so much; with `table`, totals stop at 10,000
    leads: bool = False  # its index is the one to use, whatever else is given
    deprecated: Text | None = None  # what to use instead; it still works, with a warning


class Page(Record):
    """How many rows an answer holds when nothing is said, and at the most."""

    default: int = pydantic.Field(default=50, ge=1)
    max: int = pydantic.Field(default=1000, ge=1, le=MOST_ROWS)
    arrivals: Identifier | None = None  # the column that rises with each change of a row: gives --after, --watch, pinned pages


class Group(Record):
    """Rows counted together by what the caller chooses. `[a, b]` in its place is a choice made once and for all."""

    by: dict[OptionName, Identifier] = pydantic.Field(min_length=1)  # value of --by -> field of the answer
    default: list[OptionName] = pydantic.Field(min_length=1)


class Query(Record):
    """One command and one library method."""

    summary: Text
    description: str = ""
    returns: Returns  # a message, or `page of` one
    fields: dict[Identifier, Field] | None = None  # the message itself, where no other query returns it
    source: Identifier | None = pydantic.Field(default=None, alias="from")  # the table that `fields` are columns of
    arguments: dict[OptionName, Filter] = {}  # required, given by position
    filters: dict[OptionName, Filter] = {}
    window: list[OptionName] | None = None  # the filters that begin and end the time asked for; gives `coverage`
    where: Sql | None = None  # a condition that always holds
    sql: Sql | None = None  # one SELECT for what the keys cannot say; {filters} stands for the filters
    group: Annotated[list[Identifier], pydantic.Field(min_length=1)] | Group | None = None
    order: list[str] | dict[Identifier, list[str]] = []  # columns, a leading - for falling; named, --sort chooses one
    page: Page | None = None
    table: dict[str, str] = {}  # header -> field, or a cell such as seen(last_seen_at, count, created_at)
    wide: dict[str, str] = {}  # what `--format wide` has besides
    narrow: list[str] = []  # headers of columns to leave out, in this order, when a terminal is too narrow
    examples: list[Text] = []
    deprecated: Text | None = None  # what to use instead; it still works, with a warning

    @pydantic.field_validator("window")
    @classmethod
    def _two(cls, names: list[str] | None) -> list[str] | None:
        if names is not None and len(names) != 2:
            raise ValueError("must be two filters, such as [since, until]")
        return names

    def by_namespace(self) -> list[str]:
        """The filters that keep an answer to the namespaces which are given."""
        return [name for name, it in self.filters.items() if it.column == NAMESPACE and it.op in ("=", "in")]


class Spec(Record):
    """The whole file."""

    version: Literal[1]
    types: dict[TypeName, Type] = {}
    messages: dict[TypeName, Message] = {}
    queries: dict[QueryName, Query] = pydantic.Field(min_length=1, max_length=MOST_QUERIES)


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
    return (cell, fields) if len(fields) == (len(CELLS[cell]) if cell in CELLS else 1) and (not cell or cell in CELLS) else None

"""Spec to plan: builds the SQL of every query, checks it, and refuses a wrong spec with all its problems at once.

Columns are resolved against the schema that schema/*.sql really makes, on an empty database in memory, and SQLite
itself prepares every statement there. Values are no part of the SQL: a piece of a WHERE clause is there only when its
value is given (`:x IS NULL OR …` would defeat the indexes), so the plan holds pieces, and `query` joins them.
"""

import keyword
from collections.abc import Collection
from typing import Any

import sqlglot
from sqlglot import exp

from kube9 import plan
from kube9.declared import Document, Location, nearest
from kube9.spec import CELLS, SCALARS, Filter, Message, Page, Query, Spec, page_message, read, snake_case, table_cell
from kube9.sqlcheck import FILTERS, Schema, SqlChecker

CONTEXT = ("now", "program_version", "database_path", "database_size_bytes")  # parameters that every `sql:` may use
PROGRAM_FLAGS = ("--help", "-h", "--version")
PYTHON_TAKES = ("self", "timeout", *CONTEXT)  # parameters of a library method, and of `sql:`
MOST_OFFSET = 2**62
OPERATIONS = {"=": exp.EQ, ">=": exp.GTE, ">": exp.GT, "<=": exp.LTE, "<": exp.LT}


def compile_text(name: str, text: str, key: str) -> dict[str, Any]:
    """Compile the text of a spec to a plan with the given key. Raises SpecError with every problem."""
    spec, document = read(name, text)
    with Schema() as schema:
        compiled = _Compiler(spec, document, schema).compile()
    document.check()
    return {"key": key, "types": dict(spec.types), **compiled}


class _Compiler:
    def __init__(self, spec: Spec, document: Document, schema: Schema) -> None:
        self.spec, self.document, self.schema = spec, document, schema
        self.sql = SqlChecker(document, schema)
        self.messages: dict[str, Any] = {}

    def compile(self) -> dict[str, Any]:
        for name, message in self.spec.messages.items():
            self._message(name, message, ("messages", name))
        queries = {name: self._query(name, query) for name, query in self.spec.queries.items()}
        self._groups()
        return {"messages": self.messages, "queries": queries, "options": plan.OPTIONS}

    def _groups(self) -> None:
        for name in self.spec.queries:
            group, _, rest = name.partition(" ")
            if rest and group in self.spec.queries:
                self.document.problem(("queries", name), f'"{group}" is a query, so it cannot be a group too', name)

    def _message(self, name: str, message: Message, location: Location) -> None:
        columns = self.schema.tables.get(message.table or "")
        if message.table and columns is None:
            problem = f'no table "{message.table}"{nearest(message.table, self.schema.tables)}'
            self.document.problem((*location, "from"), problem, name)
        fields = {}
        for field_name, field in message.fields.items():
            at = (*location, "fields", field_name)
            self._type(field.type, (*at, "type"), name)
            column = field.column or field_name
            if field.sql:
                self.sql.expression(field.sql, message.table, (*at, "sql"), name)
            elif columns is not None and column not in columns:
                place = None if field.column else self.document.key_position(at)
                self.sql.no_column(column, message.table or "", (*at, "column"), name, place)
            nullable = bool(field.sql) or columns is None or columns.get(column, True)
            fields[field_name] = {"type": field.type, "doc": field.doc, "nullable": nullable and field.type != "json"}
        self.messages[name] = {"doc": message.doc, "plural": message.plural or f"{snake_case(name)}s", "fields": fields}

    def _type(self, name: str, location: Location, subject: str) -> None:
        known = [*SCALARS, *self.spec.types]
        if name not in known:
            self.document.problem(location, f'no type "{name}"{nearest(name, known)}', subject)

    def _query(self, name: str, query: Query) -> dict[str, Any]:
        at: Location = ("queries", name)
        paged, message_name = page_message(query.returns)
        if query.fields is not None:
            if message_name in self.spec.messages:
                self.document.problem((*at, "fields"), f"{message_name} has its fields under messages already", name)
            self._message(message_name, Message(fields=query.fields), at)
        message = self.messages.get(message_name)
        if message is None:
            if not self.document.left_out("messages", message_name):
                problem = f'no message "{message_name}"{nearest(message_name, self.messages)}'
                self.document.problem((*at, "returns"), problem, name)
            return {}
        declared = self.spec.messages.get(message_name)
        table = declared.table if declared else None
        if query.page and not paged:
            self.document.problem((*at, "page"), "a page needs `returns: page of …`", name)
        compiled: dict[str, Any] = {
            "name": name,
            "summary": query.summary,
            "description": query.description,
            "examples": list(query.examples),
            "message": message_name,
            "key": snake_case(message_name),
            "fields": list(message["fields"]),
            "params": self._params(name, query, declared, paged),
            "table": self._table(name, query, message),
            "narrow": self._narrow(name, query),
            "paged": paged,
        }
        if query.sql:
            compiled |= self._sql_query(name, query, list(message["fields"]))
        elif table in self.schema.tables and declared:
            compiled |= self._table_query(name, query, declared, str(table))
        elif not table and not self.document.left_out(*at):
            self.document.problem(at, f"needs `sql`, because {message_name} is from no table", name)
        return compiled

    def _params(self, name: str, query: Query, message: Message | None, paged: bool) -> dict[str, Any]:
        params: dict[str, Any] = {}
        taken = dict.fromkeys(
            (*PROGRAM_FLAGS, *(flag for param in plan.OPTIONS.values() for flag in param["flags"])), "every query"
        )
        if paged:
            taken |= dict.fromkeys(("--limit", "--offset"), "every page")
        for part, filters in (("arguments", query.arguments), ("filters", query.filters)):
            for option, declared in filters.items():
                at: Location = ("queries", name, part, option)
                python_name = option.replace("-", "_")
                if python_name in params:
                    self._wrong_name(at, f'"{option}" is an argument already', name)
                elif keyword.iskeyword(python_name) or python_name in PYTHON_TAKES:
                    self._wrong_name(at, f'"{option}" cannot be the name of a parameter in Python', name)
                flags = self._flags(at, option, declared, taken, name) if part == "filters" else []
                params[python_name] = self._param(at, query, declared, message, flags, name)
        if paged:
            params |= self._page(name, query)
        return params

    def _param(
        self, at: Location, query: Query, declared: Filter, message: Message | None, flags: list[str], subject: str
    ) -> dict[str, Any]:
        if declared.type:
            self._type(declared.type, (*at, "type"), subject)
        type_name = declared.type or self._column_type(declared.column, message)
        if declared.after and declared.after not in query.filters:
            problem = f'no filter "{declared.after}"{nearest(declared.after, query.filters)}'
            self.document.problem((*at, "after"), problem, subject)
        return plan.param(
            type_name,
            doc=declared.doc,
            flags=flags,
            choices=self.spec.types.get(type_name),
            many=declared.op == "in",
            after=declared.after and declared.after.replace("-", "_"),
        )

    def _flags(self, at: Location, option: str, declared: Filter, taken: dict[str, str], subject: str) -> list[str]:
        flags = [f"--{option}", *declared.flags]
        for index, flag in enumerate(flags):
            if flag in taken:
                problem = f"the option {flag} is taken by {taken[flag]}"
                if index:
                    self.document.problem((*at, "flags", index - 1), problem, subject)
                else:
                    self._wrong_name(at, problem, subject)
            taken[flag] = f'"{option}"'
        return flags

    def _wrong_name(self, at: Location, problem: str, subject: str) -> None:
        self.document.problem(at, problem, subject, self.document.key_position(at))

    def _page(self, name: str, query: Query) -> dict[str, Any]:
        page = query.page or Page()
        if page.default > page.max:
            problem = f"the default {page.default} is more than the most, {page.max}"
            self.document.problem(("queries", name, "page", "default"), problem, name)
        limit = plan.param("integer", doc="at most so many rows", flags=["--limit"], default=page.default, bounds=[1, page.max])
        offset = plan.param(
            "integer", doc="leave out so many rows first", flags=["--offset"], default=0, bounds=[0, MOST_OFFSET]
        )
        return {"limit": limit, "offset": offset}

    def _column_type(self, column: str, message: Message | None) -> str:
        for field_name, field in message.fields.items() if message else ():
            if not field.sql and (field.column or field_name) == column:
                return field.type
        return "string"

    def _table(self, name: str, query: Query, message: dict[str, Any]) -> list[Any]:
        cells = []
        for header, text in query.table.items():
            cell = table_cell(text)
            if cell is None:
                forms = ", ".join(f"{form}({', '.join('abc'[:count])})" for form, count in CELLS.items())
                self.document.problem(
                    ("queries", name, "table", header), f'"{text}" is neither a field nor one of {forms}', name
                )
                continue
            for field in cell[1]:
                if field not in message["fields"]:
                    problem = f'no field "{field}" in the answer{nearest(field, message["fields"])}'
                    self.document.problem(("queries", name, "table", header), problem, name)
            cells.append([header, *cell])
        return cells or [[field.upper().replace("_", " "), "", [field]] for field in message["fields"]]

    def _narrow(self, name: str, query: Query) -> list[str]:
        for index, header in enumerate(query.narrow):
            if header not in query.table:
                problem = f'no column "{header}" in the table{nearest(header, query.table)}'
                self.document.problem(("queries", name, "narrow", index), problem, name)
        return list(query.narrow)

    def _table_query(self, name: str, query: Query, message: Message, table: str) -> dict[str, Any]:
        at: Location = ("queries", name)
        columns = self.schema.tables[table]
        where = self._pieces(name, query, columns, table)
        fixed = self.sql.expression(query.where, table, (*at, "where"), name) if query.where else None
        projections = [
            exp.alias_(sqlglot.parse_one(field.sql, dialect="sqlite") if field.sql else exp.column(field.column or key), key)
            for key, field in message.fields.items()
        ]
        order = []
        for index, entry in enumerate(query.order):
            column = entry.removeprefix("-")
            if column not in columns:
                self.sql.no_column(column, table, (*at, "order", index), name)
            order.append(exp.Ordered(this=exp.column(column), desc=entry.startswith("-")))
        base = exp.select(*projections).from_(table)
        count = exp.select(exp.Count(this=exp.Star())).from_(table)
        if fixed is not None:
            base, count = base.where(exp.paren(fixed)), count.where(exp.paren(fixed))
        ordering = f" {exp.Order(expressions=order).sql('sqlite')}" if order else ""
        compiled = {"select": base.sql("sqlite"), "count": count.sql("sqlite"), "where": where, "tail": ordering, "context": []}
        self.sql.prepare(name, compiled | {"fixed": fixed is not None, "params": {}}, at)
        return compiled | {"fixed": fixed is not None}

    def _pieces(self, name: str, query: Query, columns: Collection[str], table: str) -> list[Any]:
        """For each filter its condition, cut where the value's parameter goes: [name, before, after]."""
        pieces = []
        for part, filters in (("arguments", query.arguments), ("filters", query.filters)):
            for option, declared in filters.items():
                if declared.column not in columns:
                    problem = f'no column "{declared.column}" in {table}{nearest(declared.column, columns)}'
                    self.document.problem(("queries", name, part, option, "column"), problem, name)
                    continue
                pieces.append([option.replace("-", "_"), *_condition(declared)])
        return pieces

    def _sql_query(self, name: str, query: Query, fields: list[str]) -> dict[str, Any]:
        at: Location = ("queries", name, "sql")
        text = str(query.sql).strip().rstrip(";")
        for key in ("where", "order"):
            if getattr(query, key):
                self.document.problem(("queries", name, key), "belongs into `sql`, which this query has", name)
        tree = self.sql.select(text, at, name)
        if tree is None:
            return {}
        given = {node.name for node in tree.find_all(exp.Placeholder)}
        options = {option.replace("-", "_") for option in (*query.arguments, *query.filters)}
        for unknown in sorted(given - options - set(CONTEXT)):
            self.document.problem(at, f'no parameter ":{unknown}"{nearest(unknown, [*options, *CONTEXT])}', name)
        if options - given and FILTERS not in text:
            self.document.problem(at, f"no {FILTERS} in the WHERE clause, and there are filters", name)
        found = tree.named_selects
        if sorted(found) != sorted(fields):
            self.document.problem(at, f"selects {', '.join(found)}, where the answer has {', '.join(fields)}", name)
        if query.returns.startswith("page") and tree.args.get("limit"):
            self.document.problem(at, "has a LIMIT of its own, which a page sets", name)
        pieces = [piece for piece in self._pieces(name, query, self.sql.names(tree), "its tables") if piece[0] not in given]
        compiled: dict[str, Any] = {
            "select": f"SELECT {', '.join(fields)} FROM ({text}\n)",  # the last line may be a comment
            "count": f"SELECT count(*) FROM ({text}\n)",
            "where": pieces,
            "tail": "",
            "context": sorted(given & set(CONTEXT)),
            "fixed": False,
        }
        self.sql.prepare(name, compiled | {"params": {}}, at, text)
        return compiled


def _condition(declared: Filter) -> tuple[str, str]:
    """The SQL of a filter, before and after its parameter; `after` is empty where the parameter ends it."""
    column, mark = exp.column(declared.column), exp.Placeholder(this="x")
    if declared.op == "in":
        condition = exp.In(this=column, expressions=[mark]).sql("sqlite")
    else:
        condition = OPERATIONS[declared.op](this=column, expression=mark).sql("sqlite")
    before, _, after = condition.partition(":x")
    return before, after

"""Spec to plan: every query checked and made ready to run; a wrong spec is refused with all its problems at once.

Columns are resolved against the schema that schema/*.sql really makes, on an empty database in memory, and SQLite
itself prepares every statement there. What a caller may give is the part of `compile_options`, the SQL that of
`compile_sql`, and `compile_check` tries it.
"""

from typing import Any

from kube9 import plan
from kube9.capabilities import methods
from kube9.compile_check import check
from kube9.compile_options import Options, python_name
from kube9.compile_sql import Statements
from kube9.declared import Document, Location, nearest
from kube9.errors import SpecError
from kube9.spec import (
    CELLS,
    PYTHON_HAS,
    SCALARS,
    TEXT,
    Group,
    Message,
    Query,
    Spec,
    Type,
    page_message,
    read,
    snake_case,
    table_cell,
)
from kube9.sqlcheck import Schema, SqlChecker

# Names that `kube9.messages` and `kube9.client` have themselves.
TAKEN_MESSAGES = ("Client", "Commands", "Coverage", "Error", "Gap", "Kube9Error", "Message", "Page", "Pagination", "Request")
TAKEN_METHODS = ("close", "path")
NOTHING = Spec.model_construct(version=1, types={}, messages={}, queries={})


def compile_text(name: str, text: str, key: str) -> plan.Plan:
    """Compile the text of queries.yaml to a plan with the given key. Raises SpecError with every problem."""
    spec, document = read(name, text)
    with Schema() as schema:
        compiled = _Compiler(spec, NOTHING, document, schema).compile()
    document.check()
    return {"key": key, **compiled, "problems": []}


def compile_own(files: dict[str, str], built_in: str, key: str) -> plan.Plan:
    """Compile a user's files, which may use the types and messages that are built in, and may redefine nothing.

    Args:
        files: name -> text. A wrong one is left out, and its problems are kept in the plan.
        built_in: the text of queries.yaml.
        key: the key of the plan.

    Returns: a plan of what the files add.
    """
    base, _ = read(plan.SPEC, built_in)
    found: plan.Plan = {"key": key, "types": {}, "messages": {}, "queries": {}, "problems": []}
    with Schema() as schema:
        for name, text in files.items():
            try:
                spec, document = read(name, text)
                compiled = _Compiler(spec, base, document, schema).compile()
                document.check()
            except SpecError as error:
                found["problems"] += error.problems
                continue
            except Exception as error:  # noqa: BLE001 - a file that we did not foresee must not take the others down
                found["problems"].append(f"{name}:1:1: cannot be compiled: {type(error).__name__}: {str(error)[:200]}")
                continue
            for query in compiled["queries"].values():
                query["own"] = True
            for part in ("types", "messages", "queries"):
                found[part] |= compiled[part]
            base = _both(base, spec)
    return found


def _both(base: Spec, spec: Spec) -> Spec:
    return Spec.model_construct(
        version=1, types=base.types | spec.types, messages=base.messages | spec.messages, queries=base.queries | spec.queries
    )


class _Compiler:
    def __init__(self, spec: Spec, base: Spec, document: Document, schema: Schema) -> None:
        self.own, self.base, self.spec = spec, base, _both(base, spec)
        self.document, self.schema = document, schema
        self.sql = SqlChecker(document, schema, {name: list(of.values) for name, of in self.spec.types.items() if of.values})
        self.types = {name: self._type(name, declared) for name, declared in self.spec.types.items()}
        self.messages: plan.Plan = {}

    def compile(self) -> plan.Plan:
        for part in ("types", "messages", "queries"):
            for name in getattr(self.own, part):
                if name in getattr(self.base, part):
                    at = (part, name)
                    self.document.problem(at, f'"{name}" is there already', at=self.document.key_position(at))
        inline = {page_message(query.returns)[1] for query in self.base.queries.values() if query.fields is not None}
        self.taken = {*TAKEN_MESSAGES, *inline}
        for name in self.own.messages:
            if name in self.taken or name.endswith(("Request", "Response")):
                at = ("messages", name)
                self.document.problem(at, f'"{name}" is a name of the library', at=self.document.key_position(at))
        for name, message in self.spec.messages.items():
            self._message(name, message, ("messages", name))
        queries = {name: self._query(name, query) for name, query in self.own.queries.items()}
        self._groups()
        used = {query.get("message") for query in queries.values()}
        messages = {name: found for name, found in self.messages.items() if name not in self.base.messages or name in used}
        types = {name: found for name, found in self.types.items() if name in self.own.types}
        return {"types": types, "messages": messages, "queries": queries}

    def _groups(self) -> None:
        further: dict[str, str] = {}  # the methods that a query has besides its own, each with the query
        for name, query in self.spec.queries.items():
            kinds = {"name": name, "paged": page_message(query.returns)[0], "arrivals": query.page and query.page.arrivals}
            group = name.rpartition(" ")[0].replace("-", "_")
            further |= {f"{group} {method}".strip(): name for kind, method in methods(kinds).items() if kind != "call"}
        for name in self.own.queries:
            group, _, rest = name.partition(" ")
            at = ("queries", name)
            if name.replace("-", "_") in further:
                problem = f'"{further[name.replace("-", "_")]}" has a method of this name in the library'
                self.document.problem(at, problem, name, self.document.key_position(at))
            elif group in TAKEN_METHODS:
                problem = f'"{group}" is the name of a method of the library'
                self.document.problem(at, problem, name, self.document.key_position(at))
            if rest and group in self.spec.queries:
                self.document.problem(("queries", name), f'"{group}" is a query, so it cannot be a group too', name)
            elif not rest and any(other.startswith(f"{name} ") for other in self.base.queries):
                self.document.problem(("queries", name), f'"{name}" is a group, so it cannot be a query too', name)

    def _type(self, name: str, declared: Type) -> plan.Plan:
        spellings = {word.lower(): value for value, words in declared.spellings.items() for word in (value, *words)}
        known = None
        if declared.column and name in self.own.types:
            table, _, column = declared.column.partition(".")
            at = ("types", name, "column")
            if table not in self.schema.tables:
                self.document.problem(at, f'no table "{table}"{nearest(table, self.schema.tables)}', name)
            elif column not in self.schema.tables[table]:
                self.sql.no_column(column, table, at, name)
            elif not self.schema.index_on(table, column):
                self.document.problem(at, f"no index begins with {column}, so its values cannot be listed quickly", name)
        if declared.column:
            table, _, column = declared.column.partition(".")
            # From value to value by the index, so that a table of a million rows is not read.
            known = (
                f"WITH RECURSIVE known (value) AS (SELECT min({column}) FROM {table} UNION ALL "
                f"SELECT (SELECT min({column}) FROM {table} WHERE {column} > known.value) FROM known "
                "WHERE known.value IS NOT NULL) SELECT value FROM known WHERE value IS NOT NULL"
            )
        return {"values": list(declared.values) or None, "spellings": spellings or None, "known": known}

    def _message(self, name: str, message: Message, location: Location) -> None:
        columns = self.schema.tables.get(message.table or "")
        if message.table and columns is None:
            problem = f'no table "{message.table}"{nearest(message.table, self.schema.tables)}'
            self.document.problem((*location, "from"), problem, name)
        fields = {}
        if message.plural in PYTHON_HAS or message.plural in ("pagination", "coverage"):
            self.document.problem((*location, "plural"), f'"{message.plural}" cannot be the key of the rows', name)
        for field_name, field in message.fields.items():
            at = (*location, "fields", field_name)
            if field_name in PYTHON_HAS:
                problem = f'"{field_name}" cannot be the name of a field in Python'
                self.document.problem(at, problem, name, self.document.key_position(at))
            self._known_type(field.type, (*at, "type"), name)
            column = field.column or field_name
            if field.sql:
                self.sql.expression(field.sql, message.table, (*at, "sql"), name)
            elif columns is not None and column not in columns:
                place = None if field.column else self.document.key_position(at)
                self.sql.no_column(column, message.table or "", (*at, "column"), name, place)
            nullable = not field.present and (bool(field.sql) or columns is None or columns.get(column, True))
            fields[field_name] = {"type": field.type, "doc": field.doc, "nullable": nullable}
        if message.name and message.name not in message.fields:
            self.document.problem((*location, "name"), f'no field "{message.name}"{nearest(message.name, fields)}', name)
        elif message.name and not _suits(message.fields[message.name].type, TEXT):
            self.document.problem((*location, "name"), f"{message.name} is no text", name)
        plural = message.plural or f"{snake_case(name)}s"
        self.messages[name] = {"doc": message.doc, "plural": plural, "name": message.name, "fields": fields}

    def _known_type(self, name: str, location: Location, subject: str) -> None:
        known = [*SCALARS, *self.spec.types]
        if name not in known and not self.document.left_out("types", name):
            self.document.problem(location, f'no type "{name}"{nearest(name, known)}', subject)

    def _query(self, name: str, query: Query) -> plan.Plan:
        at: Location = ("queries", name)
        paged, message_name = page_message(query.returns)
        declared = self.spec.messages.get(message_name)
        if query.fields is not None:
            if declared:
                self.document.problem((*at, "fields"), f"{message_name} has its fields under messages already", name)
            elif message_name in self.taken:
                self.document.problem((*at, "returns"), f'the message "{message_name}" is there already', name)
            self.taken.add(message_name)
            declared = Message.model_construct(fields=query.fields, table=query.source, doc="", plural=None, name=None)
            self._message(message_name, declared, at)
        elif query.source:
            self.document.problem((*at, "from"), "is for a query with fields of its own", name)
        message = self.messages.get(message_name)
        if message is None or declared is None:
            if not self.document.left_out("messages", message_name):
                problem = f'no message "{message_name}"{nearest(message_name, self.messages)}'
                self.document.problem((*at, "returns"), problem, name)
            return {}
        for key in ("page", "group", "window"):
            if getattr(query, key) and not paged:
                self.document.problem((*at, key), f"a {key} needs `returns: page of …`", name)
        compiled: plan.Plan = {
            "name": name,
            "summary": query.summary,
            "description": query.description,
            "examples": list(query.examples),
            "deprecated": query.deprecated,
            "message": message_name,
            "key": snake_case(message_name),
            "fields": list(message["fields"]),
            "table": self._cells(name, "table", query.table, message)
            or [[field.upper().replace("_", " "), "", [field]] for field in message["fields"]],
            "wide": self._cells(name, "wide", query.wide, message),
            "narrow": self._narrow(name, query),
            "paged": paged,
            "window": query.window and [python_name(option) for option in query.window],
            "namespaces": [python_name(option) for option in query.by_namespace()],
            "own": False,
        }
        options = Options(self.document, self.spec, self.types, name, query, declared)
        compiled |= {"params": options.params(paged), "options": options.common(paged)}
        compiled["subjects"] = self._subjects(name, query, compiled["params"])
        statements = Statements(self.document, self.sql, self.schema, name, query, declared, compiled).compile()
        compiled |= statements
        if statements and not self.document.problems:
            check(self.document, self.sql, self.schema, query, declared, compiled)
        if isinstance(query.group, Group):
            for field in query.group.by.values():
                if field in message["fields"]:
                    message["fields"][field]["nullable"] = True
        return compiled

    def _subjects(self, name: str, query: Query, params: plan.Plan) -> list[Any]:
        """The parameters that name something, each with the message, what it is called and the SQL that looks for it."""
        found = []
        for part, filters in (("arguments", query.arguments), ("filters", query.filters)):
            for option, declared in filters.items():
                if declared.names is None or self.document.left_out("messages", declared.names):
                    continue
                at: Location = ("queries", name, part, option, "names")
                message, parameter = self.spec.messages.get(declared.names), python_name(option)
                field = message.fields.get(message.name or "") if message else None
                column = (field.column or message.name) if message and field and not field.sql else None
                if message is None:
                    problem = f'no message "{declared.names}"{nearest(declared.names, self.messages)}'
                    self.document.problem(at, problem, name)
                elif not column or not self.schema.index_on(message.table or "", column):
                    problem = f"no index finds {declared.names} by its `name`"
                    self.document.problem(at, problem, name)
                elif params[parameter]["many"] or params[parameter]["parts"]:
                    self.document.problem(at, "is for one value", name)
                else:
                    sql = f"SELECT 1 FROM {message.table} WHERE {column} = :{parameter}"
                    found.append([parameter, declared.names, snake_case(declared.names), sql])
        return found

    def _cells(self, name: str, part: str, declared: dict[str, str], message: plan.Plan) -> list[Any]:
        cells = []
        for header, text in declared.items():
            cell = table_cell(text)
            if cell is None:
                forms = ", ".join(f"{form}({', '.join('abc'[: len(types)])})" for form, types in CELLS.items())
                self.document.problem(("queries", name, part, header), f'"{text}" is neither a field nor one of {forms}', name)
                continue
            for field in cell[1]:
                if field not in message["fields"]:
                    problem = f'no field "{field}" in the answer{nearest(field, message["fields"])}'
                    self.document.problem(("queries", name, part, header), problem, name)
                elif cell[0] and not _suits(message["fields"][field]["type"], CELLS[cell[0]][cell[1].index(field)]):
                    problem = f"{cell[0]}() takes no {message['fields'][field]['type']} there, as {field} is"
                    self.document.problem(("queries", name, part, header), problem, name)
            cells.append([header, *cell])
        return cells

    def _narrow(self, name: str, query: Query) -> list[str]:
        headers = [*query.table, *query.wide]
        for index, header in enumerate(query.narrow):
            if header not in headers:
                problem = f'no column "{header}" in the table{nearest(header, headers)}'
                self.document.problem(("queries", name, "narrow", index), problem, name)
        return list(query.narrow)


def _suits(type_name: str, wanted: tuple[str, ...]) -> bool:
    return type_name in wanted if wanted else type_name == "string" or type_name not in SCALARS

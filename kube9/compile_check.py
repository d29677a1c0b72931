"""What is compiled of a query, tried: SQLite must take its statements, and no filter may read a whole table unseen."""

from collections.abc import Iterable

from kube9 import plan
from kube9.bind import part_name
from kube9.compile_options import python_name
from kube9.compile_sql import NO_ORDER
from kube9.declared import Document, Location
from kube9.spec import Message, Query
from kube9.sqlcheck import Schema, SqlChecker
from kube9.statement import statement


def check(document: Document, sql: SqlChecker, schema: Schema, query: Query, message: Message, compiled: plan.Plan) -> None:
    """Try the statements of a query on the empty database, and note what is wrong with them."""
    name = compiled["name"]
    refusal = _refusal(schema, compiled, [python_name(option) for option in (*query.arguments, *query.filters)])
    if refusal:
        at: Location = ("queries", name)
        sql.refused(refusal, name, (*at, "sql") if query.sql else at, query.sql or "")
        return
    tables = sql.tables(query.sql) if query.sql else [str(message.table)]
    for part, filters in (("arguments", query.arguments), ("filters", query.filters)):
        for option, declared in filters.items():
            names = [python_name(each) for each in (option, *declared.needs)]
            if declared.scan or names[0] not in {piece[0] for piece in compiled["where"]}:
                continue
            for table in _scanned(schema, compiled, names, tables):
                at = ("queries", name, part, option)
                problem = f"no index serves this filter, so it would read all of {table}; `scan: table` says that it may"
                document.problem(at, problem, name, document.key_position(at))


def _refusal(schema: Schema, compiled: plan.Plan, filters: list[str]) -> str | None:
    """Why SQLite does not take the statements, with every filter or with none."""
    for names in (filters, []):
        for part in ("select", "count"):
            refusal = schema.refusal(statement(compiled, part, _sample(compiled, names))[0])
            if refusal:
                return refusal
    return None


def _scanned(schema: Schema, compiled: plan.Plan, names: list[str], tables: Iterable[str]) -> list[str]:
    """The tables of which SQLite would read every row when only these filters are given."""
    values = _sample(compiled | {"params": {name: compiled["params"][name] for name in names}}, names)
    found = []
    for table in tables:
        alone = {"source": f"FROM {table}", "columns": ["1"], "orders": NO_ORDER, "group": None, "fixed": ""}
        sql, parameters = statement(compiled | alone, "select", values)
        if schema.refusal(sql) is None and schema.scanned(sql, parameters):
            found.append(table)
    return found


def _sample(compiled: plan.Plan, names: Iterable[str]) -> plan.Plan:
    """Values for these filters and for those that always have one."""
    values: plan.Plan = dict.fromkeys(compiled["context"])
    for name, param in compiled["params"].items():
        if name in names or param["default"] is not None or param["required"]:
            values[name] = ["x"] if param["many"] or param["rising"] else "x"
            values |= {part_name(name, part): "x" for part, _ in param["parts"] or ()}
    if compiled["group"] and compiled["group"]["param"]:
        values[compiled["group"]["param"]] = list(compiled["group"]["by"])
    for name in ("sort", "limit", "offset"):
        values.pop(name, None)
    return values

"""The SQL of a query, in the pieces that `query.statement` joins by what a caller gave.

Values are no part of it: a piece of a WHERE clause is there only when its value is given (`:x IS NULL OR …` would
defeat the indexes), and holds its parameters by name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp

from kube9 import plan
from kube9.bind import part_name
from kube9.compile_options import CONTEXT, column_names, python_name
from kube9.declared import Document, Location, nearest
from kube9.spec import Filter, Group, Message, Query
from kube9.sqlcheck import FILTERS, Schema, SqlChecker

LAST_CHARACTER = "char(1114111)"  # U+10FFFF: all that begins with x lies between x and x with this behind it
COMPARISONS: dict[str, type[exp.Binary]] = {"=": exp.EQ, ">=": exp.GTE, ">": exp.GT, "<=": exp.LTE, "<": exp.LT, "min": exp.GTE}
NO_ORDER = {"": {"sql": "", "columns": [], "places": [], "falling": False}}
LIKE = r"{} LIKE '%' || replace(replace(replace(:{}, '\', '\\'), '%', '\%'), '_', '\_') || '%' ESCAPE '\'"


class Statements:
    """The statements of one query."""

    def __init__(
        self,
        document: Document,
        sql: SqlChecker,
        schema: Schema,
        name: str,
        declared: Query,
        message: Message,
        compiled: plan.Plan,
    ) -> None:
        """`compiled` is what is compiled of the query so far: its fields and parameters."""
        self.document, self.sql, self.schema = document, sql, schema
        self.name, self.query, self.message, self.compiled = name, declared, message, compiled
        self.at: Location = ("queries", name)
        self.filters = {
            python_name(option): declared for option, declared in (*self.query.arguments.items(), *self.query.filters.items())
        }

    def compile(self) -> plan.Plan:
        """The part of the plan that is SQL; empty, with its problems noted, when there can be none."""
        if self.query.sql:
            found = self._sql_query(self.query.sql)
        elif self.message.table in self.schema.tables:
            found = self._table_query(str(self.message.table))
        else:
            if not self.message.table and not self.document.touched(*self.at, "sql"):
                self.document.problem(self.at, "needs `sql`, because its answer is from no table", self.name)
            return {}
        return found

    def _table_query(self, table: str) -> plan.Plan:
        columns = self.schema.tables[table]
        where = self._pieces(columns, table)
        fixed = self.sql.expression(self.query.where, table, (*self.at, "where"), self.name) if self.query.where else None
        expressions = {
            name: sqlglot.parse_one(field.sql, dialect="sqlite") if field.sql else exp.column(field.column or name)
            for name, field in self.message.fields.items()
            if not self.document.problems or not field.sql
        }
        for name, expression in expressions.items():
            if expression.find(exp.AggFunc) and not self.query.group:
                problem = f'the field "{name}" counts rows together, which needs `group`'
                self.document.problem(self.at, problem, self.name)
        return {
            "columns": [exp.alias_(expression, name, quoted=True).sql("sqlite") for name, expression in expressions.items()],
            "source": f"FROM {table}",
            "fixed": exp.paren(fixed).sql("sqlite") if fixed is not None else "",
            "where": where,
            "leads": [name for name, declared in self.filters.items() if declared.leads],
            "scans": [name for name, declared in self.filters.items() if declared.scan == "table"],
            "group": self._group(expressions),
            "orders": self._orders(table, columns),
            "arrivals": self._arrivals(table, columns),
            "context": [],
            "database": True,
        }

    def _group(self, expressions: Mapping[str, exp.Expr]) -> plan.Plan | None:
        """What rows are counted together by. A plus before each keeps SQLite from reading a whole index in its order."""
        group = self.query.group
        if not group:
            return None
        named = group.by if isinstance(group, Group) else {field: field for field in group}
        for option, field in named.items():
            if field not in self.message.fields:
                below = ("by", option) if isinstance(group, Group) else (group.index(option),)
                at: Location = (*self.at, "group", *below)
                self.document.problem(at, f'no field "{field}" in the answer{nearest(field, self.message.fields)}', self.name)
        fields = list(self.message.fields)
        return {
            "param": "by" if isinstance(group, Group) else None,
            "by": {
                option: [fields.index(field), f"+{exp.paren(expressions[field]).sql('sqlite')}", self._one_of(field)]
                for option, field in named.items()
                if field in expressions
            },
        }

    def _one_of(self, field: str) -> list[str]:
        """A closed set as a condition, and its column: grouped by it alone, an index gives the groups one by one, unsorted."""
        declared = self.message.fields[field]
        choices = self.sql.closed.get(declared.type)
        column = declared.column or field
        if not choices or declared.sql or self.schema.tables[str(self.message.table)].get(column, True):
            return []
        return [
            exp.In(this=exp.column(column), expressions=[exp.Literal.string(each) for each in choices]).sql("sqlite"),
            column,
        ]

    def _orders(self, table: str, columns: dict[str, bool]) -> plan.Plan:
        """Each order with its SQL and, where pages can go on by them, the places of its columns in the answer."""
        declared = self.query.order if isinstance(self.query.order, dict) else {"": self.query.order}
        fields = list(self.message.fields)
        plain = {field.column or name: fields.index(name) for name, field in self.message.fields.items() if not field.sql}
        orders: plan.Plan = {}
        for name, entries in (declared or {"": []}).items():
            names = [entry.removeprefix("-") for entry in entries]
            for index, column in enumerate(names):
                if column not in columns and not (self.query.group and column in fields):
                    at = (*self.at, "order", name, index) if name else (*self.at, "order", index)
                    if self.query.group:
                        problem = f'no field "{column}" in the answer{nearest(column, fields)}'
                        self.document.problem(at, problem, self.name)
                    else:
                        self.sql.no_column(column, table, at, self.name)
            falling = [entry.startswith("-") for entry in entries]
            # With the table's name, lest a field that is called like another column is taken for it.
            full = [f'"{column}"' if self.query.group and column in fields else f"{table}.{column}" for column in names]
            terms = [f"{column} DESC" if desc else column for column, desc in zip(full, falling, strict=True)]
            keyed = (
                bool(names)
                and not self.query.group
                and len(set(falling)) == 1
                and all(column in plain for column in names)
                and not any(columns.get(column, True) for column in names)
                and names[-1] == self.schema.key(table)
            )
            orders[name] = {
                "sql": f"ORDER BY {', '.join(terms)}" if terms else "",
                "columns": full if keyed else [],
                "places": [plain[column] for column in names] if keyed else [],
                "falling": falling[:1] == [True],
            }
        return orders

    def _arrivals(self, table: str, columns: dict[str, bool]) -> plan.Plan | None:
        column = self.query.page and self.query.page.arrivals
        if not column:
            return None
        at: Location = (*self.at, "page", "arrivals")
        index = self.schema.index_on(table, column) if column in columns else None
        places = {field.column or name: place for place, (name, field) in enumerate(self.message.fields.items())}
        if column not in columns:
            self.sql.no_column(column, table, at, self.name)
        elif index is None:
            self.document.problem(at, f"no index begins with {column}", self.name)
        elif not self.schema.is_integer(table, column):
            self.document.problem(at, f"{column} is no whole number that rises with each change", self.name)
        elif column not in places:
            self.document.problem(at, f"{column} is no field of the answer", self.name)
        elif self.query.group:
            self.document.problem(at, "rows that are counted together do not arrive", self.name)
        return {"column": column, "index": index, "place": places.get(column, 0), "table": table}

    def _pieces(self, columns: Iterable[str], table: str, without: Iterable[str] = ()) -> list[Any]:
        """For each filter its condition as [name, [text, parameter, text, …]]."""
        known, pieces = list(columns), []
        for part, filters in (("arguments", self.query.arguments), ("filters", self.query.filters)):
            for option, declared in filters.items():
                name, at = python_name(option), (*self.at, part, option)
                if name in without:
                    continue
                if declared.sql:
                    text = self._own_condition(name, declared, table, at)
                elif not column_names(declared):
                    if not self.document.touched(*at):
                        self.document.problem(at, "needs a column, or sql", self.name)
                    continue
                else:
                    text = self._condition(name, declared, known, table, at)
                if text:
                    pieces.append([name, segments(text, self._parameters(name, declared))])
        return pieces

    def _condition(self, name: str, declared: Filter, known: list[str], table: str, at: Location) -> str | None:
        names = column_names(declared)
        for index, column in enumerate(names):
            if column not in known:
                place = (*at, "column") if isinstance(declared.column, str) else (*at, "column", index)
                self.document.problem(place, f'no column "{column}" in {table}{nearest(column, known)}', self.name)
                return None
        many = self.compiled["params"][name]["many"] or self.compiled["params"][name]["rising"]
        return any_of([_comparison(column, name, declared.op, many) for column in names])

    def _own_condition(self, name: str, declared: Filter, table: str, at: Location) -> str | None:
        if table not in self.schema.tables:
            self.document.problem((*at, "sql"), "a condition of its own belongs into the query's `sql`", self.name)
            return None
        if declared.column:
            self.document.problem((*at, "column"), "a filter has a column or sql, not both", self.name)
        tree = self.sql.expression(str(declared.sql), table, (*at, "sql"), self.name)
        if tree is None:
            return None
        allowed = self._parameters(name, declared)
        for mark in tree.find_all(exp.Placeholder):
            if mark.name not in allowed and not self.document.touched(*at):
                self.document.problem((*at, "sql"), f'no parameter ":{mark.name}"{nearest(mark.name, allowed)}', self.name)
        return f"({str(declared.sql).strip()}\n)"

    def _parameters(self, name: str, declared: Filter) -> list[str]:
        """What a condition may use: the filter's own value or its parts, and those of the filters that it needs."""
        found = []
        for other, of in ((name, declared), *((python_name(key), self.query.filters.get(key)) for key in declared.needs)):
            found += [part_name(other, part) for part in of.parts] if of and of.parts else [other]
        return found

    def _sql_query(self, whole: str) -> plan.Plan:
        at: Location = (*self.at, "sql")
        text = whole.strip().rstrip(";")
        for key in ("where", "order", "group"):
            if getattr(self.query, key):
                self.document.problem((*self.at, key), "belongs into `sql`, which this query has", self.name)
        if self.query.page and self.query.page.arrivals:
            self.document.problem((*self.at, "page", "arrivals"), "is for queries without `sql`", self.name)
        tree = self.sql.select(text, at, self.name)
        if tree is None:
            return {}
        given = {node.name for node in tree.find_all(exp.Placeholder)}
        for name in sorted(given & self.filters.keys()):
            param = self.compiled["params"][name]
            if param["many"] or param["rising"] or param["parts"]:
                self.document.problem(at, f":{name} may be several values, so it belongs into {FILTERS}", self.name)
        for unknown in sorted(given - self.filters.keys() - set(CONTEXT)):
            self.document.problem(at, f'no parameter ":{unknown}"{nearest(unknown, [*self.filters, *CONTEXT])}', self.name)
        if self.filters.keys() - given and FILTERS not in text:
            self.document.problem(at, f"no {FILTERS} in the WHERE clause, and there are filters", self.name)
        fields, found = list(self.message.fields), tree.named_selects
        if sorted(found) != sorted(fields):
            self.document.problem(at, f"selects {', '.join(found)}, where the answer has {', '.join(fields)}", self.name)
        if self.compiled["paged"] and tree.args.get("limit"):
            self.document.problem(at, "has a LIMIT of its own, which a page sets", self.name)
        return {
            "columns": [f'"{field}"' for field in fields],
            "source": f"FROM ({text}\n)",  # the last line may be a comment
            "fixed": "",
            "where": self._pieces(self.sql.names(tree), "its tables", without=given),
            "leads": [],
            "scans": [name for name, declared in self.filters.items() if declared.scan == "table"],
            "group": None,
            "orders": NO_ORDER,
            "arrivals": None,
            "context": sorted(given & set(CONTEXT)),
            "database": any(table.name in self.schema.tables for table in tree.find_all(exp.Table))
            or any(name.startswith("database_") for name in given),
        }


def _comparison(column: str, name: str, op: str, many: bool) -> str:
    if many:
        return exp.In(this=exp.column(column), expressions=[exp.Placeholder(this=name)]).sql("sqlite")
    if op == "contains":
        return LIKE.format(column, name)
    if op == "prefix":
        return f"{column} >= :{name} AND {column} < :{name} || {LAST_CHARACTER}"
    return COMPARISONS[op](this=exp.column(column), expression=exp.Placeholder(this=name)).sql("sqlite")


def any_of(conditions: list[str]) -> str:
    """Conditions of which one must hold."""
    return conditions[0] if len(conditions) == 1 else f"({' OR '.join(conditions)})"


def segments(text: str, names: list[str]) -> list[str]:
    """A condition cut at its parameters: text, parameter, text, parameter, …, text."""
    return re.split(rf"(?<![\w:]):({'|'.join(names)})\b", text)

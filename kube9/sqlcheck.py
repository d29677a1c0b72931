"""SQL of a spec, checked: one SELECT over known tables and columns that SQLite itself accepts.

The tables are those that the migrations really make, in an empty database in memory.
"""

import logging
import sqlite3
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from kube9 import migrations
from kube9.declared import Document, Location, nearest
from kube9.store import VIRTUAL

FORBIDDEN = (exp.DDL, exp.DML, exp.Command, exp.Pragma, exp.Attach, exp.Detach, exp.Transaction, exp.Set)


logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # what it does not know is refused, and need not be logged
FILTERS = "{filters}"
STAND_IN = "(1 OR  1)"  # as long, so that places in the text stay


class Schema:
    """The tables as the migrations make them, in an empty database in memory."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        for _, _, sql in migrations.migrations():
            self.connection.executescript(sql)
        self.tables: dict[str, dict[str, bool]] = {}  # table -> column -> may be null
        for (table,) in self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = self.connection.execute("SELECT name, [notnull], pk FROM pragma_table_info(?)", (table,))
            self.tables[table] = {column: not (notnull or pk) for column, notnull, pk in columns}

    def index_on(self, table: str, column: str) -> str | None:
        """The name of an index that begins with a column; None when there is none."""
        indexes = self.connection.execute(
            "SELECT list.name FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS info "
            "WHERE info.seqno = 0 AND info.name = ? AND NOT list.partial",
            (table, column),
        )
        return next((name for (name,) in indexes), None)

    def is_integer(self, table: str, column: str) -> bool:
        """Whether a column is declared INTEGER."""
        found = self.connection.execute("SELECT type FROM pragma_table_info(?) WHERE name = ?", (table, column)).fetchone()
        return bool(found and found[0] == "INTEGER")

    def key(self, table: str) -> str | None:
        """The column that is a table's primary key; None when it is several or none."""
        found = self.connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk", (table,)).fetchall()
        return str(found[0][0]) if len(found) == 1 else None

    def scanned(self, sql: str, parameters: dict[str, Any]) -> set[str]:
        """The tables of which a statement would read every row, by SQLite's own plan."""
        steps = (step for *_, step in self.connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters))
        return {step.split()[1] for step in steps if step.startswith("SCAN ")} & set(self.tables)

    def __enter__(self) -> "Schema":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def refusal(self, sql: str) -> str | None:
        """What SQLite says against a statement; None when it accepts it."""
        try:
            names = {node.name: None for node in sqlglot.parse_one(sql, dialect="sqlite").find_all(exp.Placeholder)}
            self.connection.execute(f"EXPLAIN {sql}", names)
        except (sqlite3.Error, SqlglotError) as error:
            return str(error).partition("\n")[0]
        return None


class SqlChecker:
    """Checks the SQL of a spec and notes every mistake in its document."""

    def __init__(self, document: Document, schema: Schema, closed: dict[str, list[str]]) -> None:
        """`closed` has the values of each closed set of the spec."""
        self.document, self.schema, self.closed = document, schema, closed

    def no_column(self, column: str, table: str, location: Location, subject: str, at: tuple[int, int] | None = None) -> None:
        """Note that a table has no such column."""
        problem = f'no column "{column}" in {table}{nearest(column, self.schema.tables.get(table, {}))}'
        self.document.problem(location, problem, subject, at)

    def select(self, text: str, at: Location, subject: str, lead: str = "") -> exp.Query | None:
        """The tree of one SELECT over known tables; None, with its problems noted, when it is anything else.

        Args:
            text: the SQL, with `{filters}` where the filters go.
            at: where it stands in the file.
            subject: the query or message that it belongs to.
            lead: how the text begins that is not in the file.
        """
        try:
            trees = sqlglot.parse(text.replace(FILTERS, STAND_IN), dialect="sqlite")
        except RecursionError:
            self.document.problem(at, "nested too deeply", subject)
            return None
        except SqlglotError as error:
            first = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
            place = _offset(text, first.get("line") or 1, (first.get("col") or 1) - len(first.get("highlight") or " "))
            message = f"not SQL: {first.get('description') or error}".partition("\n")[0].partition(" but got <Token")[0]
            self.document.problem(at, message, subject, self._inside(at, text, place, lead))
            return None
        if len(trees) != 1 or not isinstance(trees[0], exp.Query) or trees[0].find(*FORBIDDEN):
            self.document.problem(at, "must be one SELECT", subject)
            return None
        names = {cte.alias for cte in trees[0].find_all(exp.CTE)}
        for table in trees[0].find_all(exp.Table):
            if isinstance(table.this, exp.Func) and str(table.this.name).lower() in VIRTUAL:
                continue
            if table.name not in self.schema.tables and table.name not in names:
                problem = f'no table "{table.name}"{nearest(table.name, self.schema.tables)}'
                self.document.problem(at, problem, subject, self._inside(at, text, _start(table), lead))
                return None
        return trees[0]

    def tables(self, text: str) -> list[str]:
        """The tables of the schema that a SELECT reads."""
        tree = sqlglot.parse_one(text.replace(FILTERS, STAND_IN), dialect="sqlite")
        return sorted({table.name for table in tree.find_all(exp.Table)} & self.schema.tables.keys())

    def names(self, tree: exp.Query) -> set[str]:
        """Every name that a condition in a SELECT may use: columns of its tables, and what it calls its own."""
        columns = {column for table in tree.find_all(exp.Table) for column in self.schema.tables.get(table.name, {})}
        return columns | {alias.alias for alias in tree.find_all(exp.Alias)}

    def expression(self, text: str, table: str | None, at: Location, subject: str) -> exp.Expression | None:
        """The tree of an expression over the columns of a table."""
        if table not in self.schema.tables:
            self.document.problem(at, "an expression needs `from`, a table", subject)
            return None
        whole, lead = f"SELECT {text}\nFROM {table}", "SELECT "
        tree = self.select(whole, at, subject, lead)
        if tree is None:
            return None
        for column in tree.find_all(exp.Column):
            owner = column.table or table
            if column.name not in self.schema.tables.get(owner, {}) and not column.find_ancestor(exp.Subquery):
                self.no_column(column.name, owner, at, subject, self._inside(at, whole, _start(column), lead))
        if len(tree.expressions) != 1:
            self.document.problem(at, "must be one expression", subject)
            return None
        found: exp.Expression = tree.expressions[0].unalias()
        return found

    def refused(self, refusal: str, name: str, at: Location, text: str) -> None:
        """Note what SQLite says against a statement; where it names a column that stands in the text, at its place."""
        what, _, column = refusal.partition(": ")
        place = text.lower().find(column.lower().rpartition(".")[2]) if what == "no such column" else -1
        if place < 0:
            self.document.problem(at, f"SQLite refuses it: {refusal}", name)
            return
        known = sorted({known for columns in self.schema.tables.values() for known in columns})
        problem = f'no column "{column}"{nearest(column, known)}'
        self.document.problem(at, problem, name, self.document.inside(at, text, place))

    def _inside(self, at: Location, text: str, offset: int, lead: str) -> tuple[int, int]:
        return self.document.inside(at, text[len(lead) :], max(0, offset - len(lead)))


def _start(node: exp.Expression) -> int:
    """Where in its text a part begins."""
    return min((part.meta["start"] for part in node.walk() if "start" in part.meta), default=0)


def _offset(text: str, line: int, column: int) -> int:
    """A line from 1 and a column from 0 as a place in the text."""
    return sum(len(part) + 1 for part in text.split("\n")[: line - 1]) + max(0, column)

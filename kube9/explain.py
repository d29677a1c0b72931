"""What a query runs, for the person who wrote it: SQL, parameters, and SQLite's plan."""

import sqlite3

import sqlglot

from kube9 import argv, bind, errors, plan, times
from kube9.sqlcheck import Schema
from kube9.statement import statement


def explain(compiled: plan.Plan, words: list[str]) -> str:
    """Explain the query that the words ask for, such as `events list --type cluster`.

    Raises:
        InvalidArgument: the words ask for no query, or a value is wrong.
    """
    declared, _ = argv.named(compiled, ["query", *words])
    found = argv.read(compiled, ["query", *words])
    if declared is None:
        known = ", ".join(compiled["queries"])
        raise errors.InvalidArgument(f'no query "{" ".join(words[:2])}"', f"there are {known}")
    if found is None:
        what = "`--name value` for each option, and every argument"
        raise errors.InvalidArgument(f"cannot read the options of {declared['name']}", f"it takes {what}")
    declared, given, _ = found
    values = bind.bind(compiled, declared, given, times.now_ms()).values
    values = dict.fromkeys(declared["context"]) | values
    parts = []
    with Schema() as schema:
        for part in ("select", "count") if declared["paged"] else ("select",):
            sql, parameters = statement(declared, part, values)
            used = {name: parameters[name] for name in sorted(_names(sql))}
            parts.append(f"-- {'the rows' if part == 'select' else 'how many there are'}")
            parts.append(sql)
            parts += [f"-- :{name} = {value!r}" for name, value in used.items()]
            parts += ["-- plan:", *(f"--   {step}" for step in _steps(schema.connection, sql, used)), ""]
    return "\n".join(parts)


def _names(sql: str) -> set[str]:
    tree = sqlglot.parse_one(sql, dialect="sqlite")
    return {node.name for node in tree.find_all(sqlglot.exp.Placeholder)}


def _steps(connection: sqlite3.Connection, sql: str, parameters: plan.Plan) -> list[str]:
    return [str(step) for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]

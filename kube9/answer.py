"""A query from what was typed to what is printed: both ways of reading the command line end here."""

from kube9 import query, render, store, times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kube9.plan import Plan


def answer(plan: "Plan", asked: "Plan", given: "dict[str, Any]", options: "dict[str, Any]") -> None:
    """Answer a query on stdout.

    Args:
        plan: the compiled plan.
        asked: the query's part of it.
        given: what was typed for the query's parameters.
        options: what was typed for the options that every query takes.

    Raises:
        InvalidArgument: a value is wrong; the database has not been opened.
        Kube9Error: as `query.run`.
    """
    chosen = {name: options.get(name, param["default"]) for name, param in plan["options"].items()}
    for name, found in chosen.items():
        if found is not None:
            chosen[name] = query.convert(name, plan["options"][name], found, 0)
    values = query.bind(asked, given, times.now_ms())
    result = query.run(store.database_path(chosen["db"]), asked, values, chosen["timeout"] / 1000)
    if chosen["format"] == "table":
        from kube9 import table  # rich: 50 ms

        table.write(result, plan)
    else:
        render.write((render.json if chosen["format"] == "json" else render.yaml)(result, plan))

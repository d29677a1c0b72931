"""The SQL of a query: the pieces of the plan, joined by what was given. No value is ever part of the text."""

MOST_COUNTED = 10_000  # where a total would take reading the table
PAGING = ("limit", "offset", "page_token", "after", "sort", "require_coverage")  # parameters that are no condition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kube9.plan import Plan


def statement(query: "Plan", part: str, values: "dict[str, Any]") -> "tuple[str, dict[str, Any]]":
    """The SQL of a query and its parameters.

    Args:
        query: the query's plan.
        part: "select" for the rows, "count" for how many there are.
        values: as `bind` gives them; a filter without a value leaves no trace in the SQL.
    """
    parameters: dict[str, Any] = {name: None for name in query["params"] if name not in PAGING}
    parameters |= values
    conditions = _conditions(query, values, parameters)
    arrivals, group = query["arrivals"], query["group"]
    columns, grouped = query["columns"], ""
    if group:
        columns, grouped = _grouped(query, values, conditions)
    source, joined = query["source"], "\n  AND ".join(conditions)
    if "after" in values:
        source += f" INDEXED BY {arrivals['index']}"
    if "{filters}" in source:
        source = source.replace("{filters}", f"({joined or 1})")
    elif joined:
        source += f"\nWHERE {joined}"
    source += grouped
    if part == "count":
        if group:
            return f"SELECT count(*)\nFROM (SELECT 1\n{source})", parameters
        if counts_some(query, values):
            return f"SELECT count(*)\nFROM (SELECT 1\n{source}\nLIMIT {MOST_COUNTED + 1})", parameters
        return f"SELECT count(*)\n{source}", parameters
    order = f"ORDER BY {arrivals['column']}" if "after" in values else order_of(query, values)["sql"]
    listed = ",\n  ".join(columns)
    sql = f"SELECT\n  {listed}\n{source}\n{order}".rstrip()
    if "limit" in values:
        parameters["limit"] = values["limit"] + 1  # one more tells whether there are more
        cursor = values.get("page_token")
        parameters["offset"] = 0 if cursor and cursor.keys else cursor.offset if cursor else values["offset"]
        sql += "\nLIMIT :limit OFFSET :offset"
    return sql, parameters


def _grouped(query: "Plan", values: "dict[str, Any]", conditions: list[str]) -> "tuple[list[str], str]":
    """The columns and the GROUP BY of what was chosen; a closed set that is chosen alone becomes a condition too."""
    group, by = query["group"], query["group"]["by"]
    names = values[group["param"]] if group["param"] else list(by)
    chosen = {by[name][0]: by[name][1] for name in names}
    one_of = by[names[0]][2] if len(names) == 1 else []
    if one_of:
        conditions.append(one_of[0])
        chosen = {by[names[0]][0]: one_of[1]}
    left_out = {place for place, *_ in by.values()} - chosen.keys()
    columns = [
        f'NULL AS "{query["fields"][place]}"' if place in left_out else column for place, column in enumerate(query["columns"])
    ]
    return columns, f"\nGROUP BY {', '.join(chosen.values())}"


def _conditions(query: "Plan", values: "dict[str, Any]", parameters: "dict[str, Any]") -> list[str]:
    """What must hold, each parameter in it also in `parameters`."""
    conditions = [query["fixed"]] if query["fixed"] else []
    leads = [name for name in query["leads"] if name in values]
    for name, segments in query["where"]:
        value = values.get(name)
        if value is None or value is False:
            continue
        text = segments[0]
        for index in range(1, len(segments), 2):
            key = segments[index]
            found = values[key]
            if isinstance(found, list):
                marks = [f"{key}__{number}" for number in range(len(found))]  # no option has two underscores
                parameters.update(zip(marks, found, strict=True))
                parameters.pop(key, None)
                text += f":{', :'.join(marks)}{segments[index + 1]}"
            else:
                text += f":{key}{segments[index + 1]}"
        # A plus before a column keeps SQLite from choosing its index.
        conditions.append(f"+{text}" if leads and name not in leads else text)
    cursor, arrivals = values.get("page_token"), query["arrivals"]
    if cursor:
        if arrivals:
            conditions.append(f"+{arrivals['column']} <= :pinned__")
            parameters["pinned__"] = cursor.seq
        if cursor.keys:
            order = order_of(query, values)
            marks = [f"key__{number}" for number in range(len(cursor.keys))]
            parameters.update(zip(marks, cursor.keys, strict=True))
            columns, sign = ", ".join(order["columns"]), "<" if order["falling"] else ">"
            conditions.append(f"({columns}) {sign} (:{', :'.join(marks)})")
    if "after" in values:
        conditions.append(f"{arrivals['column']} > :after")
        parameters["after"] = values["after"][1]
    parameters.pop("page_token", None)
    parameters.pop("sort", None)
    return conditions


def order_of(query: "Plan", values: "dict[str, Any]") -> "Plan":
    """The order that was chosen, or the first."""
    orders = query["orders"]
    found: Plan = orders[values["sort"]] if "sort" in values else next(iter(orders.values()))
    return found


def counts_some(query: "Plan", values: "dict[str, Any]") -> bool:
    """Whether a total stops at MOST_COUNTED, because counting on would read the table."""
    return "after" in values or any(values.get(name) for name in query["scans"])

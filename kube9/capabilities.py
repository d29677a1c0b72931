"""What can be asked, as JSON: for a caller that wants to know before it asks."""

from json import dumps
from typing import Any

from kube9.plan import Plan


def listed(plan: Plan) -> str:
    """Every query with its parameters and formats."""
    return dumps([_query(query) for query in plan["queries"].values()], ensure_ascii=False)


def problems(plan: Plan) -> str:
    """What is wrong in the user's own files of queries."""
    return dumps(plan["problems"], ensure_ascii=False)


def methods(query: Plan) -> dict[str, str]:
    """The names of a query's methods in the library: `call` it, `all` its rows, `watch` what arrives."""
    verb = query["name"].rpartition(" ")[2].replace("-", "_")
    found = {"call": verb}
    if query["paged"]:
        found["all"] = f"{verb}_all"
    if query["arrivals"]:
        found["watch"] = "watch" if verb == "list" else f"{verb}_watch"
    return found


def _query(query: Plan) -> dict[str, Any]:
    return {
        "name": query["name"],
        "summary": query["summary"],
        "deprecated": query["deprecated"],
        "own": query["own"],
        "returns": query["message"],
        "paged": query["paged"],
        "fields": query["fields"],
        "formats": query["options"]["format"]["choices"],
        "parameters": [
            {
                "name": name,
                "options": [*param["flags"], *param["aliases"]],
                "type": param["type"],
                "values": param["choices"],
                "many": param["many"],
                "required": param["required"],
                "default": param["default"],
                "minimum": param["bounds"] and param["bounds"][0],
                "maximum": param["bounds"] and param["bounds"][1],
                "deprecated": param["deprecated"],
            }
            for name, param in (query["params"] | query["options"]).items()
        ],
    }

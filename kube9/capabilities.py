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


def formats(query: Plan) -> list[str]:
    """The formats that a query can be answered in: a name only where its message has one."""
    choices: list[str] = query["options"]["format"]["choices"]
    return choices


def _query(query: Plan) -> dict[str, Any]:
    return {
        "name": query["name"],
        "summary": query["summary"],
        "deprecated": query["deprecated"],
        "own": query["own"],
        "returns": query["message"],
        "paged": query["paged"],
        "fields": query["fields"],
        "formats": formats(query),
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

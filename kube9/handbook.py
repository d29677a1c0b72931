"""The commands of `kube9 query` as a page of Markdown, from the plan: docs/commands.md is what this gives."""

from collections.abc import Iterable
from typing import Any

import pydantic

from kube9 import bind
from kube9.capabilities import methods
from kube9.messages import Coverage, Gap, Pagination
from kube9.plan import OPTIONS, Plan

TITLE = """\
# The commands of `kube9 query`

Everything that can be asked, with every option. `kube9 spec export markdown` writes this page from
[queries.yaml](../queries.yaml); edit that file, not this one. [queries.md](queries.md) explains its language.
"""
WORDS = {  # scalars as a reader of help knows them
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "time": "time",
    "duration": "duration",
    "json": "JSON object",
    "array": "JSON array",
    "page_token": "token",
    "sync_token": "token",
    "percentage": "percentage",
}
VALUES = """\
## Values

- A **time** is a date (`2025-12-01`, midnight UTC), ISO 8601 with any offset (`2025-12-01T10:30:00Z`), a duration before now
  (`90s`, `30m`, `24h`, `7d`, `2w`, `1h30m`), `now`, `today` or `yesterday`.
- A **percentage** is a number from 0 to 100: `99%`, `99.5%`, `99`.
- A **duration** is one or more numbers with a unit, `w`, `d`, `h`, `m` or `s`, longest first: `5s`, `1h30m`.
- Where several values may be given, the option is repeated: `--reason BackOff --reason Unhealthy`. Values of a closed set may
  also be joined by commas: `--severity error,critical`.
- Types with a name of their own take these values:
"""
ANSWERS = """\
## Answers

In JSON and YAML an answer is one object. A page holds its rows under the name of what they are, and says where they stand:
"""


def commands_page(plan: Plan) -> str:
    """Every query of the plan: what it is for, how it is called, its options, and what it returns."""
    queries = plan["queries"].values()
    parts = [TITLE, _contents(queries), *(_query(query) for query in queries)]
    parts += ["## Options of every query\n", _options(OPTIONS.items(), OPTIONS)]
    parts += [VALUES, _types(plan), _answers(plan)]
    return "\n".join(parts)


def _contents(queries: Iterable[Plan]) -> str:
    rows = ([f"[`{query['name']}`](#{_anchor('kube9 query ' + query['name'])})", query["summary"]] for query in queries)
    return _table(["command", "what it does"], rows)


def _query(query: Plan) -> str:
    params: Plan = query["params"]
    own = {name: param for name, param in (params | query["options"]).items() if name not in OPTIONS}
    words = [_placeholder(name, param) for name, param in own.items() if param["required"]]
    parts = [f"## kube9 query {query['name']}\n", f"{query['summary']}.\n"]
    if query["deprecated"]:
        parts.append(f"**Deprecated:** {query['deprecated']}.\n")
    if query["description"]:
        parts.append(f"{query['description'].strip()}\n")
    parts.append("    " + " ".join(["kube9 query", query["name"], *words, "[OPTIONS]"]) + "\n")
    if own:
        parts.append(_options(own.items(), params))
    returns = f"[{query['message']}](#{_anchor(query['message'])})"
    parts.append(f"- Returns {'a page of ' if query['paged'] else ''}{returns}{_extras(query)}.")
    parts.append(f"- Formats: {', '.join(_code(form) for form in query['options']['format']['choices'])}.")
    service = query["name"].replace("-", "_").rpartition(" ")[0]
    calls = (f"db.{service}.{name}(…)" if service else f"db.{name}(…)" for name in methods(query).values())
    parts.append(f"- In Python: {', '.join(map(_code, calls))}.\n")
    if query["examples"]:
        parts.append("Examples:\n\n" + "".join(f"    {example}\n" for example in query["examples"]))
    return "\n".join(parts)


def _placeholder(name: str, param: Plan) -> str:
    return f"{param['flags'][0]} {name.upper()}" if param["flags"] else name.upper()


def _extras(query: Plan) -> str:
    return ", with [coverage](#coverage)" if query["window"] else ""


def _options(options: Iterable[tuple[str, Plan]], beside: Plan) -> str:
    """A table of options; `beside` has those that they exclude or need."""
    rows = []
    for name, param in options:
        flags = ", ".join(_code(flag) for flag in param["flags"]) or _code(name.upper())
        rows.append([flags, _value(param), _default(param), _meaning(name, param, beside)])
    return _table(["option", "value", "default", "meaning"], rows)


def _value(param: Plan) -> str:
    if param["type"] == "boolean":
        return ""
    if param["choices"]:
        found = ", ".join(_code(choice) for choice in param["choices"])
    elif param["parts"]:
        found = "/".join(part.upper() for part, _ in param["parts"])
    elif param["spellings"]:
        found = f"[{param['type']}](#values)"
    else:
        found = WORDS.get(param["type"], "text")
    if param["bounds"] and param["bounds"][1] < bind.MANY:
        found += f" from {param['bounds'][0]} to {param['bounds'][1]}"
    return f"{found}; several" if param["many"] else found


def _default(param: Plan) -> str:
    default = param["default"]
    if default is None:
        return "must be given" if param["required"] else ""
    return ", ".join(_code(str(value)) for value in (default if isinstance(default, list) else [default]))


def _meaning(name: str, param: Plan, beside: Plan) -> str:
    said = [param["doc"]]
    excluded = [other for other, of in beside.items() if other in param["excludes"] or name in of["excludes"]]
    for others, words in ((excluded, "not beside"), (param["needs"], "only with")):
        flags = [_code(bind.said(beside[other], other)) for other in others]
        said += [f"{words} {' or '.join(flags)}"] if flags else []
    said += [f"**deprecated:** {param['deprecated']}"] if param["deprecated"] else []
    return "; ".join(part for part in said if part)


def _types(plan: Plan) -> str:
    rows = []
    for name, of in plan["types"].items():
        if of["values"]:
            rows.append([_code(name), "one of " + ", ".join(_code(value) for value in of["values"])])
        elif of["spellings"]:
            words = (f"{value} ({', '.join(typed)})" for value, typed in _spelled(of["spellings"]).items())
            rows.append([_code(name), f"any, in any case; also what kubectl takes: {', '.join(words)}"])
        else:
            rows.append([_code(name), "any that was recorded"])
    return _table(["type", "values"], rows)


def _spelled(spellings: dict[str, str]) -> dict[str, list[str]]:
    """What may be typed for each value, besides the value itself."""
    found: dict[str, list[str]] = {}
    for typed, value in spellings.items():
        words = found.setdefault(value, [])
        if typed != value.lower():
            words.append(typed)
    return found


def _answers(plan: Plan) -> str:
    parts = [ANSWERS]
    rows = [
        [_code("events"), "the rows; named by what they are, such as `node_counts`"],
        [_code("pagination"), "[where the page stands](#pagination)"],
        [_code("coverage"), "[what of the time asked for was watched](#coverage), where a window can be asked for"],
    ]
    parts.append(_table(["key", "meaning"], rows))
    used = dict.fromkeys(query["message"] for query in plan["queries"].values())
    for name in used:
        message = plan["messages"][name]
        parts.append(f"### {name}\n")
        parts += [f"{message['doc']}\n"] if message["doc"] else []
        if any(query["paged"] for query in plan["queries"].values() if query["message"] == name):
            parts.append(f"In pages under {_code(message['plural'])}.\n")
        fields = (
            [_code(field), WORDS.get(of["type"]) or _code(of["type"]), "yes" if of["nullable"] else "", of["doc"]]
            for field, of in message["fields"].items()
        )
        parts.append(_table(["field", "type", "may be null", "meaning"], fields))
    for model in (Pagination, Coverage, Gap):
        parts += [f"### {model.__name__.lower()}\n", f"{model.__doc__}\n", _model(model)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _model(model: type[pydantic.BaseModel]) -> str:
    rows = ([_code(field.alias or name), field.description or ""] for name, field in model.model_fields.items())
    return _table(["key", "meaning"], rows)


def _table(headers: list[str], rows: Iterable[list[Any]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`"


def _anchor(heading: str) -> str:
    """Where a heading can be linked to, as the common renderers of Markdown name it."""
    return heading.lower().replace(" ", "-")

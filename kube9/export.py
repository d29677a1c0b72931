"""What other programs need of the queries: JSON Schema and TypeScript types; and the list of all that can be exported.

All of it is read off the models of `kube9.messages`, so it says what the library checks and what answers hold.
"""

import json
from collections.abc import Callable
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from kube9 import errors
from kube9.messages import Message, Request, call_name, messages, response_name
from kube9.plan import Plan


class _Answers(GenerateJsonSchema):
    """Answers as they are in JSON."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the name says it already
        return False


class _Requests(_Answers):
    """Requests in JSON, where a time may be 24h and a duration 5m."""

    def datetime_schema(self, schema: Any) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string"}

    timedelta_schema = datetime_schema


def json_schema(plan: Plan) -> str:
    """One JSON Schema (2020-12) with each request, response and message, and with errors, under `$defs`."""
    schema = {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "kube9",
        "description": "What kube9 is asked, what it answers, and how it says on stderr that it cannot.",
        "$defs": definitions(plan),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def definitions(plan: Plan) -> dict[str, Any]:
    """The JSON Schema of each request, response and message by name; `<call>Request` and `<call>Response` for each query."""
    models = messages(plan)
    found: dict[str, Any] = {}
    for base, generator in ((Request, _Requests), (Message, _Answers)):
        chosen = [model for model in models.values() if issubclass(model, Request) == (base is Request)]
        _, schema = models_json_schema([(model, "validation") for model in chosen], schema_generator=generator)
        found |= schema["$defs"]
    found = {name: found[name] for name in models}
    for query in plan["queries"].values():
        fields = found[f"{call_name(query)}Request"]["properties"]
        for name, param in query["params"].items():
            if param["deprecated"]:
                fields[name] |= {"deprecated": True, "description": f"{param['doc']} (instead: {param['deprecated']})"}
        if not query["paged"]:
            found.setdefault(f"{call_name(query)}Response", {"$ref": f"#/$defs/{response_name(query)}"})
    return found | {"Error": _error()}


def _error() -> dict[str, Any]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Kube9Error)]
    codes = dict.fromkeys(kind.code for kind in kinds if kind is not errors.Kube9Error)
    return {
        "title": "Error",
        "description": "What stderr says when there is no answer; further keys say what it was about.",
        "type": "object",
        "properties": {
            "error": {"description": "what is wrong, in one line", "type": "string"},
            "details": {"description": "where, and what to do about it", "type": "string"},
            "code": {"description": "status code, as gRPC has them", "type": "string", "enum": [*codes]},
        },
        "required": ["error", "details", "code"],
        "additionalProperties": {"type": "string"},
    }


def typescript(plan: Plan) -> str:
    """TypeScript types of each request, response and message, of errors, and of each command with its request and response."""
    defined = definitions(plan)
    sets = {name: of["values"] for name, of in plan["types"].items() if of["values"] and name not in (*defined, "Commands")}
    named = {tuple(values): name for name, values in sets.items()}
    parts = ["// Written by `kube9 spec export typescript`; an edit belongs into queries.yaml.\n"]
    parts += [f"export type {name} = {' | '.join(map(json.dumps, values))};\n" for name, values in sets.items()]
    for name, schema in defined.items():
        about = _jsdoc(schema, "")
        if "$ref" in schema:
            parts.append(f"export type {name} = {_typescript(schema, named)};\n")
        else:
            parts.append(f"{about}export interface {name} {_interface(schema, named)}\n")
    commands = "".join(
        f'  "{name}": {{ request: {call_name(query)}Request; response: {call_name(query)}Response }};\n'
        for name, query in plan["queries"].items()
    )
    about = "/** Each command below `kube9 query` with what it takes and what it answers. */\n"
    parts.append(f"{about}export interface Commands {{\n{commands}}}\n")
    return "\n".join(parts)


def _interface(schema: dict[str, Any], named: dict[tuple[Any, ...], str]) -> str:
    """An object with its fields, optional where they may be missing."""
    lines = []
    for name, of in schema["properties"].items():
        mark = "" if name in schema.get("required", ()) else "?"
        lines.append(f"{_jsdoc(of, '  ')}  {name}{mark}: {_typescript(of, named)};\n")
    if isinstance(schema.get("additionalProperties"), dict):
        lines.append(f"  [key: string]: {_typescript(schema['additionalProperties'], named)};\n")
    return f"{{\n{''.join(lines)}}}"


def _typescript(schema: dict[str, Any], named: dict[tuple[Any, ...], str]) -> str:
    """The type that a JSON Schema stands for."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_typescript(of, named) for of in schema["anyOf"]))
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if values:
        return named.get(tuple(values)) or " | ".join(map(json.dumps, values))
    kind = schema.get("type")
    if kind == "array":
        item = _typescript(schema["items"], named)
        return f"({item})[]" if " " in item else f"{item}[]"
    if kind == "object":
        return "{ [key: string]: unknown }"
    return {"integer": "number", None: "unknown"}.get(kind, str(kind))


def _jsdoc(schema: dict[str, Any], pad: str) -> str:
    said = " ".join(schema.get("description", "").split()).replace("*/", "*\\/")
    if schema.get("format") == "date-time" or {"type": "string", "format": "date-time"} in schema.get("anyOf", ()):
        said += " (ISO 8601, UTC)"
    if schema.get("deprecated"):
        said = f"@deprecated {said}"
    if schema.get("default") is not None:
        said += f" (default: {json.dumps(schema['default'])})"
    return f"{pad}/** {said.strip()} */\n" if said else ""


def _markdown(plan: Plan) -> str:
    from kube9 import handbook

    return handbook.commands_page(plan)


def _stubs(plan: Plan) -> str:
    from kube9 import stubs

    return stubs.stubs(plan)


FORMS: dict[str, Callable[[Plan], str]] = {
    "json-schema": json_schema,
    "typescript": typescript,
    "stubs": _stubs,
    "markdown": _markdown,
}

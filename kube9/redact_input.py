"""Text, JSON or YAML that somebody wants to see redacted, as `kube9 redact test` shows it."""

import json
import re
from typing import Any

from kube9 import redact
from kube9.errors import InvalidArgument

FORMS = ("auto", "text", "json", "yaml")
# What YAML of Kubernetes has at the start of a line; `password: x` alone is as well a line of a log.
_YAML = re.compile(r"^(?:---|apiVersion:|kind:)", re.MULTILINE)


def redact_input(text: str, form: str = "auto") -> tuple[Any, str, list[redact.Secret]]:
    """Redact what was given, as it would be before it is stored.

    Args:
        text: the input.
        form: one of `FORMS`; auto takes JSON for JSON, YAML for YAML when it has a line of Kubernetes', all else for text.

    Returns: the redacted value (of text and YAML a string), the same in the form of the input, and what was redacted.

    Raises:
        InvalidArgument: it is not in the form that was named.
    """
    found: list[redact.Secret] = []
    if form == "json" or (form == "auto" and text.lstrip()[:1] in ("{", "[")):
        try:
            values = _redacted(_json_values(text), found)
        except (ValueError, RecursionError) as error:
            if form == "json":
                raise InvalidArgument("the input is not JSON", _reason(error)) from None
        else:
            indent = 2 if len(values) == 1 and "\n" in text.strip() else None
            written = "\n".join(json.dumps(value, ensure_ascii=False, indent=indent) for value in values)
            return values[0] if len(values) == 1 else values, written, found
    if form == "yaml" or (form == "auto" and _YAML.search(text)):
        try:
            written = _yaml(text, found)
        except (ValueError, RecursionError) as error:
            if form == "yaml":
                raise InvalidArgument("the input is not YAML", _reason(error)) from None
        else:
            return written, written, found
    found.clear()
    written = redact.text(text, found)
    return written, written, found


def _json_values(text: str) -> list[Any]:
    """The values of a stream of JSON: one, or as many as there are one behind another."""
    decoder, values, end = json.JSONDecoder(), [], len(text.rstrip())
    place = len(text) - len(text.lstrip())
    while place < end:
        value, place = decoder.raw_decode(text, place)
        values.append(value)
        while place < end and text[place].isspace():
            place += 1
    if not values:
        raise ValueError("it is empty")
    return values


def _redacted(values: list[Any], found: list[redact.Secret]) -> list[Any]:
    made = []
    for number, value in enumerate(values, 1):
        here: list[redact.Secret] = []
        made.append(redact.value(value, here))
        within = f"document {number}: " if len(values) > 1 else ""
        found += [secret._replace(place=f"{within}{secret.place}") for secret in here]
    return made


def _yaml(text: str, found: list[redact.Secret]) -> str:
    from io import StringIO

    from ruamel.yaml import YAML  # 31 ms
    from ruamel.yaml.error import YAMLError

    reader = YAML(typ="safe", pure=True)
    reader.constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
    reader.default_flow_style, reader.width = False, 4096
    reader.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    try:
        values = _redacted(list(reader.load_all(text)), found)
        written = StringIO()
        reader.dump_all(values, written)
    except YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    return written.getvalue()


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)

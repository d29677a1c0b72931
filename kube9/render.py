"""Answers as text: JSON here, because every exec wants it; YAML and tables by the libraries that know them.

JSON has two spaces of indent, as `json.dumps(…, indent=2, ensure_ascii=False)` writes it.
"""

import os
import sys

try:
    from _json import encode_basestring as quote  # the C part alone: `import json` adds re, 4 ms
except ImportError:  # pragma: no cover - another Python than CPython
    from json.encoder import encode_basestring as quote

from kube9.errors import Unavailable
from kube9.query import Answer

PADDING = "  "
YAML_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf")
EPIPE, EBADF = 32, 9  # of errno, whose import is not needed for two numbers that every POSIX has

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kube9.plan import Plan


def json(answer: Answer, plan: "Plan") -> str:
    """An answer as a JSON document, ending in a newline."""
    query = answer.query
    message = plan["messages"][query["message"]]
    kinds = [message["fields"][name]["type"] for name in query["fields"]]
    depth = 3 if query["paged"] else 1
    pad = PADDING * depth
    keys = [f"{pad}{quote(name)}: " for name in query["fields"]]
    ends = "\n" + PADDING * (depth - 1) + "}"
    objects = []
    for row in answer.rows:
        lines = [key + _value(value, kind, pad) for key, value, kind in zip(keys, row, kinds, strict=True)]
        objects.append("{\n" + ",\n".join(lines) + ends)
    if not query["paged"]:
        return objects[0] + "\n"
    inner = PADDING * 2
    items = f"[\n{inner}" + f",\n{inner}".join(objects) + f"\n{PADDING}]" if objects else "[]"
    counts = ",\n".join(f"{inner}{quote(key)}: {value}" for key, value in pagination(answer).items())
    return f'{{\n{PADDING}"{message["plural"]}": {items},\n{PADDING}"pagination": {{\n{counts}\n{PADDING}}}\n}}\n'


def pagination(answer: Answer) -> "dict[str, Any]":
    """Where a page stands in the whole: total, limit, offset, returned."""
    return {"total": answer.total, "limit": answer.limit, "offset": answer.offset, "returned": len(answer.rows)}


def document(answer: Answer, plan: "Plan") -> "dict[str, Any]":
    """An answer as plain dicts and lists, the same data as its JSON."""
    from json import loads

    query = answer.query
    message = plan["messages"][query["message"]]
    kinds = [message["fields"][name]["type"] for name in query["fields"]]
    rows = []
    for row in answer.rows:
        values = (
            loads(value)
            if kind == "json" and value is not None
            else bool(value)
            if kind == "boolean" and value is not None
            else value
            for value, kind in zip(row, kinds, strict=True)
        )
        rows.append(dict(zip(query["fields"], values, strict=True)))
    return {message["plural"]: rows, "pagination": pagination(answer)} if query["paged"] else rows[0]


def yaml(answer: Answer, plan: "Plan") -> str:
    """An answer as a YAML document. Strings are quoted wherever any reader of YAML might take them for another type."""
    from io import StringIO

    from ruamel.yaml import YAML  # 31 ms
    from ruamel.yaml.representer import SafeRepresenter

    class Quoting(SafeRepresenter):
        pass

    Quoting.add_representer(str, _yaml_text)
    writer = YAML(typ="safe", pure=True)
    writer.Representer = Quoting
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = 1_000_000  # folded lines would change what `grep` finds
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    writer.dump(document(answer, plan), stream)
    return stream.getvalue()


def write(text: str) -> None:
    """Write to standard output. A reader that has gone away (`| head`) is no error; raises Unavailable for any other."""
    try:
        if sys.stdout is None:
            raise OSError(EBADF, "it is closed")
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    except OSError as error:
        give_up_stdout()
        if error.errno != EPIPE:
            raise Unavailable("the answer could not be written", f"standard output: {error.strerror}") from None


def give_up_stdout() -> None:
    """Send what is still to be written to nowhere, so that the exit does not try again and fail."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _value(value: object, kind: str, pad: str) -> str:
    if value is None:
        return "null"
    if kind == "json":
        return reindent(str(value), pad)
    if kind == "boolean":
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else repr(value)


def reindent(text: str, pad: str) -> str:
    """Compact JSON text with line breaks and indent; numbers and strings stay as they are written.

    Args:
        text: valid JSON.
        pad: the indent of the line on which it begins.
    """
    out: list[str] = []
    line, opened, escaped, inside = "\n" + pad, False, False, False
    for piece in text.split('"'):
        if inside:
            out.append(piece)
            slashes = len(piece) - len(piece.rstrip("\\"))
            escaped = slashes % 2 == 1
            out.append('"')
            inside = escaped
            continue
        if piece == ":" or piece == ",":  # nearly all there is between strings
            out.append(': "' if piece == ":" else f',{line}"')
            inside = True
            continue
        for char in piece:
            if char in " \t\r\n":
                continue
            if char in "}]":
                line = line[: -len(PADDING)]
                out.append(char if opened else line + char)
                opened = False
                continue
            if opened:
                out.append(line)
                opened = False
            if char in "{[":
                out.append(char)
                line += PADDING
                opened = True
            elif char == ",":
                out.append("," + line)
            else:
                out.append(": " if char == ":" else char)
        if opened:
            out.append(line)
            opened = False
        out.append('"')
        inside = True
    out.pop()  # the last piece is followed by no quote
    return "".join(out)


def _yaml_text(representer: object, text: str) -> object:
    # Plain is what looks like a word and is none that some version of YAML reads as another type; all else is quoted.
    bare = text.replace("_", "").replace("-", "").replace("/", "").replace(" ", "")
    word = bare.isascii() and bare.isalnum() and text[0].isalpha() and text[-1] != " "
    style = None if word and text.lower() not in YAML_WORDS else '"'
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)  # type: ignore[attr-defined]

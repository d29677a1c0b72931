"""Answers as text: JSON and lines here, because every exec wants them; YAML and tables by the libraries that know them.

JSON has two spaces of indent, as `json.dumps(…, indent=2, ensure_ascii=False)` writes it.
"""

import os
import sys

try:
    from _json import encode_basestring as quote  # the C part alone: `import json` adds re, 4 ms
except ImportError:  # pragma: no cover - another Python than CPython
    from json.encoder import encode_basestring as quote

from kube9.bind import Asked
from kube9.coverage import Coverage
from kube9.query import Answer
from kube9.streams import harmless, is_terminal, say, write

PADDING = "  "
DOCUMENTS = ("json", "yaml")  # the others are written page by page
PEOPLE = ("table", "wide", "text")
JSON_KINDS = ("json", "array")
YAML_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf")
EMPTY = '""'  # a row of one empty value: an empty line is no row to most readers of csv
IN_ASCII = "kube9-operator"  # what is called by this name writes JSON in ASCII: escapes.py says for whom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kube9.plan import Plan


def document(answer: Answer, plan: "Plan", chosen: "dict[str, Any]") -> None:
    """Write an answer to stdout as one document, in the chosen format."""
    answer = only(answer, chosen["fields"])
    write(_shown(yaml(answer, plan) if chosen["format"] == "yaml" else _for_caller(json(answer, plan))))


def only(answer: Answer, fields: "list[str] | None") -> Answer:
    """The answer with these fields, in this order."""
    if fields:
        places = [answer.fields.index(field) for field in fields]
        answer.rows = [tuple(row[place] for place in places) for row in answer.rows]
        answer.fields = fields
    return answer


def json(answer: Answer, plan: "Plan") -> str:
    """An answer as a JSON document, ending in a newline."""
    message = plan["messages"][answer.query["message"]]
    kinds = [message["fields"][name]["type"] for name in answer.fields]
    depth = 3 if answer.query["paged"] else 1
    pad = PADDING * depth
    keys = [f"{pad}{quote(name)}: " for name in answer.fields]
    ends = "\n" + PADDING * (depth - 1) + "}"
    objects = []
    for row in answer.rows:
        lines = [key + _value(value, kind, pad) for key, value, kind in zip(keys, row, kinds, strict=True)]
        objects.append("{\n" + ",\n".join(lines) + ends)
    if not answer.query["paged"]:
        return objects[0] + "\n"
    inner = PADDING * 2
    items = f"[\n{inner}" + f",\n{inner}".join(objects) + f"\n{PADDING}]" if objects else "[]"
    text = f'{{\n{PADDING}"{message["plural"]}": {items},\n{PADDING}"pagination": {_nested(pagination(answer), PADDING)}'
    if answer.coverage:
        text += f',\n{PADDING}"coverage": {_nested(coverage(answer.coverage), PADDING)}'
    return text + "\n}\n"


def pagination(answer: Answer) -> "dict[str, Any]":
    """Where a page stands in the whole; `total` stands for itself or more where `total_exact` is false."""
    return {
        "total": answer.total, "limit": answer.limit, "offset": answer.offset, "returned": len(answer.rows),
        "next_page_token": answer.next_page_token, "sync_token": answer.sync_token, "total_exact": answer.exact,
    }  # fmt: skip


def coverage(found: Coverage) -> "dict[str, Any]":
    """What of the window asked for was watched."""
    gaps = [
        {
            "from": gap.begin, "to": gap.end, "cause": gap.cause, "recovered": gap.recovered, "resource": gap.resource,
            "severities": gap.severities,
        }
        for gap in found.gaps
    ]  # fmt: skip
    return {
        "from": found.begin, "to": found.end, "covered_seconds": found.covered_seconds, "complete": found.complete,
        "gaps": gaps, "more_gaps": found.more_gaps,
    }  # fmt: skip


def plain(answer: Answer, plan: "Plan") -> "dict[str, Any]":
    """An answer as plain dicts and lists, the same data as its JSON."""
    from json import loads

    message = plan["messages"][answer.query["message"]]
    kinds = [message["fields"][name]["type"] for name in answer.fields]
    rows = []
    for row in answer.rows:
        values = (
            value if value is None else loads(value) if kind in JSON_KINDS else bool(value) if kind == "boolean" else value
            for value, kind in zip(row, kinds, strict=True)
        )
        rows.append(dict(zip(answer.fields, values, strict=True)))
    if not answer.query["paged"]:
        return rows[0]
    found = {message["plural"]: rows, "pagination": pagination(answer)}
    return found | {"coverage": coverage(answer.coverage)} if answer.coverage else found


class Lines:
    """Pages as lines on stdout: `jsonl`, `csv` (RFC 4180) or `name`."""

    def __init__(self, asked: Asked, chosen: "dict[str, Any]") -> None:
        self.form, self.fields, self.headers = chosen["format"], chosen["fields"], not chosen["no_headers"]
        message = asked.plan["messages"][asked.query["message"]]
        self.types, self.name = message["fields"], message["name"]

    def page(self, answer: Answer, last: bool = False) -> bool:
        """Write a page; `last` says that none follows, though there may be more rows. False when the reader has gone."""
        if self.form == "name":
            place = answer.query["fields"].index(self.name)
            text = _shown("".join(f"{' '.join(row[place].split())}\n" for row in answer.rows if row[place] is not None))
        else:
            answer = only(answer, self.fields)
            kinds = [self.types[field]["type"] for field in answer.fields]
            text = _shown(_for_caller(self._json(answer, kinds))) if self.form == "jsonl" else self._csv(answer, kinds)
        going_on = write(text)
        if going_on and last and answer.next_page_token and is_terminal(sys.stderr):
            say(f"{len(answer.rows)} of {total_of(answer)}; --all gives every row")
        return going_on

    def _json(self, answer: Answer, kinds: list[str]) -> str:
        keys = [f"{quote(field)}:" for field in answer.fields]
        lines = []
        for row in answer.rows:
            values = (key + _one_line(value, kind) for key, value, kind in zip(keys, row, kinds, strict=True))
            lines.append(f"{{{','.join(values)}}}\n")
        return "".join(lines)

    def _csv(self, answer: Answer, kinds: list[str]) -> str:
        lines = [",".join(answer.fields)] if self.headers else []
        self.headers = False
        for row in answer.rows:
            lines.append(",".join(_csv_value(value, kind) for value, kind in zip(row, kinds, strict=True)))
        return "".join(f"{_shown(line) or EMPTY}\r\n" for line in lines)


def _shown(text: str) -> str:
    """What is written for programs, where a terminal shows it: in JSON it is the same data, in the others it may not be."""
    return harmless(text) if is_terminal(sys.stdout) else text


def _for_caller(text: str) -> str:
    """JSON as the program that asks can read it."""
    if text.isascii() or os.path.basename(sys.argv[0]) != IN_ASCII:
        return text
    from kube9.escapes import ascii_json  # for one caller, and few answers

    return ascii_json(text)


def total_of(answer: Answer) -> str:
    """The total, for people."""
    return f"{answer.total:,}" if answer.exact else f"more than {answer.total:,}"


def yaml(answer: Answer, plan: "Plan") -> str:
    """An answer as a YAML document. Strings are quoted wherever any reader of YAML might take them for another type."""
    from io import StringIO

    from ruamel.yaml import YAML  # 31 ms
    from ruamel.yaml.representer import SafeRepresenter

    class Quoting(SafeRepresenter):
        pass

    Quoting.add_representer(str, _yaml_text)
    Quoting.add_representer(float, _yaml_float)
    writer = YAML(typ="safe", pure=True)
    writer.Representer = Quoting
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = 1_000_000  # folded lines would change what `grep` finds
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    writer.dump(plain(answer, plan), stream)
    return stream.getvalue()


def warn(text: str, form: str) -> None:
    """Say something on stderr that is no error, in the form of the answer."""
    say(f"warning: {text}" if form in PEOPLE else f'{{"warning": {quote(text)}}}')


def _value(value: object, kind: str, pad: str) -> str:
    if value is None:
        return "null"
    return reindent(str(value), pad) if kind in JSON_KINDS else _one_line(value, kind)


def _one_line(value: object, kind: str) -> str:
    if value is None:
        return "null"
    if kind in JSON_KINDS:
        # Between its parts only: in a JSON string a line break is written as two characters.
        return str(value).replace("\n", " ")
    if kind == "boolean":
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else repr(value)


def _csv_value(value: object, kind: str) -> str:
    if value is None:
        return ""
    text = _one_line(value, kind) if kind in JSON_KINDS or kind == "boolean" else str(value)
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in '",\r\n') or text != text.strip() else text


def _nested(value: "Any", pad: str) -> str:
    """Dicts, lists and values; `pad` is the indent of the line on which it begins."""
    if isinstance(value, dict):
        inner = [f"{quote(key)}: {_nested(entry, pad + PADDING)}" for key, entry in value.items()]
        opened, closed = "{}"
    elif isinstance(value, list):
        inner = [_nested(entry, pad + PADDING) for entry in value]
        opened, closed = "[]"
    else:
        return _one_line(value, "boolean" if isinstance(value, bool) else "")
    lines = f",\n{pad}{PADDING}".join(inner)
    return f"{opened}\n{pad}{PADDING}{lines}\n{pad}{closed}" if inner else opened + closed


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


def _yaml_float(representer: object, number: float) -> object:
    # 1e+300 is a text in YAML 1.1, which wants 1.0e+300
    text = repr(number)
    text = text if "." in text else text.replace("e", ".0e")
    return representer.represent_scalar("tag:yaml.org,2002:float", text)  # type: ignore[attr-defined]


def _yaml_text(representer: object, text: str) -> object:
    # Plain is what looks like a word and is none that some version of YAML reads as another type; all else is quoted.
    bare = text.replace("_", "").replace("-", "").replace("/", "").replace(" ", "")
    word = bare.isascii() and bare.isalnum() and text[0].isalpha() and text[-1] != " "
    style = None if word and text.lower() not in YAML_WORDS else '"'
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)  # type: ignore[attr-defined]

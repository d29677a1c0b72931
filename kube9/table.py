"""Answers as tables for people: ages instead of times, cut to the terminal, and safe to print.

Text of an event comes from whoever made it. Control characters and terminal escapes are replaced before they can
reach the terminal.
"""

import json
import os
import sys
import unicodedata
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube9 import coverage_text, render, streams, times
from kube9.bind import Asked
from kube9.query import Answer

STYLES = {"warning": "yellow", "error": "red", "critical": "bold red", "degraded": "yellow", "unhealthy": "red"}
PIPED_WIDTH = 100_000
GAP = 2  # between columns
ENOUGH = 24  # characters in which a cut column still says something
ROOMY = 80  # characters of a column whose rows are not all known yet
FLEXIBLE = ("string", "json", "array", "Kind", "Namespace", "Reason")
NUMBERS = ("integer", "number")
BAR, BAR_LENGTH = "█", 30
Row = dict[str, Any]
Side = Literal["left", "right"]


class Tables:
    """Pages as one table on stdout: `table` or `wide`. What it says besides goes to stderr."""

    def __init__(self, asked: Asked, chosen: dict[str, Any]) -> None:
        self.message = asked.plan["messages"][asked.query["message"]]
        self.query, self.fields, self.headers = asked.query, chosen["fields"], not chosen["no_headers"]
        self.goes_on = bool(chosen.get("watch") or chosen.get("all"))
        self.follows = bool(chosen.get("watch"))
        self.columns = asked.query["table"] + (asked.query["wide"] if chosen["format"] == "wide" else [])
        group = asked.query["group"]
        if group and group["param"]:
            chosen_by = asked.values[group["param"]]
            empty = {asked.query["fields"][place] for name, (place, *_) in group["by"].items() if name not in chosen_by}
            self.columns = [column for column in self.columns if not empty & set(column[2])]
        if self.fields:
            self.columns = [[name.upper().replace("_", " "), "", [name]] for name in self.fields]
        # Colour and width are the terminal's; a file or a pipe gets neither.
        self.piped = not streams.is_terminal(sys.stdout)
        plain = chosen["color"] == "never" or (chosen["color"] == "auto" and (self.piped or bool(os.environ.get("NO_COLOR"))))
        self.console = Console(
            width=PIPED_WIDTH if self.piped else None,
            color_system=None if plain else "auto" if chosen["color"] == "auto" else "standard",
            force_terminal=not self.piped or None if chosen["color"] == "auto" else not plain,
            no_color=plain,
            highlight=False,
            emoji=False,
            markup=False,
        )
        self.windowed = any(name in asked.values for name in asked.query["window"] or ())
        self.said_coverage = False
        self.widths: dict[str, int] = {}
        self.with_namespace = self.goes_on

    def page(self, answer: Answer, last: bool = False) -> bool:
        """Write a page; `last` says that none follows, though there may be more rows. False when the reader has gone."""
        if self.goes_on:  # what is said once comes before rows without an end
            self._say_coverage(answer)
        going_on = self._page(answer, last)
        if going_on and not self.goes_on:
            self._say_coverage(answer)
        return going_on

    def _say_coverage(self, answer: Answer) -> None:
        """Say what was watched, once, where a time was asked for, something is missing or nothing was found."""
        found = None if self.said_coverage else answer.coverage
        self.said_coverage = True
        if found and (self.windowed or found.gaps or not answer.rows):
            streams.say(coverage_text.line(found))

    def _page(self, answer: Answer, last: bool) -> bool:
        rows = [dict(zip(answer.fields, row, strict=True)) for row in answer.rows]
        if not rows:
            rows_are = self.message["plural"].replace("_", " ")
            if not self.widths and not self.follows:
                streams.say(f"No {rows_are} found")
            elif not self.widths and streams.is_terminal(sys.stderr):
                streams.say(f"No {rows_are} yet; what arrives follows, Ctrl-C ends")
            return True
        table = self._rows(rows) if answer.query["paged"] else self._fields(rows[0])
        with self.console.capture() as captured:
            self.console.print(table)
        going_on = streams.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))
        if going_on and last and answer.total is not None and (answer.total > len(rows) or not answer.exact):
            first = answer.offset + 1
            shown = f"{first} to {answer.offset + len(rows)} of {render.total_of(answer)}"
            streams.say(f"{shown}; --limit and --offset show more, --all everything")
        return going_on

    def _rows(self, rows: list[Row]) -> Table:
        first = not self.widths
        if first and not self.with_namespace:
            named = [names[1] for _, form, names in self.columns if form == "object"]
            self.with_namespace = any(len({row[name] for row in rows}) > 1 for name in named)
        columns = {}
        for header, form, names in self.columns:
            cells = _cells(form or self.message["fields"][names[0]]["type"], names, rows, self.with_namespace)
            columns[header] = [safe(cell) for cell in cells]
        natural = {header: max(map(cell_len, [header, *cells])) for header, cells in columns.items()}
        if first:
            self.widths = self._fit(natural)
            for header in [header for header, form, _ in self.columns if form == "bar" and header in self.widths]:
                room = self.widths[header]
                columns[header] = [BAR * round(len(cell) * room / BAR_LENGTH) for cell in columns[header]]
        elif self.piped:
            self.widths = {header: max(width, natural[header]) for header, width in self.widths.items()}
        shows = first and self.headers
        style = "" if self.piped else "bold"
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style=style, show_header=shows)
        numbers = [
            header for header, form, names in self.columns if not form and self.message["fields"][names[0]]["type"] in NUMBERS
        ]
        for header, width in self.widths.items():
            side: Side = "right" if header in numbers else "left"
            table.add_column(header, no_wrap=True, overflow="ellipsis", width=width, justify=side)
        for index in range(len(rows)):
            texts = (columns[header][index] for header in self.widths)
            table.add_row(*(_coloured(text) for text in texts))
        return table

    def _fields(self, row: Row) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name in self.fields or row:
            text = _told(row[name], self.message["fields"][name]["type"])
            table.add_row(name.replace("_", " ").upper(), _coloured(text, safe(text, keep_lines=True)))
        return table

    def _fit(self, natural: dict[str, int]) -> dict[str, int]:
        fields, narrow = self.message["fields"], [] if self.fields else self.query["narrow"]
        whole = [*narrow, *(header for header, form, names in self.columns if not form and names[0] == self.message["name"])]
        flexible = [
            header
            for header, form, names in self.columns
            if form in ("object", "bar") or (not form and fields[names[0]]["type"] in FLEXIBLE and header not in whole)
        ]
        if self.follows and not self.piped:
            natural |= {header: max(natural[header], ROOMY) for header in flexible}  # longer ones are to come
        return fit(natural, flexible, narrow, self.console.width)


def fit(widths: dict[str, int], flexible: list[str], narrow: list[str], width: int) -> dict[str, int]:
    """Widths of the columns on a terminal: flexible ones are cut, those that may go do, the rest stays whole.

    Args:
        widths: header -> the width that nothing of the column needs more than.
        flexible: headers of the columns that may be cut.
        narrow: headers of those that may be left out, the first one first.
        width: of the terminal, in characters.
    """
    widths = dict(widths)
    for header in [*narrow, ""]:
        rigid = sum(size + GAP for name, size in widths.items() if name not in flexible)
        room = width - rigid - GAP * len(flexible) + GAP
        wanted = sum(widths[name] for name in flexible)
        if wanted <= room:
            return widths
        if room >= min(wanted, ENOUGH * len(flexible)) or not header:
            break
        widths.pop(header, None)
        flexible = [name for name in flexible if name in widths]
    # Half a number says something else: where even the rigid ones are too many, the last of them go.
    last = [name for name in widths if name not in flexible]
    while len(last) > 1 and sum(widths[name] + GAP for name in last) + len(flexible) * (1 + GAP) - GAP > width:
        room += widths.pop(last.pop()) + GAP
    # The narrow ones of the flexible columns stay whole, and the others share what is left.
    for left, name in zip(range(len(flexible), 0, -1), sorted(flexible, key=widths.__getitem__), strict=True):
        widths[name] = max(min(widths[name], room // left), 1)
        room -= widths[name]
    return widths


def _cells(form: str, fields: list[str], rows: list[Row], with_namespace: bool) -> list[str]:
    """A column's cells, from the fields of its form, which is the type of a field that stands as it is."""
    now, found = times.now_ms(), [[row[field] for field in fields] for row in rows]
    if form == "seen":
        return [seen(*values, now=now) for values in found]
    if form == "object":
        return [object_name(*values, with_namespace=with_namespace) for values in found]
    if form == "age":
        return ["" if value is None else duration(now - times.parse(value, now)) for (value,) in found]
    if form == "time":  # to the second: JSON has the rest
        return ["" if value is None else f"{value[:19]}Z" for (value,) in found]
    if form == "bar":
        most = max((value or 0 for (value,) in found), default=0)
        return [BAR * round(BAR_LENGTH * (value or 0) / most) if most else "" for (value,) in found]
    if form == "boolean":
        return ["" if value is None else _yes_or_no(value) for (value,) in found]
    return [_text(value) for (value,) in found]


def _told(value: Any, type_name: str) -> str:
    """A field that has a line to itself, or more: what is JSON has one for each of its parts."""
    if type_name == "boolean" and value is not None:
        return _yes_or_no(value)
    if type_name not in ("json", "array") or not isinstance(value, str):
        return _text(value)
    try:
        parts = json.loads(value)
    except (ValueError, RecursionError):
        return value
    if isinstance(parts, dict):
        return "\n".join(f"{key}: {_part(part)}" for key, part in parts.items() if not _is_nothing(part))
    return "\n".join(map(_part, parts)) if isinstance(parts, list) else value


def _part(value: Any) -> str:
    """A part of JSON, in a line; what it does not know is left out."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_part(part)}" for key, part in value.items() if not _is_nothing(part))
    if isinstance(value, list):
        return ", ".join(map(_part, value))
    return _yes_or_no(value) if isinstance(value, bool) else " ".join(_text(value).splitlines())


def _is_nothing(value: Any) -> bool:
    return value is None or value == {} or value == []


def _yes_or_no(value: Any) -> str:
    return "yes" if value else "no"


def _coloured(text: str, shown: str | None = None) -> Text:
    # a span, because the style of a whole text colours the blanks behind it too
    return Text.assemble((text if shown is None else shown, STYLES.get(text, "")))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def seen(last: str | None, count: int | None, first: str | None, *, now: int) -> str:
    """How long ago, and how often: `5m`, or `5m (x12 over 1h)`, as kubectl writes it."""
    if last is None or first is None:
        return ""
    last_ms, first_ms = times.parse(last, now), times.parse(first, now)
    ago = duration(now - last_ms)
    return f"{ago} (x{count} over {duration(last_ms - first_ms)})" if count and count > 1 else ago


def object_name(kind: str | None, namespace: str | None, name: str | None, *, with_namespace: bool) -> str:
    """`pod/nginx`, or `shop/pod/nginx` where several namespaces are shown."""
    parts = [namespace if with_namespace and (kind or name) else None, kind and kind.lower(), name]
    return "/".join(part for part in parts if part)


def duration(ms: int) -> str:
    """A duration as kubectl shows it: two units while they matter, `5m`, `3h20m`, `2d4h`, `41d`.

    https://github.com/kubernetes/apimachinery/blob/master/pkg/util/duration/duration.go (HumanDuration)
    """
    seconds = max(ms, 0) // 1000
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if days < 2:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 365 * 2 else f"{days // 365}y{days % 365}d"


def safe(text: str, keep_lines: bool = False) -> str:
    """The text with all that could steer a terminal replaced: controls, escapes, and marks that turn the direction."""
    if text.isascii() and text.isprintable():
        return text
    # Cc controls, Cf formats (right-to-left overrides, zero widths), Cs surrogates, Co private use, Zl Zp line ends
    return "".join(
        char if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or (keep_lines and char == "\n")
        else " " if char in "\n\t\r" else "�"
        for char in text.replace("\u200d", "")  # joins emoji, each of which says enough by itself
    )  # fmt: skip

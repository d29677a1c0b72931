"""Answers as tables for people: ages instead of times, cut to the terminal, and safe to print.

Text of an event comes from whoever made it. Control characters and terminal escapes are replaced before they can
reach the terminal.
"""

import sys
import unicodedata
from collections.abc import Callable
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube9 import render, times
from kube9.query import Answer

STYLES = {"warning": "yellow", "error": "red", "critical": "bold red", "degraded": "yellow", "unhealthy": "red"}
PIPED_WIDTH = 100_000
GAP = 2  # between columns
ENOUGH = 24  # characters in which a cut column still says something
Row = dict[str, Any]


def write(answer: Answer, plan: dict[str, Any]) -> None:
    """Write an answer to stdout as a table; "No events found" goes to stderr."""
    message = plan["messages"][answer.query["message"]]
    rows = [dict(zip(answer.query["fields"], row, strict=True)) for row in answer.rows]
    if not rows:
        print(f"No {message['plural']} found", file=sys.stderr)
        return
    # Colour and width are the terminal's; a file or a pipe gets neither.
    piped = sys.stdout is None or not sys.stdout.isatty()
    console = Console(width=PIPED_WIDTH if piped else None, highlight=False, emoji=False, markup=False)
    table = _rows(answer, plan, rows, console.width) if answer.query["paged"] else _fields(rows[0])
    with console.capture() as captured:
        console.print(table)
    render.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))
    if answer.total is not None and answer.total > len(rows):
        first = answer.offset + 1
        print(f"{first} to {answer.offset + len(rows)} of {answer.total}; --limit and --offset show more", file=sys.stderr)


def _rows(answer: Answer, plan: dict[str, Any], rows: list[Row], width: int) -> Table:
    fields = plan["messages"][answer.query["message"]]["fields"]
    namespaces = {row.get("object_namespace") for row in rows}
    columns: dict[str, list[str]] = {}
    flexible = []
    for header, form, names in answer.query["table"]:
        cell = _cell(form, names, times.now_ms(), len(namespaces) > 1)
        columns[header] = [safe(cell(row)) for row in rows]
        if form == "object" or (not form and fields[names[0]]["type"] == "string" and header not in answer.query["narrow"]):
            flexible.append(header)
    natural = {header: max(map(cell_len, [header, *cells])) for header, cells in columns.items()}
    widths = fit(natural, flexible, answer.query["narrow"], width)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="" if width == PIPED_WIDTH else "bold")
    for header, column_width in widths.items():
        table.add_column(header, no_wrap=True, overflow="ellipsis", width=column_width)
    for index in range(len(rows)):
        texts = (columns[header][index] for header in widths)
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in texts))
    return table


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
    # The narrow ones of the flexible columns stay whole, and the others share what is left.
    for left, name in zip(range(len(flexible), 0, -1), sorted(flexible, key=widths.__getitem__), strict=True):
        widths[name] = max(min(widths[name], room // left), 1)
        room -= widths[name]
    return widths


def _fields(row: Row) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in row.items():
        text = "" if value is None else str(value)
        table.add_row(name.replace("_", " ").upper(), Text(safe(text, keep_lines=True), style=STYLES.get(text, "")))
    return table


def _cell(form: str, fields: list[str], now: int, with_namespace: bool) -> Callable[[Row], str]:
    if form == "seen":
        return lambda row: seen(*(row[field] for field in fields), now=now)
    if form == "object":
        return lambda row: object_name(*(row[field] for field in fields), with_namespace=with_namespace)
    return lambda row: "" if row[fields[0]] is None else str(row[fields[0]])


def seen(last: str, count: int, first: str, *, now: int) -> str:
    """How long ago, and how often: `5m`, or `5m (x12 over 1h)`, as kubectl writes it."""
    last_ms, first_ms = times.parse(last, now), times.parse(first, now)
    ago = duration(now - last_ms)
    return f"{ago} (x{count} over {duration(last_ms - first_ms)})" if count > 1 else ago


def object_name(kind: str | None, namespace: str | None, name: str | None, *, with_namespace: bool) -> str:
    """`pod/nginx`, or `shop/pod/nginx` where several namespaces are shown."""
    parts = [namespace if with_namespace else None, kind and kind.lower(), name]
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

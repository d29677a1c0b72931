"""The rows of a user's own query, held against what the query declares: an answer is a right document or none."""

import json
from collections.abc import Iterable
from typing import Any

from kube9 import errors
from kube9.bind import Asked

MOST_BYTES = 32 * 1024 * 1024  # of an answer's rows in memory
KINDS: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (int,), "duration": (int,)}


def rows(found: Iterable[tuple[Any, ...]], asked: Asked) -> list[tuple[Any, ...]]:
    """The rows, read one by one.

    Raises:
        InvalidArgument: a value is not of its field's type.
        Unavailable: they are too many bytes.
    """
    fields = asked.plan["messages"][asked.query["message"]]["fields"]
    kept, size = [], 0
    for row in found:
        for (name, field), value in zip(fields.items(), row, strict=True):
            if value is not None:
                size += len(value) if isinstance(value, str | bytes) else 8
                if not _fits(field["type"], value):
                    shown = repr(value)[:40]
                    what = f"{asked.query['name']}: the field {name} is {shown}, which is no {field['type']}"
                    raise errors.InvalidArgument(what, "mend its `sql`, or the type of the field")
        if size > MOST_BYTES:
            raise errors.Unavailable("the query needs more memory than it may use", f"{asked.query['name']}: ask for less")
        kept.append(row)
    return kept


def _fits(kind: str, value: Any) -> bool:
    if kind in ("json", "array"):
        try:
            return isinstance(json.loads(value), dict if kind == "json" else list)
        except (ValueError, TypeError, RecursionError):
            return False
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return False
    return isinstance(value, KINDS.get(kind, (str,))) and (kind != "boolean" or value in (0, 1))

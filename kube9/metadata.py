"""Metadata that fits: at most 10 KiB of JSON in UTF-8, the most useful of it kept.

What is plain JSON and fits stays the very object that was given. What is no plain JSON is made so: NaN and the infinities
become null, a key becomes a string as `json` writes it, a lone surrogate becomes "?", anything else its text. What does
not fit, and what is nested deeper than `DEEPEST` levels, is cut; nothing is too deep or too long to be taken. The time
that takes grows with the size of what is given.
"""

import json
import math
from typing import Any, NamedTuple

LIMIT_BYTES = 10 * 1024
DEEPEST = 64  # levels; what lies deeper becomes "…"
TRUNCATED, ORIGINAL_SIZE = "_truncated", "_original_size"
CUT = "…"
# What is asked of an event first; then come numbers and short texts, then long texts, then lists and objects.
FIRST = (
    *("reason", "type", "container", "exit_code", "exit_codes", "exitCode", "signal", "count", "restarts", "restartCount"),
    *("image", "node", "action", "error", "message", "rule", "related", "namespace", "name", "kind", "uid", "source"),
)
SHORT_BYTES, NEST_BYTES = 80, 160  # what a text, and what a list or an object is given before the rest is shared
KEY_LENGTH = 128  # characters of a key
LARGEST_INTEGER_BITS = 1024  # Python writes no longer one in decimals than 4,300 digits
NUMBER, NUMBER_LENGTH = 2**63, 20
MOST_PARTS = 200_000  # that are looked at, lest what contains itself has no end; those behind them become "…"


def fit(metadata: dict[Any, Any]) -> dict[str, Any]:
    """Cut metadata to at most `LIMIT_BYTES` of JSON; what fits stays as it was.

    What was cut has `_truncated: true` and `_original_size`, its bytes before. Long texts are shortened to end in "…", and
    lists to end in "… 5 more", before keys are left out, the least useful first. Keys keep their order; the same metadata
    is always cut the same way.
    """
    if _is_small(metadata):
        return metadata
    size, depth = _measure(metadata)
    plain = _Plain()
    made: dict[str, Any] = plain.make(metadata, 1)
    if size <= LIMIT_BYTES and depth <= DEEPEST:
        return metadata if _is_same(made, metadata) else made
    for name in (TRUNCATED, ORIGINAL_SIZE):
        made.pop(name, None)
    marks = {TRUNCATED: True, ORIGINAL_SIZE: size}
    return {**_fit_object(made, LIMIT_BYTES - _bytes(marks), plain), **marks}


def _is_small(metadata: dict[Any, Any]) -> bool:
    """Whether these are so few texts and numbers that they fit whatever they hold; nearly all metadata is like that."""
    length = 0
    for key, item in metadata.items():
        kind = type(item)
        if kind is str:
            if not item.isascii():
                return False
            length += len(item)
        elif kind is int:
            if not -NUMBER <= item <= NUMBER:
                return False
        elif kind is not bool and item is not None:
            return False
        if type(key) is not str or not key.isascii():
            return False
        length += len(key) + NUMBER_LENGTH
    return length <= LIMIT_BYTES // 8  # a character may be written as six: \u0001


def _measure(value: Any) -> tuple[int, int]:
    """The bytes of a value as JSON, and how many levels it has."""
    waiting, size, deepest, counted = [(value, 1)], 0, 0, 0
    while waiting and counted < MOST_PARTS:
        item, depth = waiting.pop()
        counted += 1
        if isinstance(item, dict):
            size += 2 + 2 * len(item) - bool(item) + sum(_bytes(_key(key)) for key in item)
            waiting += [(part, depth + 1) for part in item.values()]
        elif isinstance(item, list | tuple):
            size += 2 + len(item) - bool(item)
            waiting += [(part, depth + 1) for part in item]
        else:
            size += _bytes(_scalar(item))
            continue
        deepest = max(deepest, depth)
    return size, deepest


class _Plain:
    """Makes a value plain JSON of at most `DEEPEST` levels, and knows the bytes of each list and object it made."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}  # by the id of what was made
        self._made = 0

    def make(self, value: Any, depth: int) -> Any:
        if not isinstance(value, dict | list | tuple):
            return _scalar(value)
        if depth > DEEPEST or self._made > MOST_PARTS:
            return CUT
        self._made += len(value)
        made: Any
        if isinstance(value, dict):
            made = {_key(key): self.make(item, depth + 1) for key, item in value.items()}
            size = 2 + sum(_bytes(key) + 2 + self.size(item) for key, item in made.items())
        else:
            made = [self.make(item, depth + 1) for item in value]
            size = 2 + sum(1 + self.size(item) for item in made)
        self._sizes[id(made)] = size
        return made

    def size(self, value: Any) -> int:
        """The bytes of a plain value, a comma more for those that are not empty."""
        return self._sizes[id(value)] if isinstance(value, dict | list) else _bytes(value)


def _is_same(plain: Any, given: Any) -> bool:
    """Whether making it plain changed nothing. `True == 1` and `1 == 1.0`, but neither changes."""
    if isinstance(plain, dict):
        same_keys = isinstance(given, dict) and [*plain] == [*given]
        return same_keys and all(_is_same(plain[key], given[key]) for key in plain)
    if isinstance(plain, list):
        return isinstance(given, list) and len(plain) == len(given) and all(map(_is_same, plain, given))
    return plain is given or (type(plain) is type(given) and bool(plain == given))


def _scalar(value: Any) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= LARGEST_INTEGER_BITS else f"{value:#x}"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    text = value if isinstance(value, str) else str(value)
    return text if text.isascii() else text.encode(errors="replace").decode()


def _key(key: Any) -> str:
    scalar = _scalar(key)
    written: str = scalar if isinstance(scalar, str) else json.dumps(scalar)
    return written


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


class _Part(NamedTuple):
    """A part of an object or a list, with its rank, the bytes that it needs, and those it is shortened to at most."""

    rank: tuple[int, int]
    name: Any
    value: Any
    need: int
    least: int


def _fit_object(value: dict[str, Any], budget: int, plain: _Plain) -> dict[str, Any]:
    parts = []
    for place, (key, item) in enumerate(value.items()):
        need = plain.size(item)
        parts.append(_Part(_rank(key, item, need, place), key, item, need, _least(item, need)))
    grants = _share(sorted(parts), budget - 2, lambda part: _bytes(_cut_key(part.name)) + 2)
    fitted: dict[str, Any] = {}
    for part in parts:
        if part.name in grants:
            fitted.setdefault(_cut_key(part.name), _fit(part.value, grants[part.name], plain))
    return fitted


def _fit_list(value: list[Any], budget: int, plain: _Plain) -> list[Any]:
    parts = []
    for place, item in enumerate(value):
        need = plain.size(item)
        parts.append(_Part((0, place), place, item, need, _least(item, need)))
    more = f"{CUT} {len(value)} more"
    grants = _share(parts, budget - 2 - _bytes(more) - 1, lambda _: 1)
    fitted = [_fit(part.value, grants[part.name], plain) for part in parts if part.name in grants]
    left_out = len(value) - len(fitted)
    return [*fitted, f"{CUT} {left_out} more"] if left_out else fitted


def _fit(value: Any, budget: int, plain: _Plain) -> Any:
    """The value in at most so many bytes, which are at least what `_least` says."""
    if plain.size(value) <= budget:
        return value
    if isinstance(value, dict):
        return _fit_object(value, budget, plain)
    return _fit_list(value, budget, plain) if isinstance(value, list) else _cut(value, budget)


def _rank(key: str, item: Any, need: int, place: int) -> tuple[int, int]:
    if key in FIRST:
        return 0, FIRST.index(key)
    if isinstance(item, dict | list):
        return 3, place
    return (1 if need <= SHORT_BYTES else 2), place


def _least(item: Any, need: int) -> int:
    if isinstance(item, dict | list):
        return min(need, NEST_BYTES)
    return min(need, SHORT_BYTES) if isinstance(item, str) else need


def _share(parts: list[_Part], budget: int, overhead: Any) -> dict[Any, int]:
    """How many bytes each part gets, by its name; a part that gets none is left out. The parts come by their rank."""
    kept: list[_Part] = []
    for part in parts:
        cost = part.least + overhead(part)
        if cost <= budget:
            budget -= cost
            kept.append(part)
    # What is over goes to all alike, and what the modest leave to the others.
    grants = {}
    kept.sort(key=lambda part: (part.need - part.least, part.rank))
    for index, part in enumerate(kept):
        more = min(part.need - part.least, budget // (len(kept) - index))
        budget -= more
        grants[part.name] = part.least + more
    return grants


def _cut_key(key: str) -> str:
    return key if len(key) <= KEY_LENGTH else key[: KEY_LENGTH - 1] + CUT


def _cut(text: str, budget: int) -> str:
    """The longest beginning of the text that fits with the mark of a cut."""
    low, high = 0, min(len(text), budget)
    while low < high:
        middle = (low + high + 1) // 2
        if _bytes(text[:middle] + CUT) <= budget:
            low = middle
        else:
            high = middle - 1
    return text[:low] + CUT

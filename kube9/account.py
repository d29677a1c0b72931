"""Coverage in words: how much of the time asked for was watched, and why the rest was not."""

from typing import TYPE_CHECKING

from kube9 import times
from kube9.model import CAUSES

if TYPE_CHECKING:
    from kube9.coverage import Coverage, Gap

MOST = 3  # gaps in one line
MOST_LINES = 10  # gaps in the details of an error
SECOND_MS, MINUTE_MS, HOUR_MS = (times.UNIT_MS[unit] for unit in "smh")
# Below which duration, the smaller unit, how many of it make the larger one, and both names.
UNITS: tuple[tuple[int, int, int, str], ...] = (
    (HOUR_MS, SECOND_MS, 60, "ms"),
    (2 * times.DAY_MS, MINUTE_MS, 60, "hm"),
    (times.MAX_MS - times.MIN_MS + times.DAY_MS, HOUR_MS, 24, "dh"),
)


def line(found: "Coverage") -> str:
    """One line, such as `covered 23h51m of 24h; gap 14:02–14:11 UTC (kube9 was not running, recovered)`."""
    if found.begin is None:
        return "covered nothing: nobody ever watched"
    covered = duration(found.covered_seconds * 1000) if found.covered_seconds else "nothing"
    said = f"covered {covered} of {duration(_length_ms(found))}"
    gaps, more = _chosen(found, MOST)
    if gaps:
        said += f"; gap{'s' * (len(gaps) > 1)} {', '.join(_gap(gap, found) for gap in gaps)}"
    return f"{said}; and {more} more" if more else said


def gap_lines(found: "Coverage") -> str:
    """The gaps that count, each in a line, and how many there are besides."""
    gaps, more = _chosen(found, MOST_LINES)
    return "\n".join([*(f"gap {_gap(gap, found)}" for gap in gaps), *([f"and {more} more"] if more else [])])


def percent(found: "Coverage") -> str:
    """How much of the window nothing is missing of, rounded down, so that less than all never reads as 100%."""
    return f"{int(found.percent * 100) / 100:g}%"


def duration(ms: int) -> str:
    """Two units, rounded to the smaller one: `45s`, `9m10s`, `23h51m`, `24h`, `6d23h`."""
    unit_ms, many, names = next(unit[1:] for unit in UNITS if ms + unit[1] // 2 < unit[0])
    numbers = divmod((ms + unit_ms // 2) // unit_ms, many)
    return "".join(f"{number}{name}" for number, name in zip(numbers, names, strict=True) if number) or "0s"


def _chosen(found: "Coverage", most: int) -> "tuple[list[Gap], str]":
    """The gaps to tell, oldest first, and how many there are besides: what is missing comes before what was recovered."""
    newest = sorted(found.gaps, key=lambda gap: (gap.recovered, -times.parse(gap.end, 0)))
    chosen, left = newest[:most], len(newest) - most
    more = f"{left}{' and older ones' if found.more_gaps else ''}" if left > 0 else "older ones" if found.more_gaps else ""
    return [gap for gap in found.gaps if gap in chosen], more


def _gap(gap: "Gap", window: "Coverage") -> str:
    """`14:02–14:11 UTC (kube9 was not running, recovered)`; with dates where the window is longer than a day."""
    begin, end = gap.begin, gap.end
    short = times.parse(end, 0) - times.parse(begin, 0) < 2 * MINUTE_MS
    dated = _length_ms(window) > times.DAY_MS + HOUR_MS
    first, last = (_clock(at, dated, short) for at in (begin, end))
    if dated and begin[:10] == end[:10]:
        last = _clock(end, False, short)
    if begin == window.begin and end == window.end:
        span = "all of it"
    elif begin == window.begin:
        span = f"until {_clock(end, dated, short)} UTC"
    elif end == window.end:
        span = f"since {first} UTC"
    else:
        span = f"{first}–{last} UTC"
    why = [CAUSES.get(gap.cause, gap.cause), *(["recovered"] if gap.recovered else [])]
    of = gap.severities or ([gap.resource] if gap.resource and gap.resource != "events" else [])
    return f"{span} ({', '.join(of)}{': ' if of else ''}{', '.join(why)})"


def _clock(at: str, dated: bool, seconds: bool) -> str:
    clock = at[11:19] if seconds else at[11:16]
    return f"{at[:10]} {clock}" if dated else clock


def _length_ms(window: "Coverage") -> int:
    return times.parse(window.end or "", 0) - times.parse(window.begin or "", 0)

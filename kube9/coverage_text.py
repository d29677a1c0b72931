"""Coverage in words: how much of the time asked for was watched, and why the rest was not."""

from kube9 import errors, times
from kube9.coverage import Coverage
from kube9.unwatched import ALIKE_MS, Gap
from kube9.vocabulary import CAUSES

MOST = 3  # gaps in one line
MOST_LINES = 10  # gaps in the details of an error
MOST_NAMES = 2  # of resources that missed the same time
SECOND_MS, MINUTE_MS, HOUR_MS = (times.UNIT_MS[unit] for unit in "smh")
# Below which duration, the smaller unit, how many of it make the larger one, and both names.
UNITS: tuple[tuple[int, int, int, str], ...] = (
    (HOUR_MS, SECOND_MS, 60, "ms"),
    (2 * times.DAY_MS, MINUTE_MS, 60, "hm"),
    (times.MAX_MS - times.MIN_MS + times.DAY_MS, HOUR_MS, 24, "dh"),
)


def line(found: Coverage) -> str:
    """One line, such as `covered 23h51m of 24h; gap 14:02–14:11 UTC (kube9 was not running, recovered)`."""
    if found.begin is None:
        return "covered nothing: nobody ever watched"
    covered = duration(found.covered_seconds * 1000) if found.covered_seconds else "nothing"
    said = f"covered {covered} of {duration(_length_ms(found))}"
    gaps, more = _chosen(found, MOST)
    if gaps:
        said += f"; gap{'s' * (len(gaps) > 1)} {', '.join(_gap(same, found) for same in gaps)}"
    return f"{said}; {more}" if more else said


def gap_lines(found: Coverage) -> str:
    """The gaps that count, each in a line, and how many there are besides."""
    gaps, more = _chosen(found, MOST_LINES)
    return "\n".join([*(f"gap {_gap(same, found)}" for same in gaps), *([more] if more else [])])


def percent(found: Coverage) -> str:
    """How much of the window nothing is missing of, rounded down, so that less than all never reads as 100%."""
    return f"{int(found.percent * 100) / 100:g}%"


def demand(found: Coverage, required: float) -> None:
    """Raise FailedPrecondition where more of the window is missing than may be."""
    if found.percent < required:
        what = f"{percent(found)} of the time asked for is covered, and {required:g}% is required"
        raise errors.FailedPrecondition(what, gap_lines(found) or line(found))


def duration(ms: int) -> str:
    """Two units, rounded to the smaller one: `45s`, `9m10s`, `23h51m`, `24h`, `6d23h`."""
    unit_ms, many, names = next(unit[1:] for unit in UNITS if ms + unit[1] // 2 < unit[0])
    numbers = divmod((ms + unit_ms // 2) // unit_ms, many)
    return "".join(f"{number}{name}" for number, name in zip(numbers, names, strict=True) if number) or "0s"


def _chosen(found: Coverage, most: int) -> tuple[list[list[Gap]], str]:
    """The gaps to tell, oldest first, and how many there are besides.

    What is missing comes before what was recovered, and events before what other resources missed.
    """
    groups = _alike(found.gaps)
    ranked = sorted(groups, key=lambda same: (same[0].recovered, _is_other(same[0]), -times.ms(same[-1].end)))
    chosen, left = ranked[:most], len(ranked) - most
    more = "".join([f"and {left} more" if left > 0 else "", " and older ones" if found.more_gaps else ""]).strip()
    return [same for same in groups if same in chosen], more


def _alike(gaps: list[Gap]) -> list[list[Gap]]:
    """The gaps, those together that several other resources have for one reason at nearly the same time."""
    groups: list[list[Gap]] = []
    for gap in gaps:
        for same in groups:
            first = same[0]
            why = (first.cause, first.recovered) == (gap.cause, gap.recovered) and _is_other(first) and _is_other(gap)
            if why and max(_apart_ms(first.begin, gap.begin), _apart_ms(first.end, gap.end)) <= ALIKE_MS:
                same.append(gap)
                break
        else:
            groups.append([gap])
    return groups


def _is_other(gap: Gap) -> bool:
    return gap.resource not in (None, "events")


def _gap(same: list[Gap], window: Coverage) -> str:
    """`14:02–14:11 UTC (kube9 was not running, recovered)`; with dates where the window is longer than a day."""
    gap = same[0]
    begin, end = min(gap.begin for gap in same), max(gap.end for gap in same)
    short = _apart_ms(begin, end) < 2 * MINUTE_MS
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
    of = ", ".join(gap.severities or []) or _names([gap.resource for gap in same if gap.resource and _is_other(gap)])
    return f"{span} ({of}{': ' if of else ''}{', '.join(why)})"


def _names(resources: list[str]) -> str:
    """`nodes`, `nodes and pods`, `jobs, nodes and 3 more`."""
    names = sorted(set(resources))
    rest = len(names) - MOST_NAMES
    if rest > 0:
        return f"{', '.join(names[:MOST_NAMES])} and {rest} more"
    return " and ".join(names)


def _clock(at: str, dated: bool, seconds: bool) -> str:
    clock = at[11:19] if seconds else at[11:16]
    return f"{at[:10]} {clock}" if dated else clock


def _length_ms(window: Coverage) -> int:
    return _apart_ms(window.begin or "", window.end or "")


def _apart_ms(one: str, other: str) -> int:
    return abs(times.ms(one) - times.ms(other))

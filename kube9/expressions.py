"""How much work a regular expression can make, told before it is used.

`re` tries every way in which an expression can be found, and some expressions have more ways than there is time, such
as `(a+)+b`. Its parser (which Python gives no promise about, but has had since 1.5) shows the parts, and from them
follows a bound on the steps over a text of a given length. The bound errs on the side of more.
"""

import re
import re._constants as op  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from math import inf
from typing import Any, NamedTuple

BEGINNINGS = (op.AT_BEGINNING, op.AT_BEGINNING_STRING)


class _Cost(NamedTuple):
    """In how many ways something can match from one place, and the steps to try them all."""

    ways: float = 1.0
    steps: float = 1.0


def steps(expression: str, length: int) -> float:
    """At most how many steps searching a text of so many characters takes; infinite where it grows like a power.

    Raises re.error for what is no regular expression.
    """
    parsed = parser.parse(expression)
    first = parsed[0] if len(parsed) else None
    anchored = first is not None and first[0] is op.AT and first[1] in BEGINNINGS and not parsed.state.flags & re.MULTILINE
    return _sequence(parsed, length).steps * (1 if anchored else length)


def _sequence(parts: Any, length: int) -> _Cost:
    ways, steps = 1.0, 0.0
    for kind, given in parts:
        cost = _part(kind, given, length)
        steps += ways * cost.steps
        ways *= cost.ways
    return _Cost(ways, max(1.0, steps))  # even nothing is a step: without ends times nothing would be no number


def _part(kind: Any, given: Any, length: int) -> _Cost:
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, most, body = given
        fit = length // max(1, body.getwidth()[0])  # more of them do not fit into the text
        return _repeat(_sequence(body, length), int(least), min(int(most), fit), kind is op.POSSESSIVE_REPEAT)
    if kind is op.SUBPATTERN:
        return _sequence(given[-1], length)
    if kind is op.ATOMIC_GROUP:
        return _Cost(1.0, _sequence(given, length).steps)
    if kind is op.BRANCH:
        return _either(given[1], length)
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return _sequence(given[1], length)
    if kind is op.GROUPREF_EXISTS:
        return _either([body for body in given[1:] if body], length)
    if kind is op.GROUPREF:
        return _Cost(1.0, float(length))
    return _Cost()  # one character, or a place


def _either(bodies: Any, length: int) -> _Cost:
    costs = [_sequence(body, length) for body in bodies]
    return _Cost(sum(cost.ways for cost in costs), sum(cost.steps for cost in costs))


def _repeat(body: _Cost, least: int, most: int, possessive: bool) -> _Cost:
    if most == 0:
        return _Cost()
    if possessive:  # no time is ever gone back into
        return _Cost(1.0, most * body.steps)
    if body.ways == 1:
        return _Cost(max(1.0, most - least + 1.0), most * body.steps)
    if most <= 1:
        return _Cost(body.ways + (1 - least), body.steps)
    try:
        ways = body.ways ** (most + 1)
    except OverflowError:
        ways = inf
    return _Cost(ways, ways * body.steps)

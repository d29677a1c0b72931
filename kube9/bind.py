"""What a caller gave for a query's parameters, checked and converted; driven by the plan, no filter is known by name."""

from kube9 import errors, times, tokens

MANY = 2**31  # a bound from here on is none that a person needs to know
LONGEST = 10_000  # characters of a value; SQLite's LIKE takes 50,000 bytes
UNBOUND = ("limit", "offset", "page_token", "after", "require_coverage")  # a page token goes on whatever these are

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

    from kube9.plan import Plan


class Cursor:
    """Where a walk through pages stands, as its page token says."""

    __slots__ = ("exact", "keys", "lineage", "offset", "seq", "total")

    def __init__(self, lineage: int, seq: int, total: int, exact: bool, offset: int, keys: "list[str | int]") -> None:
        self.lineage, self.seq, self.total, self.exact, self.offset, self.keys = lineage, seq, total, exact, offset, keys


class Asked:
    """A query with its values checked: what `query.run` answers.

    `values` is parameter name -> value for SQLite, defaults filled in; `page_token` a Cursor, `after` (lineage, seq).
    `question` is what a page token is bound to, `plan` what the query is part of.
    """

    __slots__ = ("plan", "query", "question", "values")

    def __init__(self, plan: "Plan", query: "Plan", values: "dict[str, Any]", question: str) -> None:
        self.plan, self.query, self.values, self.question = plan, query, values, question

    def but(self, values: "dict[str, Any]") -> "Asked":
        """The same with other values."""
        return Asked(self.plan, self.query, values, self.question)


def bind(plan: "Plan", query: "Plan", given: "dict[str, Any]", now_ms: int) -> Asked:
    """Check and convert what a caller gave for a query's parameters.

    Args:
        plan: the compiled plan.
        query: the query's part of it.
        given: parameter name -> text, number, or a list of these; None and absent mean not given.
        now_ms: what `24h` is reckoned from, milliseconds since 1970.

    Raises:
        InvalidArgument: says which parameter, what was found and what is allowed.
    """
    params = query["params"]
    given = {name: found for name, found in given.items() if found is not None and found != [] and found is not False}
    values: dict[str, Any] = {}
    for name in given:
        if name not in params:
            raise errors.InvalidArgument(f'no parameter "{name}"', f"{query['name']} takes {', '.join(params) or 'none'}")
    for name, param in params.items():
        found = given.get(name, param["default"])
        if found is None:
            if param["required"]:
                what = said(param, name) if param["flags"] else name.upper()
                raise errors.InvalidArgument(f"{what} is missing", f"{query['name']} needs it: {param['doc']}")
        elif param["parts"]:
            values |= parts_of(name, param, str(found), now_ms)
        elif param["many"]:
            values[name] = convert_many(name, param, found, now_ms)
        else:
            values[name] = convert(name, param, found, now_ms)
    _together(query, given, values)
    if "now" in query["context"]:
        values["now"] = times.iso(now_ms)
    asked = Asked(plan, query, values, question(query, given, values) if query["paged"] else "")
    if "page_token" in values:
        values |= _cursor(asked)
    if "after" in values:
        try:
            values["after"] = tokens.read_sync_token(values["after"])
        except ValueError as error:
            raise _invalid("after", given["after"], f"is {error}: give back the sync_token of an answer") from None
    return asked


def convert_many(name: str, param: "Plan", found: object, now_ms: int) -> "list[Any]":
    """Every value of a parameter that may be given several times, each once; a closed set also takes `a,b`."""
    entries = found if isinstance(found, list | tuple) else [found]
    if param["choices"]:
        entries = [part for entry in entries for part in str(entry).split(",")]
    return list(dict.fromkeys(convert(name, param, entry, now_ms) for entry in entries))


def convert(name: str, param: "Plan", found: object, now_ms: int) -> "Any":
    """One value, checked. Raises InvalidArgument."""
    kind, choices, bounds = param["type"], param["choices"], param["bounds"]
    if choices:
        if found not in choices:
            from difflib import get_close_matches  # an error may take its time

            near = get_close_matches(str(found).lower(), [choice.lower() for choice in choices], n=1, cutoff=0.5)
            right = next((choice for choice in choices if near and choice.lower() == near[0]), "")
            hint = f"; did you mean {right}?" if right else ""
            raise _invalid(name, found, f"is not one of {', '.join(choices)}{hint}")
        return choices[choices.index(found) :] if param["rising"] else str(found)
    if kind in ("integer", "number"):
        return _number(name, kind, found, bounds)
    if kind == "percentage":
        return _percentage(name, found)
    if kind == "boolean":
        if str(found).lower() not in ("true", "false"):
            raise _invalid(name, found, "is neither true nor false")
        return str(found).lower() == "true"
    text = str(found)
    if not text and kind not in ("time", "duration"):
        raise _invalid(name, found, "is empty")
    if "\0" in text:
        raise _invalid(name, text.replace("\0", "\ufffd"), "has a NUL, which no event has")
    if len(text) > LONGEST:
        raise errors.InvalidArgument(f"{name} is {len(text)} characters long", f"at most {LONGEST:,} are taken")
    try:
        text.encode()
        if kind == "time":
            return times.iso(times.parse(text, now_ms))
        if kind == "duration":
            return times.duration_ms(text)
    except UnicodeEncodeError:
        raise _invalid(name, text.encode(errors="replace").decode(), "is not UTF-8") from None
    except ValueError as error:
        raise _invalid(name, found, f"is {error}") from None
    if param["spellings"]:
        word = text.lower()  # deployments.apps is a resource with its group, as kubectl takes it
        return param["spellings"].get(word) or param["spellings"].get(word.partition(".")[0], text)
    return text


def part_name(name: str, part: str) -> str:
    """The parameter in SQL for a part of a value: `for_` and kind give for_kind."""
    return f"{name.rstrip('_')}_{part}"


def named(name: str, param: "Plan") -> "list[tuple[str, Plan]]":
    """A parameter as it is in SQL: itself, or each of its parts."""
    return [(part_name(name, part), of) for part, of in param["parts"] or ()] or [(name, param)]


def said(param: "Plan", name: str) -> str:
    """The parameter as a person types it."""
    return str(param["flags"][0]) if param["flags"] else name.upper()


def _number(name: str, kind: str, found: object, bounds: "list[int] | None") -> int | float:
    text = str(found)
    digits = text.removeprefix("-")
    if kind == "number" and len(text) < 40:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if number - number == 0:  # neither nan nor infinite
            return number
        raise _invalid(name, found, "is not a number")
    if not (digits.isascii() and digits.isdigit() and len(text) < 20 and -(2**63) <= int(text) < 2**63):
        raise _invalid(name, found, "is not a whole number")
    if bounds and not bounds[0] <= int(text) <= bounds[1]:
        between = f"between {bounds[0]} and {bounds[1]}" if bounds[1] < MANY else f"{bounds[0]} or more"
        raise _invalid(name, found, f"is not {between}")
    return int(text)


def _percentage(name: str, found: object) -> float:
    """`99%`, `99.5` or a number as a number from 0 to 100."""
    digits = str(found).strip().removesuffix("%").strip()
    whole, point, fraction = digits.partition(".")
    if len(digits) < 20 and all(part.isascii() and part.isdigit() for part in (whole, fraction if point else "0")):
        number = float(digits)
        if number <= 100:
            return number
    raise _invalid(name, found, "is not a percentage from 0% to 100%, such as 99% or 99.5%")


def parts_of(name: str, param: "Plan", text: str, now_ms: int) -> "dict[str, Any]":
    """A value such as pod/nginx and each of its parts, checked. Raises InvalidArgument."""
    declared = param["parts"]
    found = text.split("/", len(declared) - 1)
    if len(found) != len(declared) or not all(found):
        raise _invalid(name.rstrip("_"), text, f"is not {'/'.join(part.upper() for part, _ in declared)}")
    converted = (convert(name, of, value, now_ms) for (_, of), value in zip(declared, found, strict=True))
    return {name: text} | {part_name(name, part): value for (part, _), value in zip(declared, converted, strict=True)}


def _together(query: "Plan", given: "dict[str, Any]", values: "dict[str, Any]") -> None:
    """Whether what was given fits together."""
    params = query["params"]
    exclusive(params, given, given)
    for name in given:
        for other in params[name]["needs"]:
            if other not in given:
                what = f"{said(params[name], name)} needs {said(params[other], other)}"
                raise errors.InvalidArgument(what, f"{said(params[other], other)}: {params[other]['doc']}")
    first, last = query["window"] or ("", "")
    if first in values and last in values and values[first] >= values[last]:
        found = f"{first} is {values[first]}, {last} is {values[last]}: swap them"
        if first not in given:
            found = f"{first} is {params[first]['default']}, its default: give {said(params[first], first)} too"
        raise errors.InvalidArgument(f"{first} is not before {last}", found)


def exclusive(params: "Plan", names: "Iterable[str]", given: "Collection[str]") -> None:
    """Raise InvalidArgument where one of the names excludes something of what was given."""
    for name in names:
        for other in params[name]["excludes"]:
            if other in given:
                both = f"{said(params[name], name)} and {said(params[other], other)}"
                raise errors.InvalidArgument(f"{both} exclude each other", "leave one of them out")


def question(query: "Plan", given: "dict[str, Any]", values: "dict[str, Any]") -> str:
    """What a page token is bound to: the query and its filters, a time as it was typed, because `24h` moves."""
    asked = [query["name"]]
    for name, param in query["params"].items():
        if name in values and name not in UNBOUND:
            asked.append(f"{name}={given.get(name) if param['type'] == 'time' else values[name]!r}")
    return tokens.SEPARATOR.join(asked)


def page_token(asked: Asked, cursor: Cursor) -> str:
    """The page token of a cursor."""
    exact = "1" if cursor.exact else "0"
    parts = [f"{cursor.lineage:x}", f"{cursor.seq:x}", f"{cursor.total:x}", exact, f"{cursor.offset:x}"]
    parts += [asked.values.get(name, "") for name in _times(asked.query)]
    parts += [f"i{key}" if isinstance(key, int) else f"s{key}" for key in cursor.keys]
    return tokens.page_token(asked.question, parts)


def _cursor(asked: Asked) -> "dict[str, Any]":
    """What a page token says: the cursor, and the window as it was on page 1."""
    query, values = asked.query, asked.values
    names = _times(query)
    try:
        parts = tokens.read_page_token(asked.question, values["page_token"])
        lineage, seq, total, exact, offset = (int(part, 16) for part in parts[:5])
        window, rest = parts[5 : 5 + len(names)], parts[5 + len(names) :]
        keys: list[str | int] = [int(key[1:]) if key[:1] == "i" else key[1:] for key in rest]
        order = query["orders"][values.get("sort") or next(iter(query["orders"]))]
        numbers = [lineage, seq, total, offset, *(key for key in keys if isinstance(key, int))]
        pinned = all(not at or times.iso(times.parse(at, 0)) == at for at in window)
        if len(keys) != len(order["columns"]) or not pinned or not all(0 <= number < 2**63 for number in numbers):
            raise ValueError("a page token of another question, or changed")
    except ValueError as error:
        why = f"{error}: give back the next_page_token of an answer, with the filters it was asked with"
        raise errors.InvalidArgument("the page token does not fit", f"it is {why}") from None
    found: dict[str, Any] = {name: value for name, value in zip(names, window, strict=True) if value}
    return found | {"page_token": Cursor(lineage, seq, total, bool(exact), offset, keys)}


def _times(query: "Plan") -> list[str]:
    """The values that a page token pins."""
    return [name for name, param in query["params"].items() if param["type"] == "time"] + ["now"] * ("now" in query["context"])


def _invalid(name: str, found: object, problem: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(f'{name}: "{found}" {problem}')

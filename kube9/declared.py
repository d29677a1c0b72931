"""Reading a declared YAML file: positions kept, every mistake reported at once.

`queries.yaml` and `rules.yaml` are read by this one way: YAML with line and column, then a pydantic model, then the
room's own checks, which add their problems to the same list.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from kube9.errors import SpecError

Location = tuple[str | int, ...]
MOST_VALUES, DEEPEST, MOST_PROBLEMS = 20_000, 50, 100  # of a declared file; a few lines of aliases can stand for billions
MOST_NAMED, LONGEST = 30, 60  # names in a message; characters of a value in it
WRONG_FORM = {"model_type", "dict_type", "list_type", "string_type"}
# What pydantic says of these is about Python.
PLAIN_WORDS = {
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "bool_type": "must be true or false",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_too_long": "is too long",
}


class Record(pydantic.BaseModel):
    """A part of a declared file: unknown keys are mistakes, and nothing changes after it was read."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


Model = TypeVar("Model", bound=Record)


class Document:
    """A parsed file and the problems found in it so far.

    A location is the way of keys from the top: `("queries", "events list", "filters", "type")`.
    """

    def __init__(self, name: str, text: str) -> None:
        """Parse the text; raises SpecError when it is not YAML."""
        self.name = name
        self.lines = text.splitlines()
        self.problems: list[str] = []
        self._left_out: set[Location] = set()
        merge = re.search(r"<<[\"']?\s*:", text)  # a few lines of merges can take the parser minutes
        if merge:
            line = text.count("\n", 0, merge.start()) + 1
            column = merge.start() - text.rfind("\n", 0, merge.start())
            raise SpecError([f"{name}:{line}:{column}: << is not taken here; name the keys"])
        yaml = YAML(typ="rt")
        try:
            self.root: Any = yaml.load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            what = (error.problem or "not YAML").partition("\n")[0].partition(" with value ")[0]
            raise SpecError([f"{name}:{line}:{column}: {what}"]) from None
        except RecursionError:
            raise SpecError([f"{name}:1:1: nested too deeply"]) from None
        except (YAMLError, ValueError) as error:
            raise SpecError([f"{name}:1:1: {str(error).partition(chr(10))[0]}"]) from None

    def position(self, location: Location) -> tuple[int, int]:
        """Line and column, from 1, of the deepest part of the location that the file has."""
        node, found = self.root, (0, 0)
        for key in location:
            if isinstance(node, CommentedMap) and key in node:
                position = node.lc.value(key) if isinstance(node[key], str | int | float | bool) else node.lc.key(key)
            elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
                position = node.lc.item(key)
            else:
                break
            found, node = position, node[key]
        return found[0] + 1, found[1] + 1

    def key_position(self, location: Location) -> tuple[int, int]:
        """Line and column, from 1, of the key itself."""
        node = self.root
        for key in location[:-1]:
            node = node[key]
        line, column = node.lc.key(location[-1])
        return line + 1, column + 1

    def inside(self, location: Location, text: str, offset: int) -> tuple[int, int]:
        """Line and column, from 1, of a place in a text that stands at a location, as a block (`|`) or in the line."""
        line, column = self.position(location)
        before = text[:offset]
        down, right = before.count("\n"), offset - before.rfind("\n") - 1
        opening = self.lines[line - 1][column - 1 : column]
        if opening in ("|", ">"):
            first = next((number for number in range(line, len(self.lines)) if self.lines[number].strip()), line)
            indent = len(self.lines[first]) - len(self.lines[first].lstrip())
            return first + 1 + down, indent + right + 1
        return (line + down, right + 1) if down else (line, column + right + (opening in ("'", '"')))

    def problem(self, location: Location, message: str, subject: str = "", at: tuple[int, int] | None = None) -> None:
        """Note a mistake: where, in what (`subject`, such as a query's name), and what it is."""
        line, column = at or self.position(location)
        self.problems.append(f"{self.name}:{line}:{column}: {subject + ': ' if subject else ''}{message}")
        if len(self.problems) >= MOST_PROBLEMS:
            self.check()

    def check(self) -> None:
        """Raise SpecError when a problem was noted, with all of them in the order of the file."""
        if self.problems:
            raise SpecError(sorted(set(self.problems), key=self._place))

    def _place(self, problem: str) -> tuple[int, int]:
        line, column, _ = problem[len(self.name) + 1 :].split(":", 2)
        return int(line), int(column)

    def validate(self, model: type[Model]) -> Model:
        """The file as a record of the given model.

        What has a mistake of form is noted and left out, so that the room's own checks can go on with the rest; they
        end with `check`. Raises SpecError when nothing is left to go on with.
        """
        data = self._plain(self.root, iter(range(MOST_VALUES)))
        noted = False
        while isinstance(data, dict):
            try:
                return model.model_validate(data)
            except pydantic.ValidationError as error:
                mistakes = [(self._way(mistake), mistake) for mistake in error.errors()]
                if not noted:
                    for way, mistake in _told_once(mistakes):
                        self._mistake_of_form(way, mistake, model)
                noted = True
                ways = {way[: -1 if mistake["type"] == "missing" else None] for way, mistake in mistakes}
                changed = [self._leave_out(data, way) for way in sorted(ways, key=len, reverse=True) if way]
                if () in ways or not any(changed):
                    break
        if not self.problems:
            self.problem((), f"must hold a mapping with the keys {', '.join(_keys_at(model, ()))}, not {_named(self.root)}")
        self.check()
        raise SpecError(self.problems)

    def _plain(self, node: Any, budget: Iterator[int], depth: int = 0) -> Any:
        """Plain dicts and lists, so that errors show what the file says and not ruamel's classes."""
        if next(budget, None) is None or depth > DEEPEST:
            raise SpecError([f"{self.name}:1:1: more than {MOST_VALUES} values, or nested too deeply; aliases count each time"])
        if isinstance(node, dict):
            return {key: self._plain(value, budget, depth + 1) for key, value in node.items()}
        if isinstance(node, list):
            return [self._plain(value, budget, depth + 1) for value in node]
        return str(node) if isinstance(node, str) else node

    def left_out(self, *location: str | int) -> bool:
        """Whether this part had a mistake of form, so that what refers to it is not to be complained about."""
        return any(location[: len(way)] == way for way in self._left_out)

    def touched(self, *location: str | int) -> bool:
        """Whether a mistake of form was found in this part, or anywhere inside it."""
        return self.left_out(*location) or any(way[: len(location)] == location for way in self._left_out)

    def _leave_out(self, data: Any, way: Location) -> bool:
        """Take a part out of the data. False when it was not there."""
        self._left_out.add(way)
        for key in way[:-1]:
            data = data.get(key) if isinstance(data, dict) else None
            if isinstance(data, list):
                found = bool(data)
                data.clear()  # places in a list must not move
                return found
        return isinstance(data, dict) and data.pop(way[-1], self) is not self

    def _way(self, mistake: Any) -> Location:
        """The location of a mistake; pydantic adds branches of unions and validators to it, which no file has."""
        node, way = self.root, []
        for part in mistake["loc"]:
            if (isinstance(node, dict) and part in node) or (isinstance(node, list) and isinstance(part, int)):
                node = node[part]
                way.append(part)
        if mistake["type"] == "missing":
            way.append(mistake["loc"][-1])
        return tuple(way)

    def _mistake_of_form(self, location: Location, mistake: Any, model: type[Record]) -> None:
        kind = mistake["type"]
        subject = str(location[1]) if len(location) > 2 and location[0] in ("queries", "messages", "types") else ""
        if kind == "extra_forbidden":
            known = _keys_at(model, location[:-1])
            at = self.key_position(location)
            self.problem(location, f'no key "{location[-1]}" here{nearest(str(location[-1]), known)}', subject, at)
        elif kind == "missing":
            self.problem(location[:-1], f'the key "{location[-1]}" is missing', subject)
        else:
            message = PLAIN_WORDS.get(kind) or mistake["msg"].removeprefix("Value error, ").replace("Input should", "must")
            self.problem(location, f"{message}, found {_named(mistake['input'])}", subject)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "severity"?`, or which words are known when none is near."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{close[0]}"?'
    more = ", …" if len(words) > MOST_NAMED else ""
    return f"; known: {', '.join(words[:MOST_NAMED])}{more}" if words else ""


def _told_once(mistakes: list[tuple[Location, Any]]) -> list[tuple[Location, Any]]:
    """The mistakes without what a union's other branches say of the same part."""
    kept: dict[Location, Any] = {}
    for way, mistake in mistakes:
        deeper = any(other[: len(way)] == way and other != way for other, _ in mistakes)
        if deeper and mistake["type"] in WRONG_FORM:
            continue
        first = kept.setdefault(way, mistake)
        if first is not mistake and {first["type"], mistake["type"]} <= WRONG_FORM:
            both = dict.fromkeys(PLAIN_WORDS[of["type"]].removeprefix("must be ") for of in (first, mistake))
            kept[way] = {**first, "type": "union", "msg": f"must be {' or '.join(both)}"}
    return list(kept.items())


def _named(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    said = value.isoformat() if hasattr(value, "isoformat") else repr(value)  # a date that YAML has read
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


def _keys_at(model: type[Record], location: Location) -> list[str]:
    """The keys that the model knows at a location, for the nearest right name."""
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", None)
        if fields is None:
            return []
        by_name = {field.alias or name: field for name, field in fields.items()}
        if part in by_name:
            current = by_name[str(part)].annotation
            while not isinstance(current, type) or not issubclass(current, pydantic.BaseModel):
                arguments = [argument for argument in getattr(current, "__args__", ()) if argument is not type(None)]
                if not arguments:
                    break
                current = arguments[-1]
    fields = getattr(current, "model_fields", {})
    return [field.alias or name for name, field in fields.items()]

"""rules.yaml and the users' own rules (KUBE9_RULES) as records, checked when they are read, and asked for each event.

In a file the first rule whose conditions all hold is taken. The users' files together are asked before kube9's own;
what their rule leaves open, kube9's tells.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

import pydantic

from kube9 import errors, plan, shipped
from kube9.declared import Document, Record
from kube9.expressions import steps
from kube9.model import TITLE_LENGTH

FILE = "rules.yaml"
OWN = "KUBE9_RULES"  # the environment's name for a file or directory of the user's own rules
LOOKED_AT = 4096  # characters of a message that rules read
MOST_STEPS = 4 * LOOKED_AT**2  # of one expression on one message: two seconds at the very worst, 35 ns a step
MOST_RULES = 500  # in a file
LONGEST_EXPRESSION, LONGEST_REASON = 1000, 128  # characters
# Metadata that other parts of kube9 write.
TAKEN = frozenset(("reason", "count", "first_timestamp", "last_timestamp", "source", "type", "action", "related"))

Severity = Literal["info", "warning", "error", "critical"]


def _expression(text: str) -> str:
    try:
        compiled, work = re.compile(text), steps(text, LOOKED_AT)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression ({error})") from None
    if work > MOST_STEPS:
        advice = "make repeats possessive (a*+), bounded (a{0,20}), or begin with ^"
        raise ValueError(f"could take too long on some messages: {advice}")
    for name in compiled.groupindex:
        if name in TAKEN:
            raise ValueError(f"names a group {name}, which kube9 writes itself")
    return text


def _reads(text: str) -> str:
    if not re.compile(text).groupindex:
        raise ValueError("reads nothing: it has no group with a name, such as (?P<image>[^ ]+)")
    return text


def _few(rules: "list[Rule]") -> "list[Rule]":
    if len(rules) > MOST_RULES:
        raise ValueError(f"at most {MOST_RULES} rules are read, not {len(rules)}")
    return rules


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Word = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=LONGEST_REASON)]
OneOrMore = Annotated[list[Word], pydantic.BeforeValidator(_list)]
Expression = Annotated[str, pydantic.StringConstraints(max_length=LONGEST_EXPRESSION), pydantic.AfterValidator(_expression)]
Extract = Annotated[Expression, pydantic.AfterValidator(_reads)]


class Rule(Record):
    """Which events it is about (`reason`, `kind`, `message`: all must hold), and what becomes of them."""

    reason: OneOrMore = []
    kind: OneOrMore = []
    message: Expression | None = None
    title: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=TITLE_LENGTH)] | None = None
    severity: Severity | None = None
    extract: list[Extract] = []
    record: pydantic.StrictBool | None = None
    why: str = ""

    @pydantic.model_validator(mode="after")
    def _whole(self) -> "Rule":
        if not (self.reason or self.kind or self.message):
            raise ValueError("a rule needs one of reason, kind, message")
        if self.record is not None and (self.kind or self.message or not self.reason):
            raise ValueError("record goes by the reason alone: it needs a rule with reason, and without kind and message")
        says = self.title or self.severity or self.extract or self.why or "(?P<" in (self.message or "")
        if not says and self.record is None:
            raise ValueError("a rule says nothing without one of title, severity, extract, record, why")
        return self


class RulesFile(Record):
    """The whole file; what the keys mean is said in rules.yaml itself."""

    version: Literal[1]
    severities: dict[Word, Severity] = {}
    cluster_scoped: list[Word] = []
    rules: Annotated[list[Rule], pydantic.AfterValidator(_few)] = []


class Match(NamedTuple):
    """What the rules say of an event: None where they say nothing. `places` are the rules that say it, as file:line."""

    severity: str | None
    title: str | None
    facts: Mapping[str, str]  # read out of the message
    places: tuple[str, ...]


class Matcher:
    """A rule with its expressions compiled."""

    __slots__ = ("extract", "kinds", "message", "place", "rule")

    def __init__(self, rule: Rule, place: str) -> None:
        self.rule, self.place = rule, place
        self.kinds = frozenset(rule.kind)
        self.message = re.compile(rule.message) if rule.message else None
        self.extract = [re.compile(expression) for expression in rule.extract]

    @property
    def goes_by_reason_alone(self) -> bool:
        """Whether it holds for every event of its reasons."""
        return not (self.kinds or self.message)

    def facts(self, kind: str | None, message: str) -> dict[str, str] | None:
        """What the rule reads out of an event's message; None when the rule is not about this event."""
        if self.kinds and kind not in self.kinds:
            return None
        facts = {}
        if self.message:
            found = self.message.search(message)
            if not found:
                return None
            facts = {name: value for name, value in found.groupdict().items() if value}
        for expression in self.extract:
            found = expression.search(message)
            if found:
                facts |= {name: value for name, value in found.groupdict().items() if value}
        return facts


class Source(NamedTuple):
    """A file that was read, and where each of its rules stands, as file:line."""

    file: RulesFile
    places: list[str]

    def matchers(self) -> list[Matcher]:
        """Its rules, ready to be asked."""
        return [Matcher(rule, place) for rule, place in zip(self.file.rules, self.places, strict=True)]


Layers = tuple[tuple[Matcher, ...], ...]  # the users' rules, then kube9's own


class Rules:
    """The rules, arranged so that an event meets only those that can be about it.

    Attributes:
        severities: severity by the event's type.
        cluster_scoped: kinds without a namespace.
        record: the rule that says of a reason whether it is recorded, where one does.
        problems: what is wrong in the users' files, as file:line:col: …; a file with a mistake is left out.
    """

    def __init__(self, built_in: Source, own: Sequence[Source] = (), problems: Sequence[str] = ()) -> None:
        first = [matcher for source in own for matcher in source.matchers()]
        self.layers: Layers = (tuple(first), tuple(built_in.matchers()))
        self.severities = dict(built_in.file.severities)
        for source in reversed(own):
            self.severities |= source.file.severities
        self.cluster_scoped = frozenset(kind for source in (built_in, *own) for kind in source.file.cluster_scoped)
        self.problems = [*problems, *_shadowed_by_another_file(first)]
        self.record: dict[str, Matcher] = {}
        for matcher in (*first, *self.layers[1]):
            for reason in matcher.rule.reason if matcher.rule.record is not None else ():
                self.record.setdefault(reason, matcher)
        named = {reason for layer in self.layers for matcher in layer for reason in matcher.rule.reason}
        self._by_reason: dict[str | None, Match | Layers] = {reason: self._known(reason) for reason in named}
        self._unknown = self._known(None)

    def match(self, reason: str | None, kind: str | None, message: str) -> Match:
        """What the rules say of an event: by reason, kind of object, and the first LOOKED_AT characters of the message."""
        known = self._by_reason.get(reason, self._unknown)
        return known if isinstance(known, Match) else _look(known, kind, message)

    def _known(self, reason: str | None) -> Match | Layers:
        """All there is to say of a reason, where no rule has to look at the event; else the rules to ask."""
        layers = tuple(tuple(_until_certain(layer, reason)) for layer in self.layers)
        if all(matcher.goes_by_reason_alone and not matcher.extract for layer in layers for matcher in layer):
            return _look(layers, None, "")
        return layers


def _until_certain(layer: Sequence[Matcher], reason: str | None) -> Iterator[Matcher]:
    for matcher in layer:
        if not matcher.rule.reason or reason in matcher.rule.reason:
            yield matcher
            if matcher.goes_by_reason_alone:
                return


def _look(layers: Layers, kind: str | None, message: str) -> Match:
    severity: str | None = None
    title: str | None = None
    facts: dict[str, str] = {}
    places: tuple[str, ...] = ()
    for layer in layers:
        for matcher in layer:
            try:
                found = matcher.facts(kind, message)
            except (SystemError, MemoryError):  # `re` has defects with possessive groups; the rule is not about this event
                continue
            if found is not None:
                severity, title = severity or matcher.rule.severity, title or matcher.rule.title
                facts, places = found | facts, (*places, matcher.place)
                break
    return Match(severity, title, facts, places)


@cache
def built_in() -> Rules:
    """The rules that kube9 ships. Raises SpecError when the file is wrong."""
    with open(shipped.path(FILE), encoding="utf-8") as file:
        return Rules(read(FILE, file.read()))


def load() -> Rules:
    """The rules that kube9 ships and those of the user's own files, as far as they are right; `problems` says the rest."""
    own: list[Source] = []
    files, problems = plan.own_files(OWN)
    for name, content in files.items():
        try:
            own.append(read(name, content.decode()))
        except UnicodeDecodeError as error:
            problems.append(f"{name}:1:1: is not UTF-8 text: {error.reason} at byte {error.start}")
        except errors.SpecError as error:
            problems += error.problems
    if not own and not problems:
        return built_in()
    with open(shipped.path(FILE), encoding="utf-8") as file:
        return Rules(read(FILE, file.read()), own, problems)


def read(name: str, text: str) -> Source:
    """Read rules from the text of a file. Raises SpecError with every mistake."""
    document = Document(name, text)
    file = document.validate(RulesFile)
    for index, earlier, reason in _shadowed(file.rules):
        where, found = f"line {document.position(('rules', earlier))[0]}", file.rules[index].reason
        location: tuple[str | int, ...] = ("rules", index)
        if reason is not None:
            location = ("rules", index, "reason", found.index(reason))
        said = "this rule can never match" if reason is None else f"{reason} can never match here"
        document.problem(location, f"{said}, because the rule of {where} takes all of it")
    for index, rule in enumerate(file.rules):
        for place, reason in enumerate(rule.reason):
            if reason in rule.reason[:place]:
                document.problem(("rules", index, "reason", place), f"{reason} stands there twice")
    document.check()
    return Source(file, [f"{name}:{document.position(('rules', index))[0]}" for index in range(len(file.rules))])


def _shadowed(rules: Sequence[Rule]) -> Iterator[tuple[int, int, str | None]]:
    """Which rule can never match, which one before it matches instead, and for which reason (None: for any)."""
    by_reason: dict[str | None, list[int]] = {}
    for index, rule in enumerate(rules):
        for reason in dict.fromkeys(rule.reason) or (None,):
            before = sorted({*by_reason.get(reason, ()), *by_reason.get(None, ())})
            taken = next((earlier for earlier in before if _takes_all(rules[earlier], rule)), None)
            if taken is not None:
                yield index, taken, reason
        for reason in rule.reason or (None,):
            by_reason.setdefault(reason, []).append(index)


def _takes_all(earlier: Rule, later: Rule) -> bool:
    kinds = not earlier.kind or (bool(later.kind) and set(later.kind) <= set(earlier.kind))
    return kinds and earlier.message in (None, later.message)


def _shadowed_by_another_file(matchers: Sequence[Matcher]) -> list[str]:
    """Within a file it is a mistake; between files it is told, and both files are used."""
    found = []
    for index, earlier, reason in _shadowed([matcher.rule for matcher in matchers]):
        what = "this rule can never match" if reason is None else f"{reason} can never match here"
        found.append(f"{matchers[index].place}:1: {what}, because {matchers[earlier].place} takes all of it")
    return found

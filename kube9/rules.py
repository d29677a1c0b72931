"""rules.yaml as records, checked when it is read."""

import re
from functools import cache
from typing import Annotated, Any, Literal

import pydantic

from kube9 import shipped
from kube9.declared import Document, Record

Severity = Literal["info", "warning", "error", "critical"]


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from None
    return text


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Expression = Annotated[str, pydantic.AfterValidator(_expression)]
OneOrMore = Annotated[tuple[str, ...], pydantic.BeforeValidator(_list)]


class Rule(Record):
    """Which events it is about (`reason`, `kind`, `message`: all must hold), and what becomes of them."""

    reason: OneOrMore = ()
    kind: OneOrMore = ()
    message: Expression | None = None
    title: str | None = None
    severity: Severity | None = None
    extract: tuple[Expression, ...] = ()

    @pydantic.model_validator(mode="after")
    def _has_condition(self) -> "Rule":
        if not (self.reason or self.kind or self.message):
            raise ValueError("a rule needs one of reason, kind, message")
        return self


class RulesFile(Record):
    """The whole file; what the keys mean is said in rules.yaml itself."""

    version: Literal[1]
    severities: dict[str, Severity]
    cluster_scoped: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


class Matcher:
    """A rule with its expressions compiled."""

    __slots__ = ("extract", "kinds", "message", "severity", "title")

    def __init__(self, rule: Rule) -> None:
        self.kinds = frozenset(rule.kind)
        self.message = re.compile(rule.message) if rule.message else None
        self.extract = [re.compile(expression) for expression in rule.extract]
        self.title, self.severity = rule.title, rule.severity

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


class Rules:
    """The rules, arranged so that an event meets only those that can be about it."""

    def __init__(self, file: RulesFile) -> None:
        self.severities = file.severities
        self.cluster_scoped = frozenset(file.cluster_scoped)
        named = {reason for rule in file.rules for reason in rule.reason}
        pairs = [(rule, Matcher(rule)) for rule in file.rules]
        self._any_reason = [matcher for rule, matcher in pairs if not rule.reason]
        self._by_reason = {
            reason: [matcher for rule, matcher in pairs if not rule.reason or reason in rule.reason] for reason in named
        }

    def match(self, reason: str | None, kind: str | None, message: str) -> tuple[Matcher | None, dict[str, str]]:
        """The first rule that is about an event, and what it reads out of the message."""
        for matcher in self._by_reason.get(reason or "", self._any_reason):
            facts = matcher.facts(kind, message)
            if facts is not None:
                return matcher, facts
        return None, {}


@cache
def built_in() -> Rules:
    """The rules that kube9 ships. Raises SpecError when the file is wrong."""
    with open(shipped.path("rules.yaml"), encoding="utf-8") as file:
        return read("rules.yaml", file.read())


def read(name: str, text: str) -> Rules:
    """Read rules from the text of a file. Raises SpecError with every mistake."""
    return Rules(Document(name, text).validate(RulesFile))

"""Which events are recorded: decided by reason and type alone, before an event is normalised."""

from collections.abc import Iterable
from typing import Any

from kube9 import errors, rules

RECORD, ADD, SKIP = "--record", "--record-reason", "--skip-reason"


class Selection:
    """What to record, and the rules for it.

    Args:
        known: the rules, kept as `rules`.
        everything: record whatever there is, and not only what the rules and the defaults say.
        add: reasons to record besides, whatever the type.
        skip: reasons to leave out, whatever the type.

    Raises:
        InvalidArgument: a reason is both added and left out.
    """

    def __init__(
        self, known: rules.Rules, *, everything: bool = False, add: Iterable[str] = (), skip: Iterable[str] = ()
    ) -> None:
        self.rules = known
        self._everything, self._added, self._skipped = everything, frozenset(add), frozenset(skip)
        both = sorted(self._added & self._skipped)
        if both:
            raise errors.InvalidArgument(f"{ADD} and {SKIP} both name {', '.join(both)}", "leave one of them out")
        self._decided = {} if everything else {reason: bool(by.rule.record) for reason, by in known.record.items()}
        self._decided |= dict.fromkeys(self._added, True) | dict.fromkeys(self._skipped, False)

    def recorded(self, source: dict[str, Any]) -> bool:
        """Whether an Event object is recorded. Never fails on its content."""
        try:
            decided = self._decided.get(source.get("reason"))  # type: ignore[arg-type]  # None is no key
        except TypeError:  # a list, which no reason is
            decided = None
        return (self._everything or source.get("type") != "Normal") if decided is None else decided

    def why(self, source: dict[str, Any]) -> str:
        """In words, why an Event object is recorded or not."""
        reason = str(source.get("reason"))
        if reason in self._skipped:
            return f"{SKIP} names {reason}"
        if reason in self._added:
            return f"{ADD} names {reason}"
        if self._everything:
            return f"{RECORD} all takes every event"
        if reason in self.rules.record:
            return f"{self.rules.record[reason].place} says so"
        if source.get("type") != "Normal":
            return "its type is not Normal, and all such events are recorded"
        return "its type is Normal, and no rule says to record its reason"


def select(*, everything: bool, add: Iterable[str] | None = None, skip: Iterable[str] | None = None) -> Selection:
    """A selection by the rules of now, KUBE9_RULES included. Reasons may be joined by commas; raises InvalidArgument."""
    return Selection(rules.load(), everything=everything, add=_reasons(add or ()), skip=_reasons(skip or ()))


def _reasons(given: Iterable[str]) -> list[str]:
    found = [part.strip() for value in given for part in value.split(",")]
    return [reason for reason in found if reason]

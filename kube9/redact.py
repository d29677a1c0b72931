"""Secrets in events: taken out before an event is stored.

Redacted, each secret becoming `[REDACTED]` and all around it staying as it is:

- in `value()`, what stands under a secret's key, whatever its type (`redact_keys` knows which keys are); the `value` of an
  environment variable so named; the argument after a flag so named;
- in `text()`, what stands behind a secret's key (`redact_pairs`), and what is a secret by its form (`redact_forms`).

Never redacted are names, references and settings; the keys of objects; and under a secret's key what holds none: null,
true, false, the empty, a count under a plural (`tokens: 5`), a placeholder (`$(DB_PASSWORD)`), and a reference
(`{"name": "my-tls"}`), which is walked like any other object. No search takes more than linear time, whatever the message
holds, and redacting again changes nothing.
"""

import re
from typing import NamedTuple, TypeAlias

from kube9 import redact_forms, redact_pairs
from kube9.redact_keys import MARK, Key, are_references, no_secret, secret_key

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

DEEPEST = 100  # levels of a value that are looked into; what lies deeper is taken out
TOO_DEEP = "nested too deeply"


class Secret(NamedTuple):
    """A secret that was redacted. Its place is where the mark stands: `line:column`, before it the path in a value."""

    kind: str
    place: str


def text(message: str, found: list[Secret] | None = None) -> str:
    """Redact the secrets in a message; without any, the result is the very object that was given.

    Args:
        message: the text.
        found: takes a `Secret` for each that was redacted, when given.
    """
    # Nearly all messages hold none, and pay for no more than these two tests.
    formed = _may_hold_a_form(message)
    if not formed and not _may_hold_a_key(message):
        return message
    draft = _Draft(message)
    for rule in redact_forms.RULES if formed else redact_forms.KEYED:
        if rule.sign in draft.text:
            draft.replace([(*span, rule.kind) for span in redact_forms.spans(draft.text, rule)])
    draft.replace(redact_pairs.secrets(draft.text))
    if not draft.marks:
        return message
    if found is not None:
        found += draft.secrets()
    return draft.text


def value(data: JSON, found: list[Secret] | None = None) -> JSON:
    """Redact the secrets in a JSON value; without any, the result is the very object that was given.

    What changes is copied: the objects and lists that were given never change.
    """
    return _Walk(found).value(data, "", 0)


# A test for one character costs next to nothing, so in both tests a rare one stands before those for words.
def _may_hold_a_key(message: str) -> bool:
    """Whether the message may hold a secret's key and what joins it to its value."""
    if not (":" in message or "=" in message or "--" in message):
        return False
    low = message.lower()
    if "pass" in low or "secret" in low or "pwd" in low or "cred" in low or "sess" in low or ("=" in low and "sig" in low):
        return True
    if "k" in low and (
        "key" in low or "token" in low or "cookie" in low or "hooks." in low or "webhook" in low or "dockerc" in low
    ):
        return True
    if "-u" in low and ("-u " in low or '-u"' in low or "-user" in low or "curl" in low):
        return True
    return "auth" in low and ("authorization" in low or 'auth"' in low or "auth\\" in low or "auth:" in low or "auth=" in low)


def _may_hold_a_form(message: str) -> bool:
    """Whether the message may hold a secret that its form tells, whatever stands before it."""
    return (
        ("J" in message or "Q" in message or "X" in message or "$" in message or "~" in message or "%" in message)
        or ("@" in message and ("://" in message or message.count("@") != message.count("@sha")))
        or ("_" in message and _UNDERSCORED.search(message) is not None)
        or ("I" in message and ("KIA" in message or "SIA" in message or "AIza" in message))
        or ("A" in message and ":AA" in message)
        or ("}" in message and "SHA}" in message)
        or ("x" in message and ("xox" in message or "xapp-" in message))
        or (
            "K" in message
            and ("SK" in message or "AGE-S" in message or "NRAK-" in message or "SWMTKN-" in message or "K10" in message)
        )
        or ("G" in message and "SG." in message)
        or ("B" in message and "Basic" in message)
        or ("k" in message and "sk-" in message)
        or ("y" in message and ("ya29." in message or "pypi-" in message))
        or (" -" in message and (" -p" in message or " -a" in message or " -w" in message))
        or ("gl" in message or "hv" in message or "earer" in message or "sv1." in message)
    )


_UNDERSCORED = re.compile(r"gh[pousr]_|[po]at_|npm_|k_(?:live|test)_|whsec_|o[opr]_v1_|glsa_|hf_")


def _by_what_it_holds(key: str, item: JSON, fields: dict[str, JSON]) -> Key | None:
    """What is a secret's key where it stands: docker's `auth`, and `pass` beside a user."""
    if key in ("auth", "_auth"):
        return Key("docker config", False) if isinstance(item, str) and redact_forms.is_login(item) else None
    if key.lower() != "pass" or not isinstance(item, str):
        return None
    return Key("password", False) if any(name.lower() in _USERS for name in fields) else None


_USERS = ("user", "username", "login", "email")


class _Draft:
    """A message while its secrets are taken out, and for each mark in it the place and the kind of what was there."""

    __slots__ = ("marks", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.marks: list[tuple[int, str]] = []

    def replace(self, secrets: list[tuple[int, int, str]]) -> None:
        """Put a mark in the place of each secret. They are in order; a mark inside one goes with it."""
        secrets = secrets and [secret for secret in secrets if self.text[secret[0] : secret[1]] != MARK]
        if not secrets:
            return
        parts: list[str] = []
        marks: list[tuple[int, str]] = []
        copied = length = 0
        before = iter(self.marks)
        mark = next(before, None)
        for start, end, kind in secrets:
            while mark and mark[0] < end:
                if mark[0] < start:
                    marks.append((mark[0] - copied + length, mark[1]))
                mark = next(before, None)
            parts += [self.text[copied:start], MARK]
            length += start - copied
            marks.append((length, kind))
            length += len(MARK)
            copied = end
        while mark:
            marks.append((mark[0] - copied + length, mark[1]))
            mark = next(before, None)
        self.text = "".join([*parts, self.text[copied:]])
        self.marks = marks

    def secrets(self) -> list[Secret]:
        """What was taken out, with the line and the column of each mark."""
        found, line, begin, counted = [], 1, 0, 0
        for place, kind in self.marks:
            if breaks := self.text.count("\n", counted, place):
                line += breaks
                begin = self.text.rindex("\n", counted, place) + 1
            counted = place
            found.append(Secret(kind, f"{line}:{place - begin + 1}"))
        return found


class _Walk:
    """A way through a JSON value that copies what it changes, and notes what it found where."""

    def __init__(self, found: list[Secret] | None) -> None:
        self._found = found

    def value(self, data: JSON, place: str, depth: int) -> JSON:
        if isinstance(data, str):
            return self._text(data, place)
        if not isinstance(data, dict | list):
            return data
        if depth == DEEPEST:
            return self._mark(TOO_DEEP, place) if data else data
        return self._object(data, place, depth + 1) if isinstance(data, dict) else self._list(data, place, depth + 1)

    def _text(self, data: str, place: str) -> str:
        if self._found is None:
            return text(data)
        inside: list[Secret] = []
        new = text(data, inside)
        self._found += [Secret(secret.kind, f"{place}:{secret.place}" if place else secret.place) for secret in inside]
        return new

    def _object(self, data: dict[str, JSON], place: str, depth: int) -> JSON:
        name = data.get("name")
        variable = secret_key(name) if isinstance(name, str) and "value" in data else None
        fields = data
        for key, item in data.items():
            under = variable if key == "value" and variable else secret_key(key)
            where = f"{place}.{key}" if place else key
            under = under or _by_what_it_holds(key, item, data)
            new = self._under_secret_key(item, under, where, depth) if under else self.value(item, where, depth)
            if new is not item:
                fields = dict(data) if fields is data else fields
                fields[key] = new
        return fields

    def _list(self, data: list[JSON], place: str, depth: int) -> JSON:
        items = data
        flag: Key | None = None
        for index, item in enumerate(data):
            where = f"{place}[{index}]"
            argument = flag if isinstance(item, str) and not item.startswith("-") else None
            new = self._under_secret_key(item, argument, where, depth) if argument else self.value(item, where, depth)
            if new is not item:
                items = list(data) if items is data else items
                items[index] = new
            flag = secret_key(item) if isinstance(item, str) and item.startswith("--") else None
        return items

    def _under_secret_key(self, item: JSON, key: Key, place: str, depth: int) -> JSON:
        if item is None or isinstance(item, bool) or (key.plural and isinstance(item, int | float)):
            return item
        if isinstance(item, str):
            return item if no_secret(item) else self._mark(key.kind, place)
        if isinstance(item, dict | list):
            parts = item if isinstance(item, list) else [item]
            if all(isinstance(part, dict) and are_references([*part]) for part in parts):
                return self.value(item, place, depth)
        return self._mark(key.kind, place)

    def _mark(self, kind: str, place: str) -> str:
        if self._found is not None:
            self._found.append(Secret(kind, place))
        return MARK

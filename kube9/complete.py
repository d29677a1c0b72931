"""What may stand at the end of an unfinished command line, for the shells: the scripts in completions/ ask here.

`kube9 __complete WORDS…` gets the words behind the program's name up to the one being typed, and writes a line that says
what follows, then one candidate a line, where a tab parts it from its description. It never fails and says nothing else.
"""

import os
import sys
import time

from kube9 import kubectl, plan, shipped, store
from kube9.fixed_commands import COMMANDS, GROUPS, SHELLS

# The first line of an answer: whole words, words that go on, or that the shell shall complete the names of files.
WORDS, BEGINNINGS, FILES = "words", "beginnings", "files"
LIMIT_S = 1.0  # for asking the database
MOST = 200  # candidates out of the database
MOST_READ = 10_000  # values that are looked through for them
MOST_LOOKED_AT = 4000  # names of objects and rows that are, each a step by an index: 20 ms
PROGRESS_STEPS = 1000

TIMES = {
    "5m": "the last 5 minutes",
    "1h": "the last hour",
    "24h": "the last 24 hours",
    "7d": "the last 7 days",
    "today": "since midnight UTC",
    "yesterday": "since midnight UTC of the day before",
}
DURATIONS = ("5s", "30s", "1m", "5m", "1h", "1d")
PERCENTAGES = ("90%", "99%", "99.9%", "100%")
HELP = plan.param("boolean", flags=["--help"], aliases=["-h"], doc="show what is possible")
FAR = plan.param("string", flags=["--operator-namespace"], doc=kubectl.OPTIONS["--operator-namespace"][1])
VERSION = plan.param("boolean", flags=["--version"], doc="show the version of kube9")

# The names of the objects of a kind, and of those that own others. Names are looked at one after another by the index,
# whatever their kind is, but only so many; a kind or namespace of few rows is read whole, and the newest rows of one of many.
NAMES = f"""
WITH RECURSIVE
  name (value) AS (
    SELECT min(object_name) FROM events INDEXED BY idx_events_object WHERE object_name >= :begin
    UNION ALL
    SELECT (SELECT min(object_name) FROM events INDEXED BY idx_events_object WHERE object_name > name.value)
    FROM name WHERE substr(name.value, 1, length(:begin)) = :begin
    LIMIT {MOST_LOOKED_AT}
  ),
  newest (kind, namespace, value) AS (
    SELECT * FROM (SELECT object_kind, object_namespace, object_name FROM events INDEXED BY idx_events_kind
                   WHERE object_kind = :kind ORDER BY last_seen_at DESC LIMIT {MOST_LOOKED_AT})
    UNION ALL
    SELECT * FROM (SELECT object_kind, object_namespace, object_name FROM events INDEXED BY idx_events_namespace
                   WHERE object_namespace = :namespace ORDER BY last_seen_at DESC LIMIT {MOST_LOOKED_AT})
  ),
  owner (value) AS (
    SELECT min(owner_name) FROM events INDEXED BY idx_events_owner
    WHERE owner_kind = :kind AND owner_name IS NOT NULL AND owner_name >= :begin AND :namespace IS NULL
    UNION ALL
    SELECT (SELECT min(owner_name) FROM events INDEXED BY idx_events_owner
            WHERE owner_kind = :kind AND owner_name IS NOT NULL AND owner_name > owner.value)
    FROM owner WHERE substr(owner.value, 1, length(:begin)) = :begin
  )
SELECT value
FROM name
WHERE CASE WHEN :namespace IS NULL
      THEN EXISTS (SELECT 1 FROM events INDEXED BY idx_events_object
                   WHERE object_name = name.value AND object_kind = :kind)
      ELSE EXISTS (SELECT 1 FROM events INDEXED BY idx_events_object
                   WHERE object_name = name.value AND object_kind = :kind AND object_namespace = :namespace) END
UNION ALL
SELECT value FROM owner WHERE value IS NOT NULL
UNION ALL
SELECT value
FROM newest
WHERE kind = :kind AND (:namespace IS NULL OR namespace = :namespace) AND substr(value, 1, length(:begin)) = :begin
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from kube9.plan import Plan

    Found = tuple[str, Iterable[tuple[str, str]]]  # the first line, and each candidate with its description


def script(shell: str) -> str:
    """The script for a shell. Raises OSError when it is not there."""
    with open(os.path.join(shipped.PACKAGE, "completions", SHELLS[shell]), encoding="utf-8") as file:
        return file.read()


def complete(words: list[str], find: "Callable[[list[str]], Found] | None" = None) -> int:
    """Write what may stand in the place of the last word, as `find` or `candidates` knows. Returns 0, whatever they are."""
    try:
        first, found = (find or candidates)(words)
        lines = [first]
        for value, about in found:
            if value.isprintable():  # one with a line break would be two, and no shell shows an escape sequence rightly
                lines.append("\t".join(part for part in (value, " ".join(about.split())) if part))
        if len(lines) > 1 or first == FILES:
            sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
            sys.stdout.buffer.flush()
    except Exception:  # noqa: BLE001, S110 - a shell that waits for candidates has no place for an error
        pass
    return 0


def candidates(words: list[str]) -> "Found":
    """What may stand in the place of the last word: what kind of candidates, and each with its description."""
    *before, word = words or [""]
    if before[:2] == ["spec", "show"]:
        before = ["query", *before[2:]]
    commands = {**{f"query {name}": query for name, query in _queries().items()}, **COMMANDS}
    path: list[str] = []
    for name in before:
        longer = " ".join([*path, name])
        if longer not in commands and not any(command.startswith(f"{longer} ") for command in commands):
            break
        path.append(name)
    command, rest = commands.get(" ".join(path)), before[len(path) :]
    if command:
        return _Line(command, rest).candidates(word)
    if rest or (word.startswith("-") and not path):  # without a command kube9 records, as `serve` does
        top = {"params": COMMANDS["serve"]["params"] | {"operator_namespace": FAR, "version": VERSION}}
        return _Line(top, rest).candidates(word) if not path else (WORDS, ())
    if word.startswith("-"):
        return offered(word, [("--help", str(HELP["doc"]))])
    return offered(word, _below(commands, path))


def _queries() -> "Plan":
    """The queries of the plan; where there is none yet, the first TAB compiles it."""
    found = plan.load()
    if found is None:
        from kube9 import fresh

        found = fresh.current()
    return plan.Plan(found["queries"])


def _below(commands: "dict[str, Plan]", path: list[str]) -> "Iterator[tuple[str, str]]":
    """The next words of commands behind a path."""
    seen = set()
    for name, command in commands.items():
        parts = name.split(" ")
        if parts[: len(path)] != path or command.get("deprecated") or parts[len(path)] in seen:
            continue
        seen.add(parts[len(path)])
        group = " ".join(parts[: len(path) + 1])
        about = str(command["summary"]) if group == name else GROUPS.get(group, f"Ask about {parts[len(path)]}")
        yield parts[len(path)], about.removesuffix(".")
    if not path:
        yield from ((name, about) for name, about in GROUPS.items() if name not in seen)


class _Line:
    """The words behind a command, as far as they are typed."""

    def __init__(self, command: "Plan", words: list[str]) -> None:
        self.params: Plan = {**command["params"], **command.get("options", {}), "help": HELP}
        self.flags = {flag: key for key, param in self.params.items() for flag in (*param["flags"], *param["aliases"])}
        self.positions = [key for key, param in self.params.items() if not param["flags"]]
        self.given: dict[str, list[str]] = {}
        self.waiting: str | None = None  # the option whose value comes next
        self.ended = False  # by --, behind which nothing is an option
        for word in words:
            self._read(word)

    def _read(self, word: str) -> None:
        flag, equals, value = word.partition("=")
        if self.waiting:
            self.given[self.waiting].append(word)
            self.waiting = None
        elif word == "--" and not self.ended:
            self.ended = True
        elif self.ended or word[:1] != "-" or word == "-":
            if self.positions:
                self.given.setdefault(self.positions[0], []).append(word)
                if not self.params[self.positions[0]]["many"]:
                    self.positions.pop(0)
        elif key := self.flags.get(flag):
            self.given.setdefault(key, [])
            if equals:
                self.given[key].append(value)
            elif self.params[key]["type"] != "boolean":
                self.waiting = key

    def candidates(self, word: str) -> "Found":
        """What may stand in the place of a word behind those that were read."""
        if self.waiting:
            return self._values(self.waiting, word)
        flag, equals, value = word.partition("=")
        if equals and not self.ended and flag[:2] == "--":
            if flag not in self.flags:
                return WORDS, ()
            first, found = self._values(self.flags[flag], value)
            return first, [(f"{flag}={candidate}", about) for candidate, about in found]
        if word[:1] == "-" and not self.ended:
            return offered(word, self._options())
        if self.positions:
            return self._values(self.positions[0], word)
        return (WORDS, ()) if word or self.ended else offered("--", self._options())

    def _options(self) -> "Iterator[tuple[str, str]]":
        """The options that can still be given."""
        barred = {other for key in self.given for other in self.params[key]["excludes"]}
        for key, param in self.params.items():
            again = key not in self.given or param["many"]
            excluded = key in barred or any(other in self.given for other in param["excludes"])
            if again and not excluded and not param["deprecated"]:
                for flag in param["flags"]:
                    yield flag, str(param["doc"])

    def _values(self, key: str, word: str) -> "Found":
        """What may be the value of a parameter, where a part of it is typed."""
        param = self.params[key]
        given = [part for value in self.given.get(key, []) for part in value.split(",")] if param["many"] else []
        if key == "db" or param["type"] == "file":
            return FILES, ()
        if param["choices"]:
            done, comma, last = word.rpartition(",") if param["many"] else ("", "", word)
            left = [choice for choice in param["choices"] if choice not in (*given, *done.split(","))]
            first, found = offered(last, [(choice, "") for choice in left])
            return first, [(f"{done}{comma}{choice}", about) for choice, about in found]
        if param["type"] == "time":
            return offered(word, list(TIMES.items()))
        for kind, texts in (("duration", DURATIONS), ("percentage", PERCENTAGES)):
            if param["type"] == kind:
                return offered(word, [(text, "") for text in texts])
        if param["parts"] and len(param["parts"]) == 2 and param["parts"][0][1]["known"]:
            return self._object(param["parts"][0][1], word)
        if param["known"]:
            return offered(word, [(value, "") for value in self._known(param) if value not in given], MOST)
        return WORDS, ()

    def _known(self, param: "Plan") -> list[str]:
        """The values that the database has."""
        return self._read_database(str(param["known"]), {}, MOST_READ)

    def _object(self, of: "Plan", word: str) -> "Found":
        """The kind of an object with the slash behind it, or the object behind the slash."""
        kind, slash, name = word.partition("/")
        known = self._known(of)
        spellings = of["spellings"] or {}
        if not slash:
            first, found = offered(word, [(f"{value.lower()}/", "") for value in known])
            if not found and spellings.get(word.lower()) in known:
                found = [(f"{word}/", spellings[word.lower()])]
            return (BEGINNINGS if first == WORDS else first), found
        forms = (kind.lower(), kind.lower().removesuffix("s"))
        stored = spellings.get(forms[0]) or next((value for value in known if value.lower() in forms), kind)
        namespace = self.given.get("object_namespace", [])[-1:]
        parameters = {"kind": stored, "namespace": namespace[0] if namespace else None, "begin": name}
        names = self._read_database(NAMES, parameters, MOST)
        return WORDS, [(f"{kind}/{value}", "") for value in sorted(names) if value.startswith(name)]

    def _read_database(self, sql: str, parameters: "dict[str, Any]", most: int) -> list[str]:
        """At most so many different texts that a statement finds, as many as there are within the time limit."""
        named = self.given.get("db", [])[-1:]
        found: dict[str, None] = {}
        deadline = time.monotonic() + LIMIT_S
        path = store.database_path(os.path.expandvars(os.path.expanduser(named[0])) if named else None)
        with store.open_reader(path, LIMIT_S) as reader:
            reader.connection.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
            try:
                for (value,) in reader.connection.execute(sql, parameters):
                    if isinstance(value, str) and value and value.isprintable():
                        found[value] = None
                    if len(found) >= most:
                        break
            except store.Error:
                pass  # what was found in time is better than nothing
        return list(found)


def offered(word: str, choices: "Iterable[tuple[str, str]]", most: int = MOST_READ) -> "Found":
    """The choices that begin as a word does; when none does, those that begin so in another case."""
    choices = list(choices)
    found = [choice for choice in choices if choice[0].startswith(word)]
    if not found:
        found = [choice for choice in choices if choice[0].lower().startswith(word.lower())]
    return WORDS, found[:most]

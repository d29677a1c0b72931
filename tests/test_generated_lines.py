"""Command lines made at random, right and wrong, run in one process: each is answered or refused in the one form.

KUBE9_LINES says how many, KUBE9_SEED which ones.
"""

import contextlib
import io
import json
import os
import random
import string
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT, Kube9, make_event, rows

from kube9 import __main__, argv, cli, compiler, errors, explain, fixed_commands, plan, query

LINES, SEED = int(os.environ.get("KUBE9_LINES", "2000")), int(os.environ.get("KUBE9_SEED", "9"))
LONG_RUN = LINES > 10_000
# A line that the fast reader does not take costs ten times as much, so a long run has fewer of them.
ODD_SHARE, OTHER_SHARE = (0.008, 0.002) if LONG_RUN else (0.4, 0.1)
READ_TWICE = 1000 if LONG_RUN else 10  # of so many lines, one that the fast reader takes is read the full way too
SLOW_SHARE = 0.05 if LONG_RUN else 1  # of the long answer of `capabilities`, and of the formats that take a library
SHOWN, SAID_EVERY = 30, 25_000

PLAN = compiler.compile_text("queries.yaml", (ROOT / "queries.yaml").read_text(), "key")
NAMES = ["web-0", "api-7f9c", "node-1", "prod", "kube-system", "BackOff", "kubelet", "Certificate", "x"]
PLAIN = [
    "0", "1", "3", "1000", "1001", "-1", "9223372036854775807", "9223372036854775808", "99999999999999999999", "1e3", "0x10",
    "٣", "1.5", "nan", "inf", "true", "false", "null", "None", "error", "ERROR", "eror", "error,info", "error,", ",", "cluster",
    "Normal", "warning", "pod/web-0", "po/web-0", "deploy/web", "pod/", "/web", "a/b/c", "pods.v1.core/x", "1h", "24h", "90s",
    "1h30m", "30m1h", "999999999999w", "99999w", "0s", "1ms", "now", "today", "yesterday", "tomorrow", "2026-03-01",
    "2026-02-30", "0001-01-01", "9999-12-31", "10000-01-01", "2026-03-01T10:00:00Z", "2026-03-01T10:00:00.123456789+05:30",
    "2026-03-01T25:00Z", "last_seen_at", "created_at", "id,title", "namespace,kind", "json", "yaml", "table", "wide", "jsonl",
    "csv", "name", "xml", "auto", "always", "0.0", "a.b", "1.f", "ffffffffffffffff.0", "00", "0a1b2c3d",
    "evt_20260301_100000_000000",
]  # fmt: skip
ATTACKS = [
    "' OR '1'='1", "' OR 1=1 --", "\" OR \"\"=\"", "1; DROP TABLE events; --", "') UNION SELECT * FROM events --", ";--",
    "/* */", "*/ -- /*", "%", "_", "%%", "\\", "\\'", "%' ESCAPE '", ":limit", ":since", "?1", "@x", "$x", "{filters}", "{}",
    "{0}", "%s", "%(x)s", "${HOME}", "$(id)", "`id`", "[1]", '["error"]', '{"a": 1}', "@/etc/passwd", "=", "==", "a=b", "*",
    "~", "..", "'", '"', "`", "x'41'", "0x41", "char(65)", "NULL", "sqlite_master", "load_extension('x')", "ATTACH 'x' AS y",
    "PRAGMA user_version",
]  # fmt: skip
STRANGE = [
    "", " ", "\t", "\n", "a\nb", "\r\n", "\x01", "\x07", "\x1b[31mred\x1b[0m", "\x1f", "\x7f", "\x80", "\ufeff", "\ufffd",
    "\u202e", "\u200b", "\u2019 OR 1=1", "\uff07", "ä", "a\u0308", "İ", "ß", "日本", "🔥", "👩‍👩‍👧", "\U0010ffff", "\ud800",
    "\udc80", "a\udcffb", "\udcc3\udca4", "—help", "–limit", "−1",
]  # fmt: skip
LONG = [
    "x" * 300, "x" * 10_000, "x" * 10_001, "x" * 70_000, "🔥" * 10_000, "%" * 10_000, "9" * 5000,
    "2026-03-01T10:00:00." + "1" * 5000, "1h" * 3000, "error," * 2000 + "info", "pod/" + "y" * 10_000, "/" * 5000, "'" * 9999,
    "\\" * 9999,
]  # fmt: skip
DASHES = [
    "-", "--", "---", "-x", "-1", "-1h", "-n", "-o", "-w", "-nprod", "-n=prod", "-wn", "-ojson", "--help", "-h", "--version",
    "--nope", "--nope=x", "--=x", "-=x", "--limit=", "--limit", "--type", "--db", "--db=", "--no-all", "--no-no-headers",
    "--all=true", "--all=false", "--watch=1", "--LIMIT", "--severty", "--sever", "--object_kind", "--empty-type",
    "--kube-config",
]  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Kube9:
    """A few events, so that an answer is quick."""
    runner = Kube9(tmp_path_factory.mktemp("small"), cache)
    made = [make_event(f"{name}.1", involvedObject={"kind": "Pod", "name": name, "namespace": "prod"}) for name in NAMES]
    runner.record(*made)
    assert runner.query("status").code == 0  # and the plan is kept, without which there is no fast way
    return runner


class Generator:
    """Makes command lines; the same seed makes the same ones."""

    def __init__(self, seed: int, db: str, ids: list[str], folder: Path) -> None:
        self.random, self.db, self.ids = random.Random(seed), db, ids
        self.files = [str(folder / name) for name in ("missing.json", "no", "x.db")] + [
            str(folder),
            "/dev/null",
            str(ROOT / "queries.yaml"),
        ]

    def line(self) -> list[str]:
        """A line: a plain query, one with something odd in it, or another command."""
        kind = self.random.random()
        if kind < OTHER_SHARE:
            return self.other()
        words = self.plain()
        return self.spoiled(words) if kind < OTHER_SHARE + ODD_SHARE else words

    def plain(self) -> list[str]:
        """A query with known flags, each with a value that is right or wrong."""
        slow = self.random.random() < SLOW_SHARE
        name = self.random.choice([name for name in PLAN["queries"] if slow or name != "capabilities"])
        declared = PLAN["queries"][name]
        params = declared["params"] | declared["options"]
        parts = [["--db", self.db]] if self.random.random() < 0.5 else []
        named = [key for key, param in params.items() if param["flags"] and key != "db" and (slow or key != "format")]
        for key in self.random.sample(named, self.random.randint(0, min(4, len(named)))):
            param = params[key]
            for _ in range(self.random.choice([1, 1, 2]) if param["many"] else 1):
                flag = self.random.choice(param["flags"] + param["aliases"])
                if param["type"] == "boolean":
                    parts.append([flag])
                    break
                value = self.value(param) or "x"
                value = value.lstrip("-") or "x"
                parts.append([f"{flag}={value}"] if flag[:2] == "--" and self.random.random() < 0.4 else [flag, value])
        parts += [[self.value(param).lstrip("-") or "x"] for param in params.values() if not param["flags"]]
        self.random.shuffle(parts)
        return ["query", *name.split(), *(word for part in parts for word in part)]

    def value(self, param: dict) -> str:
        """A value, more often than not one of the right kind."""
        pick, chance = self.random.choice, self.random.random()
        if chance > 0.6:
            return self.word()
        if param["choices"]:
            found = [pick(param["choices"]) for _ in range(self.random.choice([1, 1, 2, 3]) if param["many"] else 1)]
            return ",".join(found)
        if param["spellings"] or param["parts"]:
            kind = pick([*PLAN["types"]["Kind"]["spellings"], "certificates", "Thing"])
            return f"{kind}/{pick(NAMES)}" if param["parts"] else kind
        return {
            "integer": lambda: str(self.random.randint(0, 1100)),
            "time": lambda: pick(["24h", "7d", "2026-03-01", "2026-03-01T10:00:00Z", "yesterday"]),
            "duration": lambda: pick(["1h", "5m", "30s", "1s"]),
        }.get(param["type"], lambda: pick([*NAMES, *self.ids]))()

    def word(self) -> str:
        """A word of any kind."""
        chance, pick = self.random.random(), self.random.choice
        if chance < 0.35:
            return pick(PLAIN)
        if chance < 0.6:
            return pick(ATTACKS)
        if chance < 0.75:
            return pick(STRANGE)
        if chance < 0.76:
            return pick(LONG)
        if chance < 0.88:
            return "".join(self.random.choices(string.printable[:95] + "\t\n\x0b", k=self.random.randint(1, 12)))
        points = (self.random.choice([self.random.randint(1, 0x2FF), self.random.randint(1, 0x10FFFF)]) for _ in range(5))
        return "".join(map(chr, points))

    def spoiled(self, words: list[str]) -> list[str]:
        """The line with words put in, taken out, doubled, split and changed."""
        words = list(words)
        for _ in range(self.random.randint(1, 3)):
            if not words:
                break
            at = self.random.randint(0 if self.random.random() < 0.1 else 1, len(words))
            found = words[at - 1]
            change = self.random.randrange(8)
            if change <= 2:
                words.insert(at, self.random.choice(DASHES) if change else self.word())
            elif change == 3:
                del words[at - 1]
            elif change == 4:
                words[at - 1] = found[: self.random.randint(0, len(found))]
            elif change == 5:
                words += words[at:] or words[-1:]
            elif change == 6:
                words[at - 1] = found + self.random.choice(["=", "=x", " ", "x", "\n", "\udc80", "--"])
            else:
                words[at - 1 : at] = list(found.partition("="))
        return words

    def other(self) -> list[str]:
        """A command that is no query, or none at all."""
        known = [name.split() for name in fixed_commands.COMMANDS]
        chance = self.random.random()
        if chance < 0.2:
            return [self.word() for _ in range(self.random.randint(0, 4))]
        if chance < 0.3:
            return [
                *self.random.choice([[], ["query"], ["query", "events"], ["db"], ["spec"], *known]),
                self.random.choice(["--help", "-h"]),
            ]
        flags = ["--db", "--format", "-o", "--kubeconfig", "--context", "--log-level", "--cluster", "--own", *DASHES]
        words = list(self.random.choice(known))
        for _ in range(self.random.randint(0, 3)):
            words.append(
                self.random.choice([self.random.choice(flags), self.word(), self.random.choice(self.files), *self.plain()[1:3]])
            )
        return words


class Streams:
    """What is written to standard output and error, which are real files, since kube9 uses their descriptors."""

    def __init__(self) -> None:
        self.files = [self._made(errors) for errors in ("strict", "backslashreplace")]  # as Python opens the real ones

    def __enter__(self) -> "Streams":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            file.close()

    @staticmethod
    def _made(on_error: str) -> io.TextIOWrapper:
        return io.TextIOWrapper(tempfile.TemporaryFile(), encoding="utf-8", errors=on_error, write_through=True)

    def __call__(self, run, *arguments) -> tuple[object, bytes, str]:
        """Call and return what came back and what was written."""
        for place, file in enumerate(self.files):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(os.devnull)):  # kube9 gave it up
                file.close()
                file = self.files[place] = self._made(file.errors)
            file.seek(0)
            file.truncate()
        with contextlib.redirect_stdout(self.files[0]), contextlib.redirect_stderr(self.files[1]):
            found = run(*arguments)
        written = []
        for file in self.files:
            file.flush()
            file.buffer.seek(0)
            written.append(file.buffer.read())
        return found, written[0], written[1].decode()


def as_main(words: list[str]) -> tuple[bool, int]:
    """Run a line as `__main__.main` does. Returns whether the fast way took it, and the exit code."""
    code = __main__.first_try(words) if words[:1] == ["query"] else None
    return (False, cli.run(words)) if code is None else (True, code)


def the_full_way(words: list[str]) -> object:
    try:
        return cli.read(PLAN, words)
    except errors.InvalidArgument as error:
        return error


def complaint(code: int, out: bytes, err: str) -> str:
    """What is wrong with an answer; nothing where it is as it must be."""
    if code not in (0, 1, 2, 3):
        return f"exit code {code}"
    if code and out:
        return f"exit code {code}, and standard output has {out[:200]!r}"
    if "Traceback" in err or "Error:" in err:
        return "a traceback"
    if not code:
        return ""
    if not err.strip():
        return f"exit code {code} without a word"
    last = err.rstrip("\n").rpartition("\n")[2]
    if last.startswith("{"):
        said = json.loads(last)
        if not {"error", "details", "code"} <= said.keys() or not said["error"]:
            return f"an error without its parts: {last[:200]}"
        return "" if (code != 1) == (said["code"] in cli.EXIT_CODES) else f"exit code {code} for {said['code']}"
    return "" if err.startswith("error: ") or ":1:" in err else f"neither JSON nor an error in words: {err[:200]!r}"


def sql_of_the_spec() -> str:
    """All the SQL that a query can be made of, with no value in it."""
    found = ["SELECT count(*) FROM (SELECT 1 LIMIT 10001) AND LIMIT :limit OFFSET :offset ORDER BY WHERE GROUP INDEXED NULL AS"]

    def walk(part: object) -> None:
        for below in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            walk(below)
        if isinstance(part, dict):
            found.extend(map(str, part))
        elif not isinstance(part, list):
            found.append(str(part))

    for declared in PLAN["queries"].values():
        for key in ("columns", "source", "fixed", "where", "group", "orders", "arrivals", "fields"):
            walk(declared[key])
    return "\n".join(found).lower()


@pytest.mark.scenario("CLI-17", "SPEC-04")
def test_every_generated_line_is_answered_or_refused_in_the_one_form(
    small: Kube9, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    for name in ("KUBECONFIG", "KUBE9_QUERIES", "KUBERNETES_SERVICE_HOST", "XDG_DATA_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (small.env | {"DB_PATH": str(small.db.parent)}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["kube9"])
    ended, writing = os.pipe()  # --watch ends when standard input does
    os.close(writing)
    monkeypatch.setattr(sys, "stdin", os.fdopen(ended))

    sent: list[str] = []

    def collected(declared: dict, part: str, values: dict) -> tuple[str, dict]:
        sql, parameters = join(declared, part, values)
        sent.append(sql)
        return sql, parameters

    join = query.statement
    monkeypatch.setattr(query, "statement", collected)
    monkeypatch.setattr(explain, "statement", collected)

    if LONG_RUN:  # loading takes as long as the rest of a line; test_plan.py tries it
        loaded = plan.load()
        assert loaded
        monkeypatch.setattr(plan, "load", lambda: loaded)
    own_sql, tally, problems = sql_of_the_spec(), Counter(), []
    generator = Generator(SEED, str(small.db), [key for (key,) in rows(small.db, "SELECT id FROM events")], tmp_path)
    before = rows(small.db, "SELECT * FROM events ORDER BY id")
    with sys.stdin, Streams() as streams:
        for number in range(LINES):
            words = generator.line()
            sent.clear()
            try:
                (fast, code), out, err = streams(as_main, words)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - none may come out
                problems.append(f"{shown(words)} gave {type(error).__name__}: {error}")
                continue
            if problem := complaint(code, out, err):
                problems.append(f"{shown(words)}: {problem}")
            tally[f"{'fast' if fast else 'full'} way, exit code {code}"] += 1
            tally["statements"] += len(sent)
            texts = "\n".join(sent).lower()
            parts = {part for word in words for part in (word, word.partition("=")[2], *word.split(",")) if len(part) > 3}
            if found := [part for part in parts if part.lower() in texts and part.lower() not in own_sql]:
                problems.append(f"{shown(words)}: {found} is part of the SQL")
            if fast and number % READ_TWICE == 0:
                request = argv.read(PLAN, words)
                full, *_ = streams(the_full_way, words)
                if not isinstance(full, cli.Request) or (full.query, full.given, full.options) != request:
                    problems.append(f"{shown(words)}: the full way reads {full}")
                tally["read both ways"] += 1
            if LONG_RUN and (number + 1) % SAID_EVERY == 0:
                with capsys.disabled():
                    print(
                        f"\n{number + 1:,} lines of seed {SEED}: {dict(sorted(tally.items()))}, {len(problems)} problems",
                        flush=True,
                    )
                    print(*problems[-3:], sep="\n", flush=True)
    assert not problems, f"{len(problems)} of {LINES} lines:\n" + "\n".join(problems[:SHOWN])
    assert rows(small.db, "SELECT * FROM events ORDER BY id") == before
    assert tally["statements"] > LINES / 10
    assert min(tally["fast way, exit code 0"], tally["fast way, exit code 1"]) > LINES / 20
    assert min(tally["full way, exit code 0"], tally["full way, exit code 1"]) > LINES / 5000


def shown(words: list[str]) -> str:
    return ascii([word if len(word) < 80 else f"{word[:40]}… of {len(word)}" for word in words])


@pytest.mark.scenario("CLI-17")
@pytest.mark.parametrize("length", ["999999999999w", "99999999999999d", "15250284453w"])
def test_an_interval_longer_than_sqlite_can_count_is_refused(small: Kube9, length: str):
    done = small.query("events", "timeline", "--interval", length)
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")

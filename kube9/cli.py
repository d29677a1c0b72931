"""The command line: run once, its mistakes told on stderr, its outcome an exit code.

Exit codes are known here alone: 0 done, 1 any other error, 2 time limit, 3 permission. `kube9.__main__` has 130, interrupted.
"""

import json
import os
import sys
from collections.abc import Callable
from difflib import get_close_matches

import cyclopts

from kube9 import commands, errors, fresh, plan, render, streams
from kube9.answer import answer
from kube9.application import Request, application, program
from kube9.kubectl import OPTIONS

EXIT_CODES = {"DEADLINE_EXCEEDED": 2, "PERMISSION_DENIED": 3}


def run(words: list[str]) -> int:
    """Run a command line the full way. Returns the exit code; nothing but KeyboardInterrupt is raised."""
    wants = format_of(words)
    try:
        compiled = fresh.current()
        found = read(compiled, words)
        if isinstance(found, Request):
            wants = found.options.get("format", wants)
            answer(compiled, found.query, found.given, found.options, hung(wants))
            return 0
        if sys.stdout is not None:
            sys.stdout.flush()  # help and version, which cyclopts writes
        return found or 0
    except errors.Kube9Error as error:
        return fail(error, wants)
    except OSError as error:
        streams.give_up_stdout()
        if error.errno == streams.EPIPE:
            return 0
        what = f"{error.filename} cannot be used" if error.filename else "the output could not be written"
        return fail(errors.Unavailable(what, str(error.strerror)), wants)
    except SystemExit:  # rich, when the reader of the help has gone away
        streams.give_up_stdout()
        return 0


def hung(wants: str) -> Callable[[], None]:
    """What ends the process when SQLite does not come back by itself."""
    return lambda: os._exit(fail(errors.DeadlineExceeded("the time limit passed", "ask for less, or raise --timeout"), wants))


def read(compiled: plan.Plan, words: list[str]) -> Request | int | None:
    """Read the words after the program's name and run the command; a query is read only, and returned.

    Raises:
        InvalidArgument: the words are no command.
    """
    app = application(compiled)
    if words[:1] == ["import"] or words[:2] == ["rules", "test"]:
        words = [commands.STDIN if word == "-" else word for word in words]
    _known_command(app, words, compiled)
    try:
        result: Request | int | None = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.UnusedCliTokensError as error:
        stray = " ".join(error.unused_tokens or [])
        command = " ".join([program(), *(error.command_chain or ())])
        advice = f"is the value of the option before it missing? `{command} --help` shows what is possible"
        raise errors.InvalidArgument(f'unexpected "{stray}"', advice) from None
    except cyclopts.CycloptsError as error:
        if isinstance(error, cyclopts.UnknownOptionError) and words[0] == "query":
            _known_before_it(error.token.keyword or "")
        message = " ".join(str(error).split())
        command = " ".join([program(), *(error.command_chain or ())])
        raise errors.InvalidArgument(message, f"`{command} --help` shows what is possible") from None
    return result


def _known_command(app: cyclopts.App, words: list[str], compiled: plan.Plan) -> None:
    """Raise InvalidArgument where the words name no command, with the nearest that is one."""
    at = app
    for index, word in enumerate(words):
        known = [name for name in at if not name.startswith("-")]
        if index and words[0] == "query":
            _known_before_it(word)
        if word.startswith("-") and any(later in known for later in words[index + 1 :]):
            details = f"options go behind it: {program()} query events list {word} …"
            raise errors.InvalidArgument(f"{word} stands before the command", details)
        if word.startswith("-") or not known:
            return
        if word not in known:
            near = get_close_matches(word, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            asked = [name for name in compiled["queries"] if word in name.split()]
            if asked and not index:
                hint = f"; did you mean {program()} query {asked[0]}?"
            details = f"there are {', '.join(known)}"
            if words[0] == "query" and compiled["problems"]:
                details += "\nfiles of KUBE9_QUERIES that are left out:\n" + "\n".join(compiled["problems"])
            raise errors.InvalidArgument(f'no command "{" ".join(words[: index + 1])}"{hint}', details)
        at = at[word]


def _known_before_it(word: str) -> None:
    """Raise InvalidArgument where the word is an option that says whom to ask, which `kube9.laptop` reads."""
    flag = word.partition("=")[0]
    if flag in OPTIONS:
        raise errors.InvalidArgument(
            f"{flag} goes before `query`", f"kube9 {flag} … query …, or kubectl kube9 {flag} … query …"
        )


def fail(error: errors.Kube9Error, wants: str) -> int:
    """Write an error to stderr, as one JSON object unless the answer would have been for people. Returns the exit code."""
    if wants in render.PEOPLE:
        lines = [f"error: {error.message}", *(f"  {line}" for line in error.details.splitlines())]
        streams.say("\n".join(_printable(line) for line in lines))
    else:
        said = {"error": error.message, "details": error.details, "code": error.code, **error.fields}
        streams.say(json.dumps(said, ensure_ascii=False))
    return EXIT_CODES.get(error.code, 1)


def format_of(words: list[str]) -> str:
    """How an error is to be written, told from words that may be no command at all."""
    chosen = "json" if words[:1] == ["query"] else "text"
    if words[:1] in ([], ["serve"]) and os.environ.get("LOG_FORMAT") == "json":
        chosen = "json"
    for index, word in enumerate(words):
        flag, _, value = word.partition("=")
        if flag in ("--format", "-o", "--log-format"):
            chosen = value or next(iter(words[index + 1 :]), "")
        elif word.startswith("-o") and len(word) > 2:
            chosen = word[2:]
    return chosen


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)

"""The command line, grown from the plan: commands, options, help, exit codes, and all that goes to stderr.

Exit codes are known here alone: 0 done, 1 any other error, 2 time limit, 3 permission. `kube9.__main__` has 130, interrupted.
"""

import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, NamedTuple

import cyclopts
from cyclopts import Parameter

from kube9 import bind, commands, errors, fresh, plan, render
from kube9.answer import answer
from kube9.version import __version__

ALIAS = "__alias"  # in the name of a parameter that is another spelling of one, which help does not show
EXIT_CODES = {"DEADLINE_EXCEEDED": 2, "PERMISSION_DENIED": 3}


class Request(NamedTuple):
    """A query as it was asked: its plan, and what was given for its parameters and for the common options."""

    query: dict[str, Any]
    given: dict[str, Any]
    options: dict[str, Any]


def run(words: list[str]) -> int:
    """Run a command line the full way. Returns the exit code; nothing but KeyboardInterrupt is raised."""
    wants = _format_of(words)
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
        render.give_up_stdout()
        if error.errno == render.EPIPE:
            return 0
        what = f"{error.filename} cannot be used" if error.filename else "the output could not be written"
        return fail(errors.Unavailable(what, str(error.strerror)), wants)
    except SystemExit:  # rich, when the reader of the help has gone away
        render.give_up_stdout()
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
        command = " ".join([_program(), *(error.command_chain or ())])
        advice = f"is the value of the option before it missing? `{command} --help` shows what is possible"
        raise errors.InvalidArgument(f'unexpected "{stray}"', advice) from None
    except cyclopts.CycloptsError as error:
        message = " ".join(str(error).split())
        command = " ".join([_program(), *(error.command_chain or ())])
        raise errors.InvalidArgument(message, f"`{command} --help` shows what is possible") from None
    return result


def _known_command(app: cyclopts.App, words: list[str], compiled: plan.Plan) -> None:
    """Raise InvalidArgument where the words name no command, with the nearest that is one."""
    at = app
    for index, word in enumerate(words):
        known = [name for name in at if not name.startswith("-")]
        if word.startswith("-") and any(later in known for later in words[index + 1 :]):
            details = f"options go behind it: {_program()} query events list {word} …"
            raise errors.InvalidArgument(f"{word} stands before the command", details)
        if word.startswith("-") or not known:
            return
        if word not in known:
            near = get_close_matches(word, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            asked = [name for name in compiled["queries"] if word in name.split()]
            if asked and not index:
                hint = f"; did you mean {_program()} query {asked[0]}?"
            details = f"there are {', '.join(known)}"
            if words[0] == "query" and compiled["problems"]:
                details += "\nfiles of KUBE9_QUERIES that are left out:\n" + "\n".join(compiled["problems"])
            raise errors.InvalidArgument(f'no command "{" ".join(words[: index + 1])}"{hint}', details)
        at = at[word]


def fail(error: errors.Kube9Error, wants: str) -> int:
    """Write an error to stderr, as one JSON object unless the answer would have been for people. Returns the exit code."""
    if wants in render.PEOPLE:
        lines = [f"error: {error.message}", *(f"  {line}" for line in error.details.splitlines())]
        render.say("\n".join(_printable(line) for line in lines))
    else:
        said = {"error": error.message, "details": error.details, "code": error.code, **error.fields}
        render.say(json.dumps(said, ensure_ascii=False))
    return EXIT_CODES.get(error.code, 1)


def application(compiled: plan.Plan) -> cyclopts.App:
    """The cyclopts application: the fixed commands, and `query` from the plan."""
    app = cyclopts.App(
        name=_program(),
        help="The flight recorder for Kubernetes events: records them, keeps them, answers questions about them. "
        "Without a command it records, as `serve` does.",
        version=__version__,
        help_flags=["--help", "-h"],
        help_format="plaintext",
        default_parameter=Parameter(negative=()),
    )
    app.default(commands.serve)
    for name, command in commands.ALONE.items():
        app.command(command, name=name)
    queries = cyclopts.App(name="query", help="Ask what was recorded.")
    app.command(queries)
    groups: dict[str, cyclopts.App] = {}
    for full_name, declared in compiled["queries"].items():
        group, _, rest = full_name.partition(" ")
        if rest and group not in groups:
            groups[group] = cyclopts.App(name=group, help=f"Ask about {group}.")
            queries.command(groups[group])
        above = groups[group] if rest else queries
        deprecated = f"Deprecated: {declared['deprecated']}." if declared["deprecated"] else ""
        about = "\n\n".join(part for part in (f"{declared['summary']}.", declared["description"], deprecated) if part)
        examples = "\n".join(["Examples:", *(f"  {example}" for example in declared["examples"])])
        above.command(
            _query_command(declared),
            name=rest or group,
            help=about,
            help_epilogue=examples if declared["examples"] else None,
            show=not declared["deprecated"],
        )
    for name, (about_them, grouped) in commands.GROUPS.items():
        above = cyclopts.App(name=name, help=about_them)
        app.command(above)
        for below, command in grouped.items():
            above.command(command, name=below)
    return app


def _query_command(declared: dict[str, Any]) -> Callable[..., Request]:
    options = declared["options"]

    def command(*values: str, **given: Any) -> Request:
        positional = [name for name, param in declared["params"].items() if not param["flags"]]
        given |= dict(zip(positional, values, strict=False))
        for alias in [name for name in given if ALIAS in name]:
            name, found = alias.partition(ALIAS)[0], given.pop(alias)
            if found:
                given[name] = found if not given.get(name) else _again(declared, name, given[name], found)
        kept = {name: value for name, value in given.items() if value is not None and value != [] and value is not False}
        return Request(
            declared,
            {name: value for name, value in kept.items() if name not in options},
            {name: value for name, value in kept.items() if name in options},
        )

    parameters = []
    for name, param in (declared["params"] | options).items():
        parameters.append(_parameter(name, param, param["flags"]))
        parameters += [
            _parameter(f"{name}{ALIAS}{index}", param, [alias], show=False) for index, alias in enumerate(param["aliases"])
        ]
    parameters.sort(key=lambda parameter: parameter.kind)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def about(param: dict[str, Any]) -> str:
    """What help says of a parameter: its meaning, then what may be given."""
    said = [param["doc"]]
    if param["choices"]:
        said.append(f"[choices: {', '.join(param['choices'])}]")
    if param["type"] == "time":
        said.append("[such as: 24h, 7d, today, 2025-12-01, 2025-12-01T10:30:00Z]")
    if param["type"] == "percentage":
        said.append("[such as: 99%, 99.5]")
    if param["parts"]:
        said.append(f"[{'/'.join(part.upper() for part, _ in param['parts'])}]")
    if param["bounds"] and param["bounds"][1] < bind.MANY:
        said.append(f"[{param['bounds'][0]} to {param['bounds'][1]}]")
    default = param["default"]
    if default is not None:
        said.append(f"[default: {','.join(default) if isinstance(default, list) else default}]")
    if param["required"] and param["flags"]:
        said.append("[required]")
    if param["many"]:
        said.append("[may be repeated]")
    if param["deprecated"]:
        said.append(f"[deprecated: {param['deprecated']}]")
    return " ".join(said)


def _again(declared: dict[str, Any], name: str, first: Any, other: Any) -> Any:
    """What was given by two spellings of an option: together where it may be repeated, else a mistake."""
    param = declared["params"][name]
    if not param["many"]:
        raise errors.InvalidArgument(f"{param['flags'][0]} is given twice", "leave one of them out")
    return [*first, *other]


def _parameter(name: str, param: dict[str, Any], flags: list[str], show: bool = True) -> inspect.Parameter:
    """A parameter of the plan for cyclopts, which only splits the words; the values are checked by `bind`."""
    if not param["flags"]:
        kind = Annotated[str, Parameter(help=about(param))]
        return inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=kind)
    if param["type"] == "boolean":
        annotation: Any = Annotated[bool, Parameter(name=flags, help=about(param), show=show)]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=False)
    value: Any = list[str] | None if param["many"] else str | None
    annotation = Annotated[
        value,
        Parameter(
            name=flags,
            help=about(param),
            show=show,
            converter=_many if param["many"] else _one,
            allow_leading_hyphen=True,
            n_tokens=1,
            json_list=False,
            json_dict=False,
        ),
    ]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)


def _one(_: Any, tokens: Sequence[cyclopts.Token]) -> str:
    return tokens[0].value


def _many(_: Any, tokens: Sequence[cyclopts.Token]) -> list[str]:
    return [token.value for token in tokens]


def _format_of(words: list[str]) -> str:
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


def _program() -> str:
    name = os.path.basename(sys.argv[0])
    return name if name in ("kube9", "kube9-operator") else "kube9"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)

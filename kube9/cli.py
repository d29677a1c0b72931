"""The command line, grown from the plan: commands, options, help, exit codes, and all that goes to stderr.

Exit codes are known here alone: 0 done, 1 any other error, 2 time limit, 3 permission, 130 interrupted.
"""

import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple

import cyclopts
from cyclopts import Parameter

from kube9 import errors, fresh, logs, plan, query, render, store
from kube9.answer import answer
from kube9.version import __version__

EXIT_CODES = {"DEADLINE_EXCEEDED": 2, "PERMISSION_DENIED": 3}
INTERRUPTED = 130
STDIN = "/dev/stdin"  # what - stands for; cyclopts would take a lone dash for an option
Database = Annotated[str | None, Parameter(help=plan.OPTIONS["db"]["doc"])]
Human = Annotated[Literal["text", "json"], Parameter(name=["--format", "-o"], help="how the result is written")]


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
            answer(compiled, found.query, found.given, found.options)
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


def read(compiled: plan.Plan, words: list[str]) -> Request | int | None:
    """Read the words after the program's name and run the command; a query is read only, and returned.

    Raises:
        InvalidArgument: the words are no command.
    """
    app = application(compiled)
    if words[:1] == ["import"]:
        words = [STDIN if word == "-" else word for word in words]
    if words and not words[0].startswith("-") and words[0] not in app:
        commands = [name for name in app if not name.startswith("-")]
        near = get_close_matches(words[0], commands, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise errors.InvalidArgument(f'no command "{words[0]}"{hint}', f"there are {', '.join(commands)}")
    try:
        result: Request | int | None = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.UnusedCliTokensError as error:
        stray = " ".join(error.unused_tokens or [])
        advice = f"options go behind the command; `{_program()} --help` shows what is possible"
        raise errors.InvalidArgument(f'unexpected "{stray}"', advice) from None
    except cyclopts.CycloptsError as error:
        message = " ".join(str(error).split())
        command = " ".join([_program(), *(error.command_chain or ())])
        raise errors.InvalidArgument(message, f"`{command} --help` shows what is possible") from None
    return result


def fail(error: errors.Kube9Error, wants: str) -> int:
    """Write an error to stderr, as one JSON object unless the answer would have been for people. Returns the exit code."""
    if wants in ("table", "text"):
        lines = [f"error: {error.message}", *(f"  {line}" for line in error.details.splitlines())]
        print("\n".join(_printable(line) for line in lines), file=sys.stderr)
    else:
        said = {"error": error.message, "details": error.details, "code": error.code, **error.fields}
        print(json.dumps(said, ensure_ascii=False), file=sys.stderr)
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
    app.default(_serve)
    app.command(_serve, name="serve")
    app.command(_import, name="import")
    queries = cyclopts.App(name="query", help="Ask what was recorded.")
    app.command(queries)
    groups: dict[str, cyclopts.App] = {}
    for full_name, declared in compiled["queries"].items():
        group, _, rest = full_name.partition(" ")
        if rest and group not in groups:
            groups[group] = cyclopts.App(name=group, help=f"Ask about {group}.")
            queries.command(groups[group])
        above = groups[group] if rest else queries
        about = "\n\n".join(part for part in (f"{declared['summary']}.", declared["description"]) if part)
        examples = "\n".join(["Examples:", *(f"  {example}" for example in declared["examples"])])
        above.command(
            _query_command(compiled, declared),
            name=rest or group,
            help=about,
            help_epilogue=examples if declared["examples"] else None,
        )
    database = cyclopts.App(name="db", help="Look after the database file.")
    database.command(_migrate, name="migrate")
    app.command(database)
    spec = cyclopts.App(name="spec", help="Look after declared queries.")
    spec.command(_check, name="check")
    app.command(spec)
    return app


def _query_command(compiled: plan.Plan, declared: dict[str, Any]) -> Callable[..., Request]:
    options = compiled["options"]

    def command(*values: str, **given: Any) -> Request:
        positional = [name for name, param in declared["params"].items() if not param["flags"]]
        given |= dict(zip(positional, values, strict=False))
        kept = {name: value for name, value in given.items() if value is not None and value != []}
        return Request(
            declared,
            {name: value for name, value in kept.items() if name not in options},
            {name: value for name, value in kept.items() if name in options},
        )

    parameters = [_parameter(name, param) for name, param in (declared["params"] | options).items()]
    parameters.sort(key=lambda parameter: parameter.kind)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameter(name: str, param: dict[str, Any]) -> inspect.Parameter:
    """A parameter of the plan for cyclopts, which only splits the words; the values are checked by `query.bind`."""
    about = param["doc"]
    if param["choices"]:
        about += f" [choices: {', '.join(param['choices'])}]"
    if param["type"] == "time":
        about += " [such as: 24h, 7d, today, 2025-12-01, 2025-12-01T10:30:00Z]"
    if param["bounds"] and param["bounds"][1] < query.MANY:
        about += f" [{param['bounds'][0]} to {param['bounds'][1]}]"
    if param["default"] is not None:
        about += f" [default: {param['default']}]"
    if not param["flags"]:
        return inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=Annotated[str, Parameter(help=about)])
    value: Any = list[str] | None if param["many"] else str | None
    annotation: Any = Annotated[
        value,
        Parameter(
            name=param["flags"],
            help=about,
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


def _serve(
    *,
    db: Database = None,
    kubeconfig: Annotated[str | None, Parameter(help="kubeconfig file; by default the pod's account, or $KUBECONFIG")] = None,
    context: Annotated[str | None, Parameter(help="context of the kubeconfig")] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Parameter(help="how much is logged", env_var="LOG_LEVEL")
    ] = "info",
) -> int:
    """Record the cluster's events until stopped."""
    logs.set_up(log_level)
    from kube9 import apiserver, serve  # the kubernetes client: 210 ms

    return 1 if serve.serve(store.database_path(db), apiserver.connect(kubeconfig, context)) else 0


def _import(
    *files: Annotated[str, Parameter(help="dumps of events in JSON or YAML; - is standard input")],
    db: Database = None,
    cluster: Annotated[str | None, Parameter(help="uid of the cluster's namespace kube-system, where known")] = None,
    format: Human = "text",
) -> int:
    """Record the events of files, as `kubectl get events -A -o json` writes them.

    Importing a file again adds nothing.
    """
    if not files:
        raise errors.InvalidArgument("no files to import", "name one or more, or - for standard input")
    from kube9 import importer, progress  # rich: 50 ms

    with progress.bar("importing", files) as advance:
        tally = importer.import_files(store.database_path(db), list(files), cluster, advance)
    counts = {"added": tally.added, "updated": tally.updated, "unchanged": tally.unchanged}
    total = sum(counts.values())
    text = f"imported {total} events: " + ", ".join(f"{count} {name}" for name, count in counts.items())
    if not total:
        text = "imported 0 events: there are no Event objects in it"
    render.write((json.dumps(counts, indent=2) if format == "json" else text) + "\n")
    return 0


def _migrate(*, db: Database = None, format: Human = "text") -> int:
    """Bring the database to the newest schema; `kube9 serve` does the same when it starts."""
    from kube9 import lock, migrations

    path = store.database_path(db)
    if not os.path.isfile(path):
        raise errors.Unavailable("no database", f"{path} is no file: --db names another")
    with lock.held(path):
        before, after = migrations.migrate(path)
    text = f"{path}: schema version {after}, " + ("as it was" if before == after else f"was {before}")
    found = {"database_path": path, "before": before, "after": after}
    render.write((json.dumps(found, indent=2, ensure_ascii=False) if format == "json" else text) + "\n")
    return 0


def _check(
    file: Annotated[str | None, Parameter(help="the file; by default the queries.yaml that kube9 uses")] = None, /
) -> int:
    """Check a file of declared queries, and say every mistake in it."""
    from kube9 import compiler, shipped

    path = file or shipped.path(plan.SPEC)
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, ValueError) as error:
        raise errors.InvalidArgument(f"{path}: cannot be read", str(error)) from None
    try:
        compiled = compiler.compile_text(file or plan.SPEC, text, "")
    except errors.SpecError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 1
    render.write(f"{path}: {len(compiled['queries'])} queries, no mistakes\n")
    return 0


def _format_of(words: list[str]) -> str:
    """How an error is to be written, told from words that may be no command at all."""
    chosen = "json" if words[:1] == ["query"] else "text"
    for index, word in enumerate(words):
        flag, _, value = word.partition("=")
        if flag in ("--format", "-o"):
            chosen = value or next(iter(words[index + 1 :]), "")
    return chosen


def _program() -> str:
    name = os.path.basename(sys.argv[0])
    return name if name in ("kube9", "kube9-operator") else "kube9"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)

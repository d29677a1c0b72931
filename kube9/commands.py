"""The fixed commands: all but `query`, whose commands come from the plan."""

import json
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

from cyclopts import Parameter, validators

from kube9 import errors, fresh, logs, plan, render, store, times

STDIN = "/dev/stdin"  # what - stands for; cyclopts would take a lone dash for an option
MOST_READ = 64 * 1024  # bytes of a description on standard input; far more than is kept
Database = Annotated[str | None, Parameter(help=plan.OPTIONS["db"]["doc"])]
Human = Annotated[Literal["text", "json"], Parameter(name=["--format", "-o"], help="how the result is written")]
Record = Literal["default", "all"]


def _whole(_: Any, text: str, **__: Any) -> list[str]:
    return [text]  # a reason may have spaces in it; commas part them


def _option(name: str, about: str, env_var: str | None = None) -> Parameter:
    return Parameter(name=name, help=about, env_var=env_var, env_var_split=_whole, negative=())


RECORD = "what to record: default, as docs/reasons.md says, or all"
RECORD_REASON = "record events of this reason too, such as Started; repeat it, or join with commas"
SKIP_REASON = "leave events of this reason out; repeat it, or join with commas"
ServeRecord = Annotated[Record, _option("--record", RECORD, "KUBE9_RECORD")]
ServeAdd = Annotated[list[str] | None, _option("--record-reason", RECORD_REASON, "KUBE9_RECORD_REASONS")]
ServeSkip = Annotated[list[str] | None, _option("--skip-reason", SKIP_REASON, "KUBE9_SKIP_REASONS")]


def serve(
    *,
    db: Database = None,
    kubeconfig: Annotated[str | None, Parameter(help="kubeconfig file; by default the pod's account, or $KUBECONFIG")] = None,
    context: Annotated[str | None, Parameter(help="context of the kubeconfig")] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Parameter(help="how much is logged", env_var="LOG_LEVEL")
    ] = "info",
    log_format: Annotated[Literal["text", "json"], Parameter(help="how a log line is written", env_var="LOG_FORMAT")] = "text",
    health_port: Annotated[
        int,
        Parameter(
            help="where /metrics, /healthz, /readyz and /livez are; 0: nowhere",
            env_var="HEALTH_PORT",
            validator=validators.Number(gte=0, lte=65535),
        ),
    ] = 8080,
    event_ttl: Annotated[
        str, Parameter(help="how long the API server keeps events (its --event-ttl)", env_var="KUBE9_EVENT_TTL")
    ] = "1h",
    record: ServeRecord = "default",
    record_reason: ServeAdd = None,
    skip_reason: ServeSkip = None,
) -> int:
    """Record the cluster's events until stopped."""
    logs.set_up(log_level, log_format)
    from kube9 import apiserver, selection, serve  # the kubernetes client: 210 ms

    chosen = selection.select(everything=record == "all", add=record_reason, skip=skip_reason)
    api, path = apiserver.connect(kubeconfig, context), store.database_path(db)
    return (
        1 if serve.serve(path, api, chosen, health_port=health_port, event_ttl_ms=_duration_ms("--event-ttl", event_ttl)) else 0
    )


def _duration_ms(flag: str, text: str) -> int:
    try:
        return times.duration_ms(text)
    except ValueError as error:
        raise errors.InvalidArgument(f"{flag}: {text!r} is {error}", "give it as the API server's own flag has it") from None


def import_files(
    *files: Annotated[str, Parameter(help="dumps of events in JSON or YAML; - is standard input")],
    db: Database = None,
    cluster: Annotated[str | None, Parameter(help="uid of the cluster's namespace kube-system, where known")] = None,
    record: Annotated[Record, _option("--record", RECORD)] = "all",
    record_reason: Annotated[list[str] | None, _option("--record-reason", RECORD_REASON)] = None,
    skip_reason: Annotated[list[str] | None, _option("--skip-reason", SKIP_REASON)] = None,
    format: Human = "text",
) -> int:
    """Record the events of files, as `kubectl get events -A -o json` writes them.

    Importing a file again adds nothing.
    """
    if not files:
        raise errors.InvalidArgument("no files to import", "name one or more, or - for standard input")
    from kube9 import importer, progress, selection  # rich: 50 ms

    chosen = selection.select(everything=record == "all", add=record_reason, skip=skip_reason)
    _warn(chosen.rules.problems)
    with progress.bar("importing", files) as advance:
        tally = importer.import_files(store.database_path(db), list(files), cluster, advance, chosen)
    counts = {"added": tally.added, "updated": tally.updated, "unchanged": tally.unchanged}
    total = sum(counts.values())
    text = f"imported {total} events: " + ", ".join(f"{count} {name}" for name, count in counts.items())
    if not total and not tally.left_out:
        text = "imported 0 events: there are no Event objects in it"
    if record != "all" or skip_reason:
        counts["left_out"] = tally.left_out
        text += f"; {tally.left_out} left out"
    render.write((json.dumps(counts, indent=2) if format == "json" else text) + "\n")
    return 0


def record(
    event_type: Annotated[
        Literal["operator", "insight", "assessment", "health", "system"], Parameter(help="what kind of event it is")
    ],
    title: Annotated[str, Parameter(help="what happened; cut to 200 characters")],
    /,
    *,
    severity: Annotated[Literal["info", "warning", "error", "critical"], Parameter(help="how bad it is")] = "info",
    description: Annotated[
        str | None,
        Parameter(help="more of it, cut to 1,000 characters; - reads it from standard input", allow_leading_hyphen=True),
    ] = None,
    object: Annotated[str | None, Parameter(help="the object that it is about, such as pod/web")] = None,
    object_kind: Annotated[str | None, Parameter(help="kind of that object, such as Pod or po")] = None,
    object_name: Annotated[str | None, Parameter(help="name of that object")] = None,
    object_namespace: Annotated[
        str | None, Parameter(name=["--object-namespace", "-n", "--namespace"], help="namespace of that object")
    ] = None,
    insight_id: Annotated[str | None, Parameter(help="of an insight, which needs one: its id where it was found")] = None,
    category: Annotated[str | None, Parameter(help="of an insight, which needs one: what it is about, such as cost")] = None,
    metadata: Annotated[
        list[str] | None,
        Parameter(
            help="details, as KEY=VALUE or as a JSON object; may be repeated", json_list=False, n_tokens=1, negative_iterable=()
        ),
    ] = None,
    db: Database = None,
    format: Human = "text",
) -> int:
    """Record an event of your own, and print its id once it is written.

    It is written into the database and sent nowhere.
    """
    from kube9 import recording  # the writer: 30 ms

    path = store.database_path(db)
    key = recording.record_one(
        path,
        event_type,
        title,
        severity=severity,
        description=_text_of_stdin() if description == "-" else description,
        object=object,
        object_kind=object_kind,
        object_namespace=object_namespace,
        object_name=object_name,
        metadata=_details(metadata or []),
        insight_id=insight_id,
        category=category,
    )
    render.write(recording.read_back(path, key) if format == "json" else f"{key}\n")
    return 0


def _details(given: list[str]) -> dict[str, Any]:
    """Details out of KEY=VALUE and JSON objects, the later ones before the earlier."""
    details: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if text.lstrip()[:1] != "{":
            if not key or not equals:
                raise errors.InvalidArgument(f'--metadata: "{text}" is neither KEY=VALUE nor a JSON object')
            details[key] = value
            continue
        try:
            details |= json.loads(text)
        except ValueError as error:
            raise errors.InvalidArgument(f'--metadata: "{text}" is no JSON object: {error}') from None
    return details


def _text_of_stdin() -> str:
    if sys.stdin is None:
        raise errors.InvalidArgument("standard input is closed", "it was to give the description")
    return sys.stdin.buffer.read(MOST_READ).decode(errors="replace").strip()


def migrate(*, db: Database = None, format: Human = "text") -> int:
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


def check(
    file: Annotated[
        str | None, Parameter(help="the file; by default the queries.yaml that kube9 uses, and the files of $KUBE9_QUERIES")
    ] = None,
    /,
    *,
    own: Annotated[bool, Parameter(help="check it as a file of KUBE9_QUERIES, which adds to the queries there are")] = False,
) -> int:
    """Check a file of declared queries, and say every mistake in it."""
    from kube9 import compiler, shipped

    path = file or shipped.path(plan.SPEC)
    text = _text_of(path)
    try:
        if file and own:
            compiled = compiler.compile_own({file: text}, _text_of(shipped.path(plan.SPEC)), "")
            if compiled["problems"]:
                raise errors.SpecError(compiled["problems"])
        else:
            compiled = compiler.compile_text(file or plan.SPEC, text, "")
        if not file and (problems := fresh.current()["problems"]):
            raise errors.SpecError(problems)
    except errors.SpecError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 1
    render.write(f"{path}: {len(compiled['queries'])} queries, no mistakes\n")
    return 0


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        raise errors.InvalidArgument(f"{path}: cannot be read", str(error)) from None


def show(
    *words: Annotated[str, Parameter(help="the query, and its options as they would be typed", allow_leading_hyphen=True)],
) -> int:
    """Show what a query runs: its SQL, the parameters, and SQLite's plan for it.

    kube9 spec show events list --type cluster --since 24h
    """
    from kube9 import explain  # sqlglot: 100 ms

    render.write(explain.explain(fresh.current(), list(words)))
    return 0


def export(
    what: Annotated[Literal["json-schema", "typescript", "stubs", "markdown"], Parameter(help="what to write")],
    /,
) -> int:
    """Write what others need of the queries: their schemas, types or documentation."""
    from kube9 import export as exports  # pydantic: 110 ms

    render.write(exports.FORMS[what](fresh.current()))
    return 0


def check_rules(
    file: Annotated[
        str | None, Parameter(help="the file; by default the rules.yaml that kube9 uses, and the files of $KUBE9_RULES")
    ] = None,
    /,
) -> int:
    """Check a file of rules, and say every mistake in it."""
    from kube9 import rules

    try:
        if file:
            count = len(rules.read(file, _text_of(file)).file.rules)
        else:
            known = rules.load()
            count = sum(len(layer) for layer in known.layers)
            if known.problems:
                raise errors.SpecError(known.problems)
    except errors.SpecError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 1
    render.write(f"{file or rules.FILE}: {count} rules, no mistakes\n")
    return 0


def try_rules(
    file: Annotated[str, Parameter(help="Event objects, as `kubectl get events -o json` writes them")] = STDIN,
    /,
    *,
    record: ServeRecord = "default",
    record_reason: ServeAdd = None,
    skip_reason: ServeSkip = None,
    format: Annotated[Literal["text", "json"], Parameter(name=["--format", "-o"], help="how the result is written")] = "json",
) -> int:
    """Show what would be stored of events: whether they are recorded and why, by which rule, and the row.

    kubectl get events -o json | kube9 rules test -o text
    """
    from kube9 import rulebook, selection  # pydantic and ruamel: 150 ms

    chosen = selection.select(everything=record == "all", add=record_reason, skip=skip_reason)
    _warn(chosen.rules.problems)
    for source in rulebook.events(file):
        found = rulebook.tried(chosen, source)
        render.write((rulebook.said(found) if format == "text" else json.dumps(found, indent=2, ensure_ascii=False)) + "\n")
    return 0


def show_rules(
    reason: Annotated[str | None, Parameter(help="only the rules about this reason, such as BackOff")] = None,
    /,
    *,
    format: Annotated[
        Literal["text", "json", "markdown"], Parameter(name=["--format", "-o"], help="how the rules are written")
    ] = "text",
) -> int:
    """Show the rules: each reason, its severity and title, whether it is recorded, and why."""
    from kube9 import rulebook, rules

    known = rules.load()
    _warn(known.problems)
    if format == "markdown":
        render.write(rulebook.page(known))
    elif format == "json":
        render.write(json.dumps(rulebook.entries(known, reason), indent=2, ensure_ascii=False) + "\n")
    else:
        render.write(rulebook.listed(known, reason) + "\n")
    return 0


def _warn(problems: list[str]) -> None:
    for problem in problems:
        render.say(f"rules left out: {problem}")


def redact_test(
    *,
    input: Annotated[Literal["auto", "text", "json", "yaml"], Parameter(help="what the input is")] = "auto",
    format: Human = "text",
) -> int:
    """Redact the text, JSON or YAML on standard input as an event would be before it is stored.

    Says on stderr what was found, by kind and place, and never the secrets.

    echo 'login with password=hunter2 failed' | kube9 redact test
    """
    from kube9 import redact_input, redactions

    value, written, found = redact_input.redact_input(_stdin(), input)
    if format == "json":
        written = json.dumps({"redacted": value, "found": [secret._asdict() for secret in found]}, indent=2, ensure_ascii=False)
    # A lone surrogate, which JSON may hold, cannot be written.
    written = written.encode(errors="replace").decode()
    render.write(written if written.endswith("\n") or not written else f"{written}\n")
    if format == "text":
        lines = [f"redacted {redactions.summary(found)}", *(f"  {secret.place}: {secret.kind}" for secret in found)]
        render.say("\n".join(lines))
    return 0


def _stdin() -> str:
    if sys.stdin is None:
        raise errors.InvalidArgument("no standard input", "it is closed; give the text that is to be redacted there")
    if sys.stdin.isatty():
        render.say("reading standard input; Ctrl-D ends it")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.InvalidArgument("standard input is not UTF-8", f"at byte {error.start}") from None


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="the shell")],
    /,
) -> int:
    """Write the script that teaches a shell to complete kube9's commands.

    bash: source <(kube9 completion bash)

    zsh: source <(kube9 completion zsh)

    fish: kube9 completion fish | source
    """
    from kube9 import complete

    render.write(complete.script(shell))
    return 0


ALONE: dict[str, Callable[..., Any]] = {"serve": serve, "import": import_files, "record": record, "completion": completion}
GROUPS: dict[str, tuple[str, dict[str, Callable[..., Any]]]] = {
    "db": ("Look after the database file.", {"migrate": migrate}),
    "redact": ("Look at how secrets are redacted.", {"test": redact_test}),
    "spec": ("Look after declared queries.", {"check": check, "show": show, "export": export}),
    "rules": ("Look after the rules for events.", {"check": check_rules, "test": try_rules, "show": show_rules}),
}

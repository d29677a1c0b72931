"""The code of the fixed commands, which `kube9.fixed_commands` declares. Each returns the exit code 0 or 1."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from kube9 import errors, fresh, logs, plan, settings, store, streams

STDIN = "/dev/stdin"  # what - stands for; cyclopts would take a lone dash for an option
MOST_READ = 64 * 1024  # bytes of a description on standard input; far more than is kept


def serve(
    *,
    db: str | None = None,
    kubeconfig: str | None = None,
    context: str | None = None,
    namespace: str | None = None,
    log_level: str = "info",
    log_format: str = "text",
    health_port: int = 8080,
    event_ttl: str = "1h",
    record: str = "default",
    record_reason: list[str] | None = None,
    skip_reason: list[str] | None = None,
    status_configmap: str | None = None,
    retention_info_warning_days: str = "7",
    retention_error_critical_days: str = "30",
    retention_interval: str = "6h",
) -> int:
    """Record until stopped. 1 when events could not be written."""
    logs.set_up(log_level, log_format)
    # the kubernetes client: 210 ms
    from kube9 import apiserver, cluster_recorder, retention, selection, serve, status_map, watch

    path = store.database_path(db)
    status = status_map.open_map(status_configmap, kubeconfig, context) if status_configmap else None
    with status_map.refusal_told(status, path):
        kept = retention.Policy(
            settings.days_ms(retention_info_warning_days, "--retention-info-warning-days"),
            settings.days_ms(retention_error_critical_days, "--retention-error-critical-days"),
        )
        retention_s = settings.interval_s(retention_interval, "--retention-interval")
        event_ttl_ms = settings.duration_ms(event_ttl, "--event-ttl", "give it as the API server's own flag has it")
        choices = cluster_recorder.Choices(
            health_port=health_port,
            namespace=settings.namespace(namespace, "--namespace"),
            status=status,
            kept=kept,
            retention_s=retention_s,
            watching=watch.Settings(event_ttl_ms=event_ttl_ms),
        )
        chosen = selection.select(everything=record == "all", add=record_reason, skip=skip_reason)
        left = serve.serve(path, apiserver.connect(kubeconfig, context), chosen, choices)
    return 1 if left else 0


def import_files(
    *files: str,
    db: str | None = None,
    cluster: str | None = None,
    record: str = "all",
    record_reason: list[str] | None = None,
    skip_reason: list[str] | None = None,
    format: str = "text",
) -> int:
    """Record the events of files."""
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
    streams.write((json.dumps(counts, indent=2) if format == "json" else text) + "\n")
    return 0


def record(
    event_type: str,
    title: str,
    /,
    *,
    severity: str = "info",
    description: str | None = None,
    object: str | None = None,
    object_kind: str | None = None,
    object_name: str | None = None,
    object_namespace: str | None = None,
    insight_id: str | None = None,
    category: str | None = None,
    metadata: list[str] | None = None,
    db: str | None = None,
    format: str = "text",
) -> int:
    """Record an event, and print its id."""
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
    streams.write(recording.read_back(path, key) if format == "json" else f"{key}\n")
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


def migrate(*, db: str | None = None, format: str = "text") -> int:
    """Bring the database to the newest schema."""
    from kube9 import lock, migrations

    path = store.database_path(db)
    if not os.path.isfile(path):
        raise errors.Unavailable("no database", f"{path} is no file: --db names another")
    with lock.held(path):
        before, after = migrations.migrate(path)
    text = f"{path}: schema version {after}, " + ("as it was" if before == after else f"was {before}")
    found = {"database_path": path, "before": before, "after": after}
    streams.write((json.dumps(found, indent=2, ensure_ascii=False) if format == "json" else text) + "\n")
    return 0


def check(file: str | None = None, /, *, own: bool = False) -> int:
    """Check queries. 1 when there are mistakes."""
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
    streams.write(f"{path}: {len(compiled['queries'])} queries, no mistakes\n")
    return 0


def _text_of(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            content = stream.read(plan.MOST_BYTES + 1)  # what is longer is not read out of one's own files either
        if len(content) <= plan.MOST_BYTES:
            return content.decode()
    except (OSError, ValueError) as error:
        raise errors.InvalidArgument(f"{path}: cannot be read", str(error)) from None
    raise errors.InvalidArgument(f"{path}: is too long", f"at most {plan.MOST_BYTES} bytes are read")


def show(*words: str) -> int:
    """Print what a query runs."""
    from kube9 import explain  # sqlglot: 100 ms

    streams.write(explain.explain(fresh.current(), list(words)))
    return 0


def export(what: str, /) -> int:
    """Print the queries in another form."""
    from kube9 import export as exports  # pydantic: 110 ms

    streams.write(exports.FORMS[what](fresh.current()))
    return 0


def check_rules(file: str | None = None, /) -> int:
    """Check rules. 1 when there are mistakes."""
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
    streams.write(f"{file or rules.FILE}: {count} rules, no mistakes\n")
    return 0


def try_rules(
    file: str = STDIN,
    /,
    *,
    record: str = "default",
    record_reason: list[str] | None = None,
    skip_reason: list[str] | None = None,
    format: str = "json",
) -> int:
    """Print what the rules make of events."""
    from kube9 import rulebook, selection  # pydantic and ruamel: 150 ms

    chosen = selection.select(everything=record == "all", add=record_reason, skip=skip_reason)
    _warn(chosen.rules.problems)
    for source in rulebook.events(file):
        found = rulebook.tried(chosen, source)
        streams.write((rulebook.said(found) if format == "text" else json.dumps(found, indent=2, ensure_ascii=False)) + "\n")
    return 0


def show_rules(reason: str | None = None, /, *, format: str = "text") -> int:
    """Print the rules."""
    from kube9 import rulebook, rules

    known = rules.load()
    _warn(known.problems)
    if format == "markdown":
        streams.write(rulebook.page(known))
    elif format == "json":
        streams.write(json.dumps(rulebook.entries(known, reason), indent=2, ensure_ascii=False) + "\n")
    else:
        streams.write(rulebook.listed(known, reason) + "\n")
    return 0


def _warn(problems: list[str]) -> None:
    for problem in problems:
        streams.say(f"rules left out: {problem}")


def redact_test(*, input: str = "auto", format: str = "text") -> int:
    """Print standard input without its secrets."""
    from kube9 import redact_input, redactions

    value, written, found = redact_input.redact_input(_stdin(), input)
    if format == "json":
        written = json.dumps({"redacted": value, "found": [secret._asdict() for secret in found]}, indent=2, ensure_ascii=False)
    # A lone surrogate, which JSON may hold, cannot be written.
    written = written.encode(errors="replace").decode()
    streams.write(written if written.endswith("\n") or not written else f"{written}\n")
    if format == "text":
        lines = [f"redacted {redactions.summary(found)}", *(f"  {secret.place}: {secret.kind}" for secret in found)]
        streams.say("\n".join(lines))
    return 0


def _stdin() -> str:
    if sys.stdin is None:
        raise errors.InvalidArgument("no standard input", "it is closed; give the text that is to be redacted there")
    if sys.stdin.isatty():
        streams.say("reading standard input; Ctrl-D ends it")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.InvalidArgument("standard input is not UTF-8", f"at byte {error.start}") from None


def completion(shell: str, /) -> int:
    """Print the script for a shell."""
    from kube9 import complete

    streams.write(complete.script(shell))
    return 0


CODE: dict[str, Callable[..., int]] = {
    "serve": serve,
    "import": import_files,
    "record": record,
    "completion": completion,
    "db migrate": migrate,
    "redact test": redact_test,
    "spec check": check,
    "spec show": show,
    "spec export": export,
    "rules check": check_rules,
    "rules test": try_rules,
    "rules show": show_rules,
}

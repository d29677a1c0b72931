"""The rules for people: docs/reasons.md, `kube9 rules show`, and what `kube9 rules test` says of an event."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from kube9 import dump, errors, plan, redact, rules
from kube9.declared import MOST_VALUES, nearest
from kube9.model import event_id
from kube9.normalise import normalise
from kube9.rules import Matcher, Rules
from kube9.selection import Selection

# Counted in public dumps of sixteen clusters and bundles; a test counts again.
COUNTED = {"events": 30_154, "normal": 25_812, "normal and recorded": 7_316}
PAGE = f"""\
# Reasons: what is recorded, and how grave it is

`kube9 rules show --format markdown` writes this page from [rules.yaml](../kube9/rules.yaml); edit that file, not this one.

## What is recorded

- Every event whose type is not `Normal`, whatever its reason: warnings, and what has another type or none.
- Of the `Normal` ones those that change what runs, or tell where it ran and how it ended: **yes** in the table below. A pod's
  start is one row (`Scheduled`) and not five: `Pulling`, `Pulled`, `Created` and `Started` follow within seconds when all is
  well, and are two fifths of all normal events; when it is not, the failure is a warning.
- No `Normal` event with a reason that is not in the table. Controllers of all kinds write one each time they look at an
  object, and what they break is told by warnings. Name the reasons that matter to you, or record everything.

Of {COUNTED["events"]:,} events in public dumps {COUNTED["normal"]:,} are of type `Normal`. Recorded are
{COUNTED["normal and recorded"]:,} of these ({COUNTED["normal and recorded"] / COUNTED["normal"]:.0%}), and all others.

| option of `kube9 serve` | environment | meaning |
| --- | --- | --- |
| `--record all` | `KUBE9_RECORD=all` | record every event; `default` is what this page says |
| `--record-reason Started,Synced` | `KUBE9_RECORD_REASONS` | record these reasons too, whatever the type |
| `--skip-reason Unhealthy` | `KUBE9_SKIP_REASONS` | leave these reasons out, whatever the type |

An option goes before the rules, `--skip-reason` before all. `kube9 import` records everything that a file holds, unless it is
told otherwise by the same options; it does not read these names of the environment.

## Severity and title

**info**; **warning**: look when you can, it may heal; **error**: what was asked for does not work, someone must act;
**critical**: wakes one up. Where no rule says one it goes by the event's type: `Normal` is info, `Warning` is warning, `Error`
is error, `Critical` is critical, and any other type is a warning. The title is the kind of the object and the reason, such as
`Pod FailedMount`, where the table has no other.

## Rules of your own

`KUBE9_RULES` names a file or a directory (its `.yaml` and `.yml` files, as a mounted ConfigMap has them), read when `kube9
serve` starts:

```yaml
version: 1
rules:
  - reason: Unhealthy
    kind: Pod
    message: ^Readiness probe
    severity: info
    why: our pods are slow to start
  - reason: FailoverCompleted
    kind: Cluster
    title: Database failed over
    severity: critical
    extract: ['new primary is (?P<primary>[^ ]+)']
  - {{reason: FailoverCompleted, record: true}}
```

The first rule whose `reason`, `kind` and `message` all hold is taken. Your rules are asked before those of kube9, which
still tell what yours leave open. `record` goes by the reason alone, so it stands in a rule without `kind` and `message`.
Groups with a name, in `message` and `extract`, become metadata. `severities` (by type) and `cluster_scoped` (kinds without
a namespace) may be given as in rules.yaml.

    kube9 rules check my-rules.yaml
    kubectl get events -o json | KUBE9_RULES=my-rules.yaml kube9 rules test -o text

A file with a mistake is left out as a whole; the others are used, recording goes on, and the log and `kube9 query status` say
what is wrong, with line and column. What a row was first stored with stays: a rule changes only what is recorded from then on.

| limit | at most |
| --- | --- |
| files | {plan.MOST_FILES} |
| size of a file | {plan.MOST_BYTES // 1024} KiB, and {plan.MOST_BYTES_IN_ALL // 1024} KiB together |
| values in a file | {MOST_VALUES:,} |
| rules in a file | {rules.MOST_RULES} |
| an expression | {rules.LONGEST_EXPRESSION:,} characters |
| what it reads of a message | {rules.LOOKED_AT:,} characters |
| the steps that it can take on one message | {rules.MOST_STEPS:,} |

An expression that can take more steps, such as `(a+)+b` or `.*a.*b`, is refused; repeats that are possessive (`[^ ]*+`)
or bounded (`.{{0,20}}`) take fewer, and so does one that begins with `^`. What is left: a message made for it can keep an
expression busy for up to two seconds, so a rule is best bound to a `reason`, and its expression to a beginning.

## The reasons

"unless Normal" is the default: recorded when the type says that something is wrong.

"""
RECORDED = {True: "yes", False: "no", None: "unless Normal"}


def page(known: Rules) -> str:
    """The page of the documentation: every reason, its severity, title, whether it is recorded, and why."""
    rows = [["reason", "of", "severity", "title", "recorded", "why"], ["---"] * 6]
    for entry in entries(known):
        of = [*map(_code, entry["kind"])] + ([f"message {_code(entry['message'])}"] if entry["message"] else [])
        reason = _code(entry["reason"]) if entry["reason"] else "any"
        severity = entry["severity"] or "by type"
        rows.append([reason, ", ".join(of), severity, entry["title"] or "", entry["recorded"], entry["why"]])
    return PAGE + "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


def entries(known: Rules, reason: str | None = None) -> list[dict[str, Any]]:
    """Each reason with each rule about it, by name and then in the order in which they are asked; or those of one reason.

    Raises:
        NotFound: no rule names the reason.
    """
    matchers = [matcher for layer in known.layers for matcher in layer]
    named = {name for matcher in matchers for name in matcher.rule.reason}
    if reason is not None and reason not in named:
        default = "its events are recorded unless their type is Normal, with the severity of their type"
        raise errors.NotFound(f'no rule is about the reason "{reason}"{nearest(reason, sorted(named))}', default)
    found = [_entry(known, name, matcher) for matcher in matchers for name in matcher.rule.reason or (None,)]
    if reason is not None:
        return [entry for entry in found if entry["reason"] in (reason, None)]
    return sorted(found, key=lambda entry: (entry["reason"] or "").lower())


def _entry(known: Rules, reason: str | None, matcher: Matcher) -> dict[str, Any]:
    rule = matcher.rule
    decides = known.record.get(reason) if reason else None
    return {
        "reason": reason,
        "kind": rule.kind,
        "message": rule.message,
        "severity": rule.severity,
        "title": rule.title,
        "recorded": RECORDED[decides.rule.record if decides else None],
        "metadata": sorted({name for one in (matcher.message, *matcher.extract) if one for name in one.groupindex}),
        "why": rule.why,
        "rule": matcher.place,
    }


def listed(known: Rules, reason: str | None = None) -> str:
    """The same for people, as lines. Raises NotFound."""
    return "\n".join(_lines(entries(known, reason)))


def _lines(found: Iterable[dict[str, Any]]) -> Iterable[str]:
    for entry in found:
        of = " ".join(
            [entry["reason"] or "any reason", *(f"of {' or '.join(entry['kind'])}" if entry["kind"] else "",)]
        ).strip()
        yield f"{of}: {entry['severity'] or 'severity by type'}, recorded: {entry['recorded']}"
        for name in ("title", "message", "why", "rule"):
            if entry[name]:
                yield f"  {name + ':':9}{entry[name]}"
        if entry["metadata"]:
            yield f"  reads:   {', '.join(entry['metadata'])}"


def events(file: str) -> Iterator[dict[str, Any]]:
    """The Event objects of a file. Raises InvalidArgument for one that cannot be read, or holds none."""
    try:
        with open(file, "rb") as stream:
            found = False
            for source in dump.objects(stream, file):
                found = True
                yield source
    except OSError as error:
        raise errors.InvalidArgument(f"{file}: cannot be read", str(error.strerror)) from None
    if not found:
        raise errors.InvalidArgument(f"{file}: there are no Event objects in it")


def tried(selection: Selection, source: dict[str, Any]) -> dict[str, Any]:
    """What would become of an Event object: whether it is recorded and why, the rules that say so, and its row."""
    known = selection.rules
    event = normalise(source, known)
    message = redact.text(str(source.get("message") or source.get("note") or ""))
    told = known.match(event.reason, event.object_kind, message[: rules.LOOKED_AT])
    row = event._asdict()
    row["id"] = event_id(event.created_at, event.namespace, event.name)
    return {
        "recorded": selection.recorded(source),
        "because": selection.why(source),
        "rules": list(told.places),
        "event": {"id": row.pop("id"), "event_type": row.pop("event_type"), **row},
    }


def said(found: dict[str, Any]) -> str:
    """What `tried` found, for people."""
    event = found["event"]
    of = "/".join(part for part in (event["object_kind"], event["object_namespace"], event["object_name"]) if part)
    first = "recorded" if found["recorded"] else "left out"
    lines = [f"{first}: {found['because']}", f"  {event['severity']}, {event['title']}, {of}"]
    lines.append(f"  by {', '.join(found['rules']) or 'no rule, but the defaults'}")
    if event["metadata"]:
        lines.append(f"  metadata {json.dumps(event['metadata'], ensure_ascii=False)}")
    return "\n".join("".join(char if char.isprintable() else "�" for char in line) for line in lines)


def _code(text: str) -> str:
    return f"`{text}`"

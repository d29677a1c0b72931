"""The fixed commands, declared: all but `query`, whose commands come from queries.yaml.

What is declared here is written once: `kube9.application` makes the command line of it and `kube9.complete` its
completion. `kube9.commands` has the code, a function a command, whose parameters have the names, the types and the
defaults. Completion reads this at each press of a key, so it imports nothing that takes time.
"""

from kube9.plan import OPTIONS, param
from kube9.vocabulary import OWN_EVENT_TYPES, SEVERITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kube9.plan import Plan

SHELLS = {"bash": "kube9.bash", "zsh": "_kube9", "fish": "kube9.fish"}  # each with its script in completions/
GROUPS = {
    "query": "Ask what was recorded",
    "db": "Look after the database file",
    "redact": "Look at how secrets are redacted",
    "spec": "Look after declared queries",
    "rules": "Look after the rules for events",
}


def _argument(
    *flags: str,
    doc: str,
    kind: str = "string",
    choices: tuple[str, ...] | None = None,
    many: bool = False,
    bounds: tuple[int, int] | None = None,
    env: str | None = None,
    dashes: bool = False,
) -> "Plan":
    """A parameter as in the plan of a query; a position when it has no flags.

    Args:
        flags: its spellings.
        doc: what help says of it.
        kind: string, integer, boolean or file.
        choices: the only values.
        many: it may be repeated.
        bounds: smallest and largest integer.
        env: the environment's name for it.
        dashes: its value may begin with a dash.
    """
    declared = param(
        kind, doc=doc, flags=[*flags], choices=list(choices) if choices else None, many=many, bounds=list(bounds or ()) or None
    )
    return declared | {"env": env, "dashes": dashes}


def _format(*forms: str, of: str = "the result is") -> "Plan":
    return {"format": _argument("--format", "-o", doc=f"how {of} written", choices=forms)}


def _selection(*, env: bool) -> "Plan":
    """What says which events are recorded; where `env`, the environment may say it too."""
    said = {
        "record": ("KUBE9_RECORD", "what to record: default, as docs/reasons.md says, or all"),
        "record_reason": ("KUBE9_RECORD_REASONS", "record events of this reason too, such as Started"),
        "skip_reason": ("KUBE9_SKIP_REASONS", "leave events of this reason out"),
    }
    return {
        name: _argument(
            f"--{name.replace('_', '-')}",
            doc=about if name == "record" else f"{about}; repeat it, or join with commas",
            choices=("default", "all") if name == "record" else None,
            many=name != "record",
            env=variable if env else None,
        )
        for name, (variable, about) in said.items()
    }


DB = {"db": OPTIONS["db"] | {"env": None, "dashes": False}}
COMMANDS: "dict[str, Plan]" = {
    "serve": {
        "summary": "Record the cluster's events until stopped",
        "params": {
            **DB,
            "kubeconfig": _argument(
                "--kubeconfig", doc="kubeconfig file; by default the pod's account, or $KUBECONFIG", kind="file"
            ),
            "context": _argument("--context", doc="context of the kubeconfig"),
            "namespace": _argument(
                "--namespace",
                "-n",
                doc="watch this namespace alone, with rights in it alone; all when empty",
                env="KUBE9_NAMESPACE",
            ),
            "log_level": _argument(
                "--log-level", doc="how much is logged", choices=("debug", "info", "warning", "error"), env="LOG_LEVEL"
            ),
            "log_format": _argument(
                "--log-format", doc="how a log line is written", choices=("text", "json"), env="LOG_FORMAT"
            ),
            "health_port": _argument(
                "--health-port",
                doc="where /metrics, /healthz, /readyz and /livez are; 0: nowhere",
                kind="integer",
                bounds=(0, 65535),
                env="HEALTH_PORT",
            ),
            "event_ttl": _argument(
                "--event-ttl", doc="how long the API server keeps events (its --event-ttl)", env="KUBE9_EVENT_TTL"
            ),
            **_selection(env=True),
            "status_configmap": _argument(
                "--status-configmap",
                doc="ConfigMap to publish the health in, as [NAMESPACE/]NAME; it must be there",
                env="STATUS_CONFIGMAP",
            ),
            "retention_info_warning_days": _argument(
                "--retention-info-warning-days",
                doc="days that info and warning events are kept after they were last seen, such as 7 or 0.5; or never",
                env="EVENT_RETENTION_INFO_WARNING_DAYS",
            ),
            "retention_error_critical_days": _argument(
                "--retention-error-critical-days",
                doc="the same for error and critical events",
                env="EVENT_RETENTION_ERROR_CRITICAL_DAYS",
            ),
            "retention_interval": _argument(
                "--retention-interval",
                doc="how often old events are looked for after the start, such as 6h",
                env="EVENT_RETENTION_INTERVAL",
            ),
        },
    },
    "import": {
        "summary": "Record the events of files, as `kubectl get events -A -o json` writes them",
        "description": "Importing a file again adds nothing.",
        "params": {
            "files": _argument(doc="dumps of events in JSON or YAML; - is standard input", kind="file", many=True),
            **DB,
            "cluster": _argument("--cluster", doc="uid of the cluster's namespace kube-system, where known"),
            **_selection(env=False),
            **_format("text", "json"),
        },
    },
    "record": {
        "summary": "Record an event of your own, and print its id once it is written",
        "description": "It is written into the database and sent nowhere.",
        "params": {
            "event_type": _argument(doc="what kind of event it is", choices=OWN_EVENT_TYPES),
            "title": _argument(doc="what happened; cut to 200 characters"),
            "severity": _argument("--severity", doc="how bad it is", choices=SEVERITIES),
            "description": _argument(
                "--description", doc="more of it, cut to 1,000 characters; - reads it from standard input", dashes=True
            ),
            "object": _argument("--object", doc="the object that it is about, such as pod/web"),
            "object_kind": _argument("--object-kind", doc="kind of that object, such as Pod or po"),
            "object_name": _argument("--object-name", doc="name of that object"),
            "object_namespace": _argument("--object-namespace", "-n", "--namespace", doc="namespace of that object"),
            "insight_id": _argument("--insight-id", doc="of an insight, which needs one: its id where it was found"),
            "category": _argument("--category", doc="of an insight, which needs one: what it is about, such as cost"),
            "metadata": _argument("--metadata", doc="details, as KEY=VALUE or as a JSON object; may be repeated", many=True),
            **DB,
            **_format("text", "json"),
        },
    },
    "completion": {
        "summary": "Write the script that teaches a shell to complete kube9's commands",
        "description": (
            "bash: source <(kube9 completion bash)\n\nzsh: source <(kube9 completion zsh)\n\n"
            "fish: kube9 completion fish | source"
        ),
        "params": {"shell": _argument(doc="the shell", choices=tuple(SHELLS))},
    },
    "db migrate": {
        "summary": "Bring the database to the newest schema; `kube9 serve` does the same when it starts",
        "params": {**DB, **_format("text", "json")},
    },
    "redact test": {
        "summary": "Redact the text, JSON or YAML on standard input as an event would be before it is stored",
        "description": (
            "Says on stderr what was found, by kind and place, and never the secrets.\n\n"
            "echo 'login with password=hunter2 failed' | kube9 redact test"
        ),
        "params": {
            "input": _argument("--input", doc="what the input is", choices=("auto", "text", "json", "yaml")),
            **_format("text", "json"),
        },
    },
    "spec check": {
        "summary": "Check a file of declared queries, and say every mistake in it",
        "params": {
            "file": _argument(
                doc="the file; by default the queries.yaml that kube9 uses, and the files of $KUBE9_QUERIES", kind="file"
            ),
            "own": _argument(
                "--own", doc="check it as a file of KUBE9_QUERIES, which adds to the queries there are", kind="boolean"
            ),
        },
    },
    "spec show": {
        "summary": "Show what a query runs: its SQL, the parameters, and SQLite's plan for it",
        "description": "kube9 spec show events list --type cluster --since 24h",
        "params": {"words": _argument(doc="the query, and its options as they would be typed", many=True, dashes=True)},
    },
    "spec export": {
        "summary": "Write what others need of the queries: their schemas, types or documentation",
        "params": {"what": _argument(doc="what to write", choices=("json-schema", "typescript", "stubs", "markdown"))},
    },
    "rules check": {
        "summary": "Check a file of rules, and say every mistake in it",
        "params": {
            "file": _argument(
                doc="the file; by default the rules.yaml that kube9 uses, and the files of $KUBE9_RULES", kind="file"
            )
        },
    },
    "rules test": {
        "summary": "Show what would be stored of events: whether they are recorded and why, by which rule, and the row",
        "description": "kubectl get events -o json | kube9 rules test -o text",
        "params": {
            "file": _argument(doc="Event objects, as `kubectl get events -o json` writes them", kind="file"),
            **_selection(env=True),
            **_format("text", "json"),
        },
    },
    "rules show": {
        "summary": "Show the rules: each reason, its severity and title, whether it is recorded, and why",
        "params": {
            "reason": _argument(doc="only the rules about this reason, such as BackOff"),
            **_format("text", "json", "markdown", of="the rules are"),
        },
    },
}

"""What may stand at the end of a line that asks an operator in a cluster: the operator itself is asked.

It knows its own queries and options, and the names in its database; where it does not answer, what is known here is offered.
"""

import sys

from kube9 import complete, errors, kubectl, operator_pod
from kube9.complete import BEGINNINGS, FILES, WORDS, offered
from kube9.fixed_commands import GROUPS

LIMIT_S = 3.0  # kubectl itself takes a tenth of a second and more
QUERY = [("query", GROUPS["query"])]
# How the shell is to go on, behind the candidates for kubectl: no files, no blank behind the word either, or files
# (https://github.com/spf13/cobra/blob/main/completions.go, ShellCompDirective).
DIRECTIVES = {WORDS: 4, BEGINNINGS: 6, FILES: 0}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kube9.complete import Found


def candidates(words: list[str]) -> "Found":
    """What may stand in the place of the last word of a line of kube9, as `complete.candidates` has it."""
    return _far(words) or complete.candidates(words)


def complete_for_kubectl(words: list[str]) -> int:
    """Write what may stand in the place of the last word behind `kubectl kube9`, as kubectl asks its plugins. Returns 0."""
    try:
        first, found = _far(words, plugin=True) or (WORDS, ())
        lines = ["\t".join(part for part in (value, " ".join(about.split())) if part) for value, about in found]
        shown = [line for line in lines if line.replace("\t", "").isprintable()]
        answer = "".join(f"{line}\n" for line in [*shown, f":{DIRECTIVES[first]}"])
        sys.stdout.buffer.write(answer.encode(errors="surrogateescape"))
        sys.stdout.buffer.flush()
    except Exception:  # noqa: BLE001, S110 - a shell that waits for candidates has no place for an error
        pass
    return 0


def _far(words: list[str], plugin: bool = False) -> "Found | None":
    """What may stand in a line that asks an operator, as every line of the plugin does; None where it is none."""
    *before, word = words or [""]
    given: dict[str, str] = {}
    while before and before[0].partition("=")[0] in kubectl.OPTIONS:
        flag, equals, value = before.pop(0).partition("=")
        if not equals:
            if not before:
                return _values(flag, word, given)
            value = before.pop(0)
        given[kubectl.OPTIONS[flag][0]] = value
    flag, equals, value = word.partition("=")
    if not before and equals and flag in kubectl.OPTIONS:
        first, found = _values(flag, value, given)
        return first, [(f"{flag}={one}", about) for one, about in found]
    if not before and word[:1] == "-":
        left = [(flag, about) for flag, (name, about) in kubectl.OPTIONS.items() if name not in given]
        return offered(word, left) if plugin else None
    if not given and not plugin:
        return None
    if not before:
        return offered(word, QUERY)
    return _ask(given, before, word) if before[0] == "query" else (WORDS, ())


def _values(flag: str, word: str, given: dict[str, str]) -> "Found":
    """What may be the value of an option that says where the operator runs."""
    if flag == "--kubeconfig":
        return FILES, ()
    if flag == "--operator-namespace":
        return offered(word, [(kubectl.NAMESPACE, "")])
    where = [f"--kubeconfig={given['kubeconfig']}"] if "kubeconfig" in given else []
    _, out, _ = kubectl.run(["config", "get-contexts", "--output=name", *where], LIMIT_S)
    return offered(word, [(name, "") for name in out.decode(errors="surrogateescape").splitlines()])


def _ask(given: dict[str, str], before: list[str], word: str) -> "Found":
    """What the operator offers behind `query`."""
    try:
        said = operator_pod.run(kubectl.Place(**given), ["__complete", *before, word], LIMIT_S)
    except errors.Kube9Error:
        said = None
    if said is None:
        return complete.candidates([*before, word])
    first, *lines = said.decode(errors="surrogateescape").splitlines() or [WORDS]
    parted = (line.partition("\t") for line in lines)
    return first, [(value, about) for value, _, about in parted]

"""From a laptop: a query that the operator's pod answers, with the words that were typed; its bytes and exit code as they are.

kube9 --context C --operator-namespace N query …
kubectl kube9 --context C --operator-namespace N query …
"""

import os
import select
import sys

from kube9 import errors, operator_pod, streams
from kube9.caller import END_OF_INPUT, is_pipe
from kube9.kubectl import ERR, LOOK_S, OPTIONS, OUT, Place, read
from kube9.version import __version__

STDIN, STDOUT = 0, 1
HELP = """\
Usage: kubectl kube9 [OPTIONS] query …

Ask the operator's pod in a cluster what it has recorded, by kubectl exec. What follows `query` is as in the pod.

Options, before `query`:
{options}
  --help, -h                 show this
  --version                  show the version of this program; `query capabilities` has that of the operator

Examples:
  kubectl kube9 query events list --since 24h --format table
  kubectl kube9 --context prod query events list --for deploy/web --watch
  kubectl kube9 query --help
"""


def first_try(words: list[str]) -> int | None:
    """Run `kube9` with options before a command and return the exit code; None, and nothing done, when there is no such."""
    try:
        given, rest = read(words)
        if "namespace" not in given and (not rest or rest[0][:1] == "-"):
            return None  # without a command kube9 records, as `serve` does
        return ask(Place(**given), rest)
    except errors.Kube9Error as error:
        return _fail(error, words)


def plugin(words: list[str]) -> int:
    """Run `kubectl kube9` with the words behind it. Returns its exit code."""
    try:
        given, rest = read(words)
        if rest[:1] in ([], ["--help"], ["-h"], ["help"], ["--version"]):
            streams.write(f"{__version__}\n" if rest[:1] == ["--version"] else _help())
            return 0
        return ask(Place(**given), rest)
    except errors.Kube9Error as error:
        return _fail(error, words)


def ask(place: Place, words: list[str]) -> int:
    """Ask the operator's pod, and pass on what it answers. Returns the exit code of the command in the pod.

    Raises:
        InvalidArgument: the words are no query.
        PermissionDenied, Unavailable: as `operator_pod.Exec`.
    """
    _only_queries(words)
    with operator_pod.Exec(place, words, _shown_on()) as command:
        if is_pipe(STDIN):  # whose end is waited for, and nothing read: it may be somebody else's input
            command.poll.register(STDIN, getattr(select, "POLLRDHUP", 0))
        if sys.stdout is not None:
            command.poll.register(STDOUT, 0)  # its errors are always told
        code = None
        while code is None:
            arrived, code = command.read(LOOK_S)
            for kind, data in arrived:
                if kind == OUT:
                    if not streams.write_bytes(data):
                        return 0
                elif kind == ERR:
                    _write_stderr(data)
                elif kind == STDOUT:
                    return 0  # its reader has gone
                else:
                    command.poll.unregister(STDIN)
                    command.send(END_OF_INPUT)
        return code


def _help() -> str:
    return HELP.format(options="\n".join(f"  {flag:<25}  {about}" for flag, (_, about) in OPTIONS.items()))


def _only_queries(words: list[str]) -> None:
    if words[:1] == ["query"]:
        return
    if not words:
        raise errors.InvalidArgument("there is no command", "query goes behind the options: kube9 --context NAME query …")
    if words[0][:1] == "-":
        details = f"before it there are {', '.join(OPTIONS)}; what belongs to the query goes behind it"
        if words[0].partition("=")[0] in ("-n", "--namespace"):
            details = f"--operator-namespace says where the operator runs, {words[0]} behind the query what it is about"
        raise errors.InvalidArgument(f"{words[0]} stands before `query`", details)
    from kube9.fixed_commands import COMMANDS

    if words[0] not in {name.split()[0] for name in COMMANDS}:
        raise errors.InvalidArgument(f"`{words[0]}` is no command", f"a question begins with `query`: query {' '.join(words)}")
    what = f"`{words[0]}` cannot be asked of the operator in a cluster"
    raise errors.InvalidArgument(what, f"`query` can; without {', '.join(OPTIONS)} before it, `kube9 {words[0]}` works here")


def _shown_on() -> list[str]:
    """The variables that tell the command in the pod what its output is shown on here: a table is cut and coloured for it."""
    ours = (("stdout", sys.stdout), ("stderr", sys.stderr))
    terminals = {name: stream.fileno() for name, stream in ours if stream is not None and stream.isatty()}
    if not terminals:
        return []
    found = {streams.TERMINAL: ",".join(terminals)}
    try:
        found["COLUMNS"] = str(os.get_terminal_size(min(terminals.values())).columns or 80)
    except OSError:
        pass
    found |= {name: os.environ[name] for name in ("TERM", "COLORTERM", "NO_COLOR", "COLUMNS") if name in os.environ}
    return [f"{name}={value}" for name, value in found.items()]


def _write_stderr(data: bytes) -> None:
    if sys.stderr is not None:
        try:
            os.write(sys.stderr.fileno(), data)
        except OSError:
            pass  # nobody reads it; the exit code tells


def _fail(error: errors.Kube9Error, words: list[str]) -> int:
    from kube9.cli import fail, format_of  # cyclopts: 70 ms

    at = words.index("query") if "query" in words else len(words)
    return fail(error, format_of(words[at:]))

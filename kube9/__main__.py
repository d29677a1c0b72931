"""The program: a plain query is answered at once; anything else goes the full way through `kube9.cli`."""

import os
import sys

INTERRUPTED = 130
EXEC_S = 900  # the longest that a question may take which was exec'd into a container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Run the program with the words of the command line. Returns its exit code."""
    return _run(sys.argv[1:], _at_once)


def kubectl_plugin() -> int:
    """Run kubectl-kube9, which `kubectl kube9` starts, with the words behind it. Returns its exit code."""
    from kube9.laptop import plugin

    return _run(sys.argv[1:], plugin)


def kubectl_completion() -> int:
    """Run kubectl_complete-kube9, which kubectl asks what may follow `kubectl kube9`. Returns 0."""
    from kube9.complete_far import complete_for_kubectl

    return _run(sys.argv[1:], complete_for_kubectl)


def _run(words: list[str], first: "Callable[[list[str]], int | None]") -> int:
    try:
        code = first(words)
        if code is None:
            if os.getpid() == 1:
                _end_when_told()
            from kube9.cli import run  # cyclopts: 70 ms

            return run(words)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)  # at once: a second Ctrl-C would interrupt the way out
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(code)  # all is written and closed: taking the interpreter down costs 2 ms and changes nothing


def _at_once(words: list[str]) -> int | None:
    """Do what needs no command line library and return the exit code; None, and nothing done, where it does."""
    heard = "KUBE9_CALLER" in os.environ  # somebody asks from afar
    if heard:
        from kube9 import caller

        caller.listen()
        heard = caller.listening()
    first = words[0] if words else ""
    if first == "query":
        if os.getppid() == 0 and os.getpid() != 1 and not heard:
            _end_in_time()
        return first_try(words)
    if first == "__complete":
        from kube9.complete import complete
        from kube9.complete_far import candidates

        return complete(words[1:], candidates)
    if first[:2] == "--":
        from kube9 import laptop

        return laptop.first_try(words)
    return None


def _end_when_told() -> None:
    """Let SIGTERM end this process until `serve` knows better.

    The first process of a container gets no signal that it does not handle: a pod that is deleted while it starts would stay
    for its whole grace period.
    """
    import _signal  # type: ignore[import-not-found]  # as below

    _signal.signal(_signal.SIGTERM, lambda number, _: os._exit(128 + number))


def _end_in_time() -> None:
    """End this process some time, where it was exec'd into a container.

    The runtime passes no signals, and keeps the pipes of a command whose caller is gone: one that writes more than they hold
    would wait for ever.
    """
    import _signal  # the C part: `signal` costs 1 ms

    limit = os.environ.get("KUBE9_EXEC_SECONDS", "")
    _signal.alarm(int(limit) if limit.isascii() and limit.isdigit() else EXEC_S)


def first_try(words: list[str]) -> int | None:
    """Answer a plain query and return the exit code; None, and nothing done, when it is not plain."""
    from kube9 import argv, plan

    compiled = plan.load()
    request = compiled and argv.read(compiled, words)
    if not compiled or not request:
        return None
    from kube9 import errors
    from kube9.answer import answer

    wants = request[2].get("format", "json")

    def hung() -> None:
        from kube9 import cli

        cli.hung(wants)()

    try:
        answer(compiled, *request, hung)
    except errors.Kube9Error as error:
        from kube9.cli import fail

        return fail(error, wants)
    return 0


if __name__ == "__main__":
    sys.exit(main())

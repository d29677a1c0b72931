"""What the library asks of the operator's pod. `kube9.local` is its twin for a file here.

A call becomes the words of the command line, which `kubectl exec` carries there; what comes back is the JSON that the command
line writes. The other side may be older or newer than this one: it checks the values, and knows what it can do.
"""

import json
import math
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from kube9 import errors
from kube9.kubectl import LOOK_S, OUT, Place
from kube9.operator_pod import Exec
from kube9.plan import Plan

SCHEME = "kubectl://"
CONNECT_S = 30.0
LONGEST_S = 10 * 365 * 24 * 3600  # what no time limit is in the words of the command line
EXAMPLE = f"such as {SCHEME}kube9-system?context=NAME&kubeconfig=FILE, where %26 is & and %25 is %"
ERRORS = {kind.code: kind for kind in errors.Kube9Error.__subclasses__()}
Row = dict[str, Any]


def place(url: str) -> Place:
    """Where a URL says that the operator runs: `kubectl://NAMESPACE?context=NAME&kubeconfig=FILE`.

    Raises:
        InvalidArgument: it is not of this form.
    """
    namespace, mark, query = url.removeprefix(SCHEME).partition("?")
    given: dict[str, str] = {}
    for part in query.split("&") if mark else ():
        name, equals, value = part.partition("=")
        if name not in ("context", "kubeconfig") or not equals or name in given:
            what = "is given twice" if name in given else "is neither context=NAME nor kubeconfig=FILE"
            raise errors.InvalidArgument(f'{url}: "{part}" {what}', EXAMPLE)
        if "#" in value or any(code[:2].strip("0123456789abcdefABCDEF") or len(code) < 2 for code in value.split("%")[1:]):
            raise errors.InvalidArgument(f'{url}: "{part}" is not written as a URL has it', EXAMPLE)
        try:
            given[name] = unquote(value, errors="strict")
        except UnicodeDecodeError:
            raise errors.InvalidArgument(f'{url}: "{part}" is not UTF-8', EXAMPLE) from None
    try:
        return Place(namespace, **given)
    except errors.InvalidArgument as error:
        raise errors.InvalidArgument(f"{url}: {error.message}", EXAMPLE) from None


class OperatorPod:
    """The operator's pod. Answers are plain dicts, as its command line writes them; all else is as `local.File` has it.

    Args:
        place: where it runs.
        plan: the compiled plan, for what fields there are.
        closed: what ends its watches and refuses further questions.

    Raises:
        Kube9Error: as its `call`; what is wrong is said now and not at the first question.
    """

    def __init__(self, place: Place, plan: Plan, closed: threading.Event) -> None:
        self._place, self._plan, self._closed = place, plan, closed
        self._document(["query", "status", "--format=json"], CONNECT_S)

    def call(self, declared: Plan, given: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """The answer to a query. `given` is as `bind` takes it.

        Raises:
            Kube9Error: what the command line in the pod says, or why it could not be asked.
        """
        options = ["--format=json", _time_limit(timeout_s)]
        found = self._document(words(declared, given, options), timeout_s)
        plural = self._plan["messages"][declared["message"]]["plural"]
        if not declared["paged"]:
            return self._whole(declared, found)
        return found | {plural: [self._whole(declared, row) for row in found.get(plural, ())]}

    def walk(self, declared: Plan, given: dict[str, Any], timeout_s: float) -> Iterator[Row]:
        """Every row, and then those that changed meanwhile; the time limit is that of a page."""
        options = ["--all", "--format=jsonl", _time_limit(timeout_s)]
        return self._rows(declared, words(declared, given, options), wait_s=timeout_s)

    def watch(self, declared: Plan, given: dict[str, Any], timeout_s: float) -> Iterator[Row]:
        """What is added or updated from now on, or since `after`, until it is closed or the time limit has passed.

        Raises:
            Unavailable: while it is iterated, the connection broke; a list after the last known token has what was missed.
        """
        until = time.monotonic() + timeout_s
        page = self.call(declared, given | {"limit": 1}, timeout_s)  # what is wrong is said at once
        after = given.get("after") or page["pagination"]["sync_token"]
        following = words(declared, given | {"after": after}, ["--watch", "--format=jsonl"])
        return self._rows(declared, following, until=until, quietly=True)

    def _whole(self, declared: Plan, row: Row) -> Row:
        """A row with the fields that an older kube9 does not have yet, where they may be null."""
        fields = self._plan["messages"][declared["message"]]["fields"]
        return {name: None for name, of in fields.items() if of["nullable"]} | row

    def _document(self, asked: list[str], timeout_s: float) -> dict[str, Any]:
        return _object(b"".join(self._output(asked, until=time.monotonic() + timeout_s)))

    def _rows(self, declared: Plan, asked: list[str], **limits: Any) -> Iterator[Row]:
        rest = b""
        for data in self._output(asked, **limits):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield self._whole(declared, _object(line))

    def _output(
        self, asked: list[str], *, until: float = math.inf, wait_s: float = math.inf, quietly: bool = False
    ) -> Iterator[bytes]:
        """What a command in the pod writes, as it comes.

        Args:
            asked: its words.
            until: when it must be done, by the monotonic clock.
            wait_s: how long nothing may come.
            quietly: that the time is up, or the client closed, is its end and no error.
        """
        said, waiting = b"", time.monotonic()
        with Exec(self._place, asked) as command:
            code = None
            while code is None:
                left = min(until, waiting + wait_s) - time.monotonic()
                if quietly and (left <= 0 or self._closed.is_set()):
                    return
                if self._closed.is_set():
                    raise errors.FailedPrecondition("the client is closed", "make another one with kube9.connect")
                if left <= 0:
                    raise errors.DeadlineExceeded("the time limit passed", "ask for less, or raise timeout")
                arrived, code = command.read(min(left, LOOK_S))
                for kind, data in arrived:
                    if kind == OUT:
                        yield data
                    else:
                        said += data
                if arrived:
                    waiting = time.monotonic()  # whoever takes the rows may take their time
        if code:
            raise _error(code, said.decode(errors="replace"))


def words(declared: Plan, given: dict[str, Any], options: list[str]) -> list[str]:
    """The command line of a query.

    Args:
        declared: the query's part of the plan.
        given: parameter name -> value, as `bind` takes it.
        options: what says how to answer.
    """
    said, positions = ["query", *declared["name"].split(), *options], []
    for name, param in declared["params"].items():
        value = given.get(name)
        for one in value if isinstance(value, list) else [value]:
            if one is None or one is False:
                continue
            if "\0" in str(one):
                raise errors.InvalidArgument(f"{name}: {one!r} has a NUL, which no event has")
            if not param["flags"]:
                positions.append(str(one))
            else:  # in one word with its option, so that no value is taken for another
                said.append(param["flags"][0] if one is True else f"{param['flags'][0]}={one}")
    return [*said, *(["--"] if any(text[:1] == "-" for text in positions) else []), *positions]


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise errors.Unavailable("the operator's answer is no JSON", f"it begins with {text[:80]!r}: try again")
    return found


def _time_limit(timeout_s: float) -> str:
    return f"--timeout={math.ceil(max(min(timeout_s, LONGEST_S), 1))}s"


def _error(code: int, said: str) -> errors.Kube9Error:
    """The error that a command in the pod ended with, from its exit code and what it wrote to stderr."""
    try:
        found = json.loads(said.strip().rpartition("\n")[2])
        message, details, status = found.pop("error"), found.pop("details"), found.pop("code")
    except (ValueError, KeyError, AttributeError, TypeError):
        what = f"the operator's kube9 ended with exit code {code}"
        return errors.Unavailable(what, said.strip()[-1000:] or "it said nothing: look at the pod")
    return ERRORS.get(status, errors.Kube9Error)(message, details, **found)

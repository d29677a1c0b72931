"""kubectl as a child of ours: where it is told to look, and what it writes as it arrives.

It is the way to the cluster because it has everybody's ways to log in. Nothing of `subprocess` is needed for it, whose
import costs 5 ms of a query.
"""

import _thread
import os
import select

from kube9 import errors, names
from kube9.caller import BEAT, BEAT_S

NAMESPACE = "kube9-system"
# What says where the operator runs, before the command: the option, its name in a `Place`, what help says of it.
OPTIONS = {
    "--context": ("context", "context of the kubeconfig; by default the current one"),
    "--kubeconfig": ("kubeconfig", "kubeconfig file; by default the one that kubectl takes"),
    "--operator-namespace": ("namespace", f"namespace in which the operator runs; by default {NAMESPACE}"),
}
OUT, ERR = -1, -2  # what a child wrote to; numbers that no descriptor has
CHUNK = 65536
LOOK_S = 0.25
SIGPIPE, SIGKILL = 13, 9  # of signal, whose import is not needed for two numbers that every POSIX has
E2BIG = 7

TYPE_CHECKING = False
if TYPE_CHECKING:
    Arrived = list[tuple[int, bytes]]


class Place:
    """Where the operator runs, as kubectl is told: a namespace, and where they are given a context and a kubeconfig.

    Raises:
        InvalidArgument: no namespace can have that name, or a context or kubeconfig is empty.
    """

    __slots__ = ("context", "kubeconfig", "namespace")

    def __init__(self, namespace: str = NAMESPACE, context: str | None = None, kubeconfig: str | None = None) -> None:
        if not names.is_namespace(namespace):
            what = f'the namespace of the operator: "{namespace}" is no name of a namespace'
            raise errors.InvalidArgument(what, f"a to z, 0 to 9 and -, such as {NAMESPACE}")
        for name, value in (("context", context), ("kubeconfig", kubeconfig)):
            if value is not None and (not value or "\0" in value):
                raise errors.InvalidArgument(f"the {name} is {'empty' if not value else 'no text'}", f"leave the {name} out")
        self.namespace, self.context, self.kubeconfig = namespace, context, kubeconfig

    def words(self) -> list[str]:
        """The options of kubectl that say it; each a single word, so that no value is taken for an option."""
        given = (("kubeconfig", self.kubeconfig), ("context", self.context), ("namespace", self.namespace))
        return [f"--{name}={value}" for name, value in given if value is not None]


def read(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Read the options before the command.

    Returns: what is given of where the operator runs, by its name in a `Place`, and the words from the command on.

    Raises:
        InvalidArgument: an option is wrong.
    """
    given: dict[str, str] = {}
    rest = [*words]
    while rest and rest[0].partition("=")[0] in OPTIONS:
        flag, equals, value = rest.pop(0).partition("=")
        if not equals:
            if not rest:
                raise errors.InvalidArgument(f"{flag} has no value", "give one, and the command behind it")
            value = rest.pop(0)
        name, _ = OPTIONS[flag]
        if name in given:
            raise errors.InvalidArgument(f"{flag} is given twice", "leave one of them out")
        given[name] = value
    return given, rest


class Child:
    """A kubectl that runs, with pipes at its stdin, stdout and stderr; a context manager that ends it.

    Its stdin is held open, and a byte goes down it now and then, until this process ends, in whatever way.

    Args:
        words: the words behind `kubectl`.
        poll: what waits for its output, and may wait for more.

    Raises:
        Unavailable: kubectl cannot be started.
        InvalidArgument: the words are too long.
    """

    def __init__(self, words: list[str], poll: "select.poll | None" = None) -> None:
        program = os.environ.get("KUBECTL") or "kubectl"
        pipes = [_pipe() for _ in range(3)]
        (stdin, self.stdin), (self._out, stdout), (self._err, stderr) = pipes
        actions = [(os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate((stdin, stdout, stderr))]
        try:
            self.pid = os.posix_spawnp(
                program, [program, *words], os.environ, file_actions=actions, setsigdef=[SIGPIPE]
            )  # Python ignores SIGPIPE, and kubectl would too
        except OSError as error:
            for end in (self.stdin, self._out, self._err):
                os.close(end)
            if error.errno == E2BIG:
                raise errors.InvalidArgument("the words are too long for a command line", "ask for less at once") from None
            how = "put kubectl on the PATH, or name it by KUBECTL"
            raise errors.Unavailable("kubectl cannot be started", f"{program}: {error.strerror}: {how}") from None
        finally:
            for end in (stdin, stdout, stderr):
                os.close(end)
        self.code: int | None = None
        self.poll = poll or select.poll()
        self._open = {self._out: OUT, self._err: ERR}
        for end in self._open:
            self.poll.register(end, select.POLLIN)
        self._over = _thread.allocate_lock()
        self._over.acquire()
        _thread.start_new_thread(_beat, (self.stdin, self._over))

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def send(self, data: bytes) -> None:
        """Write to its stdin; nothing happens when it has gone."""
        try:
            os.write(self.stdin, data)
        except OSError:
            pass

    def read(self, timeout_s: float) -> "Arrived":
        """What comes within so many seconds: (OUT or ERR, bytes), or (a further descriptor that `poll` watches, nothing).

        `code` is there once all is read: the exit code of kubectl, or a signal as a negative number.
        """
        found = []
        for descriptor, _ in self.poll.poll(max(timeout_s, 0) * 1000):
            if descriptor not in self._open:
                found.append((descriptor, b""))
            elif data := os.read(descriptor, CHUNK):
                found.append((self._open[descriptor], data))
            else:
                self._forget(descriptor)
        if not self._open:
            self._wait(0)
        elif not found and self._wait(os.WNOHANG):  # something that kubectl started holds its pipes
            for descriptor in [*self._open]:
                self._forget(descriptor)
        return found

    def end(self) -> None:
        """Kill it where it still runs, and let go of its pipes. kubectl passes no signal on: the end of its stdin tells."""
        if self.code is None:
            try:
                os.kill(self.pid, SIGKILL)
            except ProcessLookupError:
                pass  # as in `_wait`
            self._wait(0)
        for descriptor in [*self._open]:
            self._forget(descriptor)
        if self._over.locked():
            self._over.release()

    def _forget(self, descriptor: int) -> None:
        self.poll.unregister(descriptor)
        del self._open[descriptor]
        os.close(descriptor)

    def _wait(self, options: int) -> bool:
        if self.code is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # the program that uses this library ignores its children
                pid, status = self.pid, 0
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None


def run(words: list[str], timeout_s: float) -> tuple[int | None, bytes, bytes]:
    """Run kubectl to its end. Returns its exit code, or None when the time passed, and what it wrote to stdout and stderr."""
    import time

    until = time.monotonic() + timeout_s
    written = {OUT: b"", ERR: b""}
    with Child(words) as child:
        while child.code is None and (left := until - time.monotonic()) > 0:
            for kind, data in child.read(min(left, LOOK_S)):
                written[kind] += data
        return child.code, written[OUT], written[ERR]


def _beat(stdin: int, over: "_thread.LockType") -> None:
    while not over.acquire(timeout=BEAT_S):
        try:
            os.write(stdin, BEAT)
        except OSError:
            pass  # kubectl has gone
    os.close(stdin)  # here, so that nobody else has the number while something is written to it


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are none of stdin, stdout and stderr, also where some of them are closed."""
    low: list[int] = []
    while True:
        ends = os.pipe()
        if min(ends) > 2:
            break
        low += ends
    for end in low:
        os.close(end)
    return ends

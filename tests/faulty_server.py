"""An API server for events, over real HTTP on the loopback interface, that holds a model of events and fails when told.

    server = FaultyServer(clock)
    server.create("web-0"); server.repeat("web-0"); server.recreate(server.expire("web-0"))
    server.fault("expired_line")     # one of FAULTS: the next request or line that it can befall
    server.felt()                    # whether it came to pass, within some seconds
    server.down(); server.up()       # nobody listens at its port for a while
    server.compact()                 # older versions expire
    server.restore(server.backup())  # versions go back
    server.present()                 # what the server holds, by (namespace, name)
    server.patch_answer = 403        # a status for each PATCH, or None for none; server.patched has what came

Every resource but events is an empty list and a watch without lines. All of it is thread-safe.
"""

import json
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from copy import deepcopy
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from conftest import make_event
from kubernetes import client

from kube9 import times
from kube9.apiserver import ApiServer
from kube9.clock import Clock

EVENTS = "/api/v1/events"
NAMESPACE = "prod"

# What a fault can befall: a watch or a list that is asked for, a list's further page, any request about events, or the
# lines of a watch, an open one too.
FAULTS = {
    "expired_http": "watch",  # HTTP 410
    "empty": "watch",  # 200, and the end
    "hung": "any",  # no answer at all
    "late": "any",  # the answer takes its time
    "hung_list": "list",  # the same
    "silent": "watch",  # 200, and then nothing although there is something to send
    "unauthorized": "any",  # 401
    "forbidden": "any",  # 403
    "throttled": "any",  # 429, Retry-After in seconds
    "unavailable": "any",  # 503, Retry-After as a date
    "error": "any",  # 500
    "dropped": "any",  # the connection is reset instead of an answer
    "no_json": "list",  # 200, and no JSON
    "cut_list": "list",  # breaks off in the middle
    "slow_list": "list",  # a byte now and then
    "expired_token": "page",  # 410 for a `continue` token
    "expired_line": "lines",  # an ERROR line with code 410
    "late_expiry": "lines",  # the same, after a while
    "error_line": "lines",  # an ERROR line with code 500
    "truncated": "lines",  # half a line, and an orderly end
    "cut_character": "lines",  # the connection ends within a character
    "reset": "lines",  # the connection is reset
    "garbage": "lines",  # a line that is no JSON
    "bookmark": "lines",  # a version without an object
    "unknown_type": "lines",  # a line of a type that nobody knows
    "endless_line": "lines",  # a line without an end
    "drip": "lines",  # a byte now and then, and never the end of a line
    "one_line": "lines",  # an orderly end after a line
}
STATUSES = {"expired_http": 410, "unauthorized": 401, "forbidden": 403, "throttled": 429, "unavailable": 503, "error": 500}
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}


class FastClock(Clock):
    """A clock whose waits take no time: they move it instead. `end_after` stops it when it gets so far."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s: list[float] = []
        self._ahead_s, self._ends_after_s = 0.0, float("inf")
        self._turning = threading.Lock()

    def now_ms(self) -> int:
        return times.now_ms() + int(self._ahead_s * 1000)

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def wait(self, seconds: float) -> bool:
        with self._turning:
            self.waited_s.append(seconds)
            self._ahead_s += seconds
            if self._ahead_s > self._ends_after_s:
                self.stop()
        return not self.stopped

    def end_after(self, seconds: float) -> None:
        """Stop after so long."""
        self._ends_after_s = seconds

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        with self._turning:
            self._ahead_s += seconds


class Asked(NamedTuple):
    """A request, and when it came by the clock."""

    path: str
    query: dict[str, str]
    at_s: float
    accept: str
    port: int  # of the connection's other side

    @property
    def watch(self) -> bool:
        return "watch" in self.query


class Patched(NamedTuple):
    """A PATCH as it came, whatever was answered."""

    path: str
    media_type: str
    body: dict[str, Any]


class FaultyServer:
    """The server; `api` asks it. Close it at the end."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.asked: list[Asked] = []
        self.patched: list[Patched] = []
        self.patch_answer: int | None = 200
        self.token: str | None = None  # what a request must bear, where one is needed
        self.uid = "uid-of-the-cluster"
        self.retry_after_s = 2
        self._objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._version, self._compacted, self._made = 100, 0, 0
        self._dropped = 0  # version of the last line that was compacted away
        self._lines: list[tuple[int, bytes]] = []  # of the watch, each with its version
        self._pages: dict[str, tuple[int, list[dict[str, Any]]]] = {}  # what is left of lists, by token
        self._armed: list[str] = []
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._watched = 0  # how many watches of events are open
        self._endings = 0  # how often `end_watches` was called: a watch that was opened before the last time ends
        self._apis: list[ApiServer] = []
        self._http: ThreadingHTTPServer | None = None
        self.port = 0
        self.up()

    # The model.

    def create(self, name: str, *, newer: bool = False, **changes: Any) -> None:
        """An event happens for the first time. A `newer` reporter counts repeats in `series`."""
        now = self.clock.now()[:19] + "Z"
        counted = {"firstTimestamp": None, "lastTimestamp": None, "count": None, "eventTime": now[:19] + ".000000Z"}
        if not newer:
            counted = {"firstTimestamp": now, "lastTimestamp": now, "count": 1}
        event = make_event(name, NAMESPACE, **(counted | {"message": f"größer: {name}"} | changes))
        event["metadata"]["creationTimestamp"] = now
        with self._changed:
            event["metadata"]["uid"] = self._next_uid()
            self._put("ADDED", event)

    def repeat(self, name: str, by: int = 1) -> None:
        """It happens again: its count rises."""
        with self._changed:
            self._put("MODIFIED", self._repeated(self._objects[NAMESPACE, name], by))

    def expire(self, name: str) -> dict[str, Any]:
        """The server forgets it. Returns what it was."""
        with self._changed:
            event = self._objects.pop((NAMESPACE, name))
            self._line("DELETED", event)
            return event

    def recreate(self, event: dict[str, Any]) -> None:
        """It happens again after it expired: the same name and first time, another uid, and its count goes on."""
        event = deepcopy(self._repeated(event, 1))
        with self._changed:
            event["metadata"]["uid"] = self._next_uid()
            self._put("ADDED", event)

    def present(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the server holds."""
        with self._changed:
            return deepcopy(self._objects)

    @property
    def version(self) -> str:
        """The resource version that a list has now."""
        with self._changed:
            return str(self._version)

    def elsewhere(self, count: int = 1) -> None:
        """Other resources change: the version rises."""
        with self._changed:
            self._version += count

    def compact(self) -> None:
        """What happened until now can no longer be watched from an older version."""
        with self._changed:
            self._compacted = self._version
            self._dropped = max([self._dropped, *(version for version, _ in self._lines)])
            self._lines.clear()
            self._pages.clear()

    def backup(self) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
        """The state of now, to be restored later."""
        with self._changed:
            return self._version, deepcopy(self._objects)

    def restore(self, backup: tuple[int, dict[tuple[str, str], dict[str, Any]]]) -> None:
        """Go back to an earlier state, and its version. Open watches stay open."""
        with self._changed:
            self._version, self._objects = backup[0], deepcopy(backup[1])
            self._lines = [line for line in self._lines if line[0] <= self._version]
            self._compacted, self._dropped = min(self._compacted, self._version), min(self._dropped, self._version)
            self._pages.clear()

    # The faults.

    def fault(self, kind: str, count: int = 1) -> None:
        """Arm one of FAULTS, so many times. An open watch that it does not befall is ended, so that a request comes."""
        with self._changed:
            self._armed += [kind] * count
            self._changed.notify_all()
        if FAULTS[kind] != "lines":
            self.end_watches()

    def mend(self) -> None:
        """Disarm all faults."""
        with self._changed:
            self._armed.clear()
            self._changed.notify_all()

    def felt(self, seconds: float = 10.0, but: int = 0) -> bool:
        """Whether every fault that was armed came to pass, `but` for so many, within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._armed) <= but, seconds)

    def end_watches(self) -> None:
        """End the open watches of events in order, as at the server's timeout; so much time passes by a clock of tests."""
        with self._changed:
            if self._watched and isinstance(self.clock, FastClock):
                self.clock.advance(300)
            self._endings += 1
            self._changed.notify_all()

    def cut(self) -> None:
        """Cut every connection."""
        with self._changed:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.notify_all()

    def down(self) -> None:
        """Go away: nobody listens at the port any more."""
        if self._http is None:
            return
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._http = None
        self.cut()

    def up(self) -> None:
        """Come back at the same port."""
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _Listener(("127.0.0.1", self.port), handler)
        self.port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.005,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, and the connections of `api`."""
        for api in self._apis:
            api.stop()
        self.down()
        until = time.monotonic() + 10
        while self._connections and time.monotonic() < until:
            time.sleep(0.002)

    def api(self, token_file: Any = None, read_timeout_s: float = 0.3) -> ApiServer:
        """A connection to it; with the token that a file holds when it is connected or refused."""

        def configure() -> client.Configuration:
            configuration = client.Configuration(host=f"http://127.0.0.1:{self.port}")
            if token_file:
                configuration.api_key["authorization"] = f"Bearer {token_file.read_text()}"
            return configuration

        self._apis.append(ApiServer(configure, read_timeout_s))
        return self._apis[-1]

    def watches(self) -> list[Asked]:
        """The watches of events that were asked for."""
        return [asked for asked in self.asked if asked.watch and asked.path == EVENTS]

    def lists(self) -> list[Asked]:
        """The lists of events that were asked for, their first pages; small ones that only prove something left out."""
        found = [asked for asked in self.asked if not asked.watch and asked.path == EVENTS]
        return [asked for asked in found if asked.query.get("limit") != "1" and "continue" not in asked.query]

    def probes(self) -> list[Asked]:
        """The small lists that only prove something."""
        return [asked for asked in self.asked if asked.query.get("limit") == "1"]

    # What the handlers need; the lock is held where it says so.

    def take(self, *befalls: str) -> str | None:
        """The first armed fault that befalls one of these, disarmed. The lock is held."""
        for index, kind in enumerate(self._armed):
            if FAULTS[kind] in befalls:
                del self._armed[index]
                self._changed.notify_all()
                return kind
        return None

    def _repeated(self, event: dict[str, Any], by: int) -> dict[str, Any]:
        now = self.clock.now()[:19]
        if event.get("eventTime"):
            return event | {"series": {"count": count_of(event) + by, "lastObservedTime": f"{now}.000000Z"}}
        return event | {"count": count_of(event) + by, "lastTimestamp": f"{now}Z"}

    def _put(self, kind: str, event: dict[str, Any]) -> None:
        self._objects[event["metadata"]["namespace"], event["metadata"]["name"]] = event = deepcopy(event)
        self._line(kind, event)

    def _line(self, kind: str, event: dict[str, Any]) -> None:
        self._version += 1
        event["metadata"]["resourceVersion"] = str(self._version)
        self._lines.append((self._version, line(kind, event)))
        self._changed.notify_all()

    def _next_uid(self) -> str:
        self._made += 1
        return f"uid-{self._made}"


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        pass  # the other side went away, or a fault did it


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: FaultyServer

    def setup(self) -> None:
        super().setup()
        with self.owner._changed:
            self.owner._connections.add(self.connection)

    def finish(self) -> None:
        with self.owner._changed:
            self.owner._connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        server, parts = self.owner, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        asked = Asked(parts.path, query, server.clock.monotonic(), self.headers.get("Accept", ""), self.client_address[1])
        befalls = ("watch", "any") if asked.watch else ("page", "list", "any") if "continue" in query else ("list", "any")
        with server._changed:
            server.asked.append(asked)
            known = server.token is None or self.headers.get("Authorization") == f"Bearer {server.token}"
            fault = server.take(*befalls) if parts.path == EVENTS else None
        if fault == "late":
            time.sleep(0.15)
            fault = None
        if not known:
            self.refuse(401)
        elif fault:
            self.fail(fault)
        elif parts.path.startswith("/api/v1/namespaces/"):
            self.send({"metadata": {"name": parts.path.rpartition("/")[2], "uid": server.uid}})
        elif asked.watch:
            self.watch(query, parts.path == EVENTS)
        else:
            self.list(query, parts.path == EVENTS)

    def do_PATCH(self) -> None:
        server = self.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server._changed:
            server.patched.append(Patched(self.path, self.headers["Content-Type"], body))
            known = server.token is None or self.headers.get("Authorization") == f"Bearer {server.token}"
        answer = server.patch_answer if known else 401
        if answer is None:
            self.hang()
        elif answer == 200:
            self.send(body)
        else:
            self.refuse(answer)

    def fail(self, kind: str) -> None:
        """A fault instead of an answer."""
        if kind in STATUSES:
            self.refuse(STATUSES[kind], self.owner.retry_after_s if kind in ("throttled", "unavailable") else 0, kind)
        elif kind == "expired_token":
            self.refuse(410)
        elif kind == "empty":
            self.begin()
            self.wfile.write(b"0\r\n\r\n")
        elif kind == "silent":
            self.begin()
            self.hang()
        elif kind in ("hung", "hung_list"):
            self.hang()
        elif kind == "dropped":
            self.reset()
        elif kind == "no_json":
            self.send(None, b"<html>a proxy</html>")
        elif kind == "slow_list":
            self.begin()
            self.pour(b" ", pause_s=0.01)
        elif kind == "cut_list":
            self.send(None, b'{"items": [', length=1000)
            self.close_connection = True

    def list(self, query: dict[str, str], events: bool) -> None:
        """A page of what there is, at most `limit`; the rest under a token."""
        server, size = self.owner, int(query.get("limit", 0)) or 10**9
        with server._changed:
            if "continue" not in query:
                version, objects = server._version, list(server._objects.values()) if events else []
            elif query["continue"] in server._pages:
                version, objects = server._pages.pop(query["continue"])
            else:
                self.refuse(410)
                return
            token = ""
            if len(objects) > size:
                token = f"{version}-{len(objects) - size}"
                server._pages[token] = (version, objects[size:])
            body = {"metadata": {"resourceVersion": str(version), "continue": token}, "items": objects[:size]}
            data = json.dumps(body, ensure_ascii=False).encode()
        self.send(None, data)

    def watch(self, query: dict[str, str], events: bool) -> None:
        """The lines after a version, as they come, until the timeout."""
        server, position = self.owner, int(query["resourceVersion"])
        until = time.monotonic() + int(query["timeoutSeconds"])
        with server._changed:
            opened = server._endings
            server._watched += events
        try:
            self.begin()
            self.stream(position, until, opened, events)
        finally:
            with server._changed:
                server._watched -= events

    def stream(self, position: int, until: float, opened: int, events: bool) -> None:
        """The body of a watch."""
        server = self.owner
        expired = events and position < server._compacted
        while not expired and not self.gone() and time.monotonic() < until:
            with server._changed:
                expired = events and position < server._dropped  # before it was sent
                if expired:
                    break
                lines = [text for version, text in server._lines if version > position] if events else []
                fault = server.take("lines") if events else None
                ended = events and server._endings > opened
                if not lines and not fault and not ended:
                    server._changed.wait(0.02)
                    continue
                if lines and not fault:
                    position = max(position, server._lines[-1][0])
                version = server._version
            if fault:
                text = lines[0] if lines else line("BOOKMARK", {"metadata": {"resourceVersion": str(position), "by": "ä"}})
                if not self.strike(fault, text, bookmark=None if lines else version):
                    return
                continue
            for text in lines:
                self.chunk(text)
            if ended:
                break
        if expired:
            self.chunk(line("ERROR", GONE))
        self.end()

    def strike(self, kind: str, text: bytes, *, bookmark: int | None) -> bool:
        """A fault among the lines, with the next line and the version that a bookmark may have. Whether it goes on."""
        if kind == "bookmark":
            if bookmark:  # else it would skip what waits to be sent
                self.chunk(line("BOOKMARK", {"metadata": {"resourceVersion": str(bookmark)}}))
            return True
        if kind == "unknown_type":
            self.chunk(line("SPLIT", {"metadata": {"resourceVersion": "999999999"}}))
            return True
        if kind == "garbage":
            self.chunk(text + b"{<\xff>\n")
        elif kind in ("expired_line", "late_expiry"):
            time.sleep(0.05 if kind == "late_expiry" else 0)
            self.chunk(line("ERROR", GONE))
        elif kind == "error_line":
            self.chunk(line("ERROR", {"kind": "Status", "code": 500, "message": "etcdserver: leader changed"}))
        elif kind == "one_line":
            self.chunk(text)
        elif kind == "truncated":
            self.chunk(text[: len(text) // 2])
        elif kind == "cut_character":
            middle = next(index for index, byte in enumerate(text) if byte > 127) + 1
            self.chunk(text[:middle])
            self.close_connection = True
            return False
        elif kind == "reset":
            self.reset()
            return False
        elif kind in ("endless_line", "drip"):
            self.pour(b"x" * 65_536 if kind == "endless_line" else b" ", pause_s=0.0 if kind == "endless_line" else 0.01)
            return False
        self.end()
        return False

    def refuse(self, status: int, retry_after_s: int = 0, kind: str = "") -> None:
        """A Status other than 200."""
        message = json.dumps({"kind": "Status", "message": f"it is {kind or status}", "code": status}).encode()
        self.send_response(status)
        if retry_after_s:
            after = formatdate(time.time() + retry_after_s, usegmt=True) if kind == "unavailable" else str(retry_after_s)
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", str(len(message)))
        self.end_headers()
        self.wfile.write(message)

    def send(self, answer: dict[str, Any] | None, data: bytes = b"", length: int = 0) -> None:
        """A body of known length."""
        data = data or json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        """The head of an answer without a known length."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def pour(self, data: bytes, pause_s: float) -> None:
        """Send the same until the other side gives up."""
        while not self.gone():
            self.chunk(data)
            time.sleep(pause_s)
        self.close_connection = True

    def hang(self) -> None:
        """Do nothing until the other side gives up."""
        while not self.gone():
            time.sleep(0.005)
        self.close_connection = True

    def gone(self) -> bool:
        """Whether the other side, or `cut`, closed the connection."""
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def reset(self) -> None:
        """Close the connection so that the other side gets a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.wfile.close()
        self.connection.close()


def count_of(event: dict[str, Any]) -> int:
    """How often an event has happened, in either form."""
    return event.get("count") or event.get("series", {}).get("count") or 1


def line(kind: str, subject: dict[str, Any]) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": subject}, ensure_ascii=False).encode() + b"\n"

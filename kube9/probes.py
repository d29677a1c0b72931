"""`/livez`, `/readyz`, `/healthz` and `/metrics` of a recorder, over HTTP on all interfaces of its pod.

    /livez    200 while every thread goes round; 503 means that only a restart helps. It looks at nothing else.
    /readyz   200 while events are watched and written.
    /healthz  everything that is known, as JSON; 503 when it is unhealthy, 200 when it is merely degraded.

A sick database or an API server that is away never fails `/livez`: a restart would not help, and would come in a loop.
"""

import io
import json
import logging
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from kube9 import errors, health, times
from kube9.counts import Counts
from kube9.health import Facts, Loop
from kube9.version import __version__

log = logging.getLogger("kube9.probes")

AT_ONCE = 16  # requests; for one more, the one that has dribbled longest is turned out
REQUEST_S = 2.0  # how long the whole of a request may take to arrive, however slowly its bytes come
TURN_OUT_S = 0.001  # how long one more waits for its turn before another is turned out
ANSWER_S = 5.0  # and an answer to be taken
HEAD_BYTES = 16_384
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ANOTHER = "--health-port or HEALTH_PORT names another port, 0 turns the probes off"

Answer = tuple[bool, str, bytes]  # is it well; content type; body


class Server:
    """Answers probes in threads of its own.

    Args:
        port: 1 to 65535; 0 takes a free one.
        facts: what is known of the recorder now. It may look at the database; it must come back soon.
        loops: the threads that must go round.
        counts: the recorder's.
        metrics: writes the metrics, in Prometheus' text format.

    Raises:
        Unavailable: the port is taken.
        PermissionDenied: this user may not listen there.
    """

    def __init__(
        self, port: int, *, facts: Callable[[], Facts], loops: Sequence[Loop], counts: Counts, metrics: Callable[[], bytes]
    ) -> None:
        self._facts, self._loops, self._counts, self._metrics = facts, loops, counts, metrics
        answers = {"/livez": self._livez, "/readyz": self._readyz, "/healthz": self._healthz, "/metrics": self._exposition}
        try:
            self._http = _Http(port, answers)
        except PermissionError as error:
            raise errors.PermissionDenied(f"may not listen on port {port}", f"{error.strerror}; {ANOTHER}") from None
        except OSError as error:
            raise errors.Unavailable(f"cannot listen on port {port} for probes", f"{error.strerror}; {ANOTHER}") from None
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), name="probes", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more, and free the port."""
        if self._thread.is_alive():
            self._http.free.release()  # a request that waits for its turn has it now, so that this does not wait for it
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def _livez(self) -> Answer:
        stuck = health.stuck(self._loops)
        return _json(not stuck, {"alive": not stuck, "stuck": stuck})

    def _readyz(self) -> Answer:
        verdict = health.judge(self._facts(), times.now_ms())
        return _json(verdict.ready, {"ready": verdict.ready, "status": verdict.state, "problems": verdict.problems})

    def _healthz(self) -> Answer:
        facts, now_ms = self._facts(), times.now_ms()
        verdict = health.judge(facts, now_ms)
        database = facts.database
        return _json(
            verdict.state != "unhealthy",
            {
                "status": verdict.state,
                "ready": verdict.ready,
                "version": __version__,
                "namespace": facts.namespace,
                "started_at": facts.started_at,
                "uptime_seconds": health.age_s(facts.started_at, now_ms),
                "watches": [{"resource": watch.resource, **health.report(watch, now_ms)} for watch in facts.watches],
                "database": {
                    "readable": database.problem is None,
                    "writable": database.write_problem is None,
                    "last_commit_at": database.last_commit_at,
                    "last_commit_age_seconds": health.age_s(database.last_commit_at, now_ms),
                    "size_bytes": database.size_bytes,
                    "last_quick_check": database.last_quick_check,
                    "last_full_check": database.last_full_check,
                },
                "queue": {
                    "size": facts.queue_size,
                    "capacity": facts.queue_capacity,
                    "dropped_total": self._counts.dropped_total,
                },
                "problems": verdict.problems,
            },
        )

    def _exposition(self) -> Answer:
        return True, METRICS_TYPE, self._metrics()


def _json(well: bool, body: dict[str, Any]) -> Answer:
    return well, "application/json", (json.dumps(body, indent=2) + "\n").encode()


class _Http(socketserver.ThreadingMixIn, HTTPServer):
    """One thread for each request, and no more than AT_ONCE of them.

    Connections that say nothing must not keep the kubelet's out: it would restart a recorder that is well.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def __init__(self, port: int, answers: dict[str, Callable[[], Answer]]) -> None:
        self.answers = answers
        self.free = threading.Semaphore(AT_ONCE)
        self._arriving: dict[socket.socket, None] = {}  # requests of which not all has come, the oldest first
        self._lock = threading.Lock()
        super().__init__(("", port), _Request)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own would ask the DNS who we are

    def process_request(self, request: Any, client_address: Any) -> None:
        while not self.free.acquire(timeout=TURN_OUT_S):
            self._turn_out_oldest()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread is to be had
            self.free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    @contextmanager
    def arriving(self, connection: socket.socket) -> Iterator[None]:
        """While this lasts, the connection may be turned out for another."""
        with self._lock:
            self._arriving[connection] = None
        try:
            yield
        finally:
            with self._lock:
                self._arriving.pop(connection, None)

    def _turn_out_oldest(self) -> None:
        with self._lock:
            oldest = next(iter(self._arriving), None)
            if oldest:
                del self._arriving[oldest]
                with suppress(OSError):  # it has gone by itself
                    oldest.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        level = logging.DEBUG if isinstance(sys.exception(), OSError) else logging.ERROR  # a client that went away
        log.log(level, "a probe was not answered", exc_info=True)


class _Request(BaseHTTPRequestHandler):
    """One request, and the connection ends."""

    server: _Http
    server_version, sys_version = "kube9", ""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        with self.server.arriving(self.connection):
            head = self._head()
        self.rfile = io.BytesIO(head)
        self.connection.settimeout(ANSWER_S)

    def _head(self) -> bytes:
        """What the client sends up to the empty line, as far as it came in time."""
        head, ends_at = b"", time.monotonic() + REQUEST_S
        while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES and (left_s := ends_at - time.monotonic()) > 0:
            self.connection.settimeout(left_s)
            try:
                data = self.connection.recv(HEAD_BYTES)
            except OSError:  # it took too long, or went away
                return b""
            if not data:
                break
            head += data
        return head

    def do_GET(self) -> None:
        """Answer a path, without its query."""
        answer = self.server.answers.get(self.path.partition("?")[0])
        if answer is None:
            well, kind, body = _json(False, {"error": "not found", "paths": sorted(self.server.answers)})
            status = HTTPStatus.NOT_FOUND
        else:
            well, kind, body = answer()
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # the names are http.server's

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: kubelet asks every few seconds."""

"""A small API server on loopback, and a real `kube9 serve` that records from it, asked over HTTP."""

import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from conftest import Kube9


class Listener(ThreadingHTTPServer):
    """A server with room for every watch that a recorder opens at once: five is the default, and the sixth is reset."""

    request_queue_size = 128
    daemon_threads = True


class SmallApi:
    """Lists `events`, then holds every watch open. With a `refusal` (an HTTP status) it refuses whatever is asked."""

    def __init__(self, folder: Path) -> None:
        self.events: list[dict] = []
        self.refusal: int | None = None
        self._stopped = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                status, body = api.answer(url.path)
                if status == 200 and "watch" in parse_qs(url.query):
                    self.hold()
                else:
                    self.send(status, body)

            def send(self, status: int, body: dict) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def hold(self) -> None:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                api._stopped.wait()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._http = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.kubeconfig = kubeconfig(folder, self._http.server_port)

    def answer(self, path: str) -> tuple[int, dict]:
        """Status and body of the answer at a path; a watch of it is refused likewise, or held open."""
        if self.refusal:
            return self.refusal, {"kind": "Status", "code": self.refusal}
        if path == "/api/v1/namespaces/kube-system":
            return 200, {"metadata": {"name": "kube-system", "uid": "uid-of-the-cluster"}}
        return 200, {"metadata": {"resourceVersion": "10"}, "items": self.events}

    def close(self) -> None:
        self._stopped.set()
        self._http.shutdown()
        self._http.server_close()


class Serving:
    """A `kube9 serve` in a process of its own, with its probes on a free port; `api` has its `kubeconfig`."""

    def __init__(self, kube9: Kube9, api: Any, *words: str, **options: Any) -> None:
        self.port = free_port()
        self.log = kube9.db.parent / "serve.log"
        with self.log.open("w") as stderr:
            port = str(self.port)
            words = ("serve", "--kubeconfig", str(api.kubeconfig), "--health-port", port, *words)
            self.process = kube9.start(*words, stderr=stderr, **options)

    def get(self, path: str) -> tuple[int, bytes]:
        return get(self.port, path)

    def json(self, path: str) -> dict:
        return json.loads(self.get(path)[1])

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until it holds; while nobody listens yet it does not."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if holds():
                    return
            except urllib.error.URLError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"never: {what}\n{self.log.read_text()}")

    def until_ready(self) -> None:
        self.until("it is ready", lambda: self.get("/readyz")[0] == 200)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def kubeconfig(folder: Path, port: int) -> Path:
    """A kubeconfig for the API server at a port of this machine."""
    path = folder / "kubeconfig"
    server = {"server": f"http://127.0.0.1:{port}"}
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "small",
                "clusters": [{"name": "small", "cluster": server}],
                "users": [{"name": "small", "user": {"token": "t"}}],
                "contexts": [{"name": "small", "context": {"cluster": "small", "user": "small"}}],
            }
        )
    )
    return path


def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of an answer, whatever the status."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=15) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def failed_start(kube9: Kube9, api: SmallApi, port: int) -> subprocess.CompletedProcess:
    """A `kube9 serve` that is expected to end by itself."""
    words = kube9.command("serve", "--kubeconfig", str(api.kubeconfig), "--health-port", str(port))
    return subprocess.run(words, env=kube9.env, cwd=Path(__file__).parent.parent, capture_output=True, text=True, timeout=60)

"""The test cluster's API server over plain HTTP, for what kubectl would do too slowly."""

import json
import os
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from urllib.parse import urlsplit

IDLE_S = 30.0  # the API server closes a connection that nobody used for a while


class Api:
    """Requests as the user of a kubeconfig that cluster.py wrote (it is JSON)."""

    def __init__(self, kubeconfig: str) -> None:
        with open(kubeconfig) as file:
            config = json.load(file)
        self.server = config["clusters"][0]["cluster"]["server"]
        self.token = config["users"][0]["user"]["token"]
        self.context = ssl.create_default_context(cafile=config["clusters"][0]["cluster"]["certificate-authority"])
        self._local = threading.local()  # a connection for each thread
        self._connections: list[HTTPSConnection] = []

    def close(self) -> None:
        """Close every connection that was opened."""
        for connection in self._connections:
            connection.close()

    def forget(self) -> None:
        """Close this thread's connection, which broke; the next request opens another."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def request(self, method: str, path: str, body: dict | None = None) -> dict:
        """The answer as JSON. Raises RuntimeError for anything but success."""
        if time.monotonic() - getattr(self._local, "used_at", 0.0) > IDLE_S:
            self.forget()
        self._local.used_at = time.monotonic()
        connection = getattr(self._local, "connection", None)
        if connection is None:
            url = urlsplit(self.server)
            connection = self._local.connection = HTTPSConnection(url.hostname, url.port, context=self.context, timeout=30)
            self._connections.append(connection)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        data = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {data[:300]!r}")
        return json.loads(data)

    def make_events(self, namespace: str, count: int, prefix: str = "made", threads: int = 8, **changes: object) -> None:
        """Create so many events, as fast as the server takes them."""
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda index: self.make_event(namespace, f"{prefix}-{index}", **changes), range(count)):
                pass

    def make_event(self, namespace: str, name: str, **changes: object) -> dict:
        """Create one event about a pod of its name."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = {
            "metadata": {"name": f"{name}.17b2c4", "namespace": namespace},
            "involvedObject": {"kind": "Pod", "namespace": namespace, "name": name},
            "reason": "BackOff",
            "message": "Back-off restarting failed container",
            "source": {"component": "kubelet", "host": "node-1"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": "Warning",
        }
        return self.request("POST", f"/api/v1/namespaces/{namespace}/events", body | changes)

    def make_namespace(self, name: str) -> str:
        """Create a namespace; fine when it is there."""
        try:
            self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        except RuntimeError as error:
            if "409" not in str(error):
                raise
        return name


def connect() -> Api:
    """The cluster around this process, made by cluster.py."""
    return Api(os.environ["KUBECONFIG"])


def wait_for(what: str, condition: Callable[[], object], seconds: float = 60) -> object:
    """The condition's value as soon as it is true. Raises AssertionError, saying what was waited for, after so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")

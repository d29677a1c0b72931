"""The API server over the client's authenticated transport: one JSON answer, or the lines of a watch.

The client's own `Watch` and its retries are not used: restarting is for `kube9.watch`, by named reasons. Credentials
are asked of the client for each request, because a service account's token is rotated on disk.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import urllib3
from kubernetes import client, config

from kube9.errors import Kube9Error, PermissionDenied, Unavailable

KEEP_ALIVE_S = 20
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
READ_BYTES = 65_536
NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


class Refused(Exception):
    """An answer other than 200. `retry_after_s` is what the server asks to wait, 0 when it does not say."""

    def __init__(self, status: int, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"HTTP {status} {reason}".strip())
        self.status, self.reason, self.retry_after_s = status, reason, retry_after_s


class Unreachable(Exception):
    """No answer, or one that broke off."""


class ApiServer:
    """A connection to one API server. `connect` makes it; `stop` ends a watch that waits in another thread."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self.host = api_client.configuration.host
        self._configuration = api_client.configuration
        self._pool = api_client.rest_client.pool_manager
        self._pool.connection_pool_kw["socket_options"] = _keep_alive()
        self._open: urllib3.BaseHTTPResponse | None = None

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """The JSON object at a path. Raises Refused and Unreachable."""
        response = self._request(path, query, READ_TIMEOUT_S)
        try:
            answer = json.loads(response.read())
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unreachable(f"the answer broke off: {error}") from error
        finally:
            response.release_conn()
        if not isinstance(answer, dict):
            raise Unreachable("the answer is no JSON object")
        return answer

    def lines(self, path: str, read_timeout_s: float, **query: str) -> Iterator[list[bytes]]:
        """The lines of a watch, as many at a time as have arrived. Raises Refused and Unreachable."""
        response = self._open = self._request(path, query, read_timeout_s)
        rest = b""
        try:
            while data := response.read1(READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                if lines:
                    yield lines
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unreachable(f"the watch broke off: {error}") from error
        finally:
            self._open = None
            response.close()
        if rest:
            raise Unreachable("the watch ended in the middle of a line")

    def stop(self) -> None:
        """End the watch that is open, if there is one; its `lines` ends."""
        response = self._open
        if response is not None:
            with suppress(OSError, ValueError, RuntimeError):  # it may have ended by itself
                response.shutdown()

    def cluster_uid(self) -> str:
        """What tells this cluster from any other: the uid of kube-system, or of our own namespace."""
        try:
            answer = self.get("/api/v1/namespaces/kube-system")
        except Refused as refusal:
            if refusal.status != 403 or not os.path.exists(NAMESPACE_FILE):
                raise
            with open(NAMESPACE_FILE, encoding="utf-8") as file:
                answer = self.get(f"/api/v1/namespaces/{file.read().strip()}")
        return str(answer["metadata"]["uid"])

    def _request(self, path: str, query: dict[str, str], read_timeout_s: float) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json"}
        try:
            for setting in self._configuration.auth_settings().values():
                headers[setting["key"]] = setting["value"]
            response: urllib3.BaseHTTPResponse = self._pool.request(
                "GET",
                self.host + path,
                fields=query,
                headers=headers,
                preload_content=False,
                redirect=False,
                retries=False,  # urllib3's own would sleep on Retry-After for up to six hours
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=read_timeout_s),
            )
        except (urllib3.exceptions.HTTPError, OSError, config.ConfigException) as error:
            raise Unreachable(str(error)) from error
        if response.status == 200:
            return response
        after = response.headers.get("Retry-After", "")
        response.close()
        raise Refused(response.status, response.reason or "", float(after) if after.isdigit() else 0.0)


def connect(kubeconfig: str | None = None, context: str | None = None) -> ApiServer:
    """Connect as the pod's service account, or by kubeconfig (KUBECONFIG, ~/.kube/config) outside a cluster.

    Nothing is sent yet. Raises Unavailable when there is no configuration, or one that cannot be used.
    """
    if kubeconfig and not os.path.isfile(kubeconfig):
        raise Unavailable("no such kubeconfig", f"{kubeconfig} is no file")
    try:
        if not kubeconfig and not context and "KUBERNETES_SERVICE_HOST" in os.environ:
            configuration = client.Configuration()
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            return ApiServer(client.ApiClient(configuration))
        made = config.new_client_from_config(kubeconfig, context, persist_config=False)  # type: ignore[no-untyped-call]
        return ApiServer(made)
    except (config.ConfigException, OSError, ValueError) as error:
        raise Unavailable(
            "no cluster to connect to", f"{str(error).rstrip('.')}; set KUBECONFIG, or give --kubeconfig and --context"
        ) from None


def _keep_alive() -> list[tuple[int, int, int]]:
    """Socket options that make a connection without a peer an error, as far as this system has them."""
    wanted = {"TCP_KEEPIDLE": KEEP_ALIVE_S, "TCP_KEEPINTVL": KEEP_ALIVE_S // 4, "TCP_USER_TIMEOUT": KEEP_ALIVE_S * 2000}
    options = [*urllib3.connection.HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in wanted.items():
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


def explain(failure: Exception) -> Kube9Error:
    """The error of ours for a failed request."""
    if isinstance(failure, Refused) and failure.status == 401:
        return PermissionDenied("the API server does not know this account", f"{failure}; is its token or certificate right?")
    if isinstance(failure, Refused) and failure.status == 403:
        return PermissionDenied("the API server refuses", f"{failure}; may this account list and watch events?")
    return Unavailable("the API server does not answer", str(failure))

"""The API server over the client's authenticated transport: an answer, or the lines of a watch.

The client's own `Watch` and its retries are not used: restarting is for `kube9.watch`, by named reasons. Credentials
are asked of the client for each request, because a service account's token is rotated on disk. When they are refused,
or the server's certificate is, the configuration is read anew: the client itself reads a token once a minute and a CA once.
"""

import http.client
import json
import os
import threading
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import urllib3
from kubernetes import client, config
from kubernetes.client.rest import RESTClientObject

from kube9 import responses, transport
from kube9.errors import Unavailable
from kube9.responses import Broken, Refused, Unreachable

READ_TIMEOUT_S = 60.0  # without a byte; an answer that drips may take twice as long
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"  # https://www.rfc-editor.org/rfc/rfc7396
NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


class Session(NamedTuple):
    """A configuration as it was read, and the connections made by it."""

    configuration: Any
    pool: Any


class ApiServer:
    """A connection to one API server, for many threads at once. `connect` makes it; `stop` ends all that it does.

    Args:
        configure: reads the client's configuration; called again when the server refuses what was read before.
        read_timeout_s: how long an answer may take to begin and to go on; all of it may take twice as long.
    """

    def __init__(self, configure: Callable[[], client.Configuration], read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self._configure, self._read_timeout_s = configure, read_timeout_s
        self._timeout = urllib3.Timeout(connect=min(transport.CONNECT_TIMEOUT_S, read_timeout_s), read=read_timeout_s)
        self._lock, self._sockets = threading.Lock(), transport.Sockets()
        self._session = self._open(configure())
        self.host: str = self._session.configuration.host

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """The JSON object at a path. Raises Refused and Unreachable."""
        try:
            answer = json.loads(self.read(path, **query))
        except ValueError as error:
            raise Broken(f"the answer is no JSON: {error}") from error
        if not isinstance(answer, dict):
            raise Broken("the answer is no JSON object")
        return answer

    def read(self, path: str, *, accept: str = JSON, **query: str) -> bytes:
        """The body of the answer at a path. Raises Refused and Unreachable."""
        return responses.whole(self._request(path, query, accept), 2 * self._read_timeout_s)

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """Change the object at a path by a JSON merge patch. Raises Refused and Unreachable."""
        responses.whole(self._request(path, {}, JSON, json.dumps(body).encode()), 2 * self._read_timeout_s)

    def lines(self, path: str, *, silence_s: float, accept: str = JSON, **query: str) -> Generator[bytes, None, None]:
        """The lines of a watch: those that have arrived, as one piece that ends with a line's end.

        Args:
            path: of the resource.
            silence_s: how long there may be no whole line.
            accept: the media types to ask for.
            query: of the URL.

        Raises:
            Refused, Unreachable: at once, when the watch cannot be opened; the iterator also while it is read.
            Silent: nothing came; the answer cannot be read on, because part of a line may be lost.
        """
        response = self._request(path, query, accept)
        connection = response.connection
        if connection is not None and connection.sock is not None:  # else it is found out after the read timeout
            connection.sock.settimeout(silence_s)
        return responses.lines(response, silence_s)

    def stop(self) -> None:
        """End every request, in whichever thread it waits, and those to come: they raise Unreachable. Final."""
        self._sockets.end()
        self._session.pool.clear()

    def cluster_uid(self, namespace: str | None = None) -> str:
        """What tells this cluster from any other: the uid of kube-system, or of our own namespace.

        Where one namespace alone may be read it is the uid of that: nothing else is asked for. Raises Refused, Unreachable.
        """
        try:
            answer = self.get(f"/api/v1/namespaces/{namespace or 'kube-system'}")
        except Refused as refusal:
            own = own_namespace()
            if namespace or refusal.status != http.client.FORBIDDEN or own is None:
                raise
            answer = self.get(f"/api/v1/namespaces/{own}")
        try:
            return str(answer["metadata"]["uid"])
        except (KeyError, TypeError):
            raise Broken("the namespace has no uid") from None

    def _request(self, path: str, query: dict[str, str], accept: str, patch: bytes | None = None) -> Any:
        """The answer to a GET, or to a PATCH where there is one."""
        session = self._session
        headers = self._headers(session)
        response = self._send(session, path, query, headers | {"Accept": accept}, patch)
        if response.status == http.client.UNAUTHORIZED:
            session = self._renew(session)
            renewed = self._headers(session)
            if renewed != headers:  # the token was rotated: nothing was lost, so nobody needs to hear of it
                response.close()
                response = self._send(session, path, query, renewed | {"Accept": accept}, patch)
        if response.status == http.client.OK:
            return response
        raise responses.refusal(response)

    def _send(self, session: Session, path: str, query: dict[str, str], headers: dict[str, str], patch: bytes | None) -> Any:
        if patch is not None:
            headers = headers | {"Content-Type": MERGE_PATCH}
        try:
            return session.pool.request(
                "GET" if patch is None else "PATCH",
                session.configuration.host + path,
                fields=query,
                body=patch,
                headers=headers,
                preload_content=False,
                redirect=False,
                retries=False,  # urllib3's own would sleep on Retry-After for up to six hours
                timeout=self._timeout,
            )
        except urllib3.exceptions.SSLError as error:
            self._renew(session)  # the CA may have been exchanged
            raise Unreachable(f"the server's certificate is not to be trusted: {error}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(responses.words(error)) from error

    def _headers(self, session: Session) -> dict[str, str]:
        try:
            return {setting["key"]: setting["value"] for setting in session.configuration.auth_settings().values()}
        except (OSError, config.ConfigException) as error:
            raise Unreachable(f"no credentials: {error}") from error

    def _renew(self, used: Session) -> Session:
        """Read the configuration anew, unless another thread has done so since `used`."""
        with self._lock:
            if self._session is not used:
                return self._session
            try:
                self._session = self._open(self._configure())
            except (OSError, ValueError, config.ConfigException):
                return used  # half written: what was read before serves until the next try
        used.pool.clear()
        return self._session

    def _open(self, configuration: client.Configuration) -> Session:
        pool = RESTClientObject(configuration).pool_manager
        transport.open_pool(pool, self._sockets)
        return Session(configuration, pool)


def connect(kubeconfig: str | None = None, context: str | None = None, read_timeout_s: float = READ_TIMEOUT_S) -> ApiServer:
    """Connect as the pod's service account, or by kubeconfig (KUBECONFIG, ~/.kube/config) outside a cluster.

    `read_timeout_s` as for `ApiServer`. Nothing is sent yet.

    Raises Unavailable when there is no configuration, or one that cannot be used.
    """
    if kubeconfig and not os.path.isfile(kubeconfig):
        raise Unavailable("no such kubeconfig", f"{kubeconfig} is no file")

    def configure() -> client.Configuration:
        configuration = client.Configuration()
        if not kubeconfig and not context and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            _load(kubeconfig, context, configuration)
        return configuration

    try:
        return ApiServer(configure, read_timeout_s)
    except (config.ConfigException, OSError, ValueError) as error:
        raise Unavailable(
            "no cluster to connect to", f"{str(error).rstrip('.')}; set KUBECONFIG, or give --kubeconfig and --context"
        ) from None


def own_namespace() -> str | None:
    """The namespace of this pod: POD_NAMESPACE, or that of its service account; None outside a cluster."""
    named = os.environ.get("POD_NAMESPACE", "").strip()
    if named or not os.path.exists(NAMESPACE_FILE):
        return named or None
    with open(NAMESPACE_FILE, encoding="utf-8") as file:
        return file.read().strip() or None


def _load(kubeconfig: str | None, context: str | None, configuration: client.Configuration) -> None:
    """Read a kubeconfig. Raises ConfigException, OSError."""
    try:
        config.load_kube_config(kubeconfig, context, configuration, persist_config=False)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError):
        raise
    except Exception as error:  # of a file that is something else: YAML's own errors, TypeError, ValueError
        raise config.ConfigException(f"{kubeconfig or 'it'} is no kubeconfig: {' '.join(str(error).split())}") from error

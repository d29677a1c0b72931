"""The status ConfigMap: how the recorder is, for who may read it and may not exec into the pod. docs/status.md has the format.

It is patched and nothing else: the chart makes it, and the account of the recorder may do no more to it.
"""

import http.client
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from kube9 import apiserver, errors, lock, names, times
from kube9.apiserver import ApiServer
from kube9.model import cut
from kube9.responses import Refused, Unreachable
from kube9.version import __version__
from kube9.vocabulary import TIER

log = logging.getLogger("kube9.status")

MODE = "operated"
TIMEOUT_S = 3.0  # how long the API server may take to begin to answer: whoever stops, or refuses to start, waits for it
ERROR_LENGTH = 1000


class Place(NamedTuple):
    """Where the ConfigMap is, and in which namespace the recorder itself."""

    namespace: str
    name: str
    operator_namespace: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Stats(NamedTuple):
    """What was collected: all since the start of the recorder, but for `stored`."""

    succeeded: int = 0  # events added and updated
    failed: int = 0  # events dropped, and failures of watches
    stored: int = 0  # events in the database; 0 until they are counted
    last_success_at: str | None = None  # of the last commit


class StatusMap:
    """The ConfigMap at a place.

    Args:
        api: the API server, for this alone: a watch's timeout is too long here.
        place: of the ConfigMap.
    """

    def __init__(self, api: ApiServer, place: Place) -> None:
        self._api, self._place = api, place
        self._path = f"/api/v1/namespaces/{place.namespace}/configmaps/{place.name}"
        self._failing: int | None = None  # the HTTP status that was warned of, 0 without an answer

    def publish(self, health: str, problems: Sequence[str], stats: Stats | None = None) -> bool:
        """Write how the recorder is. Tells whether that succeeded; a failure is warned of once, until it is another one."""
        stats = stats or Stats()
        status = {
            "mode": MODE,
            "tier": TIER,
            "version": __version__,
            "health": health,
            "lastUpdate": times.iso(times.now_ms()),
            "error": None if health == "healthy" else cut(" ".join("; ".join(problems).split()), ERROR_LENGTH),
            "namespace": self._place.operator_namespace,
            "collectionStats": {
                "totalSuccessCount": stats.succeeded,
                "totalFailureCount": stats.failed,
                "collectionsStoredCount": stats.stored,
                "lastSuccessTime": stats.last_success_at,
            },
        }
        data = {"status": json.dumps(status, ensure_ascii=False), "namespace": self._place.operator_namespace}
        try:
            self._api.patch(self._path, {"data": data})
        except (Refused, Unreachable) as failure:
            self._failed(failure)
            return False
        if self._failing is not None:
            log.info("the status is published again in the ConfigMap %s", self._place)
        self._failing = None
        return True

    def _failed(self, failure: Refused | Unreachable) -> None:
        status = failure.status if isinstance(failure, Refused) else 0
        if status == self._failing:
            return
        self._failing = status
        place = self._place
        advice = {
            http.client.FORBIDDEN: f"let this account patch the ConfigMap {place}, as the chart does",
            http.client.NOT_FOUND: f"make it, as the chart does: kubectl create configmap {place.name} -n {place.namespace}",
        }.get(status, "it is tried again")
        log.warning("the status is not published in the ConfigMap %s: %s; %s", place, failure, advice)


def open_map(where: str, kubeconfig: str | None = None, context: str | None = None) -> StatusMap:
    """The ConfigMap of this place, `[NAMESPACE/]NAME`, with a connection of its own.

    Raises:
        InvalidArgument: that is no place, or it lacks a namespace that nothing else tells.
        Unavailable: as `apiserver.connect`.
    """
    found = place(where, apiserver.own_namespace())
    return StatusMap(apiserver.connect(kubeconfig, context, TIMEOUT_S), found)


def place(where: str, own_namespace: str | None) -> Place:
    """Read `[NAMESPACE/]NAME`; `own_namespace` is that of this pod. Raises InvalidArgument."""
    namespace, slash, name = where.rpartition("/")
    if not slash and not own_namespace:
        raise errors.InvalidArgument(
            f'--status-configmap: "{where}" is in no namespace', "give it as NAMESPACE/NAME, or set POD_NAMESPACE"
        )
    namespace = namespace if slash else own_namespace or ""
    if not names.is_namespace(namespace) or not names.is_name(name):
        raise errors.InvalidArgument(
            f'--status-configmap: "{where}" names no ConfigMap',
            f'[NAMESPACE/]NAME is asked for, such as kube9-system/kube9-operator-status; the namespace is "{namespace}" here',
        )
    return Place(namespace, name, own_namespace or namespace)


@contextmanager
def refusal_told(status: StatusMap | None, database: str) -> Iterator[None]:
    """Publish why the recorder of a database does not begin, or ended with an error; one try.

    While another process records into the database, the status is that one's.
    """
    try:
        yield
    except errors.Kube9Error as error:
        if status and not lock.is_held(database):
            status.publish("unhealthy", [str(error)])
        raise

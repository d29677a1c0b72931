"""The resources that are watched beside events, and what is kept of their objects.

Each object is reduced as soon as it is read, from the few fields that are decoded at all, so that neither memory nor
the database grows by what an object holds. Whatever an object holds, reducing it does not fail.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from kube9 import redact, shapes
from kube9.fields import as_map, as_maps, as_name, as_text, as_time, as_word
from kube9.model import Seen, cut
from kube9.object_change import State
from kube9.wire import Wire

PAGE_SIZE = 500  # objects in a page of a list: 3 MB of usual pods
MAX_NUMBER = 2**53  # what every reader of JSON can hold
METRIC_LENGTH = 128  # characters
SERVICE = "kubernetes.io/service-name"  # https://kubernetes.io/docs/reference/labels-annotations-taints/
ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
# How the autoscaler says which metric gave the number (pkg/controller/podautoscaler/horizontal.go in Kubernetes).
METRIC = "successfully calculate a replica count from "


class Resource(NamedTuple):
    """A watched resource.

    Attributes:
        name: as in `watch_position` and `model.Objects`.
        root: the path of its API group.
        namespaced: whether it can be watched in one namespace alone.
        wire: reads the fields that `reduce` wants.
        reduce: what is kept of an object.
        metadata_only: all that is wanted stands in the metadata (PartialObjectMetadata).
    """

    name: str
    root: str
    namespaced: bool
    wire: Wire
    reduce: Callable[[dict[str, Any]], State]
    metadata_only: bool = False

    def path(self, namespace: str | None = None) -> str:
        """Its path in the API: of all namespaces, or of one. Raises ValueError for a cluster-scoped one in a namespace."""
        if namespace and not self.namespaced:
            raise ValueError(f"{self.name} are in no namespace")
        return path(self.root, self.name, namespace)

    def seen(self, present: Iterable[Any], gone: Iterable[Any] = ()) -> list[Seen]:
        """Objects as they are kept.

        What is gone comes last: a new object of the same name is told from it by its uid, so the order in which the
        two were read does not matter.
        """
        return [self._seen(source, self.reduce) for source in present] + [self._seen(source, None) for source in gone]

    def _seen(self, source: Any, reduce: Callable[[dict[str, Any]], State] | None) -> Seen:
        metadata = as_map(as_map(source).get("metadata"))
        state = None
        if reduce:
            state = {fact: value for fact, value in reduce(as_map(source)).items() if value is not None}
            version = as_text(metadata.get("resourceVersion")) or ""
            if version.isascii() and version.isdigit() and len(version) < 19:
                state["version"] = int(version)
        return Seen(
            as_word(metadata.get("namespace")) or "",
            as_name(metadata.get("name")) or "",
            as_name(metadata.get("uid")) or "",
            state,
        )


def path(root: str, name: str, namespace: str | None = None) -> str:
    """The path of a resource in the API, by the path of its group: of all namespaces, or of one."""
    return f"{root}/namespaces/{namespace}/{name}" if namespace else f"{root}/{name}"


def _node(source: dict[str, Any]) -> State:
    capacity = as_map(as_map(source.get("status")).get("capacity"))
    labels = as_map(as_map(source.get("metadata")).get("labels"))
    zone = labels.get(ZONES[0]) or labels.get(ZONES[1])
    return _life(source) | {
        "cpu": as_word(capacity.get("cpu")),
        "memory": as_word(capacity.get("memory")),
        "zone": as_word(zone),
    }


def _life(source: dict[str, Any]) -> State:
    metadata = as_map(source.get("metadata"))
    return {"made": as_time(metadata.get("creationTimestamp")), "ending": as_time(metadata.get("deletionTimestamp"))}


def _owned(source: dict[str, Any]) -> State:
    """The controller of an object, as its kind and name; an object has at most one."""
    for reference in as_maps(as_map(source.get("metadata")).get("ownerReferences")):
        kind, name = as_word(reference.get("kind")), as_name(reference.get("name"))
        if reference.get("controller") is True and kind and name:
            return {"owner": [kind, name]}
    return {}


def _deployment(source: dict[str, Any]) -> State:
    return {"replicas": _number(as_map(source.get("spec")).get("replicas"), default=1)}


def _slice(source: dict[str, Any]) -> State:
    """How many endpoints are ready; a condition that is not told counts as ready, as the API says it must.

    https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
    """
    service = as_name(as_map(as_map(source.get("metadata")).get("labels")).get(SERVICE))
    if not service:
        return {}
    endpoints = as_maps(source.get("endpoints"))
    ready = sum(as_map(endpoint.get("conditions")).get("ready") is not False for endpoint in endpoints)
    return {"service": service, "family": as_word(source.get("addressType")) or "", "ready": ready}


def _pod(source: dict[str, Any]) -> State:
    spec, status = as_map(source.get("spec")), as_map(source.get("status"))
    state = _owned(source)
    containers = {}
    for part in ("initContainerStatuses", "containerStatuses"):
        for reported in as_maps(status.get(part)):
            name, facts = as_word(reported.get("name")), _trouble(reported)
            if name and facts:
                containers[name] = facts | {"limit": _limit(spec, name)}
    if containers:
        state |= {"containers": containers, "node": as_word(spec.get("nodeName"))}
    return state


def _trouble(reported: dict[str, Any]) -> State | None:
    """What a container's status tells of its ends and restarts; None of one that was never in trouble."""
    state = as_map(reported.get("state"))
    ends = [as_map(as_map(past).get("terminated")) for past in (reported.get("lastState"), state)]
    restarts = _number(reported.get("restartCount"), default=0)
    looping = as_map(state.get("waiting")).get("reason") == "CrashLoopBackOff"
    if not restarts and not looping and not any(ends):
        return None
    return {
        "restarts": restarts,
        "looping": looping,
        "running": as_time(as_map(state.get("running")).get("startedAt")),
        "ends": [
            {
                "started": as_time(end.get("startedAt")),
                "finished": as_time(end.get("finishedAt")),
                "exit_code": _number(end.get("exitCode")),
                "reason": as_word(end.get("reason")),
            }
            for end in ends
            if end
        ],
    }


def _limit(spec: dict[str, Any], container: str) -> str | None:
    for part in ("initContainers", "containers"):
        for declared in as_maps(spec.get(part)):
            if declared.get("name") == container:
                return as_word(as_map(as_map(declared.get("resources")).get("limits")).get("memory"))
    return None


def _claim(source: dict[str, Any]) -> State:
    spec = as_map(source.get("spec"))
    storage_class = spec.get("storageClassName")
    return {
        "size": as_word(as_map(as_map(spec.get("resources")).get("requests")).get("storage")),
        "class": "" if storage_class == "" else as_name(storage_class),  # empty: none at all; absent: the default one
    }


def _autoscaler(source: dict[str, Any]) -> State:
    spec, status = as_map(source.get("spec")), as_map(source.get("status"))
    target = as_map(spec.get("scaleTargetRef"))
    kind, name = as_word(target.get("kind")), as_name(target.get("name"))
    return {
        "scaled": as_time(status.get("lastScaleTime")),
        "current": _number(status.get("currentReplicas"), default=0),
        "desired": _number(status.get("desiredReplicas"), default=0),
        "target": [kind, name] if kind and name else None,
        "metric": _metric(as_maps(spec.get("metrics")), as_maps(status.get("conditions"))),
    }


def _metric(metrics: list[dict[str, Any]], conditions: list[dict[str, Any]]) -> str | None:
    """What the number was calculated from, as the controller says it; else the only metric that there is."""
    for condition in conditions:
        if condition.get("type") == "ScalingActive" and condition.get("reason") == "ValidMetricFound":
            told = (as_text(condition.get("message")) or "").partition(METRIC)[2]
            if told:
                return cut(redact.text(told), METRIC_LENGTH)
    if len(metrics) != 1:
        return None
    # {"type": "Resource", "resource": {"name": "cpu"}}, {"type": "Pods", "pods": {"metric": {"name": "requests"}}}
    kind = as_text(metrics[0].get("type")) or ""
    source = as_map(metrics[0].get(kind[:1].lower() + kind[1:]))
    name = as_text(source.get("name") or as_map(source.get("metric")).get("name"))
    return name and cut(redact.text(name), METRIC_LENGTH)


def _number(value: Any, default: int | None = None) -> int | None:
    return min(max(value, -MAX_NUMBER), MAX_NUMBER) if value.__class__ is int else default


# No field selectors: pods that are finished are owners' too, and of all others every object counts.
WATCHED: tuple[Resource, ...] = (
    Resource("nodes", "/api/v1", False, Wire(shapes.Node), _node),
    Resource("namespaces", "/api/v1", False, Wire(shapes.Object), _life),
    Resource("replicasets", "/apis/apps/v1", True, Wire(shapes.Owned), _owned, metadata_only=True),
    Resource("jobs", "/apis/batch/v1", True, Wire(shapes.Owned), _owned, metadata_only=True),
    Resource("deployments", "/apis/apps/v1", True, Wire(shapes.Deployment), _deployment),
    Resource("pods", "/api/v1", True, Wire(shapes.Pod), _pod),
    Resource("persistentvolumeclaims", "/api/v1", True, Wire(shapes.Claim), _claim),
    Resource("endpointslices", "/apis/discovery.k8s.io/v1", True, Wire(shapes.Slice), _slice),
    Resource("horizontalpodautoscalers", "/apis/autoscaling/v2", True, Wire(shapes.Autoscaler), _autoscaler),
)

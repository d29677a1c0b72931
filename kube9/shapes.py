"""The few fields that are decoded of watched objects; what is not named here costs neither time nor memory.

A field that takes `Any` may hold anything. An object of which another field has not the documented shape is read whole
instead (`kube9.wire`).
"""

from typing import Any, TypedDict


class _Metadata(TypedDict, total=False):
    name: Any
    namespace: Any
    uid: Any
    resourceVersion: Any
    creationTimestamp: Any
    deletionTimestamp: Any
    labels: Any
    ownerReferences: Any


class _OwnMetadata(TypedDict, total=False):
    """Without the labels, which pods have many of."""

    name: Any
    namespace: Any
    uid: Any
    resourceVersion: Any
    ownerReferences: Any


class _Status(TypedDict, total=False):
    """What an ERROR line tells."""

    code: Any
    reason: Any
    message: Any


class Object(_Status, total=False):
    """An object of which the labels and the times matter, such as a Namespace."""

    metadata: _Metadata


class Owned(_Status, total=False):
    """An object of which its owner matters, such as a ReplicaSet."""

    metadata: _OwnMetadata


class _NodeStatus(TypedDict, total=False):
    capacity: Any


class Node(Object, total=False):
    """A Node: what it has."""

    status: _NodeStatus


class _DeploymentSpec(TypedDict, total=False):
    replicas: Any


class Deployment(Owned, total=False):
    """A Deployment: how many pods it wants."""

    spec: _DeploymentSpec


class _Endpoint(TypedDict, total=False):
    conditions: Any


class Slice(Object, total=False):
    """An EndpointSlice: which of its endpoints are ready."""

    addressType: Any
    endpoints: list[_Endpoint] | None


class _Container(TypedDict, total=False):
    name: Any
    resources: Any


class _PodSpec(TypedDict, total=False):
    nodeName: Any
    containers: list[_Container]
    initContainers: list[_Container] | None


class _ContainerStatus(TypedDict, total=False):
    name: Any
    restartCount: Any
    state: Any
    lastState: Any


class _PodStatus(TypedDict, total=False):
    containerStatuses: list[_ContainerStatus] | None
    initContainerStatuses: list[_ContainerStatus] | None


class Pod(Owned, total=False):
    """A Pod: its containers, their limits and what became of them."""

    spec: _PodSpec
    status: _PodStatus


class _ClaimSpec(TypedDict, total=False):
    resources: Any
    storageClassName: Any


class Claim(Owned, total=False):
    """A PersistentVolumeClaim: what it asks for."""

    spec: _ClaimSpec


class _AutoscalerSpec(TypedDict, total=False):
    scaleTargetRef: Any
    metrics: Any


class _AutoscalerStatus(TypedDict, total=False):
    lastScaleTime: Any
    currentReplicas: Any
    desiredReplicas: Any
    conditions: Any


class Autoscaler(Owned, total=False):
    """A HorizontalPodAutoscaler: what it scales, by what, and when it did."""

    spec: _AutoscalerSpec
    status: _AutoscalerStatus

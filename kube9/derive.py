"""Changes of watched objects to events: pure functions from what was known and what is.

Each says how its events are told apart and which time they have. What an object itself tells of a time goes before the
time of reading; what is gone has the span from when its end was asked for to when it was found gone.
"""

from collections.abc import Callable

from kube9.derive_pods import derive_pod
from kube9.model import Event
from kube9.object_change import Change, Derived, State, make_event


def derive(resource: str, change: Change) -> Derived:
    """The events of a change of an object of a resource."""
    return DERIVED.get(resource, _keep)(change)


def _keep(change: Change) -> Derived:
    return Derived([], change.after or {})


def _derive_node(change: Change) -> Derived:
    before, after = change.before or {}, change.after or {}
    events = []
    if change.made:
        events.append(_made(change, "Node", "Node added to cluster", "NodeAdded", _hardware(after)))
    elif change.after is None:
        events.append(_gone(change, "Node", "Node removed from cluster", "NodeRemoved", _hardware(before)))
    return Derived(events, after)


def _hardware(state: State) -> State:
    return {fact: state.get(fact) for fact in ("cpu", "memory", "zone")}


def _derive_namespace(change: Change) -> Derived:
    events = []
    if change.made:
        events.append(_made(change, "Namespace", "Namespace created", "NamespaceCreated", {}))
    elif change.after is None:
        events.append(_gone(change, "Namespace", "Namespace deleted", "NamespaceDeleted", {}))
    return Derived(events, change.after or {})


def _made(change: Change, kind: str, title: str, reason: str, metadata: State) -> Event:
    return make_event(
        change,
        kind,
        key=f"{reason}:{change.uid}",
        severity="info",
        title=title,
        description=_described(kind, change.name, "is new", metadata),
        reason=reason,
        metadata=metadata,
        created_at=(change.after or {}).get("made"),
    )


def _gone(change: Change, kind: str, title: str, reason: str, metadata: State) -> Event:
    return make_event(
        change,
        kind,
        key=f"{reason}:{change.uid}",
        severity="warning",
        title=title,
        description=_described(kind, change.name, "is gone", metadata),
        reason=reason,
        metadata=metadata,
        created_at=(change.before or {}).get("ending"),
        last_seen_at=change.at,
    )


def _described(kind: str, name: str, what: str, facts: State) -> str:
    told = ", ".join(f"{fact} {value}" for fact, value in facts.items() if value is not None)
    return f"{kind} {name} {what}" + (f": {told}" if told else "")


def _derive_deployment(change: Change) -> Derived:
    before, after = change.before or {}, change.after or {}
    previous, new = before.get("replicas"), after.get("replicas")
    events = []
    if previous is not None and new is not None and previous != new:
        scaled = make_event(
            change,
            "Deployment",
            key=f"DeploymentScaled:{change.uid}:{change.version}",
            severity="info",
            title="Deployment scaled",
            description=f"Replicas changed from {previous} to {new}",
            reason="DeploymentScaled",
            metadata={"previous_replicas": previous, "new_replicas": new},
        )
        events.append(scaled)
    return Derived(events, after)


def _derive_autoscaler(change: Change) -> Derived:
    """A scaling is a new `lastScaleTime`, which the controller writes with the number that was and the number to be.

    Not a change of `desiredReplicas`: that also follows a person who scales. Not the event SuccessfulRescale either: it
    does not tell the number that was, and one row stands for all scalings to the same number for the same reason.
    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/
    """
    before, after = change.before, change.after or {}
    kept: State = {fact: after[fact] for fact in ("scaled", "desired") if fact in after}
    scaled, new = after.get("scaled"), after.get("desired")
    if before is None or scaled is None or scaled == before.get("scaled"):
        return Derived([], kept)
    # When the status was not read at once, its current number is the new one already.
    previous = after.get("current") if after.get("current") != new else before.get("desired")
    if new is None or previous is None or previous == new:
        return Derived([], kept)
    kind, name = after.get("target") or ("Deployment", None)
    event = make_event(
        change,
        "HorizontalPodAutoscaler",
        key=f"HPAScaled:{change.uid}:{scaled}",
        severity="info",
        title=f"HPA scaled {kind.lower()}",
        description=f"{kind} {name or ''}".strip() + f" scaled from {previous} to {new}",
        reason="HPAScaled",
        metadata={"previous": previous, "new": new, "metric": after.get("metric"), "target": name},
        created_at=scaled,
    )
    return Derived([event], kept)


DERIVED: dict[str, Callable[[Change], Derived]] = {
    "nodes": _derive_node,
    "namespaces": _derive_namespace,
    "deployments": _derive_deployment,
    "horizontalpodautoscalers": _derive_autoscaler,
    "pods": derive_pod,
}

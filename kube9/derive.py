"""Changes of watched objects to events: pure functions from what was known and what is.

Each says how its events are told apart and which time they have. What an object itself tells of a time goes before the
time of reading; what is gone has the span from when its end was asked for to when it was found gone.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from kube9.derive_pods import derive_pod
from kube9.object_change import Change, Derived, State, make_event


def derive(resource: str, change: Change) -> Derived:
    """The events of a change of an object of a resource."""
    return DERIVED.get(resource, _keep)(change)


def _keep(change: Change) -> Derived:
    return Derived([], change.after or {})


class _Life(NamedTuple):
    """How the beginning and the end of an object are told."""

    kind: str
    made: tuple[str, str]  # title and reason
    gone: tuple[str, str]
    facts: tuple[str, ...] = ()  # of the object, told with both


NODE = _Life(
    "Node", ("Node added to cluster", "NodeAdded"), ("Node removed from cluster", "NodeRemoved"), ("cpu", "memory", "zone")
)
NAMESPACE = _Life("Namespace", ("Namespace created", "NamespaceCreated"), ("Namespace deleted", "NamespaceDeleted"))


def _derive_life(life: _Life, change: Change) -> Derived:
    state = change.after or change.before or {}
    if change.made:
        (title, reason), severity, what = life.made, "info", "is new"
        created_at, last_seen_at = state.get("made"), ""
    elif change.after is None:
        (title, reason), severity, what = life.gone, "warning", "is gone"
        created_at, last_seen_at = state.get("ending"), change.at
    else:
        return _keep(change)
    facts = {fact: state.get(fact) for fact in life.facts}
    told = ", ".join(f"{fact} {value}" for fact, value in facts.items() if value is not None)
    event = make_event(
        change,
        life.kind,
        key=f"{reason}:{change.uid}",
        severity=severity,
        title=title,
        description=f"{life.kind} {change.name} {what}" + (f": {told}" if told else ""),
        reason=reason,
        metadata=facts,
        created_at=created_at,
        last_seen_at=last_seen_at,
    )
    return Derived([event], change.after or {})


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
    "nodes": partial(_derive_life, NODE),
    "namespaces": partial(_derive_life, NAMESPACE),
    "deployments": _derive_deployment,
    "horizontalpodautoscalers": _derive_autoscaler,
    "pods": derive_pod,
}

"""What a pod's status tells of its containers: crash loops, and kills for want of memory.

An episode of a crash loop begins when a container is first seen to wait in CrashLoopBackOff. It ends when the container
has run for ten minutes, because the kubelet then begins its back-off anew
(https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restarts). The row of an episode counts the
crashes seen in it; every restart raises it.
"""

from typing import Any

from kube9 import times
from kube9.model import Event
from kube9.object_change import Change, Derived, State, make_event

STABLE_MS = 10 * 60_000  # a run of this length ends an episode
LONGEST_BACK_OFF_MS = 5 * 60_000


def derive_pod(change: Change) -> Derived:
    """The events of a pod's containers; kept are its owner and, of containers in trouble, what was recorded of them."""
    before, after = change.before or {}, change.after or {}
    kept = {"owner": after["owner"]} if "owner" in after else {}
    events: list[Event] = []
    containers = {}
    for name, facts in after.get("containers", {}).items():
        recorded = dict(before.get("containers", {}).get(name, {}))
        events += _kills(change, name, facts, recorded)
        events += _crashes(change, name, facts, recorded)
        if recorded:
            containers[name] = recorded
    if containers:
        kept["containers"] = containers
    return Derived(events, kept)


def _kills(change: Change, container: str, facts: State, recorded: State) -> list[Event]:
    """An event for each kill that was not recorded; the newest is noted in `recorded`."""
    events = []
    for end in facts["ends"]:
        finished = end["finished"]
        if end["reason"] != "OOMKilled" or not finished or finished <= recorded.get("killed", ""):
            continue
        recorded["killed"] = finished
        limit = facts.get("limit")
        killed = make_event(
            change,
            "Pod",
            key=f"oom:{container}:{change.uid}:{finished}",
            severity="critical",
            title="Container OOM killed",
            description=f"Container {container} was killed for want of memory" + (f"; its limit is {limit}" if limit else ""),
            reason="OOMKilled",
            metadata={"container": container, "exit_code": end["exit_code"], "memory_limit": limit},
            created_at=finished,
            node=(change.after or {}).get("node"),
        )
        events.append(killed)
    return events


def _crashes(change: Change, container: str, facts: State, recorded: State) -> list[Event]:
    """The row of an episode, when it begins or goes on; where it stands is noted in `recorded`."""
    loop = recorded.get("loop")
    if loop and _is_over(loop, facts, change.at):
        del recorded["loop"]
        loop = None
    if not facts["looping"]:
        return []
    restarts = facts["restarts"]
    if loop and restarts <= loop["restarts"]:
        return []
    end: dict[str, Any] = facts["ends"][-1] if facts["ends"] else {}
    crashed_at = end.get("finished") or change.at
    if loop is None:
        loop = {"since": crashed_at, "first": restarts}
    recorded["loop"] = loop = loop | {"restarts": restarts, "crashed": max(crashed_at, loop.get("crashed", ""))}
    exit_code, reason = end.get("exit_code"), end.get("reason")
    event = make_event(
        change,
        "Pod",
        key=f"crashloop:{container}:{change.uid}",
        severity="error",
        title="Container crash loop",
        description=f"Container {container} keeps crashing: restarted {restarts} times, last exit code {exit_code}",
        reason="CrashLoopBackOff",
        metadata={
            "container": container,
            "restart_count": restarts,
            "last_exit_code": exit_code,
            "last_exit_reason": reason,
        },
        created_at=loop["since"],
        last_seen_at=loop["crashed"],
        count=restarts - loop["first"] + 1,
        node=(change.after or {}).get("node"),
    )
    return [event]


def _is_over(loop: State, facts: State, at: str) -> bool:
    if facts["restarts"] < loop["restarts"]:
        return True  # the count began anew
    if facts.get("running") and times.ms(at) - times.ms(facts["running"]) >= STABLE_MS:
        return True
    later = [end for end in facts["ends"] if end["finished"] and end["finished"] > loop["crashed"]]
    if any(end["started"] and times.ms(end["finished"]) - times.ms(end["started"]) >= STABLE_MS for end in later):
        return True
    # What nobody saw: so few restarts in so long a time that one of the runs between them must have been a long one.
    restarts = max(facts["restarts"] - loop["restarts"], 1)
    longest_ms = restarts * (STABLE_MS + LONGEST_BACK_OFF_MS)
    return bool(later) and times.ms(later[-1]["finished"]) - times.ms(loop["crashed"]) > longest_ms

"""Events made, repeated, left to expire and made again under the same name, at a steady rate, on a real API server.

    python bench/load.py --rate 400 --ttl 20 TRUTH        # until SIGTERM; then writes what must be recorded to TRUTH

TRUTH is JSON: for each event its first time, its newest count and last time, and how many uids it had. A request whose
outcome is not known, because the server died meanwhile, is asked about and repeated until it is.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from http.client import HTTPException
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from cluster.api import Api, connect  # noqa: E402

NAMESPACE = "load"
THREADS = 8
CORE, EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events", f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"


class Known:
    """An event as it was last written."""

    def __init__(self, name: str, modern: bool) -> None:
        self.name, self.modern = name, modern
        self.count, self.uids = 1, 1
        self.created_at = self.last_at = stamp(time.time(), modern)
        self.touched = time.monotonic()

    def body(self) -> dict:
        """The whole object, in one view of the API or the other."""
        about = {"kind": "Pod", "namespace": NAMESPACE, "name": self.name.partition(".")[0]}
        common = {"metadata": {"name": self.name, "namespace": NAMESPACE}, "reason": "Unhealthy", "type": "Warning"}
        if self.modern:
            reported = {"reportingController": "bench.kube9.io/load", "reportingInstance": "load", "action": "Probing"}
            return (
                common
                | reported
                | {"regarding": about, "note": "Readiness probe failed", "eventTime": self.created_at}
                | self.change()
            )
        message = {"involvedObject": about, "message": "Readiness probe failed", "source": {"component": "load"}}
        return common | message | {"firstTimestamp": self.created_at} | self.change()

    def change(self) -> dict:
        """What a repeat changes."""
        if self.modern:
            return {"series": {"count": self.count, "lastObservedTime": self.last_at}} if self.count > 1 else {}
        return {"count": self.count, "lastTimestamp": self.last_at}


class Load:
    """The events, and the threads that change them."""

    def __init__(self, api: Api, rate: float, ttl_s: float) -> None:
        self.api, self.rate, self.ttl_s = api, rate, ttl_s
        self.known: list[Known] = []
        self.busy: set[str] = set()
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.done = self.made = self.repeated = self.made_again = 0
        self.started = time.monotonic()

    def run(self) -> None:
        """Work until stopped, at the rate."""
        while not self.stopped.is_set():
            with self.lock:
                ahead_s = self.done / self.rate - (time.monotonic() - self.started)
                self.done += 1
            if ahead_s > 0:
                time.sleep(ahead_s)
            elif ahead_s < -5:
                with self.lock:  # the server was away: do not make up for it in a burst
                    self.started += -ahead_s
            self.step()

    def step(self) -> None:
        """Make, repeat, or make again one event."""
        with self.lock:
            chosen, now = random.random(), time.monotonic()
            event = random.choice(self.known[-2000:]) if self.known else None
            if chosen < 0.05:
                event = next(
                    (old for old in random.sample(self.known, min(50, len(self.known))) if self.expired(old, now)), None
                )
            if event and event.name in self.busy:
                return
            if chosen >= 0.5 or event is None:
                event = Known(f"web-{len(self.known)}.{random.getrandbits(60):x}", random.random() < 0.3)
                new = True
            else:
                new = False
                if not self.expired(event, now) and now - event.touched > self.ttl_s * 0.6:
                    return  # it may expire at any moment
            self.busy.add(event.name)
        try:
            self.make(event) if new else self.repeat(event, time.monotonic())
        finally:
            with self.lock:
                self.busy.discard(event.name)

    def expired(self, event: Known, now: float) -> bool:
        """Whether the server has forgotten it by now."""
        return now - event.touched > self.ttl_s * 1.5

    def make(self, event: Known) -> None:
        """Create it."""
        if self.settle("POST", event):
            with self.lock:
                self.known.append(event)
                self.made += 1

    def repeat(self, event: Known, now: float) -> None:
        """Raise its count; one that has expired is created again."""
        before = (event.count, event.last_at)
        again = self.expired(event, now)
        event.count += random.randint(1, 3)
        event.last_at = max(event.last_at, stamp(time.time(), event.modern))
        if not self.settle("POST" if again else "PATCH", event):
            event.count, event.last_at = before
            return
        event.touched = time.monotonic()
        with self.lock:
            self.repeated += not again
            self.made_again += again
            event.uids += again

    def settle(self, method: str, event: Known) -> bool:
        """Ask until the outcome is known. Returns whether the event is now as it should be."""
        collection = EVENTS if event.modern else CORE
        unsure = False
        for _ in range(1000):
            try:
                if unsure and method == "POST":
                    found = self.api.request("GET", f"{CORE}/{event.name}")
                    count = (found.get("series") or {}).get("count") or found.get("count") or 1
                    return bool(count == event.count)
                if method == "POST":
                    self.api.request("POST", collection, event.body())
                else:
                    self.api.request("PATCH", f"{collection}/{event.name}", event.change())
                return True
            except RuntimeError as error:
                if " 404 " in str(error) and unsure and method == "POST":
                    unsure = False
                elif " 404 " in str(error) or " 409 " in str(error):
                    return False
                elif any(f" {status} " in str(error) for status in (400, 422)):
                    raise
                else:
                    unsure = True
            except (OSError, HTTPException):
                self.api.forget()
                unsure = True
            time.sleep(0.1)
        raise SystemExit("the API server did not come back")


def stamp(seconds: float, modern: bool) -> str:
    """A time as Kubernetes writes it: to the second, or to the microsecond."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1e6):06}Z" if modern else f"{whole}Z"


def main() -> int:
    """Make load until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--rate", type=float, default=400)
    parser.add_argument("--ttl", type=float, default=20)
    options = parser.parse_args()
    api = connect()
    api.make_namespace(NAMESPACE)
    load = Load(api, options.rate, options.ttl)
    signal.signal(signal.SIGTERM, lambda *_: load.stopped.set())
    threads = [threading.Thread(target=load.run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
    seconds = time.monotonic() - load.started
    counts = {"made": load.made, "repeated": load.repeated, "made_again": load.made_again, "seconds": seconds}
    events = {event.name: [event.created_at, event.count, event.last_at, event.uids] for event in load.known}
    options.truth.write_text(json.dumps({"counts": counts, "events": events}))
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

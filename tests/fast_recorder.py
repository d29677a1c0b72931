"""A recorder in a process of its own, so that it can be killed, whose waits take no time.

    python fast_recorder.py DATABASE PORT AHEAD_S

records what the API server at a port tells, by a clock that goes so far ahead, until its standard input ends.
"""

import logging
import sys

from faulty_server import FastClock
from kubernetes import client

from kube9 import selection, watch
from kube9.apiserver import ApiServer
from kube9.cluster_recorder import Choices, ClusterRecorder
from kube9.resources import WATCHED

SETTINGS = watch.Settings(page_size=10, silence_s=0.05, settle_s=0.02)


def main(path: str, port: str, ahead_s: str) -> int:
    """Record until told to stop. Returns how many events could not be written."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    clock = FastClock()
    clock.advance(float(ahead_s))
    recorder = ClusterRecorder(
        path,
        ApiServer(lambda: client.Configuration(host=f"http://127.0.0.1:{port}"), read_timeout_s=0.1),
        selection.select(everything=True),
        Choices(watching=SETTINGS),
        watched=WATCHED[:2],
        clock=clock,
        busy_timeout_s=0.02,  # so that the writer, and not SQLite, tries again
    )
    recorder.start()
    sys.stdin.read()
    return recorder.stop()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""An API server that has its answers ready: events of real size, as fast as they are read, over plain HTTP on loopback.

    python bench/canned_server.py --listed 0 --watched 200000

A list gives `--listed` events in the pages that are asked for, the first watch `--watched` more and then nothing. Other
resources are empty. Writes its address to stdout.
"""

import argparse
import json
import random
import socket
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import corpus

from kube9 import times

UID = "00000000-0000-4000-8000-00000000bebe"
BLOCK = 100  # lines that are sent at once
TEMPLATES = 20_000  # different events; their names go on counting
ROUND, NOW = b"@@@@@@@@", b"9999-12-31T23:59:59Z"  # replaced when they are sent
MANAGED = {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": NOW.decode()}
EMPTY = {"metadata": {"resourceVersion": "1"}, "items": []}


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listed", type=int, default=0)
    parser.add_argument("--watched", type=int, default=0)
    options = parser.parse_args()
    blocks = templates()
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server = Canned(blocks, options.listed, options.watched)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=server.serve, args=(connection,), daemon=True).start()


def templates() -> list[list[bytes]]:
    """Events as the API server writes them, in blocks, with marks for what changes."""
    source, made = random.Random(9), []
    for index in range(TEMPLATES):
        event = corpus.event(source, times.now_ms(), 1.0, 0.0)
        event["firstTimestamp"] = event["lastTimestamp"] = NOW.decode()
        event["count"] = 1
        metadata = event["metadata"]
        metadata["name"] = f"{metadata['name'][:-13]}{ROUND.decode()}{index:05x}"
        metadata["creationTimestamp"] = NOW.decode()
        metadata["resourceVersion"] = f"1{ROUND.decode()}{index:05}"
        fields = {
            f"f:{name}": {} for name in ("count", "firstTimestamp", "involvedObject", "lastTimestamp", "message", "reason")
        }
        metadata["managedFields"] = [MANAGED | {"fieldsType": "FieldsV1", "fieldsV1": fields}]
        whole = {"kind": "Event", "apiVersion": "v1", **event, "reportingComponent": "kubelet", "reportingInstance": ""}
        made.append(json.dumps(whole, separators=(",", ":")).encode())
    return [made[start : start + BLOCK] for start in range(0, TEMPLATES, BLOCK)]


class Canned:
    """The answers."""

    def __init__(self, blocks: list[list[bytes]], listed: int, watched: int) -> None:
        self.listed, self.watched = listed, watched
        self.items = [b",".join(block) for block in blocks]
        self.lines = [b"".join(b'{"type":"ADDED","object":' + event + b"}\n" for event in block) for block in blocks]
        self.lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection's requests."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as reader:
            while line := reader.readline():
                while reader.readline().strip():
                    pass
                self.answer(connection, line.split()[1].decode())

    def answer(self, connection: socket.socket, target: str) -> None:
        """Answer one request."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.endswith("/namespaces/kube-system"):
            self.whole(connection, json.dumps({"metadata": {"name": "kube-system", "uid": UID}}).encode())
        elif query.get("watch") == "true":
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n")
            if parts.path.endswith("/events"):
                with self.lock:
                    first, self.watched = self.watched, 0
                for start in range(0, first, BLOCK):
                    data = self.filled(self.lines, self.listed + start)
                    connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))
            time.sleep(3600)
        elif parts.path.endswith("/events"):
            start, size = int(query.get("continue", "0")), int(query.get("limit", "500"))
            end = min(self.listed, start + size)
            token = f',"continue":"{end}"' if end < self.listed else ""
            items = b",".join(self.filled(self.items, at) for at in range(start, end, BLOCK))
            version = b"1" + b"0" * 13
            head = b'{"kind":"EventList","metadata":{"resourceVersion":"%b"%b},"items":[' % (version, token.encode())
            self.whole(connection, head + items + b"]}")
        else:
            self.whole(connection, json.dumps(EMPTY).encode())

    def filled(self, blocks: list[bytes], number: int) -> bytes:
        """The block of events whose first has this number."""
        round_, index = divmod(number, TEMPLATES)
        now = times.iso(times.now_ms())[:19].encode() + b"Z"
        return blocks[index // BLOCK].replace(ROUND, b"%08d" % round_).replace(NOW, now)

    def whole(self, connection: socket.socket, body: bytes) -> None:
        """Send an answer whose length is known."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)


if __name__ == "__main__":
    sys.exit(main())

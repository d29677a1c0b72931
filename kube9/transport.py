"""Connections of the client's pool that can be ended from another thread, and whose bodies are read as they arrive."""

import http.client
import socket
import threading
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import urllib3

CONNECT_TIMEOUT_S = 4.0  # a stop waits for a connection that is being made, and has five seconds
KEEP_ALIVE_S = 20
POOL_SIZE = 32  # connections kept for use again; a watch has one of its own
READ_BYTES = 65_536
FRAME_BYTES = 16_384  # the longest line between two chunks


class Sockets:
    """The sockets of the connections that are open."""

    def __init__(self) -> None:
        self._open: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()
        self._ended = False

    def add(self, connection: Any) -> None:
        """Keep the socket of a connection that was just made; it is ended at once if `end` was called before."""
        with self._lock:
            # The socket and not the connection, which lets go of it when the server will close after the answer.
            self._open.add(connection.sock)
            ended = self._ended
        if ended:
            _shut_down(connection.sock)

    def end(self) -> None:
        """End what is read and written on every socket, those still to come included. Final."""
        with self._lock:
            self._ended = True
            sockets = list(self._open)
        for open_socket in sockets:
            _shut_down(open_socket)


class Body(http.client.HTTPResponse):
    """An answer whose `read1` returns as much of a chunked body as has arrived, not only the rest of one chunk.

    The API server sends each line of a watch as a chunk: read one by one, they cost five times as much.
    """

    _unframed: "Unframed | None" = None

    def read1(self, n: int = -1) -> bytes:
        """Wait for something to arrive and return it; empty at the end. Raises IncompleteRead when it broke off."""
        if not getattr(self, "chunked", False) or self.fp is None:
            return super().read1(n)
        unframed = self._unframed = self._unframed or Unframed()
        while True:
            arrived = self.fp.read1(READ_BYTES)
            if not arrived:
                raise http.client.IncompleteRead(b"")
            data = unframed.feed(arrived)
            if unframed.ended:
                self.close()
                return data
            if data:
                return data


class Unframed:
    """Takes the framing off a chunked body: https://www.rfc-editor.org/rfc/rfc9112#section-7.1."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0  # of the present chunk
        self._rest = b"\r\n"  # what came and cannot be read yet; each size stands after the end of a line

    def feed(self, arrived: bytes) -> bytes:
        """The data in what has arrived. Raises HTTPException for what is no chunked body."""
        frames = self._rest + arrived
        data, at = [], 0
        while not self.ended:
            if self._left:
                piece = frames[at : at + self._left]
                if not piece:
                    break
                data.append(piece)
                at += len(piece)
                self._left -= len(piece)
                continue
            end = frames.find(b"\r\n", at + 2)
            if end < 0:
                break
            self._left = _size(frames[at + 2 : end])
            if self._left:
                at = end + 2
            elif frames.find(b"\r\n\r\n", end) >= 0:  # the last chunk, which may have trailers
                self.ended = True
            else:
                break
        self._rest = frames[at:]
        if len(self._rest) > FRAME_BYTES:
            raise http.client.LineTooLong("chunk size")
        return b"".join(data)


def open_pool(pool: urllib3.PoolManager, sockets: Sockets) -> None:
    """Have a pool make connections that `sockets` can end, with bodies that are read as they arrive."""

    class Tracked:
        response_class = Body

        def connect(self) -> None:
            super().connect()  # type: ignore[misc]  # of the connection that it is mixed into
            sockets.add(self)

    def tracked(kind: Any) -> Any:
        connection = type(kind.ConnectionCls.__name__, (Tracked, kind.ConnectionCls), {})
        return type(kind.__name__, (kind,), {"ConnectionCls": connection})

    pool.pool_classes_by_scheme = {scheme: tracked(kind) for scheme, kind in pool.pool_classes_by_scheme.items()}
    pool.connection_pool_kw["socket_options"] = _keep_alive()
    pool.connection_pool_kw["maxsize"] = POOL_SIZE


def _size(frame: bytes) -> int:
    digits = frame.partition(b";")[0].strip()
    try:
        if digits.isalnum():
            return int(digits, 16)
    except ValueError:
        pass
    raise http.client.HTTPException(f"no size of a chunk: {frame[:40]!r}")


def _shut_down(open_socket: Any) -> None:
    with suppress(OSError, ValueError, AttributeError):  # it may have ended by itself
        open_socket.shutdown(socket.SHUT_RDWR)


def _keep_alive() -> list[tuple[int, int, int]]:
    """Socket options that make a connection without a peer an error, as far as this system has them."""
    wanted = {"TCP_KEEPIDLE": KEEP_ALIVE_S, "TCP_KEEPINTVL": KEEP_ALIVE_S // 4, "TCP_USER_TIMEOUT": KEEP_ALIVE_S * 2000}
    options = [*urllib3.connection.HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in wanted.items():
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options

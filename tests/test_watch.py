"""The watch against a server over real HTTP that misbehaves as told; waiting is handed in, so nothing sleeps."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import make_event
from kubernetes import client

from kube9 import watch
from kube9.apiserver import ApiServer, Refused, Unreachable

EVENTS = "/api/v1/events"
EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}


class Server:
    """Gives the answers of a script, one a request, and keeps what it was asked; at the script's end it closes up."""

    def __init__(self) -> None:
        self.script: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.asked: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                server.asked.append({name: values[0] for name, values in query.items()})
                answer = server.script.pop(0) if server.script else status(404)
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        configuration = client.Configuration(host=f"http://127.0.0.1:{self._http.server_port}")
        self._client = client.ApiClient(configuration)
        self.api = ApiServer(self._client)

    def close(self) -> None:
        self._client.rest_client.pool_manager.clear()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def watched(self, version: str | None = None) -> tuple[list[str], list[float], list[bool]]:
        """Names in the order they came, the waits asked for, and what `connected` was told, until the script is over."""
        names, waits, states = [], [], []

        def pause(seconds: float) -> bool:
            if seconds:
                waits.append(seconds)
            return bool(self.script)

        for page in watch.list_then_watch(self.api, EVENTS, version, pause, states.append):
            names += [source["metadata"]["name"] for source in page.objects]
        return names, waits, states


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def page(*names: str, version: str = "10", token: str = "") -> Callable[[BaseHTTPRequestHandler], None]:
    body = {"metadata": {"resourceVersion": version, "continue": token}, "items": [named(name) for name in names]}
    return lambda request: send(request, [json.dumps(body).encode()], chunked=False)


def lines(*parts: bytes, cut: bool = False) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda request: send(request, list(parts), chunked=True, cut=cut)


def change(name: str, version: str = "11", kind: str = "ADDED") -> bytes:
    return json.dumps({"type": kind, "object": named(name, version)}).encode() + b"\n"


def named(name: str, version: str = "1") -> dict:
    event = make_event(name)
    event["metadata"]["resourceVersion"] = version
    return event


def send(request: BaseHTTPRequestHandler, parts: list[bytes], chunked: bool, cut: bool = False) -> None:
    request.send_response(200)
    if chunked:
        request.send_header("Transfer-Encoding", "chunked")
    else:
        request.send_header("Content-Length", str(sum(map(len, parts))))
    request.end_headers()
    for part in parts:
        request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
    if cut:
        request.close_connection = True  # without the last chunk: the answer broke off
    elif chunked:
        request.wfile.write(b"0\r\n\r\n")


def test_lists_all_pages_then_watches_from_the_lists_version(server: Server) -> None:
    server.script = [page("a", "b", version="9", token="more"), page("c", version="10"), lines(change("d"))]
    assert server.watched()[0] == ["a", "b", "c", "d"]
    assert server.asked[1]["continue"] == "more"
    assert server.asked[2]["watch"] == "true"
    assert server.asked[2]["resourceVersion"] == "10"


def test_goes_on_where_it_stood_without_a_list(server: Server) -> None:
    server.script = [lines(change("a", "8")), lines(change("b", "9"))]
    assert server.watched(version="7")[0] == ["a", "b"]
    assert [asked["resourceVersion"] for asked in server.asked] == ["7", "8"]


def test_an_end_after_work_is_no_reason_to_wait(server: Server) -> None:
    server.script = [lines(change("a", "8")), lines(change("b", "9"))]
    assert server.watched(version="7")[1] == []


def test_deletions_are_no_events_and_bookmarks_move_the_version(server: Server) -> None:
    bookmark = json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "30"}}}).encode() + b"\n"
    server.script = [lines(change("a", "8"), change("a", "9", "DELETED"), bookmark), lines(change("b", "31"))]
    assert server.watched(version="7")[0] == ["a", "b"]
    assert server.asked[1]["resourceVersion"] == "30"


@pytest.mark.parametrize(
    "expired", [status(410), lines(json.dumps(EXPIRED).encode() + b"\n")], ids=["HTTP 410", "an ERROR line"]
)
def test_an_expired_version_is_listed_anew(server: Server, expired) -> None:
    server.script = [expired, page("a", version="50"), lines(change("b", "51"))]
    assert server.watched(version="7")[0] == ["a", "b"]
    assert server.asked[2]["resourceVersion"] == "50"


def test_a_list_that_expires_between_pages_begins_again(server: Server) -> None:
    server.script = [page("a", token="more"), status(410), page("a", "b", version="20"), lines(change("c"))]
    assert server.watched()[0] == ["a", "a", "b", "c"]
    assert "continue" not in server.asked[2]


@pytest.mark.parametrize("broken", [b'{"type": "ADD', b"<html>\n", b'{"type": "ADDED"}\n', b"[]\n", b"\xff\xfe\n"])
def test_a_broken_line_is_asked_for_again(server: Server, broken: bytes) -> None:
    server.script = [lines(change("a", "8"), broken), lines(change("b", "9"))]
    names, waits, states = server.watched(version="7")
    assert names == ["a", "b"]
    assert server.asked[1]["resourceVersion"] == "8"
    assert len(waits) == 1
    assert states == [True, False, True]


def test_a_line_in_pieces_is_one_line(server: Server) -> None:
    whole = change("größe", "8")
    middle = whole.index(b"\\u") if b"\\u" in whole else len(whole) // 2
    server.script = [lines(whole[:middle], whole[middle:] + change("b", "9"))]
    assert server.watched(version="7")[0] == ["größe", "b"]


def test_an_answer_that_breaks_off_is_asked_for_again(server: Server) -> None:
    server.script = [lines(change("a", "8"), cut=True), lines(change("b", "9"))]
    assert server.watched(version="7")[0] == ["a", "b"]


def test_retry_after_is_obeyed_up_to_a_minute(server: Server) -> None:
    server.script = [status(429, Retry_After="7"), status(503, Retry_After="86400"), lines(change("a", "8"))]
    names, waits, _ = server.watched(version="7")
    assert names == ["a"]
    assert waits[:2] == [7.0, 60.0]


@pytest.mark.parametrize("code", [401, 403, 500, 503])
def test_waits_grow_to_a_minute_while_it_is_refused(server: Server, code: int) -> None:
    server.script = [status(code)] * 12
    _, waits, states = server.watched()
    assert len(waits) == 11  # after the last answer it is told to stop
    assert waits[0] <= 1.0 < waits[3] < waits[-1] <= 60.0
    assert set(states) == {False}


def test_a_break_after_work_is_tried_again_soon_however_often(server: Server) -> None:
    server.script = [lines(change(f"a-{version}", str(version)), cut=True) for version in range(8, 20)]
    names, waits, _ = server.watched(version="7")
    assert len(names) == 12
    assert max(waits[:-1]) <= 1.0


def test_an_empty_answer_is_no_busy_loop(server: Server) -> None:
    server.script = [lines()] * 8
    _, waits, _ = server.watched(version="7")
    assert len(waits) == 8
    assert sum(waits[-4:]) >= 4 * 5.0  # at least five seconds each once it goes on


def test_nobody_there_is_unreachable() -> None:
    server = Server()
    server.close()
    with pytest.raises(Unreachable):
        server.api.get(EVENTS)


def test_a_refusal_says_the_status(server: Server) -> None:
    server.script = [status(403)]
    with pytest.raises(Refused, match="403"):
        server.api.get(EVENTS)


def test_stop_ends_a_watch_that_waits(server: Server) -> None:
    waiting, release = threading.Event(), threading.Event()

    def silent(request: BaseHTTPRequestHandler) -> None:
        send(request, [change("a", "8")], chunked=True, cut=True)
        request.wfile.flush()
        waiting.set()
        release.wait(30)

    server.script = [silent]
    found: list[int] = []

    def read() -> None:
        try:
            for part in server.api.lines(EVENTS, 30.0, watch="true"):
                found.append(len(part))
        except Unreachable:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(10)
    while not found:
        pass
    server.api.stop()
    reader.join(10)
    release.set()
    assert not reader.is_alive()
    assert found == [1]

"""What the recorder says of itself: the verdict from the facts, and the probes of a real `kube9 serve` over HTTP."""

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from conftest import Kube9, make_event
from loopback import Serving, SmallApi, failed_start, free_port, get

from kube9 import health, probes, times
from kube9.counts import Counts
from kube9.health import STUCK_S, Database, Facts, Loop, Watch
from kube9.pulse import Pulse
from kube9.writer import CAPACITY

NOW = times.parse("2026-03-01T10:00:00Z", 0)


def ago(seconds: float) -> str:
    return times.iso(NOW - int(seconds * 1000))


def watched(resource: str = "events", proven_s_ago: float | None = 10) -> Watch:
    watch = Watch(resource)
    watch.answered()
    watch.last_line_at = None if proven_s_ago is None else ago(proven_s_ago)
    return watch


def failing(watch: Watch, reason: str, problem: str) -> Watch:
    watch.failed(reason, problem)
    return watch


def facts(*watches: Watch, loops: tuple[Loop, ...] = (), committed_s_ago: float | None = 5, **changes) -> Facts:
    database = Database(last_commit_at=None if committed_s_ago is None else ago(committed_s_ago))
    return Facts(ago(3600), watches or (watched(),), loops, database, queue_size=0, queue_capacity=1000)._replace(**changes)


class Hands:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


def stuck_loop() -> Loop:
    clock = Hands()
    loop = Loop("watch events", clock)
    loop.turn()
    clock.at_s += STUCK_S + 1
    return loop


HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
READY, NOT_READY = True, False


@pytest.mark.scenario("REC-34", "DB-15")
@pytest.mark.parametrize(
    ("known", "state", "ready", "problem"),
    [
        (facts(), HEALTHY, READY, None),
        (facts(watched(), watched("pods")), HEALTHY, READY, None),
        (facts(watched(proven_s_ago=90)), HEALTHY, READY, None),
        (facts(watched(proven_s_ago=91)), DEGRADED, NOT_READY, "events: last heard of at"),
        (facts(watched(proven_s_ago=None)), DEGRADED, NOT_READY, "events: not read yet"),
        (facts(watched("pods")), DEGRADED, NOT_READY, "events: nobody watches them"),
        (facts(failing(watched(), "broken", "cut off")), DEGRADED, READY, "events: cut off"),
        (facts(failing(watched(), "forbidden", "HTTP 403")), DEGRADED, NOT_READY, "events: HTTP 403"),
        (facts(watched(), failing(watched("pods"), "forbidden", "HTTP 403")), DEGRADED, READY, "pods: HTTP 403"),
        (facts(watched(), watched("pods", proven_s_ago=91)), DEGRADED, READY, "pods: last heard of at"),
        (facts(committed_s_ago=60), HEALTHY, READY, None),
        (facts(committed_s_ago=61), DEGRADED, NOT_READY, "database: nothing committed since"),
        (facts(committed_s_ago=None), DEGRADED, NOT_READY, "database: nothing committed yet"),
        (facts(committed_s_ago=-30), HEALTHY, READY, None),
        (facts(database=Database("damaged", None, ago(1))), DEGRADED, NOT_READY, "database: damaged"),
        (facts(database=Database(None, "full", ago(1))), DEGRADED, NOT_READY, "database: full"),
        (facts(loops=(stuck_loop(),)), UNHEALTHY, NOT_READY, "the thread watch events is stuck"),
        (facts(stopping=True), UNHEALTHY, NOT_READY, "kube9 serve stopped"),
    ],
)
def test_the_verdict_follows_from_the_facts(known: Facts, state: str, ready: bool, problem: str | None) -> None:
    verdict = health.judge(known, NOW)
    assert (verdict.state, verdict.ready) == (state, ready)
    assert len(verdict.problems) == (problem is not None)
    assert problem is None or verdict.problems[0].startswith(problem)


def test_a_watch_that_answers_again_is_well_again() -> None:
    watch = failing(watched(), "forbidden", "HTTP 403")
    watch.answered()
    assert health.judge(facts(watch), NOW) == (HEALTHY, READY, [])


def test_a_thread_is_stuck_when_it_is_late_and_not_while_it_waits() -> None:
    clock = Hands()
    loop = Loop("writer", clock)
    clock.at_s = 10 * STUCK_S
    assert not loop.stuck()  # it has not begun
    loop.turn(wait_s=600)
    clock.at_s += 600 + STUCK_S
    assert not loop.stuck()
    clock.at_s += 1
    assert loop.stuck()
    loop.turn(wait_s=float("inf"))
    clock.at_s += 1e9
    assert not loop.stuck()


@pytest.fixture
def api(tmp_path) -> Iterator[SmallApi]:
    running = SmallApi(tmp_path)
    yield running
    running.close()


@pytest.fixture
def serving(kube9: Kube9, api: SmallApi) -> Iterator[Serving]:
    api.events = [make_event(f"web-{number}.17b2c4") for number in range(3)]
    running = Serving(kube9, api)
    yield running
    running.close()


@pytest.mark.scenario("REC-34", "DB-15")
def test_a_recorder_that_watches_and_writes_is_ready_and_tells_what_it_knows(serving: Serving, kube9: Kube9) -> None:
    serving.until("every resource is read", lambda: serving.json("/healthz")["status"] == "healthy")
    assert serving.get("/livez")[0] == 200
    status, body = serving.get("/healthz?verbose")
    told = json.loads(body)
    assert (status, told["status"], told["ready"], told["problems"]) == (200, "healthy", True, [])
    assert told["watches"][0]["resource"] == "events"
    assert told["watches"][0]["connected"]
    assert told["watches"][0]["proof_age_seconds"] >= 0
    with closing(sqlite3.connect(f"file:{kube9.db}?mode=ro", uri=True)) as connection:
        ((committed_at,),) = connection.execute("SELECT beat_at FROM heartbeat").fetchall()
    assert told["database"].pop("size_bytes") > 0
    assert told["database"].pop("last_commit_age_seconds") >= 0
    assert told["database"].pop("last_commit_at") <= committed_at
    assert told["database"] == {"readable": True, "writable": True, "last_quick_check": None, "last_full_check": None}
    assert told["queue"] == {"size": 0, "capacity": CAPACITY, "dropped_total": 0}
    found = kube9.query("status").json
    assert (found["health"], found["problems"], found["health_detail"]) == ("healthy", [], None)
    assert found["last_commit_age_seconds"] >= 0
    assert serving.stop() == 0
    assert kube9.query("status").json["problems"] == ["kube9 serve stopped"]


def test_head_is_get_without_a_body_and_another_path_is_not_there(serving: Serving) -> None:
    serving.until_ready()
    with socket.create_connection(("127.0.0.1", serving.port)) as client:
        client.sendall(b"HEAD /livez HTTP/1.1\r\nHost: kube9\r\n\r\n")
        head, body = client.makefile("rb").read().split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 ")
    assert body == b""
    status, body = serving.get("/nowhere")
    assert (status, json.loads(body)["paths"]) == (404, ["/healthz", "/livez", "/metrics", "/readyz"])


@pytest.mark.scenario("REC-34")
def test_an_api_server_that_refuses_is_told_and_no_reason_to_restart(kube9: Kube9, api: SmallApi) -> None:
    api.refusal = 503
    serving = Serving(kube9, api)
    try:
        serving.until("the refusal is told", lambda: "HTTP 503" in str(serving.json("/readyz")["problems"]))
        assert serving.get("/readyz")[0] == 503
        assert serving.get("/healthz")[0] == 200
        assert serving.get("/livez")[0] == 200
        assert kube9.query("status").json["health"] == "degraded"
        api.refusal = None
        serving.until_ready()
    finally:
        serving.close()


@pytest.mark.scenario("DB-15")
def test_a_damaged_database_is_not_ready_and_never_fails_liveness(serving: Serving, kube9: Kube9) -> None:
    serving.until_ready()
    with closing(sqlite3.connect(kube9.db)) as connection:
        connection.execute("PRAGMA wal_checkpoint")
    with kube9.db.open("r+b") as file:
        file.write(b"\0" * 100)
    serving.until("it is not ready", lambda: serving.get("/readyz")[0] == 503)
    assert serving.get("/livez")[0] == 200
    told = serving.json("/healthz")
    assert (told["status"], told["database"]["readable"]) == ("degraded", False)
    assert told["problems"][0].startswith("database: ")
    assert serving.process.poll() is None


def test_a_watch_that_begins_while_the_database_is_damaged_ends_no_recorder(kube9: Kube9, api: SmallApi) -> None:
    api.refusal = 500
    serving = Serving(kube9, api)
    try:
        serving.until("the server has refused", lambda: "HTTP 500" in serving.log.read_text())
        with closing(sqlite3.connect(kube9.db)) as connection:
            connection.execute("PRAGMA wal_checkpoint")
        with kube9.db.open("r+b") as file:
            file.write(b"\0" * 100)
        api.refusal = None
        serving.until("a watch has met the database", lambda: "events: not a database" in serving.log.read_text())
        assert serving.get("/livez")[0] == 200
        assert serving.process.poll() is None
    finally:
        serving.close()


def test_a_port_in_use_is_one_clear_error_before_anything_is_recorded(kube9: Kube9, api: SmallApi) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = failed_start(kube9, api, port)
    assert done.returncode == 1
    assert f"cannot listen on port {port}" in done.stderr
    assert "--health-port" in done.stderr
    assert "Traceback" not in done.stderr
    assert "recording the events" not in done.stderr


def test_a_port_out_of_range_is_refused(kube9: Kube9) -> None:
    done = kube9("serve", "--health-port", "65536")
    assert done.code == 1
    assert "65535" in done.err


@pytest.fixture
def answer() -> Iterator:
    """Starts a server about facts and returns what gets a path of it."""
    started = []

    def start(known: Facts, loops: tuple[Loop, ...] = ()):
        server = probes.Server(0, facts=lambda: known, loops=loops, counts=Counts(), metrics=lambda: b"")
        started.append(server)
        server.start()
        return lambda path: get(server.port, path)

    yield start
    for server in started:
        server.stop()


@pytest.mark.scenario("REC-34")
def test_a_stuck_thread_fails_liveness_and_is_named(answer) -> None:
    loop = stuck_loop()
    ask = answer(facts(loops=(loop,)), (loop,))
    status, body = ask("/livez")
    assert (status, json.loads(body)) == (503, {"alive": False, "stuck": ["watch events"]})
    assert ask("/healthz")[0] == 503
    assert ask("/readyz")[0] == 503
    loop.turn()
    assert ask("/livez")[0] == 200


@pytest.mark.scenario("REC-34")
def test_a_forbidden_resource_stands_in_readyz_while_events_go_on(answer) -> None:
    now = times.iso(times.now_ms())
    events, pods = watched(), failing(watched("pods"), "forbidden", "HTTP 403 Forbidden")
    events.last_line_at = now
    status, body = answer(facts(events, pods, database=Database(last_commit_at=now)))("/readyz")
    told = json.loads(body)
    assert (status, told["status"]) == (200, "degraded")
    assert told["problems"][0].startswith("pods: HTTP 403 Forbidden; last heard of at")


@pytest.mark.scenario("DB-15")
def test_the_pulse_is_the_heartbeat_that_was_committed(kube9: Kube9) -> None:
    kube9.record(make_event())
    at = times.iso(times.now_ms() - 3_600_000)
    with closing(sqlite3.connect(kube9.db)) as connection, connection:
        connection.execute("INSERT INTO heartbeat VALUES (1, ?, ?, 1, '0', 'healthy', 0, 0, '{}', '[]', NULL)", (at, at))
    taken = Pulse(str(kube9.db), Counts()).take()
    assert taken.last_commit_at == at
    assert taken.problem is None
    assert not health.is_well(taken, times.now_ms())


def test_the_pulse_of_no_database_says_so(tmp_path) -> None:
    assert "does not exist" in Pulse(str(tmp_path / "none.db"), Counts()).take().problem


def test_who_asks_for_the_pulse_is_not_kept_waiting(kube9: Kube9) -> None:
    kube9.record(make_event())
    kube9.db.with_name("kube9.db-wal").write_bytes(b"left by a crash")  # a reader looks at it for a tenth of a second
    pulse = Pulse(str(kube9.db), Counts(), patience_s=0.001)
    assert "no answer" in pulse.take().problem
    later = Pulse(str(kube9.db), Counts(), patience_s=30)
    assert "-wal without its -shm" in later.take().problem


def test_clients_that_dribble_hold_up_no_probe() -> None:
    server = probes.Server(0, facts=facts, loops=(), counts=Counts(), metrics=lambda: b"")
    server.start()
    stopped = threading.Event()
    dribbling = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(probes.AT_ONCE)]

    def dribble() -> None:
        while not stopped.wait(0.1):
            for client in dribbling:
                try:
                    client.send(b"G")
                except OSError:  # it was turned out
                    pass

    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        assert get(server.port, "/livez")[0] == 200
    finally:
        stopped.set()
        thread.join()
        for client in dribbling:
            client.close()
        server.stop()


def test_the_port_is_free_after_a_stop() -> None:
    port = free_port()
    for _ in range(2):
        server = probes.Server(port, facts=facts, loops=(), counts=Counts(), metrics=lambda: b"")
        server.start()
        assert get(port, "/livez")[0] == 200
        server.stop()

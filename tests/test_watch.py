"""The watch against a server over real HTTP that fails as told. The clock is handed in, so that waiting takes no time."""

import itertools
import logging
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from faulty_server import EVENTS, FAULTS, Asked, FastClock, FaultyServer
from watching import Watching

from kube9 import apiserver, health, times
from kube9.apiserver import ApiServer
from kube9.clock import Clock
from kube9.failures import AnotherCluster
from kube9.responses import Broken, Refused, Unreachable
from kube9.vocabulary import CAUSES
from kube9.watch import Start

HOUR_MS = 3_600_000
ALWAYS = 100_000  # more often than any test asks

# What each fault is counted as; None for what is no failure.
COUNTED = {
    "expired_http": "expired",
    "empty": "empty",
    "hung": "unreachable",
    "late": None,
    "hung_list": "unreachable",
    "silent": "stalled",
    "unauthorized": "unauthorized",
    "forbidden": "forbidden",
    "throttled": "throttled",
    "unavailable": "refused",
    "error": "refused",
    "dropped": "unreachable",
    "no_json": "broken",
    "cut_list": "broken",
    "slow_list": "broken",
    "expired_token": "expired",
    "expired_line": "expired",
    "late_expiry": "expired",
    "error_line": "refused",
    "truncated": "broken",
    "cut_character": "broken",
    "reset": "broken",
    "garbage": "broken",
    "bookmark": None,
    "unknown_type": None,
    "endless_line": "broken",
    "drip": "stalled",
    "one_line": None,
}


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


@pytest.fixture
def server(clock: FastClock) -> Iterator[FaultyServer]:
    running = FaultyServer(clock)
    yield running
    running.close()


@pytest.fixture
def watching(server: FaultyServer) -> Iterator[Callable[..., Watching]]:
    started: list[Watching] = []

    def start(api: ApiServer | None = None, clock: Clock | None = None, **options: object) -> Watching:
        started.append(Watching(api or server.api(), clock or server.clock, **options))
        return started[-1]

    yield start
    for running in started:
        running.stop()


def per_minute(asked: list[Asked], after_s: float = 10.0) -> int:
    """The most requests in any minute, later than so long after the first."""
    at = [request.at_s for request in asked if request.at_s > asked[0].at_s + after_s]
    return max((sum(start <= later < start + 60 for later in at) for start in at), default=0)


def ago(clock: Clock, ms: int) -> str:
    return times.iso(clock.now_ms() - ms)


# What is listed and watched.


def test_lists_all_pages_then_watches_from_the_lists_version(server: FaultyServer, watching) -> None:
    for name in "abcde":
        server.create(name)
    listed_at = server.version
    running = watching(page_size=2)
    running.until(lambda: server.watches())
    server.create("f")
    running.seen(*"abcdef")
    assert running.names() == list("abcdef")
    assert [(page.listed, page.last) for page in running.pages] == [(True, False), (True, False), (True, True), (False, False)]
    assert [page.resource_version for page in running.pages[:3]] == [None, None, listed_at]
    assert server.watches()[0].query["resourceVersion"] == listed_at
    assert running.state.resource_version == running.pages[-1].resource_version == server.version


@pytest.mark.scenario("REC-08")
def test_added_modified_deleted_and_bookmarks(server: FaultyServer, watching) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.create("a")
    server.repeat("a", by=4)
    gone = server.expire("a")
    running.until(lambda: any(page.deleted for page in running.pages))
    assert running.counts()["a"][1] == 5
    assert [found["metadata"]["uid"] for page in running.pages for found in page.deleted] == [gone["metadata"]["uid"]]
    server.elsewhere(50)
    server.fault("bookmark")
    running.until(lambda: running.pages[-1].resource_version == server.version)
    server.end_watches()
    running.until(lambda: server.watches()[-1].query["resourceVersion"] == server.version)


def test_a_name_that_is_used_again_is_another_object(server: FaultyServer, watching) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.create("a", count=7)
    running.seen("a")
    first = running.counts()["a"]
    server.recreate(server.expire("a"))
    running.until(lambda: running.counts()["a"][1] == 8)
    assert running.counts()["a"][0] != first[0]


def test_goes_on_where_it_stood_without_a_list(server: FaultyServer, watching) -> None:
    server.create("a")
    version = server.version
    server.create("b")
    server.expire("b")  # a list would not show it
    running = watching(start=Start(version, ago(server.clock, 60_000)))
    running.seen("b")
    assert running.names() == ["b"]
    assert server.lists() == []


def test_only_metadata_is_asked_for(server: FaultyServer, watching) -> None:
    server.create("a")
    running = watching(metadata_only=True)
    running.until(lambda: server.watches())
    assert "PartialObjectMetadataList;" in server.lists()[0].accept
    assert "PartialObjectMetadata;" in server.watches()[0].accept
    assert server.lists()[0].accept.endswith(", application/json")


def test_an_orderly_end_after_a_while_is_no_reason_to_wait(server: FaultyServer, clock: FastClock, watching) -> None:
    running = watching(silence_s=5.0)
    for number in range(5):
        running.until(lambda n=number: len(server.watches()) == n + 1)
        server.create(f"a-{number}")
        running.seen(f"a-{number}")
        clock.advance(300)
        server.end_watches()
    running.until(lambda: len(server.watches()) == 6)
    assert clock.waited_s == []
    assert running.state.failures == {}
    assert server.probes() == []


# Each fault is survived: nothing is lost, it has a name, and the next watch goes on.


@pytest.mark.scenario("REC-28", "REC-33")
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_survived_and_counted(server: FaultyServer, watching, kind: str) -> None:
    for number in range(5):
        server.create(f"before-{number}")
    if FAULTS[kind] in ("page", "list"):
        server.fault(kind)
    running = watching(page_size=2, silence_s=5.0 if kind == "endless_line" else 0.1)  # it takes a while to be too long
    running.until(lambda: server.watches())
    if FAULTS[kind] not in ("page", "list"):
        server.fault(kind)
    server.create("größe")
    server.repeat("before-1", by=3)
    assert server.felt()
    server.create("after")
    running.until(lambda: "after" in running.names() and running.counts()["before-1"][1] == 4)
    present = {name: (event["metadata"]["uid"], event["count"]) for (_, name), event in server.present().items()}
    assert running.counts() == present
    assert running.state.failures == ({COUNTED[kind]: 1} if COUNTED[kind] else {})
    assert running.state.connected


@pytest.mark.scenario("REC-33")
@pytest.mark.parametrize(
    "kind",
    sorted(
        set(FAULTS)
        - {"silent", "late", "late_expiry", "drip", "bookmark", "unknown_type", "expired_token", "endless_line", "slow_list"}
    ),
)
def test_a_fault_without_end_is_no_busy_loop(server: FaultyServer, clock: FastClock, watching, kind: str) -> None:
    clock.end_after(600)
    for number in range(3):
        server.create(f"a-{number}")
    server.fault(kind, ALWAYS)
    running = watching(api=server.api(read_timeout_s=0.05), silence_s=0.05)
    running.until(lambda: not running.thread.is_alive(), "ten minutes to pass")
    assert clock.stopped
    assert per_minute(server.watches()) <= 12
    assert per_minute(server.asked) <= 40
    assert sum(clock.waited_s) > 540


@pytest.mark.scenario("REC-28", "REC-33")
@pytest.mark.parametrize("seed", range(3))
def test_faults_in_any_order_lose_nothing_that_the_server_still_has(server: FaultyServer, watching, seed: int) -> None:
    chance = random.Random(seed)
    alive: list[str] = []
    gone: list[dict] = []
    made = itertools.count()
    running = watching(api=server.api(read_timeout_s=0.05), page_size=5, silence_s=0.05, settle_s=0.02)
    for _ in range(200):
        for _ in range(chance.randrange(1, 4)):
            if alive and chance.random() < 0.4:
                server.repeat(chance.choice(alive), by=chance.randrange(1, 5))
            elif alive and chance.random() < 0.3:
                gone.append(server.expire(alive.pop(chance.randrange(len(alive)))))
            elif gone and chance.random() < 0.5:
                server.recreate(gone[-1])
                alive.append(gone.pop()["metadata"]["name"])
            else:
                alive.append(f"event-{next(made)}")
                server.create(alive[-1])
        happens = chance.choice([*sorted(FAULTS), "compact", "cut", "down", "elsewhere"])
        if happens in FAULTS:
            server.fault(happens)
        elif happens == "down":
            server.down()
            server.up()
        else:
            getattr(server, happens)()
        time.sleep(chance.random() * 0.01)
    server.mend()
    server.create("last")
    running.until(lambda: "last" in running.names())
    present = {name: (event["metadata"]["uid"], event["count"]) for (_, name), event in server.present().items()}
    running.until(lambda: present.items() <= running.counts().items(), "all that the server has")
    assert running.error is None


def test_an_answer_without_a_line_is_listed_again(server: FaultyServer, watching) -> None:
    # So some servers answer a version that expired; to watch from it again would be silence for ever.
    server.create("a")
    version = server.version
    server.create("b")
    server.compact()
    server.fault("empty")
    running = watching(start=Start(version, ago(server.clock, 60_000)))
    running.seen("a", "b")
    assert len(server.lists()) == 1


@pytest.mark.parametrize("kind", ["expired_http", "expired_line"])
def test_an_expired_version_is_listed_again(server: FaultyServer, watching, kind: str) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.fault(kind)
    server.create("a")
    running.seen("a")
    running.until(lambda: len(server.lists()) > 1 and server.watches()[-1].at_s > server.lists()[-1].at_s)
    assert len(server.lists()) == 2
    assert int(server.watches()[-1].query["resourceVersion"]) >= int(running.pages[-1].resource_version or 0)


def test_a_version_that_was_compacted_is_listed_again(server: FaultyServer, watching) -> None:
    server.create("a")
    version = server.version
    server.create("b")
    server.compact()
    running = watching(start=Start(version, ago(server.clock, 60_000)))
    running.seen("a", "b")


def test_a_list_that_expires_between_pages_begins_again(server: FaultyServer, watching) -> None:
    for name in "abc":
        server.create(name)
    server.fault("expired_token")
    running = watching(page_size=2)
    running.seen("c")
    assert running.names() == ["a", "b", "a", "b", "c"]
    assert len(server.lists()) == 2
    assert [page.resource_version for page in running.pages] == [None, None, server.version]


@pytest.mark.parametrize("kind", ["truncated", "cut_character", "garbage", "reset"])
def test_the_version_moves_with_whole_lines_only(server: FaultyServer, watching, kind: str) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.create("a")
    running.seen("a")
    server.fault(kind)
    server.create("b")
    server.create("c")
    running.seen("b", "c")
    assert [name for name in running.names() if name != "b"] == ["a", "c"]
    assert running.names().count("b") == 1
    versions = [int(asked.query["resourceVersion"]) for asked in server.watches()]
    assert versions == sorted(versions)


def test_a_line_of_an_unknown_type_is_left_out(server: FaultyServer, watching) -> None:
    running = watching(silence_s=5.0)
    running.until(lambda: server.watches())
    server.fault("unknown_type")
    assert server.felt()
    server.end_watches()
    running.until(lambda: len(server.watches()) == 2)
    assert server.watches()[-1].query["resourceVersion"] == server.version
    assert len(running.pages) == 1
    assert running.state.last_line_at is None


def test_what_came_whole_before_a_broken_line_is_given_first(server: FaultyServer, watching) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.fault("garbage", ALWAYS)  # after each line: else it would come with the next watch
    server.create("a")
    server.create("b")
    running.seen("a", "b")
    assert running.names() == ["a", "b"]


@pytest.mark.parametrize(("kind", "seconds"), [("throttled", 7), ("unavailable", 40), ("throttled", 60)])
def test_retry_after_is_obeyed_in_seconds_and_as_a_date(
    server: FaultyServer, clock: FastClock, watching, kind, seconds
) -> None:
    server.retry_after_s = seconds
    server.fault(kind)
    running = watching()
    running.until(lambda: server.watches())
    assert seconds - 1.5 <= clock.waited_s[0] <= seconds  # a date has whole seconds


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
def test_a_longer_retry_after_is_cut_to_a_minute(server: FaultyServer, clock: FastClock, watching, kind: str) -> None:
    server.retry_after_s = 86_400
    server.fault(kind)
    running = watching()
    running.until(lambda: server.watches())
    assert 60.0 <= clock.waited_s[0] <= 75.0


@pytest.mark.parametrize("kind", ["unauthorized", "forbidden", "error", "dropped"])
def test_waits_grow_to_a_minute(server: FaultyServer, clock: FastClock, watching, kind: str) -> None:
    server.fault(kind, 12)
    running = watching()
    running.until(lambda: server.watches())
    waited = [seconds for seconds in clock.waited_s if seconds]
    assert waited[0] <= 2.0 < waited[3] < max(waited) <= 60.0
    assert min(waited[-3:]) >= 30.0


def test_a_watch_that_lived_begins_the_delays_anew(server: FaultyServer, clock: FastClock, watching) -> None:
    server.fault("error", 8)
    running = watching(silence_s=5.0)
    running.until(lambda: server.watches())
    clock.advance(300)
    server.fault("truncated")
    running.until(lambda: len(server.watches()) == 2)
    assert clock.waited_s[7] >= 30.0
    assert clock.waited_s[8:] == []  # at once


def test_a_rotated_token_is_read_again_without_a_failure(server: FaultyServer, watching, tmp_path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    server.token = "first"
    running = watching(api=server.api(token))
    running.until(lambda: server.watches())
    token.write_text("second")
    server.token = "second"
    server.end_watches()
    server.create("a")
    running.seen("a")
    assert running.state.failures == {}
    assert running.gaps() == []


def test_a_token_that_comes_late_heals(server: FaultyServer, watching, tmp_path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    server.token = "new"
    server.create("a")
    running = watching(api=server.api(token))
    running.until(lambda: running.state.failures["unauthorized"] > 3)
    assert not running.state.connected
    assert "does not know this account" in running.state.problem
    token.write_text("new")
    running.seen("a")
    assert running.state.connected


def test_a_right_that_is_taken_away_shows_and_heals(server: FaultyServer, watching) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.fault("forbidden", ALWAYS)
    running.until(lambda: running.state.failures["forbidden"] > 3)  # after one it may be too short for a gap
    assert running.state.forbidden
    assert "it is forbidden" in running.state.problem
    assert not running.state.connected
    server.create("a")
    server.mend()
    running.seen("a")
    assert not running.state.forbidden
    running.until(lambda: running.gaps())
    assert running.gaps()[0][0] == "forbidden"


# Silence.


def test_silence_is_proven_by_a_small_list_and_watched_on(server: FaultyServer, watching) -> None:
    running = watching(api=server.api(read_timeout_s=60.0))
    running.until(lambda: len(server.probes()) >= 3)
    proofs = [page for page in running.pages if not page.listed]
    assert len(server.lists()) == 1
    assert [(page.objects, page.resource_version, page.cause) for page in proofs[:2]] == [([], None, None)] * 2
    assert proofs[0].at < proofs[1].at
    assert {asked.query["resourceVersion"] for asked in server.watches()} == {server.version}
    assert running.state.last_probe_at >= proofs[1].at
    assert running.state.failures == {}


@pytest.mark.scenario("REC-34")
@pytest.mark.parametrize("kind", ["silent", "drip"])
def test_a_stalled_watch_is_replaced_and_counted(server: FaultyServer, watching, kind: str) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.fault(kind)
    assert server.felt()
    server.create("a")
    running.seen("a")
    assert running.state.failures == {"stalled": 1}


@pytest.mark.scenario("REC-34")
def test_progress_is_told_by_what_came_last(server: FaultyServer, watching) -> None:
    running = watching(silence_s=0.3)
    running.until(lambda: server.watches())
    state = running.state
    assert (state.last_line_at, state.last_probe_at) == (None, None)
    assert state.proven_at() == state.last_list_at
    server.create("a")
    running.seen("a")
    assert state.proven_at() == state.last_line_at == running.pages[-1].at
    running.until(lambda: state.last_probe_at)
    assert state.proven_at() == state.last_probe_at
    server.down()
    running.until(lambda: not state.connected and state.failures)
    proven_at = state.proven_at()
    running.until(lambda: len(running.clock.waited_s) > 5)
    assert state.proven_at() == proven_at


def test_a_server_that_is_silent_when_asked_after_a_silence(server: FaultyServer, watching) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.fault("hung_list")
    running.until(lambda: running.state.failures)
    assert running.state.failures == {"silent": 1}
    server.create("a")
    running.seen("a")


# The cluster's past changes.


@pytest.mark.scenario("REC-35")
@pytest.mark.parametrize("cut", [True, False], ids=["restarted", "the watch stays open"])
def test_versions_that_go_back_are_noticed(server: FaultyServer, watching, cut: bool) -> None:
    server.create("a")
    backup = server.backup()
    for name in ("b", "c", "d"):
        server.create(name)
    running = watching()
    running.seen("d")
    running.until(lambda: server.watches())
    server.restore(backup)
    server.create("e")
    if cut:
        server.cut()
    running.seen("e")
    assert running.gaps() == [("restored", None)]
    assert len(server.lists()) == 2
    assert running.state.failures["restored"] == 1


def test_a_version_from_the_future_is_noticed_at_the_start(server: FaultyServer, watching) -> None:
    server.create("a")
    running = watching(start=Start("99999999", ago(server.clock, 60_000)))
    running.seen("a")
    assert [(page.cause, page.recovered_from) for page in running.pages] == [("restored", None)]
    assert [asked.query["resourceVersion"] for asked in server.watches()] != ["99999999"]


@pytest.mark.scenario("REC-35")
def test_another_cluster_at_the_same_address_ends_it(server: FaultyServer, watching) -> None:
    api = server.api()
    known = api.cluster_uid()

    def verify() -> None:
        if api.cluster_uid() != known:
            raise AnotherCluster

    running = watching(verify=verify)
    running.until(lambda: server.watches())
    server.uid = "another"
    server.create("of-another")
    server.cut()
    running.until(lambda: running.error)
    assert isinstance(running.error, AnotherCluster)
    assert running.names() in ([], ["of-another"])


def test_who_cannot_be_verified_is_tried_again(server: FaultyServer, clock: FastClock, watching) -> None:
    answers = [Refused(503, ""), Unreachable("gone"), None, None]

    def verify() -> None:
        answer = answers.pop(0) if answers else None
        if answer:
            raise answer

    running = watching(verify=verify, start=Start(server.version, ago(clock, 60_000)))
    running.until(lambda: server.watches())
    assert running.state.failures == {"refused": 1, "unreachable": 1}


# Which stretches of time were watched.


def test_the_first_list_is_what_the_server_still_has(server: FaultyServer, watching) -> None:
    for name in "abc":
        server.create(name)
    running = watching(page_size=2)
    running.until(lambda: len(running.pages) == 2)
    first, last = running.pages
    assert (first.cause, first.at) == (None, last.at)
    assert last.cause == "before_first_recording"
    assert last.recovered_from == times.iso(times.parse(last.at, 0) - HOUR_MS)


def test_a_restart_that_goes_on_recovers_all(server: FaultyServer, watching) -> None:
    proven_at = ago(server.clock, HOUR_MS // 2)
    running = watching(start=Start(server.version, proven_at), silence_s=60.0)
    running.until(lambda: running.pages)
    assert (running.pages[0].cause, running.pages[0].recovered_from) == ("not_running", proven_at)
    assert len(server.probes()) == 2  # at the start, and soon after so that it is proven although nothing happens


def test_a_long_gap_is_told_when_it_is_sure_that_the_version_had_not_expired(server: FaultyServer, watching) -> None:
    proven_at = ago(server.clock, 2 * HOUR_MS)
    server.create("a")
    version = server.version
    server.create("b")
    server.fault("late_expiry")
    running = watching(start=Start(version, proven_at), silence_s=5.0, settle_s=0.01)
    running.seen("b")
    page = running.pages[-1]
    assert running.pages[0].listed
    assert (page.cause, page.recovered_from) == ("not_running", times.iso(times.parse(page.at, 0) - HOUR_MS))


def test_an_answer_may_take_longer_to_begin_than_a_line_after_an_outage(server: FaultyServer, watching) -> None:
    running = watching(silence_s=5.0, settle_s=0.01)
    running.until(lambda: server.watches())
    server.fault("error", 3)
    server.fault("late", 3)
    running.until(lambda: running.gaps())
    assert running.state.failures == {"refused": 3}


@pytest.mark.parametrize("ago_ms", [60_000, 5 * HOUR_MS])
def test_a_restart_that_lists_recovers_what_the_server_still_has(server: FaultyServer, watching, ago_ms: int) -> None:
    version, proven_at = server.version, ago(server.clock, ago_ms)
    server.create("a")
    server.compact()
    running = watching(start=Start(version, proven_at))
    running.seen("a")
    page = running.pages[-1]
    assert page.cause == "not_running"
    assert page.recovered_from == max(proven_at, times.iso(times.parse(page.at, 0) - HOUR_MS))


def test_an_outage_is_a_gap_that_is_recovered(server: FaultyServer, watching) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.create("a")
    running.seen("a")
    server.down()
    running.until(lambda: running.state.failures["unreachable"] > 2)
    last = running.pages[-1].at
    server.create("b")
    server.up()
    running.seen("b")
    assert running.gaps() == [("disconnected", last)]
    assert len(server.lists()) == 1


def test_an_outage_after_which_it_must_be_listed(server: FaultyServer, watching) -> None:
    running = watching(event_ttl_ms=1000)
    running.until(lambda: server.watches())
    server.down()
    running.until(lambda: running.state.failures["unreachable"] > 4)
    server.create("b")
    server.compact()
    server.up()
    running.seen("b")
    page = running.pages[-1]
    assert running.gaps() == [("disconnected", times.iso(times.parse(page.at, 0) - 1000))]


@pytest.mark.parametrize("kind", ["reset", "truncated", "cut_character", "error_line", "expired_line", "one_line"])
def test_what_is_over_at_once_makes_no_gap(server: FaultyServer, watching, kind: str) -> None:
    running = watching()
    running.until(lambda: server.watches())
    server.fault(kind)
    server.create("a")
    server.create("b")
    running.seen("a", "b")
    assert running.gaps() == []


def test_an_expiry_is_a_gap_when_the_server_forgot_meanwhile(server: FaultyServer, clock: FastClock, watching) -> None:
    running = watching(event_ttl_ms=60_000, silence_s=5.0)
    running.until(lambda: server.watches())
    clock.advance(120)
    server.fault("expired_line")
    running.until(lambda: running.gaps())
    page = running.pages[-1]
    assert running.gaps() == [("expired", times.iso(times.parse(page.at, 0) - 60_000))]


def test_every_cause_and_reason_is_known(server: FaultyServer, watching) -> None:
    assert set(filter(None, COUNTED.values())) <= set(health.REASONS)
    assert {"before_first_recording", "not_running", "disconnected", "forbidden", "expired", "restored"} <= set(CAUSES)
    assert set(COUNTED) == set(FAULTS)


# The end.


def hour_of_waiting(server: FaultyServer) -> None:
    server.retry_after_s = 3600
    server.fault("throttled", ALWAYS)


@pytest.mark.parametrize(
    "state",
    [
        lambda server: server.fault("silent"),
        lambda server: server.fault("hung"),
        lambda server: server.fault("slow_list"),
        hour_of_waiting,
        lambda server: server.down(),
    ],
    ids=["a watch waits", "no answer", "a slow body", "a Retry-After of an hour", "nobody there"],
)
def test_stop_ends_it_in_every_state(server: FaultyServer, watching, state: Callable[[FaultyServer], None]) -> None:
    state(server)
    running = watching(api=server.api(read_timeout_s=60.0), clock=Clock(), silence_s=60.0)
    running.until(lambda: server.felt(0.01) or running.state.failures)
    running.stop()
    assert running.error is None


def test_stop_ends_many_watches_at_once(server: FaultyServer, watching) -> None:
    api, clock = server.api(read_timeout_s=60.0), Clock()
    many = [watching(api=api, clock=clock, silence_s=60.0) for _ in range(10)]
    many[0].until(lambda: len(server.watches()) == 10)
    clock.stop()
    api.stop()
    for running in many:
        running.thread.join(10)
        assert not running.thread.is_alive()


def test_nobody_who_takes_the_connection_is_given_up_soon(clock: FastClock) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        taken = [socket.socket() for _ in range(4)]  # what fits into the backlog, and more
        for one in taken:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        host = f"http://127.0.0.1:{full.getsockname()[1]}"
        api = ApiServer(lambda: apiserver.client.Configuration(host=host), read_timeout_s=0.2)
        with pytest.raises(Unreachable, match="timed out"):
            api.get(EVENTS)
        api.stop()
        for one in taken:
            one.close()


def test_what_is_asked_after_a_stop_fails(server: FaultyServer) -> None:
    api = server.api()
    api.get(EVENTS)
    api.stop()
    with pytest.raises(Unreachable):
        api.get(EVENTS)


# What is said and asked.


def test_a_failure_that_repeats_is_said_seldom(server: FaultyServer, clock: FastClock, watching, caplog) -> None:
    clock.end_after(3000)
    server.fault("error", ALWAYS)
    with caplog.at_level(logging.INFO, "kube9.watch"):
        running = watching()
        running.until(lambda: not running.thread.is_alive())
    said = [record.getMessage() for record in caplog.records]
    assert running.state.failures["refused"] > 40
    assert 5 <= len(said) <= 7
    assert said[0].startswith(
        "events: the API server cannot answer: HTTP 500 Internal Server Error: it is error; trying again in"
    )


def test_nobody_there_is_unreachable(server: FaultyServer) -> None:
    server.down()
    with pytest.raises(Unreachable, match="refused"):
        server.api().get(EVENTS)


def test_a_refusal_says_what_the_server_says(server: FaultyServer) -> None:
    server.fault("forbidden")
    with pytest.raises(Refused, match="HTTP 403 Forbidden: it is forbidden"):
        server.api().get(EVENTS)


@pytest.mark.parametrize("kind", ["no_json", "cut_list"])
def test_an_answer_that_is_none_is_broken(server: FaultyServer, kind: str) -> None:
    server.fault(kind)
    with pytest.raises(Broken):
        server.api().get(EVENTS)


def test_connections_are_used_again(server: FaultyServer) -> None:
    api = server.api()
    for _ in range(20):
        api.get(EVENTS, limit="1")
    assert Counter(asked.port for asked in server.asked).most_common(1)[0][1] == 20

"""What the status of pods tells: one row for an episode of a crash loop, one for each kill for want of memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import START, Recorded, end, later, looping, pod, recording, running

MINUTE = 60


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    with recording(tmp_path / "kube9.db") as recorder:
        yield recorder


def loops(recorded: Recorded) -> list[tuple[str, str, int]]:
    return [(row["created_at"], row["last_seen_at"], row["count"]) for row in recorded.rows("Container crash loop")]


@pytest.mark.scenario("REC-07")
@pytest.mark.parametrize("restart", [False, True], ids=["running", "started again"])
def test_a_crash_loop_is_one_row_that_every_restart_raises(recorded: Recorded, restart: bool) -> None:
    recorded.relist("pods", pod("cart", running(START)))
    crashes = [10, 30, 75, 160]
    for restarts, seconds in enumerate(crashes, 1):
        recorded.wait(seconds)
        crashed = later(seconds)
        recorded.lines("pods", pod("cart", looping(restarts, crashed, code=137), version=10 * restarts))
        recorded.lines("pods", pod("cart", looping(restarts, crashed, code=137), version=10 * restarts + 1))
        back = running(later(seconds + 1), restarts, end(crashed))
        recorded.lines("pods", pod("cart", back, version=10 * restarts + 2))
        if restart:
            recorded.restart()
            recorded.relist("pods", pod("cart", back, version=10 * restarts + 2))
    (row,) = recorded.rows()
    assert (row["title"], row["severity"], row["object_kind"]) == ("Container crash loop", "error", "Pod")
    assert (row["object_namespace"], row["object_name"], row["node"]) == ("prod", "cart", "node-1")
    assert loops(recorded) == [(later(10), later(160), 4)]
    assert row["metadata"] == {"container": "web", "restart_count": 4, "last_exit_code": 137, "last_exit_reason": "Error"}


@pytest.mark.scenario("REC-07")
def test_each_pod_and_each_container_has_its_own_row(recorded: Recorded) -> None:
    both = (looping(2, later(5), "web"), looping(3, later(5), "proxy"), running(START, name="fine"))
    recorded.lines("pods", pod("a", *both), pod("b", looping(1, later(7))))
    found = {(row["object_name"], row["metadata"]["container"]) for row in recorded.rows("Container crash loop")}
    assert found == {("a", "web"), ("a", "proxy"), ("b", "web")}
    assert len(recorded.rows()) == 3


@pytest.mark.scenario("REC-07")
def test_a_loop_without_a_told_end_goes_on_by_its_restarts_alone(recorded: Recorded) -> None:
    status = looping(2, later(5)) | {"lastState": {}}
    recorded.lines("pods", pod("cart", status))
    recorded.wait(30)
    recorded.lines("pods", pod("cart", status, version=2))
    assert loops(recorded) == [(START, START, 1)]
    recorded.lines("pods", pod("cart", status | {"restartCount": 3}, version=3))
    assert loops(recorded) == [(START, later(30), 2)]


@pytest.mark.scenario("REC-07")
def test_init_containers_loop_too(recorded: Recorded) -> None:
    made = pod("a")
    made["status"] = {"initContainerStatuses": [looping(2, later(5), "migrate")]}
    recorded.lines("pods", made)
    assert recorded.rows()[0]["metadata"]["container"] == "migrate"


@pytest.mark.scenario("REC-07")
def test_a_loop_that_stands_when_recording_begins_has_its_own_time(recorded: Recorded) -> None:
    recorded.wait(3600)
    recorded.relist("pods", pod("cart", looping(12, later(20))))
    assert loops(recorded) == [(later(20), later(20), 1)]


CONTINUED = {
    "seen to run for nine minutes": running(later(20), 3, end(later(10))),
    "ended after nine minutes": running(later(9 * MINUTE + 40), 4, end(later(9 * MINUTE + 20), started=later(30))),
}
ENDED = {
    "seen to run for ten minutes": running(later(20), 3, end(later(10))),
    "ended after ten minutes": running(later(10 * MINUTE + 40), 4, end(later(10 * MINUTE + 30), started=later(30))),
}


@pytest.mark.scenario("REC-07")
@pytest.mark.parametrize(
    ("between", "waited", "episodes"),
    [
        *[pytest.param(status, 9 * MINUTE, 1, id=name) for name, status in CONTINUED.items()],
        *[pytest.param(status, 11 * MINUTE, 2, id=name) for name, status in ENDED.items()],
    ],
)
def test_ten_minutes_of_running_end_an_episode(recorded: Recorded, between: dict, waited: float, episodes: int) -> None:
    recorded.lines("pods", pod("cart", looping(3, later(10))))
    recorded.wait(waited)
    recorded.lines("pods", pod("cart", between, version=2))
    recorded.restart()
    recorded.wait(5 * MINUTE)
    crashed = later(-5, recorded.now)
    recorded.lines("pods", pod("cart", looping(6, crashed), version=3))
    assert len(loops(recorded)) == episodes
    assert loops(recorded)[-1] == ((later(10), crashed, 4) if episodes == 1 else (crashed, crashed, 1))


@pytest.mark.scenario("REC-07", "REC-37")
@pytest.mark.parametrize(("restarts", "minutes", "episodes"), [(8, 60, 1), (5, 60, 2)])
def test_an_episode_that_ended_while_nobody_watched(recorded: Recorded, restarts: int, minutes: int, episodes: int) -> None:
    # Five restarts in an hour are one in twelve minutes or more often; two cannot be, with a back-off of five at most.
    recorded.relist("pods", pod("cart", looping(3, later(10))))
    recorded.restart()
    recorded.wait(minutes * MINUTE)
    recorded.relist("pods", pod("cart", looping(restarts, recorded.now), version=2))
    assert len(loops(recorded)) == episodes


@pytest.mark.scenario("REC-07")
def test_a_pod_made_anew_under_its_name_begins_another_episode(recorded: Recorded) -> None:
    recorded.relist("pods", pod("db-0", looping(3, later(10))))
    recorded.wait(60)
    recorded.relist("pods", pod("db-0", looping(4, later(40)), uid="another", version=9))
    assert [count for _, _, count in loops(recorded)] == [1, 1]


def kills(recorded: Recorded) -> list[tuple[str, str]]:
    return [(row["metadata"]["container"], row["created_at"]) for row in recorded.rows("Container OOM killed")]


def killed(seconds: float) -> dict:
    return end(later(seconds), reason="OOMKilled", code=137)


@pytest.mark.scenario("REC-13")
def test_a_kill_for_want_of_memory(recorded: Recorded) -> None:
    recorded.relist("pods", pod("model", running(START)))
    ended = {"name": "web", "restartCount": 0, "state": killed(10), "lastState": {}}
    recorded.lines("pods", pod("model", ended, version=2))
    recorded.restart()
    recorded.lines("pods", pod("model", running(later(11), 1, killed(10)), version=3))
    recorded.relist("pods", pod("model", running(later(11), 1, killed(10)), version=3))
    (row,) = recorded.rows()
    assert (row["title"], row["severity"], row["count"]) == ("Container OOM killed", "critical", 1)
    assert (row["object_kind"], row["object_namespace"], row["object_name"]) == ("Pod", "prod", "model")
    assert row["created_at"] == row["last_seen_at"] == later(10)
    assert row["metadata"] == {"container": "web", "exit_code": 137, "memory_limit": "64Mi"}


@pytest.mark.scenario("REC-13")
def test_each_time_and_each_container_is_a_kill_of_its_own(recorded: Recorded) -> None:
    recorded.lines("pods", pod("model", running(later(11), 1, killed(10)), running(later(12), 1, killed(10), "side")))
    recorded.lines(
        "pods", pod("model", running(later(91), 2, killed(90)), running(later(12), 1, killed(10), "side"), version=2)
    )
    recorded.lines("pods", pod("other", running(later(11), 1, killed(10))))
    assert sorted(kills(recorded)) == [("side", later(10)), ("web", later(10)), ("web", later(10)), ("web", later(90))]


@pytest.mark.scenario("REC-13")
def test_a_kill_that_stands_when_recording_begins_has_its_own_time(recorded: Recorded) -> None:
    recorded.wait(7200)
    recorded.relist("pods", pod("model", running(later(11), 1, killed(10))))
    assert kills(recorded) == [("web", later(10))]


@pytest.mark.scenario("REC-13")
def test_a_kill_is_not_recorded_again_when_its_row_is_gone(recorded: Recorded) -> None:
    recorded.relist("pods", pod("model", running(later(11), 1, killed(10))))
    recorded.connection.execute("DELETE FROM events")  # as retention does
    recorded.restart()
    recorded.relist("pods", pod("model", running(later(11), 1, killed(10))))
    assert recorded.rows() == []


@pytest.mark.scenario("REC-13")
def test_an_end_for_another_reason_is_no_kill(recorded: Recorded) -> None:
    recorded.lines("pods", pod("model", running(later(11), 1, end(later(10), reason="Error", code=137))))
    assert recorded.rows() == []


def test_a_pod_without_trouble_takes_little_room(recorded: Recorded) -> None:
    healthy = pod("web-7d4b9c5f6-x2x9z", running(START), owner=("ReplicaSet", "web-7d4b9c5f6"), version=123456789)
    recorded.relist("pods", healthy)
    assert recorded.known("pods") == {
        "web-7d4b9c5f6-x2x9z": {"owner": ["ReplicaSet", "web-7d4b9c5f6"], "version": 123456789},
    }

"""The whole recorder against thousands of faults in any order: each event is one row with a true count.

In a seeded order the API server fails in every way that it can, events come, repeat, expire and come again, the recorder
is killed or stopped and started again, and other processes hold the database. `KUBE9_FAULTS=2000 KUBE9_SEEDS=10` is
the long form; without them it is short enough for every day.
"""

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, rows
from fast_recorder import SETTINGS
from faulty_server import FAULTS, FaultyServer, count_of

from kube9 import migrations, times
from kube9.vocabulary import CAUSES

COUNT = int(os.environ.get("KUBE9_FAULTS", "100"))
SEEDS = range(int(os.environ.get("KUBE9_SEEDS", "2")))
CALM = 50  # after so many faults it is looked at what was recorded
ALIVE = 60  # events that the server has at once, at most
WAITING = 4  # faults that may wait until there is a request that they can befall
PATIENCE_S = 60.0
AROUND = ("killed", "stopped", "locked", "compact", "cut", "down", "elsewhere")  # happens beside the faults of the server


class Recording:
    """A recorder in a process of its own that is killed, stopped and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.path, self.log, self._port = folder / "kube9.db", folder / "log", port
        self.starts = 0
        migrations.open_writer(str(self.path)).close()
        self.start()

    def start(self) -> None:
        """Start it, by a clock that goes on from the newest proof of the last one."""
        self.starts += 1
        ((proven_at,),) = rows(self.path, "SELECT max(to_at) FROM coverage")
        now_ms = times.now_ms()
        ahead_s = max(0, times.parse(proven_at, 0) - now_ms) / 1000 if proven_at else 0
        command = [sys.executable, "tests/fast_recorder.py", self.path, str(self._port), str(ahead_s)]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stderr=log, cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/tests"}
            )

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.communicate()

    def stop(self) -> int:
        """End it as SIGTERM does. Returns its exit code."""
        self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode


class Story:
    """What happens in the cluster, in a seeded order."""

    def __init__(self, server: FaultyServer, chance: random.Random) -> None:
        self.server, self.chance = server, chance
        self.newest: dict[str, int] = {}  # the highest count of each event that ever was
        self._alive: list[str] = []
        self._gone: list[dict[str, Any]] = []

    def go_on(self) -> None:
        """An event comes, repeats, expires or comes again."""
        chance, server = self.chance, self.server
        if self._alive and chance.random() < 0.4:
            name, by = chance.choice(self._alive), chance.randrange(1, 5)
            server.repeat(name, by)
            self.newest[name] += by
        elif self._alive and (chance.random() < 0.3 or len(self._alive) == ALIVE):
            self._gone.append(server.expire(self._alive.pop(chance.randrange(len(self._alive)))))
        elif self._gone and chance.random() < 0.5:
            event = self._gone.pop(chance.randrange(len(self._gone)))
            name = event["metadata"]["name"]
            server.recreate(event)
            self._alive.append(name)
            self.newest[name] = count_of(event) + 1
        else:
            self._alive.append(f"event-{len(self.newest)}")
            self.newest[self._alive[-1]] = 1
            server.create(self._alive[-1], newer=chance.random() < 0.5)

    def present(self) -> dict[str, tuple[str, int]]:
        """Uid and count of what the server holds, by name."""
        return {name: (event["metadata"]["uid"], count_of(event)) for (_, name), event in self.server.present().items()}


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    running = FaultyServer()
    yield running
    running.close()


@pytest.fixture
def recording(server: FaultyServer, tmp_path: Path) -> Iterator[Recording]:
    running = Recording(tmp_path, server.port)
    yield running
    running.kill()


@pytest.mark.scenario("REC-09", "REC-28", "REC-33", "REC-36")
@pytest.mark.parametrize("seed", SEEDS)
def test_after_any_faults_each_event_is_one_row_with_its_newest_count(
    server: FaultyServer, recording: Recording, seed: int
) -> None:
    chance = random.Random(seed)
    story = Story(server, chance)
    seen: dict[str, int] = {}  # what must have been recorded
    for number in range(1, COUNT + 1):
        for _ in range(chance.randrange(1, 4)):
            story.go_on()
        happens = chance.choice([*sorted(FAULTS), *AROUND])
        befall(happens, server, recording, story)
        server.felt(1.0, but=WAITING)
        time.sleep(chance.random() * 0.01)
        if number % CALM == 0 or number == COUNT:
            server.mend()
            seen |= recorded(story, recording, seen)
    assert recording.stop() == 0, recording.log.read_text()[-3000:]
    recorded(story, recording, seen)
    causes = explained(recording)
    print(f"seed {seed}: {COUNT} faults, {recording.starts} starts, {len(story.newest)} events; stretches by cause: {causes}")


def befall(happens: str, server: FaultyServer, recording: Recording, story: Story) -> None:
    """Let something happen to the server, the recorder or the database."""
    if happens in FAULTS:
        if FAULTS[happens] in ("list", "page"):
            server.fault("expired_http")  # so that there is a list
        server.fault(happens)
    elif happens == "down":
        server.down()
        story.go_on()
        server.up()
    elif happens in ("killed", "stopped"):
        if happens == "killed":
            recording.kill()
        else:
            assert recording.stop() == 0, recording.log.read_text()[-3000:]
        for _ in range(story.chance.randrange(5)):
            story.go_on()
        recording.start()
    elif happens == "locked":
        with closing(sqlite3.connect(recording.path, timeout=PATIENCE_S, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(story.chance.randrange(1, 10)):
                story.go_on()
            time.sleep(story.chance.choice((0.05, 0.2, 1.2)))
    else:
        getattr(server, happens)()


def recorded(story: Story, recording: Recording, seen: dict[str, int]) -> dict[str, int]:
    """Wait until all that the server has is recorded; check what is there. Returns the count of each event that is."""
    present, deadline = story.present(), time.monotonic() + PATIENCE_S
    while missing(
        present, found := rows(recording.path, "SELECT object_name, uid, count FROM events WHERE reason = 'BackOff'")
    ):
        assert time.monotonic() < deadline, (missing(present, found), recording.log.read_text()[-3000:])
        time.sleep(0.02)
    counts = {name: count for name, _, count in found}
    assert len(counts) == len(found), "an event has two rows"
    assert {name: count for name, count in counts.items() if count > story.newest.get(name, 0)} == {}
    assert {name: count for name, count in seen.items() if counts.get(name, 0) < count} == {}
    sums = "SELECT e.id FROM events e JOIN occurrences o ON o.event_id = e.id GROUP BY e.id HAVING sum(o.count) <> e.count"
    assert rows(recording.path, sums) == []
    ((rows_of, numbers, last),) = rows(
        recording.path, "SELECT count(*), count(DISTINCT change_seq), max(change_seq) FROM events"
    )
    assert rows_of == numbers
    assert rows(recording.path, "SELECT value FROM counters WHERE name = 'change_seq'") == [(last,)]
    assert rows(recording.path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(recording.path, "PRAGMA foreign_key_check") == []
    return counts


def missing(present: dict[str, tuple[str, int]], found: list[tuple]) -> dict[str, tuple]:
    """What the server has, beside what is recorded of it instead."""
    known = {name: (uid, count) for name, uid, count in found}
    return {name: (facts, known.get(name)) for name, facts in present.items() if known.get(name) != facts}


def explained(recording: Recording) -> dict[str, int]:
    """Check that every gap of the coverage has a cause that there was. Returns how often each cause stands there."""
    causes: Counter[str] = Counter()
    before: dict[str, str] = {}
    sql = "SELECT resource, from_at, to_at, cause, recovered_from, after_at FROM coverage ORDER BY id"
    for resource, from_at, to_at, cause, recovered_from, after_at in rows(recording.path, sql):
        assert from_at <= to_at
        assert after_at == before.get(resource)
        if after_at is None:
            assert cause == "before_first_recording"
        else:
            assert cause in {"not_running", "disconnected", "forbidden", "expired", "storage_unavailable"} <= set(CAUSES)
            assert after_at <= from_at
            forgotten = times.iso(times.parse(from_at, 0) - SETTINGS.event_ttl_ms)
            assert resource != "events" or recovered_from <= max(after_at, forgotten)
        before[resource] = to_at
        causes[cause] += 1
    assert causes["not_running"] <= 3 * (recording.starts - 1)  # there are three watches
    return dict(causes)

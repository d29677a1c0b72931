"""`query status`, from the database alone: the heartbeat is what `serve` left there."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from conftest import SAMPLE, Kube9

from kube9 import store
from kube9.version import __version__

WATCH = {"events": {"connected": True, "last_event_at": None, "resource_version": "7", "lag_seconds": None}}


def beat(kube9: Kube9, minutes_ago: float, health: str = "healthy", problems: tuple[str, ...] = ()) -> str:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    text = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with closing(sqlite3.connect(kube9.db)) as connection, connection:
        connection.execute(
            "INSERT OR REPLACE INTO heartbeat (id, beat_at, started_at, pid, version, health, queue_size, "
            "dropped_total, watch, problems) VALUES (1, ?, ?, 1, '0', ?, 3, 4, ?, ?)",
            (text, text, health, json.dumps(WATCH), json.dumps(problems)),
        )
    return text


@pytest.fixture
def recorded(kube9: Kube9) -> Kube9:
    assert kube9("import", SAMPLE).code == 0
    return kube9


@pytest.mark.scenario("CLI-03")
def test_a_recorder_that_lives_is_healthy(recorded: Kube9) -> None:
    at = beat(recorded, minutes_ago=1)
    status = recorded.query("status").json
    with closing(sqlite3.connect(recorded.db)) as connection:
        day_ago = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        ((recent,),) = connection.execute("SELECT count(*) FROM events WHERE last_seen_at >= ?", (day_ago,))
    size = sum(path.stat().st_size for path in recorded.db.parent.glob("kube9.db*") if path.suffix in (".db", ".db-wal"))
    assert status == {
        "status": "operated",
        "tier": "free",
        "version": __version__,
        "health": "healthy",
        "health_detail": None,
        "problems": [],
        "last_update": at,
        "last_commit_age_seconds": pytest.approx(60, abs=30),
        "database_readable": True,
        "last_quick_check": None,
        "last_full_check": None,
        "database": "sqlite",
        "database_path": str(recorded.db),
        "database_size_bytes": size,
        "schema_version": store.newest_version(),
        "total_events": 132,
        "events_24h": recent,
        "queue_size": 3,
        "dropped_total": 4,
        "namespace": None,
        "watch": WATCH,
        "query_problems": [],
    }


@pytest.mark.scenario("CLI-03")
def test_a_heartbeat_of_six_minutes_ago_is_unhealthy_and_says_so(recorded: Kube9) -> None:
    at = beat(recorded, minutes_ago=6)
    status = recorded.query("status").json
    assert status["health"] == "unhealthy"
    assert at in status["health_detail"]


@pytest.mark.scenario("CLI-03")
def test_a_heartbeat_of_four_minutes_ago_is_none_to_worry_about(recorded: Kube9) -> None:
    beat(recorded, minutes_ago=4)
    assert recorded.query("status").json["health"] == "healthy"


def test_a_recorder_without_its_api_server_is_degraded(recorded: Kube9) -> None:
    beat(recorded, minutes_ago=0, health="degraded")
    status = recorded.query("status").json
    assert status["health"] == "degraded"
    assert "API server" in status["health_detail"]


@pytest.mark.scenario("DB-15")
def test_what_the_recorder_found_wrong_is_told(recorded: Kube9) -> None:
    problems = ["pods: HTTP 403 Forbidden; not read yet", "nodes: HTTP 403 Forbidden; not read yet"]
    beat(recorded, minutes_ago=0, health="degraded", problems=tuple(problems))
    status = recorded.query("status").json
    assert (status["health"], status["problems"], status["health_detail"]) == ("degraded", problems, "; ".join(problems))


def test_a_database_that_nobody_records_into_is_unhealthy(recorded: Kube9) -> None:
    status = recorded.query("status").json
    assert (status["health"], status["last_update"]) == ("unhealthy", None)
    assert "never run" in status["health_detail"]


def test_status_is_a_table_for_people(recorded: Kube9) -> None:
    beat(recorded, minutes_ago=1)
    lines = [line.split() for line in recorded.query("status", "--format", "table").out.splitlines()]
    assert ["HEALTH", "healthy"] in lines
    assert ["DATABASE", "READABLE", "yes"] in lines
    assert ["PROBLEMS"] in lines
    assert not [line for line in lines if "{" in " ".join(line)]

"""Services that lose more than half of their ready endpoints."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import Recorded, endpoint_slice, recording

TITLE = "Service endpoints reduced"
pytestmark = pytest.mark.scenario("REC-15")


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    with recording(tmp_path / "kube9.db") as recorder:
        yield recorder


def counts(recorded: Recorded) -> list[tuple[int, int, int]]:
    found = [(row["metadata"], row["count"]) for row in recorded.rows(TITLE)]
    return [(metadata["previous_endpoints"], metadata["new_endpoints"], count) for metadata, count in found]


def follow(recorded: Recorded, *numbers: int, seconds: float = 5, restart: bool = False) -> None:
    """A service of one slice, whose ready endpoints take these numbers one after the other."""
    for number in numbers:
        recorded.wait(seconds)
        recorded.version += 1
        recorded.lines("endpointslices", endpoint_slice("web-1", number, version=recorded.version))
        if restart:
            recorded.restart()


@pytest.mark.parametrize("restart", [False, True], ids=["running", "started again"])
def test_a_service_loses_most_of_its_endpoints(recorded: Recorded, restart: bool) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 4))
    follow(recorded, 3, 2, restart=restart)
    assert recorded.rows() == []  # half of them is not more than half
    follow(recorded, 1, restart=restart)
    fallen_at = recorded.now
    follow(recorded, 2, 1, 2, restart=restart)
    (row,) = recorded.rows()
    assert (row["title"], row["severity"], row["created_at"]) == (TITLE, "warning", fallen_at)
    assert (row["object_kind"], row["object_namespace"], row["object_name"]) == ("Service", "prod", "web")
    assert counts(recorded) == [(4, 1, 1)]
    follow(recorded, 4, 1, restart=restart)
    assert counts(recorded) == [(4, 1, 1), (4, 1, 1)]


@pytest.mark.parametrize(
    ("numbers", "falls"),
    [
        ([1, 0], [(1, 0, 1)]),
        ([2, 1], []),
        ([3, 1], [(3, 1, 1)]),
        ([10, 11, 10, 11, 10], []),  # a rolling update
        ([10, 0, 10, 0], [(10, 0, 1), (10, 0, 1)]),
        ([10, 4, 3, 2], [(10, 2, 3)]),  # still falling: the same row
        ([10, 4, 6, 5], [(10, 4, 1)]),
        ([0, 0], []),
    ],
)
def test_numbers_one_after_the_other(recorded: Recorded, numbers: list[int], falls: list[tuple]) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", numbers[0]))
    follow(recorded, *numbers[1:])
    assert counts(recorded) == falls


def test_what_fell_within_a_minute_counts_together(recorded: Recorded) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 8))
    follow(recorded, 7, 6, 5, 4, 3, seconds=17)
    assert counts(recorded) == [(7, 3, 1)]  # eight held until a minute ago


def test_what_fell_slowly_is_no_loss(recorded: Recorded) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 8))
    follow(recorded, 7, 6, 5, 4, 3, 2, 1, seconds=61)
    assert counts(recorded) == []


def test_after_an_hour_the_lower_number_is_the_usual_one(recorded: Recorded) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 100))
    follow(recorded, 10)
    follow(recorded, 0, seconds=86_400)
    assert counts(recorded) == [(100, 10, 1), (10, 0, 1)]


@pytest.mark.scenario("REC-37")
def test_a_loss_while_nobody_watched(recorded: Recorded) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 4), endpoint_slice("db-1", 3, service="db"))
    recorded.restart()
    recorded.wait(3600)
    recorded.relist("endpointslices", endpoint_slice("web-1", 1, 3, version=2), endpoint_slice("db-1", 3, service="db"))
    assert counts(recorded) == [(4, 1, 1)]
    recorded.wait(60)
    recorded.restart()
    recorded.relist("endpointslices", endpoint_slice("web-1", 1, 3, version=2), endpoint_slice("db-1", 3, service="db"))
    assert counts(recorded) == [(4, 1, 1)]


def test_the_slices_of_a_service_are_added_up(recorded: Recorded) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 100), endpoint_slice("web-2", 50), size=1)
    recorded.wait(5)
    recorded.lines("endpointslices", endpoint_slice("web-2", 0, version=2))
    assert counts(recorded) == []
    recorded.lines("endpointslices", endpoint_slice("web-1", 60, version=3))
    assert counts(recorded) == [(150, 60, 1)]


def test_a_slice_that_is_gone_counts_no_more(recorded: Recorded) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 2), endpoint_slice("web-2", 9))
    recorded.lines("endpointslices", gone=(endpoint_slice("web-2", 9),))
    assert counts(recorded) == [(11, 2, 1)]


@pytest.mark.parametrize("listed", [False, True], ids=["lines", "list"])
def test_slices_that_are_replaced_are_no_loss(recorded: Recorded, listed: bool) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 9), endpoint_slice("web-2", 9))
    recorded.wait(5)
    new = [endpoint_slice(f"web-{number}", 4, version=number) for number in (3, 4, 5)]
    if listed:
        recorded.restart()
        recorded.relist("endpointslices", *new, size=1)
    else:
        recorded.lines("endpointslices", *new, gone=(endpoint_slice("web-1", 9), endpoint_slice("web-2", 9)))
    recorded.wait(61)
    recorded.lines("endpointslices", endpoint_slice("web-4", 2, version=7))
    assert counts(recorded) == []
    recorded.lines("endpointslices", endpoint_slice("web-3", 0, version=8), endpoint_slice("web-5", 1, version=9))
    assert counts(recorded) == [(12, 3, 1)]


def test_pods_with_two_families_of_addresses_count_once(recorded: Recorded) -> None:
    six = endpoint_slice("web-6", 2, family="IPv6")
    recorded.relist("endpointslices", endpoint_slice("web-1", 2), six)
    recorded.lines("endpointslices", endpoint_slice("web-1", 1, version=2))
    recorded.lines("endpointslices", endpoint_slice("web-6", 1, family="IPv6", version=3))
    assert counts(recorded) == []
    recorded.lines(
        "endpointslices", endpoint_slice("web-1", 0, version=4), endpoint_slice("web-6", 0, family="IPv6", version=5)
    )
    assert counts(recorded) == [(2, 0, 1)]


def test_a_service_that_is_deleted_has_lost_nothing(recorded: Recorded) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 4))
    recorded.lines("endpointslices", gone=(endpoint_slice("web-1", 4),))
    assert recorded.rows() == []
    assert recorded.known("services with endpoints") == {}


def test_services_of_other_namespaces_and_names_are_others(recorded: Recorded) -> None:
    others = [endpoint_slice("web-1", 4, namespace="test"), endpoint_slice("db-1", 4, service="db")]
    recorded.relist("endpointslices", endpoint_slice("web-1", 1), *others)
    recorded.lines("endpointslices", endpoint_slice("web-1", 0, version=2))
    assert counts(recorded) == [(1, 0, 1)]


def test_an_endpoint_that_tells_no_condition_is_ready(recorded: Recorded) -> None:
    recorded.relist("endpointslices", endpoint_slice("web-1", 1))
    untold = endpoint_slice("web-1", 0, version=2) | {
        "endpoints": [{"addresses": ["10.0.0.1"]}, {"conditions": {"ready": None}}]
    }
    recorded.lines("endpointslices", untold)
    recorded.lines("endpointslices", endpoint_slice("web-1", 0, version=3))
    assert counts(recorded) == [(2, 0, 1)]

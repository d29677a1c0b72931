"""Which proofs extend a stretch of time that was watched, and which begin another after a gap."""

import pytest

from kube9.gaps import Stretch

HOUR_MS = 3_600_000


def at(clock: str) -> str:
    return f"2026-03-01T{clock}.000Z"


def watched_until(clock: str) -> Stretch:
    stretch = Stretch(at("09:00:00"), HOUR_MS)
    stretch.proof(at(clock))
    return stretch


def test_the_first_recording() -> None:
    assert Stretch(None, HOUR_MS).proof(at("10:00:00"), listed=True) == ("before_first_recording", at("09:00:00"))
    assert Stretch(None, HOUR_MS).proof(at("10:00:00")) == ("before_first_recording", None)


@pytest.mark.parametrize(
    ("proven", "listed", "recovered"),
    [("06:00:00", False, "06:00:00"), ("06:00:00", True, "09:00:00"), ("09:30:00", True, "09:30:00")],
)
def test_a_restart(proven: str, listed: bool, recovered: str) -> None:
    assert Stretch(at(proven), HOUR_MS).proof(at("10:00:00"), listed=listed) == ("not_running", at(recovered))


def test_a_restart_within_a_second_makes_no_gap() -> None:
    assert Stretch("2026-03-01T10:00:00.100Z", HOUR_MS).proof("2026-03-01T10:00:01.000Z") == (None, None)


def test_a_clock_that_was_set_back_is_a_gap() -> None:
    assert Stretch(at("11:00:00"), HOUR_MS).proof(at("10:00:00"))[0] == "not_running"


def test_later_proofs_extend_it() -> None:
    stretch = watched_until("10:00:00")
    assert not stretch.begins
    assert stretch.proof(at("10:00:30")) == (None, None)
    assert stretch.proof(at("10:05:00"), listed=True) == (None, None)
    assert stretch.proven_at == at("10:05:00")


def test_an_outage() -> None:
    stretch = watched_until("10:00:00")
    stretch.lost("disconnected", at("10:00:10"))
    stretch.lost("forbidden", at("10:00:20"))
    stretch.answered(at("10:00:40"))
    assert stretch.begins
    assert stretch.proof(at("10:00:41")) == ("disconnected", at("10:00:00"))


def test_a_short_outage_makes_no_gap_however_long_nothing_had_happened() -> None:
    stretch = watched_until("10:00:00")
    stretch.lost("disconnected", "2026-03-01T10:00:25.000Z")
    stretch.answered("2026-03-01T10:00:25.900Z")
    assert stretch.proof(at("10:00:30")) == (None, None)


def test_an_outage_that_went_on_after_an_answer() -> None:
    stretch = watched_until("10:00:00")
    stretch.lost("disconnected", at("10:00:10"))
    stretch.answered(at("10:00:12"))
    stretch.lost("forbidden", at("10:00:12"))
    stretch.answered(at("10:00:12"))
    assert stretch.proof(at("10:00:13")) == ("disconnected", at("10:00:00"))


def test_an_expiry_is_a_gap_only_when_the_server_forgot_meanwhile() -> None:
    assert watched_until("10:00:00").proof(at("11:00:00"), listed=True) == (None, None)
    assert watched_until("10:00:00").proof(at("11:00:01"), listed=True) == ("expired", at("10:00:01"))


def test_nothing_of_what_a_restored_server_had_comes_back() -> None:
    stretch = watched_until("10:00:00")
    stretch.lost("disconnected", at("10:00:10"))
    stretch.restored()
    stretch.lost("disconnected", at("10:00:20"))
    assert stretch.proof(at("10:00:30"), listed=True) == ("restored", None)

"""Times against Python's own `datetime`."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kube9 import times

often = settings(max_examples=300, deadline=None)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = 1_764_671_445_123  # 2025-12-02T10:30:45.123Z
MOMENTS = st.integers(times.MIN_MS, times.MAX_MS)
FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?)?", re.ASCII
)
DURATION = re.compile(r"(?=.)(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def by_datetime(text: str) -> int | None:
    """What `datetime` makes of an ISO 8601 text, in milliseconds since 1970; None when it is none."""
    found = FORM.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    if int(hours or 0) > 23 or int(minutes or 0) > 59:
        return None
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC)
        moment += timedelta(milliseconds=int(f"{fraction or ''}000"[:3]))
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return milliseconds(moment - offset if sign == "+" else moment + offset)
    except (ValueError, OverflowError):
        return None


def parsed(text: str) -> int | None:
    try:
        return times.parse(text, NOW)
    except ValueError:
        return None


@often
@given(MOMENTS)
@example(times.MIN_MS)
@example(times.MAX_MS)
@example(-1)
def test_a_moment_is_written_as_datetime_writes_it(ms):
    moment = EPOCH + timedelta(milliseconds=ms)
    assert times.iso(ms) == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@often
@given(MOMENTS)
def test_what_was_written_is_read_back(ms):
    assert times.parse(times.iso(ms), NOW) == ms


@often
@given(MOMENTS, MOMENTS)
def test_texts_sort_as_their_moments_do(one, other):
    assert (times.iso(one) < times.iso(other)) == (one < other)


@pytest.mark.parametrize("ms", [times.MIN_MS - 1, times.MAX_MS + 1])
def test_a_moment_outside_the_years_1_to_9999_is_not_written(ms):
    with pytest.raises(ValueError, match="years"):
        times.iso(ms)


def test_the_present_is_the_present():
    before = milliseconds(datetime.now(UTC))
    assert before <= times.now_ms() <= milliseconds(datetime.now(UTC)) + 1


OFFSETS = st.one_of(
    st.sampled_from(["", "Z", "z"]),
    st.builds(
        lambda sign, hours, colon, minutes: f"{sign}{hours:02}{colon}{minutes:02}",
        st.sampled_from("+-"),
        st.integers(0, 29),
        st.sampled_from(["", ":"]),
        st.integers(0, 69),
    ),
    st.builds(lambda sign, hours: f"{sign}{hours:02}", st.sampled_from("+-"), st.integers(0, 29)),
)
CLOCKS = st.builds(
    lambda gap, hour, minute, second, offset: f"{gap}{hour:02}:{minute:02}{second}{offset}",
    st.sampled_from("Tt "),
    st.integers(0, 25),
    st.integers(0, 61),
    st.one_of(
        st.just(""),
        st.builds(
            lambda second, fraction: f":{second:02}{fraction}", st.integers(0, 61), st.from_regex(r"\A([.,][0-9]{0,12})?\Z")
        ),
    ),
    OFFSETS,
)
DATES = st.builds(
    lambda year, month, day: f"{year:04}-{month:02}-{day:02}", st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32)
)


@often
@given(st.builds(str.__add__, DATES, st.just("") | CLOCKS))
@example("2024-02-29")
@example("2023-02-29")
@example("1900-02-29")
@example("2025-12-01T10:30:00.9999+05:30")
@example("0001-01-01T00:00:00+00:01")
@example("9999-12-31T23:59:59.999-00:01")
@example("2016-12-31T23:59:60Z")
def test_iso_8601_is_read_as_datetime_reads_it(text):
    assert parsed(text) == by_datetime(text)


@often
@given(st.text("0123456789-:.,+TZ hmsdw", max_size=30))
def test_nothing_else_is_taken_for_a_time(text):
    word = text.strip()
    assume(by_datetime(word) is None and not DURATION.fullmatch(word))
    assert parsed(text) is None


@often
@given(st.text(max_size=30))
def test_whatever_is_typed_is_read_or_refused(text):
    found = parsed(text)
    assert found is None or times.MIN_MS <= found <= times.MAX_MS


UNITS = {"w": 7 * 86_400, "d": 86_400, "h": 3600, "m": 60, "s": 1}
PARTS = st.tuples(*(st.none() | st.integers(0, 5000) for _ in UNITS)).filter(any)


@often
@given(PARTS)
def test_a_duration_is_the_sum_of_its_units(parts):
    text = "".join(f"{number}{unit}" for unit, number in zip(UNITS, parts, strict=True) if number is not None)
    expected = sum((number or 0) * UNITS[unit] for unit, number in zip(UNITS, parts, strict=True)) * 1000
    assert times.duration_ms(text) == expected


@often
@given(PARTS)
def test_a_duration_as_a_time_is_so_long_ago(parts):
    text = "".join(f"{number}{unit}" for unit, number in zip(UNITS, parts, strict=True) if number is not None)
    assert times.parse(text, NOW) == NOW - times.duration_ms(text)


@pytest.mark.parametrize(
    "text", ["", "h", "5", "5x", "30m1h", "1h1h", "-5m", "+5m", "1.5h", "5 m", "1H", "٥m", "0000000000001s", "5m ", "1h30"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="not a duration such as"):
        times.duration_ms(text)


def test_a_duration_that_leads_out_of_the_calendar_is_refused():
    with pytest.raises(ValueError, match="years"):
        times.parse("999999999w", NOW)


@often
@given(st.integers(times.MIN_MS + 2 * times.DAY_MS, times.MAX_MS))
def test_today_and_yesterday_are_midnights_in_utc(now):
    midnight = (EPOCH + timedelta(milliseconds=now)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert times.parse("today", now) == milliseconds(midnight)
    assert times.parse("yesterday", now) == milliseconds(midnight - timedelta(days=1))
    assert times.parse("now", now) == now


def test_a_date_alone_is_midnight_in_utc():
    assert times.iso(times.parse("2025-12-01", NOW)) == "2025-12-01T00:00:00.000Z"


def test_what_is_finer_than_a_millisecond_is_cut_off():
    assert times.iso(times.parse("2025-12-01T10:30:00.123999Z", NOW)) == "2025-12-01T10:30:00.123Z"


@often
@given(MOMENTS)
def test_a_time_that_is_kept_is_read_back(ms: int):
    assert times.ms(times.iso(ms)) == ms


@pytest.mark.parametrize(
    "text", ["", "2025-12-02", "2025-12-02T10:30:45Z", "2025-13-02T10:30:45.123Z", "2025-12-02T1x:30:45.123Z"]
)
def test_a_time_of_another_form_is_not_taken_for_one_that_is_kept(text: str):
    with pytest.raises(ValueError, match=r"."):
        times.ms(text)

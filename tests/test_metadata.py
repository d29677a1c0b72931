"""Metadata is cut to 10 KiB of valid JSON, and what fits is left alone."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube9 import metadata

LIMIT = 10 * 1024


def written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def deep(levels: int, inside: Any = 1) -> dict[str, Any]:
    for _ in range(levels):
        inside = {"a": inside}
    return inside


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=20)
KEYS = (
    st.text(st.characters(), max_size=20)
    | st.just("k" * 3000)
    | st.integers()
    | st.booleans()
    | st.none()
    | st.sampled_from(metadata.FIRST)
)
LONG = st.builds(lambda text, times: text * times, st.text(st.characters(), min_size=1, max_size=20), st.integers(1, 2000))
VALUES = st.recursive(
    SCALARS | LONG, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=12
)


@pytest.mark.scenario("REC-23")
@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=12))
def test_whatever_is_given_fits(given_data: dict[Any, Any]):
    fitted = metadata.fit(given_data)
    text = written(fitted)
    assert len(text) <= LIMIT
    assert json.loads(text) == fitted
    assert metadata.fit(fitted) is fitted


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=20), JSON, max_size=8).filter(lambda data: len(written(data)) <= LIMIT))
def test_what_fits_stays_the_same_object(given_data: dict[str, Any]):
    assert metadata.fit(given_data) is given_data


@pytest.mark.parametrize("spare", [0, -1])
def test_the_limit_is_exact(spare: int):
    given_data = {"a": "x" * (LIMIT - len(written({"a": ""})) - spare)}
    fitted = metadata.fit(given_data)
    assert (fitted is given_data) == (spare == 0)
    assert fitted.get("_original_size") == (None if spare == 0 else LIMIT + 1)


@pytest.mark.scenario("REC-23")
def test_the_most_useful_keys_are_kept_and_long_texts_cut_first():
    given_data = {
        "dump": [f"line {number} of the dump" for number in range(5_000)],
        "log": "é" * 50_000,
        "nested": {"reason": "inner", "text": "y" * 20_000},
        "exit_code": 137,
        "container": "web",
        "reason": "OOMKilled",
    }
    fitted = metadata.fit(given_data)
    assert fitted["reason"] == "OOMKilled"
    assert (fitted["exit_code"], fitted["container"]) == (137, "web")
    assert fitted["_truncated"] is True
    assert fitted["_original_size"] == len(written(given_data))
    assert fitted["log"].startswith("é" * 500)
    assert fitted["log"].endswith("é…")
    assert fitted["nested"]["reason"] == "inner"
    assert fitted["nested"]["text"].endswith("y…")
    assert fitted["dump"][0] == "line 0 of the dump"
    left_out = 5_000 - (len(fitted["dump"]) - 1)
    assert fitted["dump"][-1] == f"… {left_out} more"
    assert [*fitted] == [*given_data, "_truncated", "_original_size"]
    assert len(written(fitted)) > LIMIT * 0.9, "what there is room for is used"


def test_of_many_keys_the_named_and_the_small_are_kept():
    long = {f"text{number}": "z" * 1_000 for number in range(500)}
    small = {f"n{number}": number for number in range(100)}
    fitted = metadata.fit({**long, **small, "image": "web:1"})
    assert fitted["image"] == "web:1"
    assert small.items() <= fitted.items()
    assert any(key.startswith("text") for key in fitted)


def test_what_is_named_first_is_kept_before_ever_so_many_numbers():
    fitted = metadata.fit({f"number{index}": index for index in range(5_000)} | {"reason": "r"})
    assert fitted["reason"] == "r"
    assert len(fitted) > 400


def test_it_is_cut_the_same_way_each_time():
    given_data = {f"k{number}": "w" * number for number in range(400)}
    assert written(metadata.fit(given_data)) == written(metadata.fit(dict(given_data)))


@pytest.mark.parametrize(
    ("given_data", "plain"),
    [
        ({"a": math.nan, "b": [math.inf, -math.inf, 1.5]}, {"a": None, "b": [None, None, 1.5]}),
        ({1: "a", None: "b", False: "c", 2.5: "d"}, {"1": "a", "null": "b", "false": "c", "2.5": "d"}),
        ({"a": "x\ud800y", "\udfff": 1}, {"a": "x?y", "?": 1}),
        ({"a": (1, 2), "b": b"raw"}, {"a": [1, 2], "b": "b'raw'"}),
        ({"a": 2**1024}, {"a": f"{2**1024:#x}"}),
    ],
)
def test_what_is_no_json_is_made_so(given_data: dict[Any, Any], plain: dict[str, Any]):
    assert metadata.fit(given_data) == plain


@pytest.mark.parametrize("levels", [65, 10_000])
def test_what_is_nested_too_deeply_is_cut(levels: int):
    given_data = deep(levels)
    fitted = metadata.fit({**given_data, "reason": "r"})
    assert fitted["reason"] == "r"
    assert fitted["_truncated"] is True
    assert fitted["_original_size"] == len('{"a":') * levels + len("1") + len("}") * levels + len(',"reason":"r"')
    inside, found = fitted, 0
    while isinstance(inside, dict):
        inside, found = inside["a"], found + 1
    assert (inside, found) == ("…", 64)


def test_what_may_stay_as_deep_as_it_is_does():
    given_data = deep(64)
    assert metadata.fit(given_data) is given_data


def contains_itself() -> dict[str, Any]:
    given_data: dict[str, Any] = {"reason": "r"}
    given_data["self"] = given_data
    return given_data


def doubles() -> dict[str, Any]:
    inside: Any = 1
    for _ in range(60):
        inside = [inside, inside]
    return {"reason": "r", "a": inside}


@pytest.mark.parametrize("given_data", [contains_itself(), doubles()], ids=["contains itself", "doubles"])
def test_what_few_lines_make_endless_is_cut(given_data: dict[str, Any]):
    fitted = metadata.fit(given_data)
    assert fitted["_truncated"] is True
    assert fitted["reason"] == "r"
    assert len(written(fitted)) <= LIMIT

"""Every room of the house stands on a floor, and in the picture that CONTRIBUTING.md draws of it."""

import re
import tomllib

from conftest import ROOT

ROOMS = {path.stem for path in (ROOT / "kube9").glob("*.py")} - {"__init__"}


def test_every_room_is_on_a_floor_so_that_its_imports_are_checked():
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    on_floors = [room.strip().removeprefix("kube9.") for floor in contract["layers"] for room in floor.split("|")]
    assert sorted(on_floors) == sorted(ROOMS)


def test_every_room_is_in_the_picture():
    picture = (ROOT / "CONTRIBUTING.md").read_text().partition("## The floors")[2].partition("\n## ")[0]
    assert ROOMS - set(re.findall(r"\w+", picture)) == set()

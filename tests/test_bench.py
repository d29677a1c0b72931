"""The benchmarks run, on few events; what they measure is for a quiet machine, and no test asserts a time."""

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.scenario("REC-26")
def test_recording_is_measured_beside_a_bare_insert_of_the_same_rows() -> None:
    command = [sys.executable, str(ROOT / "bench" / "ingest.py"), "--events", "3000", "--listed", "1000", "--rounds", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=120, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"watch -> committed rows, 3,000 events +[\d,]+ events/s", done.stdout)
    assert re.search(r"bare executemany of the same rows +[\d,]+ events/s +ratio \d+\.\d\d", done.stdout)
    assert re.search(r"first start against 1,000 listed events +\d+\.\d\d s", done.stdout)

"""The benchmarks run, on few events; what they measure is for a quiet machine, and no test asserts a time."""

import os
import re
import subprocess
import sys
from pathlib import Path

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


def test_retention_is_measured_beside_the_same_run_without_it(tmp_path: Path) -> None:
    words = ["--rows", "3000", "--old", "1000", "--rounds", "1", "--work", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "retention.py"), *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    deleted = re.search(r"retention of ([\d,]+) of 3,000 events beside 2,000 inserts/s", done.stdout)
    assert deleted
    assert 1000 <= int(deleted[1].replace(",", "")) < 1100
    assert len(re.findall(r"p99\.9 with / without: \d+\.\d\d", done.stdout)) == 2

"""The wheel as a user gets it: installed from the index into a clean environment, away from the source tree."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE

pytestmark = pytest.mark.registry


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the wheel and what it needs, and nothing else."""
    work = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", work, ROOT]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = work.glob("kube9-*.whl")
    venv.create(work / "venv", with_pip=True)
    locked = work / "constraints.txt"
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked.write_text("\n".join(line.partition(" \\")[0] for line in lines if line[:1].isalnum()))
    pip = [work / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", locked, wheel], check=True, timeout=600)
    return work / "venv" / "bin"


def run(program: Path, *words: object, home: Path) -> subprocess.CompletedProcess:
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, env=env, cwd=home, timeout=120)


@pytest.mark.parametrize("name", ["kube9", "kube9-operator"])
def test_both_programs_record_and_answer(installed: Path, tmp_path: Path, name: str) -> None:
    done = run(installed / name, "import", "--db", "kube9.db", SAMPLE, home=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = run(installed / name, "query", "events", "list", "--db", "kube9.db", "--format", "table", home=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "Pod BackOff" in shown.stdout


def test_the_compiled_plan_is_shipped_and_fits(installed: Path, tmp_path: Path) -> None:
    code = "from kube9 import plan; found = plan.load(); assert found, 'no plan'; print(plan.shipped_path())"
    done = run(installed / "python", "-c", code, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_file()
    assert not (tmp_path / ".cache").exists()


def test_the_library_is_typed_and_answers(installed: Path, tmp_path: Path) -> None:
    run(installed / "kube9", "import", "--db", "kube9.db", SAMPLE, home=tmp_path)
    code = "import kube9; print(kube9.connect('kube9.db').events.list(limit=1).pagination.total)"
    done = run(installed / "python", "-c", code, home=tmp_path)
    assert done.stdout.strip() == "132", done.stderr

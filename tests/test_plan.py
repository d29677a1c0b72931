"""The compiled plan: used while it fits, compiled again when it does not, and never in the way."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Kube9, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from kube9 import fresh, plan

QUERY = """
  ping:
    summary: Answer
    returns: Pong
    fields: {pong: integer}
    sql: SELECT 1 AS pong
"""


class Tree(Kube9):
    """A copy of the source tree with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder / "cache")
        shutil.copytree(ROOT / "kube9", folder / "kube9", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "schema", folder / "schema")
        shutil.copy(ROOT / "queries.yaml", folder)
        self.folder, self.spec = folder, folder / "queries.yaml"

    def __call__(self, *words, env: dict | None = None, db: bool = True, **_) -> Result:
        command = self.command(*words, db=db)
        done = subprocess.run(command, capture_output=True, text=True, env=self.env | (env or {}), cwd=self.folder)
        return Result(done)

    def plans(self) -> dict[str, int]:
        """The files of the cache, each with its inode: a plan that is written again gets another one."""
        folder = Path(self.env["XDG_CACHE_HOME"]) / "kube9"
        return {path.name: path.stat().st_ino for path in folder.glob("*")}

    def help(self, **options) -> Result:
        return self("query", "--help", db=False, **options)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_plan_is_kept_and_used_again(tree: Tree):
    assert tree.help().code == 0
    kept = tree.plans()
    assert len(kept) == 1
    assert tree.help().code == 0
    assert tree.plans() == kept


def test_an_edit_of_the_queries_is_noticed(tree: Tree):
    assert "ping" not in tree.help().out
    tree.spec.write_text(tree.spec.read_text() + QUERY)
    assert "ping" in tree.help().out


def test_an_edit_of_the_schema_is_noticed(tree: Tree):
    tree.help()
    kept = tree.plans()
    first = sorted((tree.folder / "schema").glob("*.sql"))[0]
    first.write_text(first.read_text() + "\n-- another comment\n")
    tree.help()
    assert len(tree.plans().keys() - kept.keys()) == 1


def test_a_shipped_plan_is_used_while_it_fits(tree: Tree):
    tree.help()
    (name,) = tree.plans()
    (Path(tree.env["XDG_CACHE_HOME"]) / "kube9" / name).rename(tree.folder / "kube9" / "plan.marshal")  # as a wheel has it
    assert tree.help().code == 0
    assert tree.plans() == {}
    tree.spec.write_text(tree.spec.read_text() + QUERY)
    assert "ping" in tree.help().out
    assert len(tree.plans()) == 1


def test_a_column_that_the_schema_no_longer_has_is_noticed(tree: Tree):
    tree.help()
    for path in (tree.folder / "schema").glob("*.sql"):
        path.write_text(path.read_text().replace("owner_kind", "owner_sort"))
    done = tree.help()
    assert done.code == 1
    assert 'no column "owner_kind" in events' in done.error["details"]


def test_a_mistake_in_the_queries_is_told_with_its_place(tree: Tree):
    tree.spec.write_text(tree.spec.read_text() + QUERY.replace("summary", "sumary"))
    done = tree.query("status")
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    assert "queries.yaml:" in done.error["details"]
    assert 'did you mean "summary"?' in done.error["details"]


def test_after_a_mistake_is_mended_all_is_well(tree: Tree):
    right = tree.spec.read_text()
    tree.spec.write_text(right + "\n  ?")
    assert tree.help().code == 1
    tree.spec.write_text(right)
    assert tree.help().code == 0


@pytest.mark.parametrize("place", ["/dev/null", "/proc"])
def test_without_a_place_to_write_it_is_compiled_each_time(tree: Tree, place: str):
    done = tree.help(env={"XDG_CACHE_HOME": place})
    assert (done.code, done.err) == (0, "")
    assert "events" in done.out


def test_without_a_home_it_is_compiled_each_time(tree: Tree):
    del tree.env["HOME"], tree.env["XDG_CACHE_HOME"]
    assert tree.help(env={"HOME": "/proc/nobody"}).code == 0


def test_a_plan_that_cannot_be_replaced_leaves_nothing_behind(tree: Tree):
    tree.help()
    (name,) = tree.plans()
    path = Path(tree.env["XDG_CACHE_HOME"]) / "kube9" / name
    path.unlink()
    path.mkdir()
    assert tree.help().code == 0
    assert list(tree.plans()) == [name]


def test_processes_that_compile_at_once_keep_one_whole_plan(tree: Tree):
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "kube9", "query", "--help"],
            env=tree.env,
            cwd=tree.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(4)
    ]
    said = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0] * 4
    assert len(said) == 1
    kept = tree.plans()
    assert len(kept) == 1
    tree.help()
    assert tree.plans() == kept  # it was read, not written again


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory):
    """The right plan, and its path in a cache of its own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("kept")))
        right = fresh.current()
        yield right, Path(plan.cache_path(plan.fresh_key()))


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_a_plan_that_is_cut_short_is_not_used(kept, part: float):
    right, path = kept
    plan.save(right, str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    assert plan.load() is None


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_plan_with_a_changed_byte_is_not_used(kept, part: float, change: int):
    right, path = kept
    plan.save(right, str(path))
    whole = bytearray(path.read_bytes())
    whole[int(len(whole) * part)] ^= change
    path.write_bytes(whole)
    assert plan.load() in (None, right)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_what_is_no_plan_is_not_used(kept, content: bytes):
    _, path = kept
    path.write_bytes(content)
    assert plan.load() is None


def test_what_is_not_used_is_replaced(kept):
    right, path = kept
    path.write_bytes(b"no plan")
    assert fresh.current() == right
    assert plan.load() == right

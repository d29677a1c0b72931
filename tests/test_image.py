"""The image: what is in it, what is not, and that kube9 runs in it as the chart runs it."""

import json
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cluster.kube9_images import ARCHIVES
from conftest import ROOT

from kube9.fixed_commands import COMMANDS
from kube9.version import __version__

pytestmark = pytest.mark.node  # it is built before the tests with a node

USER = 65532
LIMIT_BYTES = 100_000_000
COMPILERS = ("cc", "gcc", "c++", "g++", "clang", "as", "ld", "make", "rustc", "go")


class Image(NamedTuple):
    """An image, unpacked: its configuration, the size of each layer, and its files in a folder."""

    config: dict[str, Any]
    layers: list[int]
    root: Path

    def run(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """A program of the image as its user, on a read-only root with /data to write into."""
        environment = ["env", "-i", *self.config["Env"], "LANG=C.UTF-8"]
        command = ["chroot", f"--userspec={USER}:{USER}", str(self.root), *environment, *words]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image")
    root = folder / "root"
    root.mkdir()
    with tarfile.open(ARCHIVES / "kube9.tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(manifest["Config"]))
        sizes = []
        for name in manifest["Layers"]:
            sizes.append(archive.getmember(name).size)
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                _apply(layer, root)
    for name in ("data", "dev", "tmp"):
        (root / name).mkdir(exist_ok=True)
    shutil.copy(ROOT / "tests/data/sample-events.json", root / "sample.json")
    (root / "sample.json").chmod(0o644)
    subprocess.run(["mount", "--bind", root, root], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
    for name in ("data", "tmp"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"uid={USER},gid={USER}", "tmpfs", root / name], check=True)
    subprocess.run(["mount", "--bind", "/dev", root / "dev"], check=True)
    yield Image(config["config"], sizes, root)
    for name in ("dev", "tmp", "data", ""):
        subprocess.run(["umount", root / name], check=True)


def _apply(layer: tarfile.TarFile, root: Path) -> None:
    """Put a layer on what lies below it (https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts)."""
    members = []
    for member in layer:
        path = Path(member.name)
        if path.name == ".wh..wh..opq":
            shutil.rmtree(root / path.parent, ignore_errors=True)
        elif path.name.startswith(".wh."):
            gone = root / path.parent / path.name.removeprefix(".wh.")
            shutil.rmtree(gone) if gone.is_dir() and not gone.is_symlink() else gone.unlink(missing_ok=True)
        else:
            members.append(member)
    layer.extractall(root, members, numeric_owner=True, filter="fully_trusted")


def test_it_is_small(image: Image) -> None:
    assert sum(image.layers[1:]) < LIMIT_BYTES


def test_docs_tell_what_takes_its_room(image: Image) -> None:
    """docs/image.md lists the largest parts: no large one is missing there, and none is there that is not in the image."""
    sizes: Counter[str] = Counter()
    packages = image.root / "opt/kube9"
    for path in packages.rglob("*"):
        if path.is_file():
            sizes[path.relative_to(packages).parts[0].removesuffix(".py")] += path.stat().st_size
    large = {name for name, size in sizes.items() if size > 1_000_000}
    rows = [line.split("|") for line in (ROOT / "docs/image.md").read_text().splitlines() if line.startswith("| `")]
    told = {name.strip(" `") for row in rows for name in row[1].split(",")}
    assert large <= told
    assert told - {"standard library"} <= set(sizes)


def test_how_it_starts(image: Image) -> None:
    config = image.config
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["/usr/local/bin/kube9"]
    assert config["Cmd"] == ["serve"]
    assert "DB_PATH=/data" in config["Env"]
    assert not config.get("Healthcheck")  # the chart's probes ask
    assert {f"org.opencontainers.image.{name}" for name in ("title", "description", "licenses", "version", "revision")} <= set(
        config["Labels"]
    )


def test_nothing_in_it_builds_or_installs(image: Image) -> None:
    programs = {path.name for folder in ("bin", "usr/bin", "usr/local/bin", "sbin") for path in (image.root / folder).glob("*")}
    assert not programs & {*COMPILERS, "pip", "pip3"}
    assert image.run("/usr/local/bin/python", "-m", "pip", "--version").returncode == 1
    assert image.run("/usr/local/bin/python", "-m", "ensurepip").returncode == 1


def test_programs_are_three_lines(image: Image) -> None:
    launcher = image.root / "usr/local/bin/kube9"
    assert len(launcher.read_text().splitlines()) == 3
    assert (image.root / "usr/local/bin/kube9-operator").resolve() == launcher.resolve()
    for program in ("kube9", "kube9-operator"):
        assert image.run(program, "--version").stdout == f"{__version__}\n"


def test_its_user_may_change_nothing(image: Image) -> None:
    owned = [
        path for path in (image.root / "opt").rglob("*") if path.lstat().st_uid == USER or path.lstat().st_mode & 0o022 == 0o022
    ]
    assert [path for path in owned if not path.is_symlink()] == []


@pytest.mark.parametrize("words", [name.split() for name in COMMANDS] + [["query", "events", "list"], []], ids=" ".join)
def test_each_command_explains_itself(image: Image, words: list[str]) -> None:
    shown = image.run("kube9", *words, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Usage: kube9")


def test_every_command_works_without_what_was_left_out(image: Image) -> None:
    def kube9(*words: str, stdin: str = "") -> str:
        done = image.run("kube9", *words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    kube9("import", "/sample.json")
    kube9("record", "assessment", "It runs", "--severity", "warning", "-n", "shop", "--object", "deploy/web")
    for form in ("json", "yaml", "table", "wide", "jsonl", "csv", "name"):
        assert "evt_" in kube9("query", "events", "list", "--limit", "5", "--format", form)
    for query in (["events", "summary"], ["events", "noisy"], ["events", "reasons"], ["events", "timeline"], ["capabilities"]):
        for form in ("json", "table"):
            assert kube9("query", *query, "--format", form)
    for what in ("json-schema", "typescript", "stubs", "markdown"):
        assert kube9("spec", "export", what)
    assert kube9("spec", "show", "events", "list", "--type", "cluster")
    assert "no mistakes" in kube9("spec", "check")
    assert "no mistakes" in kube9("rules", "check")
    assert "BackOff" in kube9("rules", "show")
    assert kube9("rules", "test", "/sample.json", "-o", "text")
    assert "[REDACTED]" in kube9("redact", "test", stdin="password=hunter2 failed")
    for shell in ("bash", "zsh", "fish"):
        assert kube9("completion", shell)
    kube9("db", "migrate")


def test_serve_says_what_it_lacks(image: Image) -> None:
    started = image.run("kube9", "serve", "--health-port", "0")
    assert started.returncode == 1
    assert "no cluster to connect to" in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.parametrize("words", ["query events list", "query events list -o table", "serve", "spec check"])
def test_nothing_is_compiled_when_it_runs(image: Image, words: str) -> None:
    """Nothing could be written, so that each start would compile it again."""
    start = (
        "import sys; sys.path.append('/opt/kube9'); from kube9.__main__ import main; sys.argv[0] = 'kube9'; sys.exit(main())"
    )
    told = image.run("/usr/local/bin/python", "-vISc", start, *words.split()).stderr
    assert "import 'kube9'" in told or "import kube9" in told
    assert [line for line in told.splitlines() if "code object from" in line and ".pyc" not in line] == []

"""The images of kube9 that the node's tests run, built with buildah on a stand-in for the official Python image.

python tests/cluster/kube9_images.py      builds what changed, outside of the cluster (inside no package index is reached)

The node gets them with `import_image`. Each is a docker-archive in .image/:

kube9       this tree
previous    the newest commit whose image or chart is another than this tree's; its chart lies beside it
future      this tree with a migration more, as a version to come may have it
"""

import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARCHIVES = ROOT / ".image"
PREVIOUS_CHART = ARCHIVES / "previous-chart"
PREVIOUS_NAME = ARCHIVES / "previous.txt"
# What makes the image and the chart.
INPUT = (
    "Dockerfile",
    "chart",
    "kube9",
    "schema",
    "queries.yaml",
    "pyproject.toml",
    "hatch_build.py",
    "requirements-image.lock",
)
BASE = "localhost/python:3.11-slim-bookworm"
STORE = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}
FUTURE = """
ALTER TABLE events ADD COLUMN colour TEXT;
CREATE TABLE colours (name TEXT PRIMARY KEY);
"""


def reference(kind: str) -> str:
    """The name of an image on the node: one with a host part, so that nobody looks for it elsewhere."""
    return f"test.local/kube9:{kind}"


def build() -> None:
    """Build all images that are not there yet, or whose input changed. Needs root, buildah, debootstrap and git."""
    ARCHIVES.mkdir(exist_ok=True)
    if _buildah("images", "--quiet", BASE, check=False).returncode:
        subprocess.run(
            [sys.executable, ROOT / "tests/cluster/cluster.py", "base-image", BASE], check=True, env=os.environ | STORE
        )
    present = _build("kube9", ROOT)
    _build_previous()
    with tempfile.TemporaryDirectory(prefix="kube9-future-") as folder:
        last = max(path.name for path in (ROOT / "schema").glob("*.sql"))
        migration = pathlib.Path(folder) / f"{int(last[:4]) + 1:04}_future.sql"
        migration.write_text(FUTURE)
        (pathlib.Path(folder) / "Dockerfile").write_text(
            f"FROM {present}\nUSER 0\nCOPY {migration.name} /opt/kube9/kube9/schema/\nUSER 65532:65532\n"
        )
        _build("future", pathlib.Path(folder))


def previous_commit() -> str | None:
    """The newest commit of this branch that has an image and a chart, one of them another than the checked-out tree's.

    None where there is none: in a shallow clone, say, or without git.
    """
    try:
        commits = _git("log", "--format=%H", "--max-count=200", "--first-parent").split()
    except (OSError, subprocess.CalledProcessError):
        return None
    for commit in commits:
        has_both = all(_git_agrees("cat-file", "-e", f"{commit}:{path}") for path in ("Dockerfile", "chart/Chart.yaml"))
        if has_both and not _git_agrees("diff", "--quiet", commit, "--", *INPUT):
            return commit
    return None


def export_tree(commit: str, folder: pathlib.Path) -> None:
    """Write the files of a commit into a folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)


@functools.cache
def import_image(kind: str = "kube9") -> str:
    """Give an image to the node's containerd, once, and return the name that a pod has for it."""
    archive = ARCHIVES / f"{kind}.tar"
    if not archive.exists():
        raise FileNotFoundError(f"{archive}: python tests/cluster/kube9_images.py builds it, outside of the cluster")
    address = os.environ["CONTAINERD_ADDRESS"]
    command = ["ctr", "-a", address, "-n", "k8s.io", "images", "import", str(archive)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return reference(kind)


def _build_previous() -> None:
    commit = previous_commit()
    with tempfile.TemporaryDirectory(prefix="kube9-previous-") as name:
        folder = pathlib.Path(name)
        if commit is None:
            folder, told = ROOT, "this tree itself, because the clone has no earlier commit with another image or chart"
        else:
            export_tree(commit, folder)
            told = _git("log", "-1", "--format=commit %h of %cs: %s", commit).strip()
        _build("previous", folder, revision=commit or "unknown")
        shutil.rmtree(PREVIOUS_CHART, ignore_errors=True)
        shutil.copytree(folder / "chart", PREVIOUS_CHART)
    PREVIOUS_NAME.write_text(told)
    print(f"previous is {told}", flush=True)


def _build(kind: str, folder: pathlib.Path, revision: str = "unknown") -> str:
    words = ["--quiet", "--layers", "--build-arg", f"BASE={BASE}", "--build-arg", f"REVISION={revision}"]
    identity = _buildah("bud", *words, "--tag", f"localhost/kube9-test:{kind}", str(folder)).stdout.strip().splitlines()[-1]
    archive, built = ARCHIVES / f"{kind}.tar", ARCHIVES / f"{kind}.id"
    if archive.exists() and built.exists() and built.read_text() == identity:
        return identity
    archive.unlink(missing_ok=True)
    _buildah("push", "--quiet", identity, f"docker-archive:{archive}:{reference(kind)}")
    built.write_text(identity)
    print(f"built {reference(kind)}: {archive.stat().st_size / 1e6:.0f} MB", flush=True)
    return identity


def _buildah(*words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(["buildah", *words], capture_output=True, text=True, env=os.environ | STORE, check=False, timeout=900)
    if check and done.returncode:
        raise SystemExit(f"buildah {words[0]}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _git_agrees(*words: str) -> bool:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    build()

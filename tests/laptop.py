"""A laptop without a cluster: kubectl is a stand-in that runs the words of an exec here."""

import json
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, TESTS, Kube9, Result

FAR = ("--context", "far", "--operator-namespace", "observed")


class Laptop(Kube9):
    """Runs kube9 with options before the command; the pod's database is that of another runner."""

    def __init__(self, folder: Path, there: Kube9) -> None:
        super().__init__(folder, Path(there.env["XDG_CACHE_HOME"]))
        self.log = folder / "kubectl.log"
        self._program("kubectl", f'exec {sys.executable} -S {TESTS / "stand_in_kubectl.py"} "$@"')
        self._program("kube9", f'exec {sys.executable} -m kube9 "$@"')
        self._program("kubectl-kube9", f'exec {sys.executable} -c "{_main("kubectl_plugin")}" "$@"')
        self._program("kubectl_complete-kube9", f'exec {sys.executable} -c "{_main("kubectl_completion")}" "$@"')
        self.env |= {
            "PATH": f"{folder}:{self.env['PATH']}",
            "PYTHONPATH": str(ROOT),
            "STAND_IN_LOG": str(self.log),
            "DB_PATH": str(there.db.parent),
            "KUBE9_QUERIES": there.env.get("KUBE9_QUERIES", ""),
        }

    def _program(self, name: str, line: str) -> None:
        path = self.db.parent / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def command(self, *words: str, db: bool = False) -> list[str]:
        """`kube9 --context far … query …`; the pod knows where its database is."""
        return super().command(*FAR, *words, db=False)

    def ask(self, *words: str, **options) -> Result:
        return self.query(*words, **options)

    def calls(self) -> list[list[str]]:
        """The words of each call of kubectl so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def carried(self) -> list[str]:
        """The words behind the name of the program in the last exec."""
        words = self.calls()[-1]
        return words[words.index("kube9", words.index("--")) + 1 :]


def kubectl_of(process: subprocess.Popen) -> int:
    """The process id of the kubectl that a process of kube9 has started."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


def _main(name: str) -> str:
    return f"import sys; from kube9.__main__ import {name}; sys.exit({name}())"

"""kubectl and helm, as people run them against the test cluster."""

import os
import subprocess


def kubectl(*words: str, check: bool = True, stdin: str | None = None, seconds: float = 60) -> str:
    """What kubectl printed; nothing where it failed and need not succeed."""
    done = run([os.environ["KUBECTL"], *words], seconds, stdin)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout if done.returncode == 0 else ""


def helm(*words: str, stdin: str | None = None, seconds: float = 120) -> str:
    """What helm printed."""
    done = run(["helm", *words], seconds, stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(command: list[str], seconds: float, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
    """A command that ends in time."""
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)

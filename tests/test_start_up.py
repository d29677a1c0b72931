"""What a plain query imports is a list kept here: whatever joins it costs each exec its time."""

import subprocess
import sys

import pytest
from conftest import ROOT, Kube9

# Beyond what a bare interpreter has: our own rooms that every query passes, and the C parts alone of sqlite3, json and blake2.
ROOMS = {
    "kube9", "kube9.__main__", "kube9.answer", "kube9.argv", "kube9.bind", "kube9.coverage", "kube9.errors", "kube9.plan",
    "kube9.query", "kube9.render", "kube9.shipped", "kube9.statement", "kube9.store", "kube9.streams", "kube9.times",
    "kube9.tokens", "kube9.unwatched", "kube9.version",
}  # fmt: skip
C_PARTS = {"_blake2", "_json", "_sqlite3"}
# What _sqlite3 imports by itself, for functools.lru_cache.
OF_SQLITE = {
    "_collections", "_functools", "_operator", "collections", "functools", "itertools", "keyword", "operator", "reprlib",
    "types",
}  # fmt: skip
ALLOWED = ROOMS | C_PARTS | OF_SQLITE
HEAVY = {
    "argparse", "cyclopts", "dataclasses", "datetime", "difflib", "enum", "hashlib", "importlib.metadata", "inspect",
    "importlib.resources", "json", "kubernetes", "logging", "pathlib", "pydantic", "re", "rich", "ruamel.yaml", "sqlglot",
    "sqlite3", "typing",
}  # fmt: skip

# As the program does it, but that the modules are listed at the moment when it would leave.
RUN = """
import os, sys
def leave(code):
    sys.stderr.write("\\n".join(["", *sys.modules]))
    sys.stderr.flush()
    leave_now(code)
leave_now, os._exit = os._exit, leave
from kube9.__main__ import main
sys.exit(main())
"""


def modules(runner: Kube9, *command: str) -> set[str]:
    done = subprocess.run([sys.executable, *command], env=runner.env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.fixture(scope="module")
def bare(sampled: Kube9) -> set[str]:
    sampled.query("status")  # compiles the plan, which the first query ever does
    return modules(sampled, "-c", "import sys; sys.stderr.write('\\n'.join(sys.modules))")


PLAIN = ["query events list", "query events list --limit 5 --severity error,info --since 24h", "query status"]


@pytest.mark.parametrize("line", PLAIN)
def test_a_plain_query_imports_what_is_allowed(sampled: Kube9, bare: set[str], line: str):
    imported = modules(sampled, "-c", RUN, *line.split(), "--db", str(sampled.db)) - bare
    assert imported - ALLOWED == set()


def test_all_that_is_allowed_is_needed(sampled: Kube9):
    imported = modules(sampled, "-c", RUN, *PLAIN[0].split(), "--db", str(sampled.db))
    assert (ROOMS | C_PARTS) - imported == set()


def test_sqlite_brings_what_is_allowed_to_it(sampled: Kube9, bare: set[str]):
    imported = modules(sampled, "-c", "import _sqlite3, sys; sys.stderr.write('\\n'.join(sys.modules))") - bare
    assert imported <= OF_SQLITE | {"_sqlite3"}


def test_nothing_heavy_is_allowed():
    assert not ALLOWED & HEAVY


def test_one_event_is_shown_without_more(sampled: Kube9, bare: set[str]):
    (event,) = sampled.events("--limit", "1")
    imported = modules(sampled, "-c", RUN, "query", "events", "get", event["id"], "--db", str(sampled.db)) - bare
    assert imported - ALLOWED == set()


@pytest.mark.parametrize(("form", "library"), [("table", "rich"), ("yaml", "ruamel.yaml")])
def test_a_format_brings_its_library_when_it_is_asked_for(sampled: Kube9, form: str, library: str):
    line = [*PLAIN[0].split(), "--format", form, "--db", str(sampled.db)]
    assert library in modules(sampled, "-c", RUN, *line)


@pytest.mark.parametrize("form", ["table", "yaml"])
def test_another_format_needs_no_command_line_library(sampled: Kube9, form: str):
    line = [*PLAIN[0].split(), "--format", form, "--db", str(sampled.db)]
    assert not {"cyclopts", "pydantic", "sqlglot", "kubernetes"} & modules(sampled, "-c", RUN, *line)


def test_importing_the_package_brings_nothing(sampled: Kube9, bare: set[str]):
    imported = modules(sampled, "-c", "import kube9, sys; sys.stderr.write('\\n'.join(sys.modules))") - bare
    assert imported == {"kube9"}

"""The plan of now: loaded when it fits, compiled and kept when it does not."""

import os
import sys

from kube9 import plan, shipped
from kube9.errors import Internal

CHILD_S = 120  # for compiling the user's own files


def current() -> plan.Plan:
    """The plan that fits queries.yaml, schema/ and the user's own files as they are.

    Raises:
        SpecError: queries.yaml is wrong. What is wrong in a user's file is kept in the plan, which lacks its queries.
        Internal: a file of kube9's own is missing.
    """
    found = plan.load()
    if found is None:
        key, text = _built_in()
        found = plan.read(key, plan.shipped_path(), plan.cache_path(key))
        if found is None:
            from kube9.compiler import compile_text  # sqlglot, pydantic and ruamel: 250 ms

            found = compile_text(plan.SPEC, text, key)
            _keep(found, plan.cache_path(key))
        if os.environ.get(plan.OWN):
            own = _own(key, text)
            _keep(own, plan.cache_path(own["key"]))
            found = plan.joined(found, own)
    return found


def keep_for_all() -> list[str]:
    """Keep the plan of the user's own files beside the database, where whoever asks finds it compiled.

    The compiler runs in a process of its own, because its libraries would stay in the caller's memory for good.

    Returns: what is wrong in those files, when they are new or were changed; nothing when their plan is there already.
    """
    if not os.environ.get(plan.OWN):
        return []
    key = plan.own_key(plan.fresh_key(), *plan.own_files())
    if plan.read(key, plan.data_path(key)):
        return []
    import subprocess  # 5 ms

    child = [sys.executable, "-c", "from kube9 import fresh; print(*fresh.keep_here(), sep='\\n', end='')"]
    found_here = {"PYTHONPATH": os.pathsep.join(sys.path)}  # the image's launcher alone knows where its packages are
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            child, capture_output=True, text=True, timeout=CHILD_S, check=False, env=os.environ | found_here
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"the queries of {plan.OWN} could not be compiled: {error}"]
    if done.returncode:
        return [f"the queries of {plan.OWN} could not be compiled: {done.stderr.strip().rpartition(chr(10))[2]}"]
    return done.stdout.splitlines()


def keep_here() -> list[str]:
    """Compile and keep the plan of the user's own files beside the database. Returns what is wrong in them."""
    _go_first()
    key, text = _built_in()
    own = _own(key, text)
    path = plan.data_path(own["key"])
    _keep(own, path)
    directory, kept = os.path.split(path)
    entries = os.scandir(directory) if os.path.isdir(directory) else ()
    found = [entry for entry in entries if entry.name.startswith("queries-") and entry.name.endswith(".marshal")]
    others = sorted((entry for entry in found if entry.name != kept), key=lambda entry: entry.stat().st_mtime)
    for old in others[:-1]:  # the newest may be of the version that is gone back to
        os.unlink(old.path)
    return list(own["problems"])


def _go_first() -> None:
    """Where memory gets scarce, have this process killed and not the recorder that started it."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        pass  # another system


def _built_in() -> tuple[str, str]:
    """Key and text of queries.yaml."""
    try:
        key = plan.fresh_key()
        with open(shipped.path(plan.SPEC), encoding="utf-8") as file:
            return key, file.read()
    except OSError as error:
        raise Internal("kube9 is not whole, install it again", str(error)) from None


def _own(key: str, built_in: str) -> plan.Plan:
    from kube9.compiler import compile_own  # as above

    files, problems = plan.own_files()
    own_key = plan.own_key(key, files, problems)  # of what was read: they may be exchanged meanwhile
    texts = {}
    for path, content in files.items():
        try:
            texts[path] = content.decode()
        except UnicodeDecodeError as error:
            problems.append(f"{path}:1:1: is not UTF-8 text: {error.reason} at byte {error.start}")
    found = compile_own(texts, built_in, own_key)
    return {**found, "problems": [*problems, *found["problems"]]}


def _keep(compiled: plan.Plan, path: str) -> None:
    try:
        plan.save(compiled, path)
    except OSError:
        pass  # a read-only place works without it, only slower

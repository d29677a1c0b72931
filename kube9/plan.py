"""The compiled plan: what queries.yaml says, checked and ready to run, loaded in one step.

A plan is plain dicts, lists, strings and numbers, kept by `marshal` behind a digest of itself. Its key is made of the
content of queries.yaml, of schema/ and of kube9's version, so a change of any of them makes it stale. The wheel ships it;
elsewhere it is compiled on first use and kept in the user's cache directory, if that may be written.
"""

import marshal
import os

try:
    from _blake2 import blake2b  # hashlib would load OpenSSL, 3 ms
except ImportError:  # pragma: no cover - another Python than CPython
    from hashlib import blake2b

from kube9 import shipped
from kube9.version import __version__

DIGEST_SIZE = 16
SPEC = "queries.yaml"

TYPE_CHECKING = False  # `typing` would cost 6 ms; type checkers know the name
if TYPE_CHECKING:
    from typing import Any

    Plan = dict[str, Any]
else:
    Plan = dict


def param(
    type_name: str,
    *,
    doc: str,
    flags: list[str],
    choices: list[str] | None = None,
    many: bool = False,
    after: str | None = None,
    default: int | str | None = None,
    bounds: list[int] | None = None,
) -> Plan:
    """One parameter of a query as both readers of the command line and the library see it.

    Args:
        type_name: a scalar or a closed set of the spec.
        doc: for help.
        flags: spellings of the option; none for a positional argument.
        choices: the values of a closed set.
        many: may be given several times.
        after: the parameter whose value must be smaller.
        default: the value when none is given.
        bounds: smallest and largest integer.
    """
    return {
        "type": type_name, "doc": doc, "flags": flags, "choices": choices, "many": many, "after": after,
        "default": default, "bounds": bounds,
    }  # fmt: skip


# What every query takes besides its own parameters.
OPTIONS = {
    "db": param("string", flags=["--db"], doc="database file; by default kube9.db in $DB_PATH, or where kube9 serve keeps it"),
    "format": param(
        "string", flags=["--format", "-o"], doc="how the answer is written", choices=["json", "yaml", "table"], default="json"
    ),
    "timeout": param("duration", flags=["--timeout"], doc="time limit, such as 5s or 2m", default="30s"),
}


def load() -> Plan | None:
    """The plan that fits the spec and schema of now; None when there is none and one must be compiled."""
    try:
        key = fresh_key()
    except OSError:
        return None  # whoever compiles says what is missing
    for path in (shipped_path(), cache_path(key)):
        try:
            with open(path, "rb") as file:
                digest, body = file.read(DIGEST_SIZE), file.read()
            if blake2b(body, digest_size=DIGEST_SIZE).digest() == digest:
                found = marshal.loads(body)  # noqa: S302 - whole, and our own wheel's or this user's
                if found["key"] == key:
                    return Plan(found)
        except OSError:
            continue
    return None


def save(compiled: Plan, path: str) -> None:
    """Write a plan so that a reader at any moment sees the old one or the new one whole. Raises OSError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    body = marshal.dumps(compiled, 4)  # 4 is read by every Python from 3.4 on
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(blake2b(body, digest_size=DIGEST_SIZE).digest() + body)
        os.replace(temporary, path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def fresh_key(for_wheel: bool = False) -> str:
    """The digest of everything that a plan depends on. Raises OSError when some of it is missing.

    Args:
        for_wheel: give the key that fits once the tree has been installed from a wheel.
    """
    spec, schema = shipped.path(SPEC), shipped.path("schema")
    paths = [spec, *(os.path.join(schema, name) for name in sorted(os.listdir(schema)) if name.endswith(".sql"))]
    if os.path.dirname(spec) != shipped.PACKAGE and not for_wheel:  # here the compiler changes without a new version
        paths += [os.path.join(shipped.PACKAGE, name) for name in ("compiler.py", "sqlcheck.py", "spec.py", "plan.py")]
    digest = blake2b(__version__.encode(), digest_size=DIGEST_SIZE)
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()


def shipped_path() -> str:
    """Where a wheel has the plan."""
    return os.path.join(shipped.PACKAGE, "plan.marshal")


def cache_path(key: str) -> str:
    """Where this user's cache has the plan of a key."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "kube9", f"plan-{key}.marshal")

"""The compiled plan: what queries.yaml says, checked and ready to run, loaded in one step.

A plan is plain dicts, lists, strings and numbers, kept by `marshal` behind a digest of itself. Its key is made of the
content of queries.yaml, of schema/ and of kube9's version, so a change of any of them makes it stale. The wheel ships it;
elsewhere it is compiled on first use and kept in the user's cache directory, if that may be written. What a user's own
files add (KUBE9_QUERIES) is a plan beside it, with a key of its own.
"""

import marshal
import os

try:
    from _blake2 import blake2b  # hashlib would load OpenSSL, 3 ms
except ImportError:  # pragma: no cover - another Python than CPython
    from hashlib import blake2b

from kube9 import shipped, store
from kube9.version import __version__

DIGEST_SIZE = 16
SPEC = "queries.yaml"
OWN = "KUBE9_QUERIES"  # the environment's name for a file or directory of the user's own queries
COMPILERS = (
    "compiler.py",
    "compile_options.py",
    "compile_sql.py",
    "compile_check.py",
    "statement.py",
    "sqlcheck.py",
    "spec.py",
    "plan.py",
    "declared.py",
    "bind.py",
)
MOST_FILES, MOST_BYTES, MOST_BYTES_IN_ALL = 100, 256 * 1024, 1024 * 1024  # of those files: how many, of each, together
FORMATS = ("json", "yaml", "table", "wide", "jsonl", "csv", "name")

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
    flags: list[str] | None = None,
    aliases: list[str] | None = None,
    choices: list[str] | None = None,
    spellings: dict[str, str] | None = None,
    known: str | None = None,
    many: bool = False,
    rising: bool = False,
    parts: "list[list[Any]] | None" = None,
    default: int | str | list[str] | None = None,
    required: bool = False,
    bounds: list[int] | None = None,
    excludes: list[str] | None = None,
    needs: list[str] | None = None,
    deprecated: str | None = None,
) -> Plan:
    """One parameter of a query as both readers of the command line and the library see it.

    Args:
        type_name: a scalar or a type of the spec.
        doc: for help.
        flags: spellings of the option; none for a positional argument.
        aliases: further ones that help does not show.
        choices: the values of a closed set.
        spellings: what may be typed, in lower case, for which value.
        known: SQL that finds the values which the database has.
        many: may be given several times.
        rising: stands for its value and those behind it in the closed set.
        parts: what a value such as pod/nginx is made of, each as [name, parameter].
        default: the value when none is given, as it would be typed.
        required: must be given.
        bounds: smallest and largest integer.
        excludes: parameters that cannot be given beside it.
        needs: parameters that must be given beside it.
        deprecated: what to use instead.
    """
    return {
        "type": type_name, "doc": doc, "flags": flags or [], "aliases": aliases or [], "choices": choices,
        "spellings": spellings, "known": known, "many": many, "rising": rising, "parts": parts, "default": default,
        "required": required, "bounds": bounds, "excludes": excludes or [], "needs": needs or [], "deprecated": deprecated,
    }  # fmt: skip


# What every query takes besides its own parameters.
OPTIONS = {
    "db": param("string", flags=["--db"], doc="database file; by default kube9.db in $DB_PATH, or where kube9 serve keeps it"),
    "format": param("string", flags=["--format", "-o"], doc="how the answer is written", choices=[*FORMATS], default="json"),
    "fields": param("string", flags=["--fields"], doc="only these fields, in this order, such as id,title", many=True),
    "no_headers": param("boolean", flags=["--no-headers"], doc="leave the headers out, in table, wide and csv"),
    "color": param(
        "string", flags=["--color"], doc="when a table has colours", choices=["auto", "always", "never"], default="auto"
    ),
    "timeout": param("duration", flags=["--timeout"], doc="time limit, such as 5s or 2m", default="30s"),
}
# What queries take that return pages, and those whose pages can be followed.
ALL = param(
    "boolean",
    flags=["--all"],
    doc="every row, read page by page, and then those that changed meanwhile; not in json and yaml",
    excludes=["limit"],
)
WATCH = param(
    "boolean",
    flags=["--watch", "-w"],
    doc="go on with what arrives, oldest first; not in json and yaml",
    excludes=["all"],
)


def digest_of(body: bytes, about: str = "", size: int = DIGEST_SIZE) -> bytes:
    """A digest of bytes, and of what they belong to."""
    return blake2b(body, digest_size=size, key=blake2b(about.encode(), digest_size=32).digest()).digest()


def load() -> Plan | None:
    """The plan that fits the spec, the schema and the user's own files as they are now; None when one must be compiled."""
    try:
        key = fresh_key()
    except OSError:
        return None  # whoever compiles says what is missing
    found = read(key, shipped_path(), cache_path(key))
    if found is None or not os.environ.get(OWN):
        return found
    key = own_key(key, *own_files())
    own = read(key, data_path(key), cache_path(key))
    return None if own is None else joined(found, own)


def read(key: str, *paths: str) -> Plan | None:
    """The plan of a key from the first file that has it whole; None when none has."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                digest, body = file.read(DIGEST_SIZE), file.read()
        except OSError:
            continue
        if digest_of(body) == digest:
            found = marshal.loads(body)  # noqa: S302 - whole, and our own wheel's, this user's or the recorder's
            if found["key"] == key:
                return Plan(found)
    return None


def joined(built_in: Plan, own: Plan) -> Plan:
    """The plan of kube9 and what the user's own files add to it."""
    parts = {part: built_in[part] | own[part] for part in ("types", "messages", "queries")}
    return {**built_in, **parts, "problems": own["problems"]}


def own_files(variable: str = OWN) -> tuple[dict[str, bytes], list[str]]:
    """The user's files of queries (or of what else a variable is for), and what is wrong with those that cannot be read.

    The variable of the environment names a file or a directory; of a directory all that ends in .yaml or .yml and is not
    hidden, as a mounted ConfigMap has them. There are none where it is not set.
    """
    place = os.environ.get(variable, "")
    found: dict[str, bytes] = {}
    problems: list[str] = []
    if not place:
        return found, problems
    try:
        paths = [place]
        if os.path.isdir(place):
            names = sorted(os.listdir(place))
            paths = [os.path.join(place, name) for name in names if name.endswith((".yaml", ".yml")) and name[0] != "."]
    except OSError as error:
        return found, [f"{place}:1:1: cannot be read: {error.strerror}"]
    total = 0
    if len(paths) > MOST_FILES:
        return found, [f"{place}:1:1: holds {len(paths)} files, and at most {MOST_FILES} are read"]
    for path in paths:
        shown = path.encode(errors="backslashreplace").decode()  # the name of a file may be any bytes
        try:
            size = os.stat(path).st_size
            if not os.path.isfile(path):
                problems.append(f"{shown}:1:1: is no file")
            elif size > MOST_BYTES or total + size > MOST_BYTES_IN_ALL:
                most = f"{MOST_BYTES} are read, and {MOST_BYTES_IN_ALL} of all files"
                problems.append(f"{shown}:1:1: has {size} bytes, and at most {most}")
            else:
                total += size
                with open(path, "rb") as file:
                    found[shown] = file.read(MOST_BYTES)
        except (OSError, ValueError) as error:
            problems.append(f"{shown}:1:1: cannot be read: {getattr(error, 'strerror', None) or error}")
    return found, problems


def save(compiled: Plan, path: str) -> None:
    """Write a plan so that a reader at any moment sees the old one or the new one whole. Raises OSError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    body = marshal.dumps(compiled, 4)  # 4 is read by every Python from 3.4 on
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(digest_of(body) + body)
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
        paths += [os.path.join(shipped.PACKAGE, name) for name in COMPILERS]
    digest = blake2b(__version__.encode(), digest_size=DIGEST_SIZE)
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()


def own_key(key: str, files: dict[str, bytes], problems: list[str]) -> str:
    """The key of the plan of the user's own files, as `own_files` has read them, beside kube9's with the given key."""
    digest = blake2b(repr((key, problems)).encode(errors="replace"), digest_size=DIGEST_SIZE)
    for path, content in files.items():
        digest.update(b"%d:%d:" % (len(path), len(content)))
        digest.update(path.encode(errors="replace") + content)
    return digest.hexdigest()


def data_path(key: str) -> str:
    """Where `kube9 serve` keeps the plan of the user's files for those who may write nowhere."""
    return os.path.join(os.path.dirname(store.database_path(None)), f"queries-{key}.marshal")


def shipped_path() -> str:
    """Where a wheel has the plan."""
    return os.path.join(shipped.PACKAGE, "plan.marshal")


def cache_path(key: str) -> str:
    """Where this user's cache has the plan of a key."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "kube9", f"plan-{key}.marshal")

"""The lock of the one `kube9 serve` that may record into a database."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kube9 import errors, migrations


@contextmanager
def held(path: str) -> Iterator[None]:
    """Hold the database for the one `serve` that may record into it, by a lock that ends with the process.

    Raises FailedPrecondition, naming the process that holds it. `record` and `import` may write beside the holder.
    """
    lock = f"{path}.lock"
    migrations.make_directory(path)
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        todo = f"let user {os.geteuid()} write into {os.path.dirname(lock)}"
        raise errors.PermissionDenied("cannot write beside the database", f"{lock}: {error.strerror}; {todo}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 100).decode(errors="replace").strip() or "another process"
            raise errors.FailedPrecondition(
                "another kube9 serve holds the database", f"{path}: held by {holder}; stop it, or give --db another file"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} of {os.uname().nodename}\n".encode())
        yield
    finally:
        os.close(descriptor)


def is_held(path: str) -> bool:
    """Whether a process holds the database. To find out, the lock is taken for a moment and shared."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False

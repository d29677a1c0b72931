"""Events out of files into the database, through the same normaliser and writer as watched ones."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from kube9 import dump, errors, rules
from kube9.clock import Clock
from kube9.counts import Counts
from kube9.intake import Intake
from kube9.model import Batch
from kube9.selection import Selection
from kube9.writer import Writer

BATCH = 500  # events in one transaction
STDIN = ("-", "/dev/stdin")
PATIENCE_S = 30.0  # with a disk that is full or a database that is locked


class Imported(NamedTuple):
    """How many events of the files were added, updated, stored already, and left out by the selection."""

    added: int
    updated: int
    unchanged: int
    left_out: int


def import_files(
    database: str,
    files: list[str],
    cluster: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
    selection: Selection | None = None,
) -> Imported:
    """Record the events of files; importing again adds nothing.

    Args:
        database: the database file; made when there is none.
        files: paths; `-` is standard input.
        cluster: uid of the cluster's namespace kube-system, where it is known.
        progress: called with the bytes of each part read.
        selection: which events to record, and the rules; all of them by kube9's own rules when there is none.

    Returns: how many events were added, updated, unchanged and left out.

    Raises:
        InvalidArgument: a file cannot be read, is cut or is no dump; `details` says how many events were recorded.
        Unavailable, PermissionDenied, DataLoss, FailedPrecondition: as `migrations.open_writer`.
    """
    for file in files:
        _look(file)  # a missing second file is said before the first is read
    counts = Counts()
    writer = Writer(database, patience_s=PATIENCE_S, guest=True, counts=counts)
    writer.start()
    intake = Intake(selection or Selection(rules.built_in(), everything=True), counts, Clock())
    left_out = 0
    failure: errors.Kube9Error | None = None
    try:
        for file in files:
            with _open(file) as stream:
                name = "standard input" if file in STDIN else file
                for batch in _batches(dump.objects(stream, name, progress)):
                    events = intake.events(batch)
                    left_out += len(batch) - len(events)
                    if not writer.put(Batch(events, "import", cluster)):
                        break  # the writer gave up; closing it says why
    except errors.InvalidArgument as error:
        failure = error
    finally:
        writer.close()
    tally = writer.tally
    recorded = tally.added + tally.updated + tally.unchanged
    if failure and (recorded or not failure.details):  # else it tells itself what to do
        kept = f"the {recorded} events before this place are recorded; import the whole file to complete it"
        failure = errors.InvalidArgument(failure.message, f"{failure.details}\n{kept}".strip())
    if failure:
        raise failure
    return Imported(tally.added, tally.updated, tally.unchanged, left_out)


def _batches(objects: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Lists of at most BATCH objects; when the source fails, what it gave before comes first."""
    batch: list[dict[str, Any]] = []
    try:
        for source in objects:
            batch.append(source)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except errors.InvalidArgument:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _look(file: str) -> None:
    # Without opening it: a pipe gives what it holds only once.
    if file not in STDIN and not os.path.exists(file):
        raise errors.InvalidArgument(f"{file}: no such file", "name a dump of events, or - for standard input")
    if os.path.isdir(file):
        raise errors.InvalidArgument(f"{file}: is a directory", "name the files in it")


@contextmanager
def _open(file: str) -> Iterator[BinaryIO]:
    if file in STDIN:
        if sys.stdin is None:
            raise errors.InvalidArgument("standard input is closed", "give it a dump, or name a file")
        yield sys.stdin.buffer
        return
    try:
        with open(file, "rb") as stream:
            yield stream
    except OSError as error:
        kind = errors.PermissionDenied if isinstance(error, PermissionError) else errors.InvalidArgument
        raise kind(f"{file}: cannot be read", str(error.strerror)) from None

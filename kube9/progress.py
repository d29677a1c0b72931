"""A progress bar on a terminal, nothing elsewhere."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bar(label: str, files: Sequence[str]) -> Iterator[Callable[[int], None]]:
    """Show the way through files; yields what is to be called with the bytes of each part read."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda _: None
        return
    sizes = [os.path.getsize(file) for file in files if os.path.isfile(file)]
    total = sum(sizes) if len(sizes) == len(files) else None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda count: progress.advance(task, count)

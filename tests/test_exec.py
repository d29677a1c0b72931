"""A command that is exec'd into a container, as it looks from within: no parent, and not the container's own process."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Kube9, make_event

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes process namespaces")


@pytest.fixture
def container() -> Iterator[int]:
    """The pid of a process that is the first of its own process namespace."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "sleep", "60"]
    with subprocess.Popen(command) as outer:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        deadline = time.monotonic() + 10
        while not (inner := children.read_text().split()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield int(inner[0])
        outer.kill()


def entered(container: int, kube9: Kube9, *words: str, **environment: str) -> "subprocess.Popen[bytes]":
    command = ["nsenter", "--target", str(container), "--pid", *kube9.command("query", *words)]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=kube9.env | environment
    )


def test_an_answer_that_nobody_takes_does_not_wait_for_ever(kube9: Kube9, container: int) -> None:
    kube9.record(*(make_event(f"event-{number}.1") for number in range(500)))
    with entered(container, kube9, "events", "list", "--all", "--format", "jsonl", KUBE9_EXEC_SECONDS="2") as asked:
        assert asked.wait(30) not in (0, 1)  # a signal: there is nobody to tell
        assert asked.stdout is not None
        taken = asked.stdout.read()
    assert 0 < taken.count(b"\n") < 500
    assert len(taken) >= 65_536  # all that a pipe holds


def test_the_first_process_of_a_container_ends_when_it_is_told(kube9: Kube9) -> None:
    command = ["unshare", "--pid", "--fork", "--kill-child", *kube9.command("import", "-")]  # which waits for its stdin
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=kube9.env) as outer:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        deadline = time.monotonic() + 30
        while outer.poll() is None and time.monotonic() < deadline:
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGTERM)  # again, for it may not have begun
            time.sleep(0.05)
        ended = outer.poll()
        outer.kill()
    assert ended == 128 + signal.SIGTERM


@pytest.mark.scenario("LIB-07")
def test_an_answer_to_a_caller_who_is_heard_of_may_take_its_time(kube9: Kube9, container: int) -> None:
    kube9.record(*(make_event(f"event-{number}.1") for number in range(500)))
    words = ["nsenter", "--target", str(container), "--pid", *kube9.command("query", "events", "list", "--all", "-o", "jsonl")]
    env = kube9.env | {"KUBE9_CALLER": "60", "KUBE9_EXEC_SECONDS": "1"}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as asked:
        time.sleep(3)  # as a pager does; the pipe is full
        assert asked.poll() is None
        assert asked.stdout is not None
        assert asked.stdout.read().count(b"\n") == 500
        assert asked.wait(30) == 0


@pytest.mark.parametrize("limit", ["", "soon", "-1"])
def test_any_other_answer_is_as_ever(kube9: Kube9, container: int, limit: str) -> None:
    kube9.record(make_event("event.1"))
    with entered(container, kube9, "events", "list", "--format", "name", KUBE9_EXEC_SECONDS=limit) as asked:
        assert asked.stdout is not None
        assert asked.stdout.read().startswith(b"evt_")
        assert asked.wait(30) == 0


@pytest.mark.scenario("CLI-30")
def test_what_arrives_is_not_followed_without_a_stdin(kube9: Kube9, container: int) -> None:
    kube9.record(make_event("event.1"))
    with entered(container, kube9, "events", "list", "--watch", "--format", "jsonl") as asked:
        assert asked.stderr is not None
        assert b"kubectl exec" in asked.stderr.read()
        assert asked.wait(30) == 1

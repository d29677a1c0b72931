"""Log lines of a process with a real stderr: a pipe that is read, closed or full, or none at all."""

import json
import re
import select
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import ROOT, Kube9
from loopback import Serving, SmallApi

SET_UP = "import logging, sys\nfrom kube9 import logs\nlogs.set_up('info', {form!r})\nlog = logging.getLogger('kube9.test')\n"
HOSTILE = "web\n2026-03-01T10:00:00.000Z INFO forged\r\x1b[2J\x85\u2028\u202e\udc80"
TEXT_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ \S.*")


def started(form: str, code: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", SET_UP.format(form=form) + code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command, cwd=ROOT, **pipes)


def logged(form: str, code: str, **options) -> list[str]:
    """The lines that a program writes to stderr; nothing but a line feed ends a line."""
    with started(form, code, **options) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    *lines, rest = said.decode().split("\n")
    assert rest == ""
    return lines


def test_text_is_one_line_with_its_time_and_level() -> None:
    (line,) = logged("text", "log.warning('%s: trying again in %.0f s', 'events', 3, extra={'resource': 'events'})")
    assert TEXT_LINE.fullmatch(line)
    assert line.endswith("Z WARNING events: trying again in 3 s")


def test_json_is_one_object_with_the_fields_that_were_given() -> None:
    fields = "{'resource': 'pods', 'reason': 'expired', 'delay_s': 1.5, 'count': 3, 'bad': float('nan'), 'level': 'x'}"
    (line,) = logged("json", f"log.warning('listing %s again', 'pods', extra={fields})")
    found = json.loads(line, parse_constant=pytest.fail)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {
        "level": "warning",
        "logger": "kube9.test",
        "message": "listing pods again",
        "resource": "pods",
        "reason": "expired",
        "delay_s": 1.5,
        "count": 3,
        "bad": "nan",
    }


def test_an_exception_is_one_field_of_json() -> None:
    (line,) = logged("json", "try:\n    {}['web']\nexcept KeyError:\n    log.critical('the watch failed', exc_info=True)")
    found = json.loads(line)
    assert (found["level"], found["message"]) == ("critical", "the watch failed")
    assert found["exception"].startswith("Traceback")
    assert found["exception"].endswith("KeyError: 'web'")


def test_the_lines_of_a_traceback_are_indented_in_text() -> None:
    first, *rest = logged("text", f"try:\n    raise ValueError({HOSTILE!a})\nexcept ValueError:\n    log.exception('failed')")
    assert first.endswith("ERROR failed")
    assert len(rest) > 3
    assert all(line.startswith("    ") for line in rest)
    assert not any(char < " " or char == "\x85" for line in rest for char in line)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_name_cannot_forge_a_line_or_steer_a_terminal(form: str) -> None:
    (line,) = logged(form, f"log.info('event %s', {HOSTILE!a}, extra={{'event': {HOSTILE!a}}})")
    assert line.isprintable()
    if form == "json":
        assert json.loads(line)["message"] == f"event {HOSTILE}"
        assert json.loads(line)["event"] == HOSTILE


def test_lines_are_utf_8_whatever_the_locale() -> None:
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    (line,) = logged("text", "log.info('caf\\u00e9 \\u65e5\\u672c')", env=env)
    assert line.endswith("INFO café 日本")


def test_arguments_that_do_not_fit_lose_no_line() -> None:
    (line,) = logged("text", "log.info('%d events', 'many')")
    assert line.endswith("INFO %d events ('many',)")


def test_a_thread_that_fails_is_one_line() -> None:
    (line,) = logged("json", "import threading\nthreading.Thread(target=lambda: 1 / 0, name='watch pods').start()")
    found = json.loads(line)
    assert found["message"] == "the thread watch pods failed"
    assert found["exception"].endswith("ZeroDivisionError: division by zero")


def test_a_closed_stderr_stops_nobody() -> None:
    code = "sys.stdin.read()\nfor number in range(100): log.info('line %d', number)\nprint('done')"
    with started("text", code) as process:
        process.stderr.close()
        process.stdin.close()
        assert process.stdout.read() == b"done\n"
    assert process.returncode == 0


def test_without_a_stderr_nothing_is_written_into_another_file(tmp_path) -> None:
    other = tmp_path / "other"
    code = f"file = open({str(other)!r}, 'w')\nlog.error('lost')\nprint(file.fileno())"
    command = 'exec "$0" -c "$1" 2>&-'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, SET_UP.format(form="text") + code], cwd=ROOT, stdout=subprocess.PIPE, timeout=30
    )
    assert done.stdout == b"2\n"  # the file has the number that stderr would have
    assert other.read_text() == ""


@pytest.mark.parametrize("length", [10, 10_000])
def test_a_full_stderr_costs_lines_that_are_counted_and_stops_nobody(length: int) -> None:
    code = f"""
for number in range(20_000): log.info('line %d %s', number, 'x' * {length})
print('done', flush=True)
sys.stdin.readline()
log.info('read again')
"""
    with started("text", code) as process:
        if not select.select([process.stdout], [], [], 30)[0]:
            process.kill()
        assert process.stdout.readline() == b"done\n"  # though nobody reads its stderr
        said = b""
        while select.select([process.stderr], [], [], 0)[0]:
            said += process.stderr.read1()
        process.stdin.write(b"\n")
        process.stdin.flush()
        said += process.stderr.read()
    lines = [line for line in said.decode().split("\n") if TEXT_LINE.fullmatch(line)]
    whole = [line for line in lines if re.search(rf"INFO line \d+ x{{{length}}}$", line)]
    (lost,) = [int(found[1]) for line in lines if (found := re.fullmatch(r"\S+ WARNING (\d+) log lines are lost.*", line))]
    assert len(whole) + lost == 20_000
    assert lines[-1].endswith("INFO read again")


@pytest.fixture
def api(tmp_path) -> Iterator[SmallApi]:
    running = SmallApi(tmp_path)
    yield running
    running.close()


def test_the_error_that_ends_serve_is_json_too(kube9: Kube9) -> None:
    asked = kube9("serve", "--log-format", "json", "--kubeconfig", "/nowhere")
    by_environment = kube9("serve", "--kubeconfig", "/nowhere", env={"LOG_FORMAT": "json"})
    assert asked.code == by_environment.code == 1
    assert asked.error == by_environment.error
    assert asked.error["code"] == "UNAVAILABLE"


def test_serve_logs_json_when_asked(kube9: Kube9, api: SmallApi) -> None:
    serving = Serving(kube9, api, "--log-format", "json")
    try:
        serving.until_ready()
        assert serving.stop() == 0
    finally:
        serving.close()
    lines = [json.loads(line) for line in serving.log.read_text().splitlines()]
    assert any(line["message"].startswith("recording the events of") for line in lines)
    assert [line for line in lines if line["level"] != "info"] == []

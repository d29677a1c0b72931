"""Many queries while events are recorded: all succeed, and the writer goes on."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT, SAMPLE, Kube9

WRITER = """
import sys, time
from kube9 import migrations, rules, times
from kube9.model import Batch
from kube9.normalise import normalise
from kube9.upsert import write
connection, known, written = migrations.open_writer(sys.argv[1]), rules.built_in(), 0
print("ready", flush=True)
while not sys.stdin.closed and written < 1_000_000:
    now = times.iso(times.now_ms())
    made = [
        {"metadata": {"name": f"w.{written + n}", "namespace": "busy"}, "involvedObject": {"kind": "Pod", "name": "w"},
         "reason": "Busy", "message": "m", "type": "Warning", "firstTimestamp": now, "lastTimestamp": now, "count": 1}
        for n in range(100)
    ]
    write(connection, [Batch([normalise(event, known) for event in made], "import")])
    written += 100
    if written % 1000 == 0:
        print(written, flush=True)
"""
QUERIES = [
    "events list --limit 200",
    "events list --severity error",
    "events summary --since 1000w",
    "status",
    "events list -o csv",
]


@pytest.mark.scenario("CLI-20")
@pytest.mark.parametrize("count", [5, 50])
def test_queries_at_once_all_succeed_while_a_writer_writes(kube9: Kube9, count: int):
    assert kube9("import", SAMPLE).code == 0
    command = [sys.executable, "-c", WRITER, str(kube9.db)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=kube9.env, cwd=ROOT, text=True)
    try:
        assert writer.stdout.readline() == "ready\n"
        asked = [QUERIES[index % len(QUERIES)] for index in range(count)]
        started = [kube9.start("query", *words.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for words in asked]
        said = [process.communicate(timeout=120) for process in started]
        assert [process.returncode for process in started] == [0] * count, said
        assert all(not err for _, err in said)
        for words, (out, _) in zip(asked, said, strict=True):
            if "csv" not in words:
                json.loads(out)
        before = int(writer.stdout.readline())
        assert int(writer.stdout.readline()) > before  # and it goes on
    finally:
        writer.kill()
        writer.communicate()
    assert kube9.query("events", "list", "-n", "busy").json["pagination"]["total"] % 100 == 0  # no transaction in part

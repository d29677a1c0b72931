"""`kube9 import`: every form that events are kept in, cut and broken files, and the public dumps."""

import io
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE, Kube9, make_event
from ruamel.yaml import YAML

from kube9 import importer

SOURCE = json.loads(SAMPLE.read_text())
ITEMS = SOURCE["items"]
FEW = [make_event(f"web-{number}.17b2c4") for number in range(3)]


def yaml(value: object, many: bool = False) -> bytes:
    stream = io.BytesIO()
    (YAML().dump_all if many else YAML().dump)(value, stream)
    return stream.getvalue()


def in_other_view(event: dict) -> dict:
    names = {"involvedObject": "regarding", "message": "note", "source": "deprecatedSource", "count": "deprecatedCount"}
    names |= {name: f"deprecated{name[0].upper()}{name[1:]}" for name in ("firstTimestamp", "lastTimestamp")}
    return {names.get(key, key): value for key, value in event.items()} | {"apiVersion": "events.k8s.io/v1"}


def without_kind(event: dict) -> dict:
    return {key: value for key, value in event.items() if key not in ("kind", "apiVersion")}


def lines(*values: object, indent: int | None = None) -> bytes:
    return "".join(json.dumps(value, indent=indent) + "\n" for value in values).encode()


def watched(*changes: str) -> list[dict]:
    return [{"type": change, "object": event} for change, event in zip(changes, FEW, strict=False)]


BOOKMARK = {"type": "BOOKMARK", "object": {"kind": "Event", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}}}
LIST = {"apiVersion": "v1", "items": FEW, "kind": "List", "metadata": {"resourceVersion": ""}}  # as kubectl sorts them
# Every one of these holds the same three events.
FORMS = {
    "a List": lines(LIST, indent=4),
    "a List on one line": lines(LIST),
    "an EventList whose items have no kind": lines(
        LIST | {"kind": "EventList", "items": [without_kind(event) for event in FEW]}
    ),
    "the other view": lines(LIST | {"items": [in_other_view(event) for event in FEW]}),
    "a mixed List": lines(LIST | {"items": [{"kind": "Pod"}, {"kind": "Report", "involvedObject": {}}, *FEW]}),
    "an array": lines(FEW),
    "YAML": yaml(LIST),
    "YAML whose times are not quoted": yaml(LIST).replace(b"'", b""),
    "YAML without a last line end": yaml(LIST).rstrip(b"\n"),
    "YAML documents": yaml(FEW, many=True),
    "JSON lines": lines(*FEW),
    "concatenated JSON": lines(*FEW, indent=4),
    "a watch": lines(*watched("ADDED", "MODIFIED", "ADDED"), BOOKMARK),
    "a byte order mark": b"\xef\xbb\xbf" + lines(*FEW),
    "CRLF": lines(LIST, indent=4).replace(b"\n", b"\r\n"),
    "spaces around": b"\n\n \t" + lines(LIST) + b"\n \n",
}
# Opens a database as a user who may not write it, even where the tests are run by root.
STRANGER = """
import os, sys, tempfile
from kube9 import errors, migrations
with tempfile.TemporaryDirectory() as folder:  # loads what Python loads late: its files may be out of a stranger's reach
    migrations.open_writer(folder + "/kube9.db").close()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    migrations.open_writer(sys.argv[1])
except errors.Kube9Error as error:
    print(error.code)
"""
COLUMNS = (
    "id, severity, title, description, object_kind, object_namespace, object_name, metadata, created_at, last_seen_at, count"
)


def rows(path: Path, columns: str = COLUMNS) -> list[tuple]:
    """The rows of a database, but for when and in which order they came."""
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT {columns} FROM events ORDER BY id").fetchall()
    finally:
        connection.close()


@pytest.fixture
def load(kube9: Kube9, tmp_path: Path) -> Callable:
    """Imports bytes as a file named events, and gives what the program said."""

    def run(data: bytes):
        (tmp_path / "events").write_bytes(data)
        return kube9("import", tmp_path / "events", "--format", "json")

    return run


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> list[tuple]:
    """The rows that the few events come to."""
    folder = tmp_path_factory.mktemp("few")
    (folder / "events").write_bytes(FORMS["JSON lines"])
    importer.import_files(str(folder / "kube9.db"), [str(folder / "events")])
    return rows(folder / "kube9.db")


@pytest.mark.scenario("REC-32")
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_events_gives_the_same_rows(tmp_path: Path, few: list, form: str) -> None:
    (tmp_path / "events").write_bytes(FORMS[form])
    done = importer.import_files(str(tmp_path / "kube9.db"), [str(tmp_path / "events")])
    assert (done.added, done.updated, done.unchanged) == (3, 0, 0)
    assert rows(tmp_path / "kube9.db") == few
    assert {title for _, _, title, *_ in few} == {"Pod BackOff"}


@pytest.mark.scenario("REC-32")
def test_standard_input_is_read(kube9: Kube9, few: list) -> None:
    done = kube9("import", "-", input=FORMS["a List"])
    assert (done.code, done.out) == (0, "imported 3 events: 3 added, 0 updated, 0 unchanged\n")
    assert rows(kube9.db) == few


def test_a_pipe_with_a_name_is_read(kube9: Kube9, tmp_path: Path, few: list) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["tee", pipe], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as feeder:
        feeder.stdin.write(FORMS["a List"])
        feeder.stdin.close()
        assert kube9("import", pipe).code == 0
        feeder.kill()
    assert rows(kube9.db) == few


def test_several_files_are_read_one_after_another(kube9: Kube9, tmp_path: Path, few: list) -> None:
    names = [tmp_path / str(number) for number in range(3)]
    for name, event in zip(names, FEW, strict=True):
        name.write_bytes(lines(event))
    assert kube9("import", *names).code == 0
    assert rows(kube9.db) == few


@pytest.mark.scenario("REC-32")
def test_of_a_watch_only_what_was_added_or_changed_is_recorded(kube9: Kube9, load) -> None:
    later = FEW[0] | {"count": 9, "lastTimestamp": "2026-03-01T11:00:00Z"}
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}
    done = load(lines(*watched("ADDED", "DELETED"), BOOKMARK, {"type": "MODIFIED", "object": later}, gone))
    assert done.json == {"added": 1, "updated": 1, "unchanged": 0}
    assert [count for (count,) in rows(kube9.db, "count")] == [9]


def test_an_event_that_tells_only_its_kind_is_recorded(load) -> None:
    bare = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "bare", "creationTimestamp": "2026-03-01T10:00:00Z"}}
    assert load(lines(bare)).json["added"] == 1


def test_a_line_of_an_audit_log_is_no_event(load) -> None:
    assert load(lines({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "verb": "list"}, FEW[0])).json["added"] == 1


def test_aliases_that_stand_for_billions_are_no_message(load) -> None:
    bomb = "kind: Event\nmetadata: {name: bomb}\na: &a [x, x, x, x, x, x, x, x, x]\n"
    for one, next_one in zip("abcdefghi", "bcdefghij", strict=True):
        bomb += f"{next_one}: &{next_one} [{', '.join([f'*{one}'] * 9)}]\n"
    assert load(f"{bomb}message: *j\n".encode()).json["added"] == 1


def test_a_list_without_events_is_no_mistake(load) -> None:
    done = load(lines(LIST | {"items": []}))
    assert (done.code, done.json) == (0, {"added": 0, "updated": 0, "unchanged": 0})


@pytest.mark.scenario("REC-32")
def test_importing_again_changes_nothing(kube9: Kube9) -> None:
    assert kube9("import", SAMPLE, "--format", "json").json == {"added": len(ITEMS), "updated": 0, "unchanged": 0}
    before = rows(kube9.db, "*")
    assert kube9("import", SAMPLE, "--format", "json").json == {"added": 0, "updated": 0, "unchanged": len(ITEMS)}
    assert rows(kube9.db, "*") == before


# Cut and broken files.


@pytest.mark.parametrize("part", [0.001, 0.4, 0.9999])
def test_what_comes_before_a_cut_is_recorded_and_the_whole_file_completes_it(kube9: Kube9, load, part: float) -> None:
    whole = SAMPLE.read_bytes()
    done = load(whole[: int(len(whole) * part)])
    recorded = len(rows(kube9.db))
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    assert "the file ends in the middle" in done.error["error"]
    assert f"the {recorded} events before this place are recorded" in done.error["details"]
    assert recorded >= int(len(ITEMS) * part) - 5
    assert load(whole).json == {"added": len(ITEMS) - recorded, "updated": 0, "unchanged": recorded}
    cut, kube9.db = rows(kube9.db), kube9.db.with_name("whole.db")
    assert load(whole).json["added"] == len(ITEMS)
    assert rows(kube9.db) == cut


def test_of_many_lines_exactly_the_whole_ones_before_a_cut_are_recorded(kube9: Kube9, load) -> None:
    events = lines(*(make_event(f"web-{number}.1") for number in range(1100)))
    assert load(events[:-100]).error["details"].startswith("the 1099 events before this place")
    assert len(rows(kube9.db)) == 1099


def test_yaml_that_is_cut_leaves_no_half_event(kube9: Kube9, load) -> None:
    whole = FORMS["YAML"]
    done = load(whole[: whole.rindex(b"BackOff") + 4])  # the reason of the last event is "Back"
    assert done.code == 1, done
    assert {reason for (reason,) in rows(kube9.db, "reason")} <= {"BackOff"}


BROKEN = {
    "prose": b"No resources found\n",
    "nothing": b"",
    "spaces": b" \n\t\n",
    "a page": b"<html><body>404 page not found</body></html>",
    "a number": b"12\n",
    "a string": b'"events"\n',
    "an open value": b'{"items": [tru',
    "an open quote": b'{"items": [{"kind": "Event, "metadata": {}}]}',
    "binary": bytes(range(256)) * 10,
    "zero bytes": bytes(100),
    "another encoding": json.dumps(LIST, ensure_ascii=False).replace("Back-off", "Bäck-off").encode("latin-1"),
    "two bytes a character": lines(LIST).decode().encode("utf-16"),
    "deep JSON": b"[" * 300_000,
    "deep YAML": b"a: " + b"[" * 3_000,
    "a long number": b'{"kind": "Event", "involvedObject": {}, "count": ' + b"1" * 5_000 + b"}",
    "bad YAML": b"items: [a\nb: c: d",
}


@pytest.mark.parametrize("form", BROKEN)
def test_a_file_that_holds_no_events_is_one_clear_error(kube9: Kube9, load, tmp_path: Path, form: str) -> None:
    done = load(BROKEN[form])
    assert (done.code, done.out, rows(kube9.db)) == (1, "", [])
    assert done.error.keys() == {"error", "details", "code"}
    assert done.error["code"] == "INVALID_ARGUMENT"
    assert done.error["error"].startswith(f"{tmp_path / 'events'}:")


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_stops_the_import_before_it_begins(kube9: Kube9, name: str) -> None:
    path = kube9.db.parent / name
    done = kube9("import", SAMPLE, path, "--format", "json")
    assert (done.code, done.out, done.error["code"]) == (1, "", "INVALID_ARGUMENT")
    assert str(path) in done.error["error"]
    assert rows(kube9.db) == []


def test_an_error_for_people_is_no_traceback(kube9: Kube9, tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(b"{")
    done = kube9("import", tmp_path / "events")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {tmp_path / 'events'}:1:2: the file ends in the middle\n")


def test_a_database_that_may_not_be_written_is_refused_before_the_import_begins(kube9: Kube9) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        os.chmod(folder, 0o777)
        kube9.db = Path(folder) / "kube9.db"
        assert kube9("import", SAMPLE).code == 0
        kube9.db.chmod(0o444)
        command = [sys.executable, "-c", STRANGER, kube9.db]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.stdout == "PERMISSION_DENIED\n", done.stderr
        assert os.listdir(folder) == ["kube9.db"]  # a -wal of this user's would shut the owner out


# The public dumps.


def identity(event: dict) -> tuple[str, str, str]:
    first = event.get("eventTime") or event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp")
    return event["metadata"]["namespace"], event["metadata"]["name"], (first or event["metadata"]["creationTimestamp"])[:23]


def test_every_public_dump_comes_to_one_row_an_event_however_often_it_is_imported(shared_events: Path, tmp_path: Path) -> None:
    for file in sorted(shared_events.glob("*.json")):
        database = str(tmp_path / f"{file.name}.db")
        events = {identity(event) for event in json.loads(file.read_bytes())["items"]}
        done = importer.import_files(database, [str(file)])
        assert (file.name, done.added, len(rows(Path(database), "id"))) == (file.name, len(events), len(events))
        again = importer.import_files(database, [str(file)])
        assert (file.name, again.added, again.updated) == (file.name, 0, 0)


def test_the_other_view_of_a_dump_adds_nothing_to_the_first(shared_events: Path, tmp_path: Path) -> None:
    for file in sorted(shared_events.glob("*.as-events-v1.json")):
        original, database = str(file).replace(".as-events-v1", ""), str(tmp_path / "kube9.db")
        assert importer.import_files(database, [original]).added > 0
        again = importer.import_files(database, [str(file)])
        assert (again.added, again.updated) == (0, 0)

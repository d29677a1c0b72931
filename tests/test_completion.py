"""Completion as the shells do it: bash, zsh and fish in a terminal of their own, without anybody's settings."""

import fcntl
import inspect
import os
import pty
import random
import re
import select
import shutil
import signal
import sqlite3
import string
import struct
import subprocess
import sys
import termios
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE, Kube9, make_event, rows

from kube9 import cli, commands, complete, fixed_commands, fresh, migrations, plan

SHELLS = ("bash", "zsh", "fish")
HOSTILE = [
    "$(touch x)", "`touch x`", "a; touch x", "a && touch x", "a | touch x", "> x", "two words", "  spaces  ", "it's",
    'say "hi"', "back\\slash", "ends\\", "!!", "!touch", "*", "~root", "$HOME", "${HOME}", "#c", "{a,b}", "a=b:c@d", "-rf",
    "ünï–", "''", "[a]?", "(touch x)", "a%b\\tc", "$'x'", "a,b",
]  # fmt: skip
START = {
    "bash": "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; bind 'set completion-query-items 0'; "
    "bind 'set page-completions off'; source <(kube9 completion bash); "
    """bind -x '"\\C-xl": printf %s "$READLINE_LINE" >line.new; mv line.new line'""",
    "zsh": "unsetopt beep; autoload -Uz compinit && compinit -u -D; source <(kube9 completion zsh); LISTMAX=1000; "
    'dump() { print -rn -- "$BUFFER" >line.new; mv line.new line }; zle -N dump; bindkey -e; bindkey "^Xl" dump',
    "fish": "set -g fish_greeting; set -g fish_autosuggestion_enabled 0; kube9 completion fish | source; "
    "bind \\cxl 'commandline >line.new; mv line.new line'",
}
COMMAND = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"], "fish": ["fish", "--no-config", "-i"]}
EMPTY = "\x05\x15"  # Ctrl-E and Ctrl-U


class Shell:
    """An interactive shell in a terminal; Ctrl-X l there writes the line being typed to a file."""

    def __init__(self, name: str, folder: Path, env: dict[str, str]) -> None:
        self.name, self.folder, self.screen = name, folder, b""
        self.pid, self.terminal = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.execvpe(COMMAND[name][0], COMMAND[name], env)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.type(START[name] + "\r")
        self.type("touch started\r")
        self.wait(folder / "started")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def wait(self, path: Path) -> str:
        """What is in a file as soon as it is there; it is removed."""
        until = time.monotonic() + 20
        while not path.exists():
            if time.monotonic() > until:
                self.type("\x03")  # the next test begins on an empty line
                pytest.fail(f"no {path.name}: {self.screen.decode(errors='replace')}")
            if select.select([self.terminal], [], [], 0.01)[0]:
                self.screen += os.read(self.terminal, 65536)
        text = path.read_text()
        path.unlink()
        return text

    def line(self, typed: str) -> str:
        """What the line is once something was typed."""
        self.screen = b""
        self.type(f"{typed}\x18l")
        text = self.wait(self.folder / "line")
        self.type(EMPTY)
        return text.removesuffix("\n")

    def shows(self, typed: str) -> str:
        """What is on the screen once something was typed, without colours."""
        self.line(typed)
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            if select.select([self.terminal], [], [], 0.02)[0]:
                self.screen += os.read(self.terminal, 65536)
        return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])|\x0f|\r", "", self.screen.decode(errors="replace"))

    def arguments(self, typed: str) -> list[str]:
        """The words that the program gets when the line is run."""
        self.type(f"{typed}\x18l")
        self.wait(self.folder / "line")
        self.type("\r")
        return self.wait(self.folder / "arguments").split("\0")[:-1]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with sample.db, and n.db with the n-th hostile name as the only namespace and the name of a pod."""
    folder = tmp_path_factory.mktemp("databases")
    runner = Kube9(folder, cache)
    runner.db = folder / "sample.db"
    assert runner("import", SAMPLE).code == 0
    runner.db = folder / "hostile.db"
    objects = ({"kind": "Pod", "name": name, "namespace": name} for name in HOSTILE)
    runner.record(*(make_event(namespace=about["name"], involvedObject=about) for about in objects))
    for number, name in enumerate(HOSTILE):
        path = shutil.copy(runner.db, folder / f"{number}.db")
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("DELETE FROM events WHERE object_namespace <> ?", [name])
        assert rows(path, "SELECT object_namespace, object_name FROM events") == [(name, name)]
    runner.db.unlink()
    return folder


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, str]:
    """The environment of a shell: a home without files, and kube9 that notes its words unless it is asked to complete."""
    folder = tmp_path_factory.mktemp("home")
    program = folder / "bin" / "kube9"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase "$1" in __complete | completion) exec {sys.executable} -m kube9 "$@" ;; esac\n'
        "printf '%s\\0' \"$@\" >arguments.new\nmv arguments.new arguments\n"
    )
    program.chmod(0o755)
    (program.parent / "kube9-operator").symlink_to(program)
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(cache),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm",
    }


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest, databases: Path, env: dict[str, str]):
    folder = databases / request.param
    folder.mkdir()
    for path in databases.glob("*.db"):
        shutil.copy(path, folder)
    shell = Shell(request.param, folder, env)
    yield shell
    shell.close()


@pytest.fixture
def asked(databases: Path, cache: Path):
    """Runs `kube9 __complete` and gives what it says, as (first line, [(candidate, description)])."""
    runner = Kube9(databases, cache)

    def ask(*words: str, env: dict | None = None, cwd: Path = databases) -> tuple[str, list[tuple[str, str]]]:
        command = [sys.executable, "-m", "kube9", "__complete", *words]
        done = subprocess.run(command, env=runner.env | (env or {}), capture_output=True, cwd=cwd, timeout=60)
        assert (done.returncode, done.stderr) == (0, b""), done
        lines = done.stdout.decode(errors="surrogateescape").split("\n")
        assert lines.pop() == ""
        found = [(value, about) for value, _, about in (line.partition("\t") for line in lines[1:])]
        return (lines or [""])[0], found

    return ask


def values(answer: tuple[str, list[tuple[str, str]]]) -> list[str]:
    return [value for value, _ in answer[1]]


LIST = "query events list --db sample.db"
COMPLETED = [
    ("kube9 qu", "kube9 query "),
    ("kube9 ser", "kube9 serve "),
    ("kube9-operator query sta", "kube9-operator query status "),
    ("kube9 query ev", "kube9 query events "),
    ("kube9 query events li", "kube9 query events list "),
    ("kube9 query events list --sev", "kube9 query events list --severity "),
    ("kube9 query events list --severity e", "kube9 query events list --severity error "),
    ("kube9 query events list --severity error,c", "kube9 query events list --severity error,critical "),
    ("kube9 query events list --severity=error,c", "kube9 query events list --severity=error,critical "),
    ("kube9 query events list --format=ta", "kube9 query events list --format=table "),
    ("kube9 query events list -o ta", "kube9 query events list -o table "),
    ("kube9 query events list --sort cre", "kube9 query events list --sort created_at "),
    ("kube9 query events list --fields id,ti", "kube9 query events list --fields id,title "),
    ("kube9 query events summary --by reason,na", "kube9 query events summary --by reason,namespace "),
    ("kube9 query events list --since yes", "kube9 query events list --since yesterday "),
    ("kube9 query events list --since=yes", "kube9 query events list --since=yesterday "),
    (f"kube9 {LIST} -n sh", f"kube9 {LIST} -n shop "),
    (f"kube9 {LIST} --namespace=sh", f"kube9 {LIST} --namespace=shop "),
    (f"kube9 {LIST} --reason backoffl", f"kube9 {LIST} --reason BackoffLimitExceeded "),
    (f"kube9 {LIST} --kind po", f"kube9 {LIST} --kind Pod "),
    (f"kube9 {LIST} --for po", f"kube9 {LIST} --for pod/"),
    (f"kube9 {LIST} --for=po", f"kube9 {LIST} --for=pod/"),
    (f"kube9 {LIST} --for pod/wish", f"kube9 {LIST} --for pod/wishlist "),
    (f"kube9 {LIST} --for=pod/wish", f"kube9 {LIST} --for=pod/wishlist "),
    (f"kube9 {LIST} --for deploy/pay", f"kube9 {LIST} --for deploy/payments "),
    ("kube9 spec show events sum", "kube9 spec show events summary "),
    ("kube9 spec exp", "kube9 spec export "),
    ("kube9 spec export type", "kube9 spec export typescript "),
    ("kube9 completion z", "kube9 completion zsh "),
    ("kube9 db mi", "kube9 db migrate "),
    ("kube9 import sam", "kube9 import sample.db "),
    ("kube9 query events list --db sam", "kube9 query events list --db sample.db "),
    ("kube9 query events list --db=sam", "kube9 query events list --db=sample.db "),
    ("kube9 query status --no-such-option sam", "kube9 query status --no-such-option sam"),
    ("kube9 query events list -n nowhere-", "kube9 query events list -n nowhere-"),
    ("kube9 query events list --db nothing.db -n sa", "kube9 query events list --db nothing.db -n sa"),
    ("kube9 query events list -- --sev", "kube9 query events list -- --sev"),
    ("echo | kube9 query events li", "echo | kube9 query events list "),
]


@pytest.mark.parametrize(("typed", "line"), COMPLETED)
def test_the_tab_key_completes_a_line(shell: Shell, typed: str, line: str):
    assert shell.line(f"{typed}\t") == line


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_hostile_name_is_one_word_that_is_never_run(shell: Shell, name: str, quote: str):
    query = f"kube9 query events list --db {HOSTILE.index(name)}.db"
    if shell.name == "fish" and name[0] == "~":  # which it would not quote, so it is not offered
        assert shell.line(f"{query} -n {quote}\t") == f"{query} -n {quote}"
        return
    assert shell.arguments(f"{query} -n {quote}\t")[5:] == ["-n", name]
    assert not (shell.folder / "x").exists()


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("option", ["--for pod/", "--for=pod/", '--for "pod/', "--for 'pod/"])
def test_a_hostile_object_is_one_word_that_is_never_run(shell: Shell, name: str, option: str):
    query = f"kube9 query events list --db {HOSTILE.index(name)}.db"
    words = shell.arguments(f"{query} {option}\t")[5:]
    assert words == ([f"--for=pod/{name}"] if "=" in option else ["--for", f"pod/{name}"])
    assert not (shell.folder / "x").exists()


def test_what_two_hostile_names_have_in_common_is_never_run(shell: Shell, cache: Path):
    runner = Kube9(shell.folder, cache)
    runner.db = shell.folder / "two.db"
    runner.record(*(make_event(f"{end}.1", namespace=f"$(touch x) ;{end}") for end in "ab"))
    words = shell.arguments("kube9 query events list --db two.db -n \t")
    assert words[5] == "-n"
    assert words[6].startswith("$(touch x) ;")
    assert not (shell.folder / "x").exists()


def test_a_line_that_holds_commands_runs_none_of_them(shell: Shell):
    if shell.name == "zsh":
        shell.type("bindkey '^I' complete-word\r")  # the other one expands what is typed, as zsh's own habit
    for typed in ("$(touch x)", "`touch x`", "'$(touch x)' ", '"$(touch x)', "(touch x)", "--db $(touch x) -n "):
        shell.line(f"kube9 query events list {typed}\t")
        shell.line(f"kube9 query events list --for {typed}\t")
    if shell.name == "zsh":
        shell.type("bindkey '^I' expand-or-complete\r")
    assert not (shell.folder / "x").exists()


def test_what_was_completed_in_quotes_can_be_gone_on_with(shell: Shell):
    assert shell.arguments(f'kube9 {LIST} --for "po\twish\t')[5:] == ["--for", "pod/wishlist"]


def test_an_unfinished_quote_is_completed_in_it(shell: Shell):
    assert shell.arguments(f"kube9 {LIST} -n 'sh\t")[5:] == ["-n", "shop"]
    assert shell.arguments(f'kube9 {LIST} -n "sh\t')[5:] == ["-n", "shop"]


def test_words_in_quotes_before_it_are_understood(shell: Shell):
    assert shell.line("kube9 'query' \"events\" li\\st --sev\t").endswith("--severity ")
    shutil.copy(shell.folder / "sample.db", shell.folder / "my file.db")
    for named in ("'my file.db'", '"my file.db"', "my\\ file.db"):
        assert shell.line(f"kube9 query events list --db {named} -n sh\t").endswith("-n shop ")


def test_the_choices_are_listed(shell: Shell):
    screen = shell.shows(f"kube9 {LIST} --severity \t\t")
    assert all(word in screen for word in ("info", "warning", "error", "critical"))
    assert screen.index("info") < screen.index("warning") < screen.index("error") < screen.index("critical")


def test_descriptions_are_shown_where_the_shell_has_them(shell: Shell):
    screen = shell.shows("kube9 query events \t\t")
    assert "noisy" in screen
    assert ("repeat most" in screen) == (shell.name != "bash")


def test_fish_gives_candidates_with_descriptions(env: dict[str, str], databases: Path):
    def candidates(line: str) -> list[str]:
        program = "kube9 completion fish | source; complete -C $argv[1]"
        done = subprocess.run(
            ["fish", "--no-config", "-c", program, line], env=env, cwd=databases, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    assert candidates("kube9 query events list --sev") == ["--severity\tonly events of these severities"]
    assert candidates("kube9 query events list --severity=w") == ["--severity=warning"]
    assert candidates("kube9 query events list --since ")[:2] == ["5m\tthe last 5 minutes", "1h\tthe last hour"]


def test_the_script_of_zsh_can_be_a_file_of_fpath(env: dict[str, str], tmp_path: Path):
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "_kube9").write_text(complete.script("zsh"))
    code = f"fpath=({tmp_path}/functions $fpath); autoload -Uz compinit; compinit -u -D; "
    code += "print $_comps[kube9] $_comps[kube9-operator]"
    done = subprocess.run(["zsh", "-f", "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("_kube9 _kube9\n", "")


@pytest.mark.parametrize("shell_name", SHELLS)
def test_the_script_is_written_whole_by_the_program(kube9: Kube9, shell_name: str):
    done = kube9("completion", shell_name, db=False)
    assert (done.code, done.err) == (0, "")
    assert done.out == (ROOT / "kube9" / "completions" / fixed_commands.SHELLS[shell_name]).read_text()


def test_every_level_is_offered_with_what_it_is_for(asked):
    first, found = asked("")
    assert first == "words"
    assert dict(found)["serve"] == "Record the cluster's events until stopped"
    assert {"query", "serve", "import", "db", "spec", "completion"} <= set(values((first, found)))
    assert dict(asked("query", "")[1])["status"] == "Show how kube9 is"
    assert dict(asked("query", "events", "")[1])["list"] == "List events, newest first"
    assert "--severity" in values(asked("query", "events", "list", ""))


def test_every_command_and_option_that_help_shows_is_offered(asked):
    compiled = fresh.current()
    for name, query in compiled["queries"].items():
        shown = {flag for param in (query["params"] | query["options"]).values() for flag in param["flags"] if flag[:2] == "--"}
        assert set(values(asked("query", *name.split(), "--"))) == shown | {"--help"}


def test_every_fixed_command_that_is_declared_has_code_with_the_same_parameters():
    assert fixed_commands.COMMANDS.keys() == commands.CODE.keys()
    for name, declared in fixed_commands.COMMANDS.items():
        assert list(declared["params"]) == list(inspect.signature(commands.CODE[name]).parameters), name


def test_the_fixed_commands_are_those_of_the_program():
    app = cli.application(fresh.current())

    def found(above, path: str = "") -> dict:
        below = {}
        for name in above:
            if name[0] != "-" and (path or name != "query"):
                below |= found(above[name], f"{path} {name}".strip())
        return below or {path: above}

    real = found(app)
    assert set(real) == set(fixed_commands.COMMANDS)
    for name, command in real.items():
        declared = fixed_commands.COMMANDS[name]
        assert command.help.startswith(f"{declared['summary']}."), name
        arguments = {argument.field_info.name: argument for argument in command.assemble_argument_collection()}
        for key, param in declared["params"].items():
            said = arguments[key].parameter
            choices = arguments[key].get_choices()
            assert (said.help, list(choices or []) or None) == (param["doc"], param["choices"]), (name, key)
            assert list(arguments[key].names) == (param["flags"] or [key.upper()]), (name, key)


def test_an_option_is_offered_once_unless_it_may_be_repeated(asked):
    offered = values(asked("query", "events", "list", "--since", "1h", "--severity", "error", "--all", "-n", "a", "--"))
    assert not {"--since", "--all", "--namespace", "--object-namespace"} & set(offered)
    assert {"--severity", "--until"} <= set(offered)
    assert not {"--watch", "--limit"} & set(offered)  # which --all excludes


@pytest.mark.parametrize("given", ["--severity", "--min-severity"])
def test_an_option_that_excludes_a_given_one_is_not_offered(asked, given: str):
    offered = values(asked("query", "events", "list", given, "error", "--"))
    assert "--min-severity" not in offered


def test_a_hidden_alias_is_not_offered_and_counts_as_given(asked, tmp_path: Path):
    (tmp_path / "own.yaml").write_text(
        "version: 1\nqueries:\n  kinds:\n    summary: Kinds\n    returns: page of Event\n    filters:\n"
        "      object-kind: {column: object_kind, aliases: [--sort-of], doc: kind}\n"
        "      old: {column: node, scan: table, deprecated: use --kind, doc: gone}\n"
    )
    env = {"KUBE9_QUERIES": str(tmp_path / "own.yaml"), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "kube9", "query", "kinds", "--help"], env={**os.environ, **env}, capture_output=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr  # which compiles the plan
    offered = values(asked("query", "kinds", "--", env=env))
    assert "--object-kind" in offered
    assert not {"--sort-of", "--old"} & set(offered)
    assert "--object-kind" not in values(asked("query", "kinds", "--sort-of", "Pod", "--", env=env))


def test_behind_two_dashes_nothing_is_an_option(asked):
    assert asked("query", "events", "list", "--", "--sev") == ("", [])
    assert asked("query", "events", "list", "--", "") == ("", [])
    assert asked("import", "--", "--d")[0] == "files"


def test_a_value_that_was_given_is_not_offered_again(asked):
    assert values(asked("query", "events", "list", "--severity", "error,")) == ["error,info", "error,warning", "error,critical"]
    again = asked("query", "events", "list", "--severity", "error", "--severity=info", "--severity", "")
    assert values(again) == ["warning", "critical"]


@pytest.mark.parametrize("words", [["--format", ""], ["-o", ""]])
def test_one_value_is_no_list(asked, words: list[str]):
    assert values(asked("query", "events", "list", *words)) == list(plan.FORMATS)
    assert asked("query", "events", "list", words[0], "json,") == ("", [])


def test_values_come_from_the_database_that_the_line_names(asked, databases: Path, tmp_path: Path):
    shutil.copy(databases / "sample.db", tmp_path / "kube9.db")
    known = values(asked("query", "events", "list", "--db", "sample.db", "-n", ""))
    assert known == [value for (value,) in rows(databases / "sample.db", NAMESPACES)]
    assert values(asked("query", "events", "list", "-n", "", env={"DB_PATH": str(tmp_path)})) == known
    assert values(asked("query", "events", "list", "-n", "", "--db", "sample.db", "-n", "")) == known
    named = values(asked("query", "events", "list", "--db=$FOLDER/kube9.db", "-n", "", env={"FOLDER": str(tmp_path)}))
    assert named == known


NAMESPACES = "SELECT DISTINCT object_namespace FROM events WHERE object_namespace IS NOT NULL ORDER BY 1"


def test_objects_are_those_of_the_kind_and_of_the_namespace(asked, databases: Path):
    pods = "SELECT DISTINCT 'pod/' || object_name FROM events WHERE object_kind = 'Pod'"
    line = ["query", "events", "list", "--db", "sample.db"]
    assert values(asked(*line, "--for", "pod/")) == [value for (value,) in rows(databases / "sample.db", f"{pods} ORDER BY 1")]
    for namespace in ("shop", "staging"):
        own = [value for (value,) in rows(databases / "sample.db", f"{pods} AND object_namespace = '{namespace}' ORDER BY 1")]
        assert values(asked(*line, "-n", namespace, "--for", "po/")) == [value.replace("pod/", "po/") for value in own]
    nodes = values(asked(*line, "--for", "node/"))
    assert nodes == [value for (value,) in rows(databases / "sample.db", pods.replace("pod/", "node/").replace("Pod", "Node"))]


def test_owners_are_offered_of_whose_own_nothing_was_recorded(asked, kube9: Kube9):
    event = make_event()
    kube9.record(event)
    with closing(sqlite3.connect(kube9.db, isolation_level=None)) as database:
        database.execute("UPDATE events SET owner_kind = 'Deployment', owner_name = 'web'")
    assert values(asked("query", "events", "list", "--db", str(kube9.db), "--for", "deploy/")) == ["deploy/web"]


def test_of_many_objects_so_many_are_offered_as_a_person_can_read(asked, kube9: Kube9):
    kube9.record(*(make_event(f"web-{number}.1", namespace=f"n{number % 7}") for number in range(400)))
    line = ["query", "events", "list", "--db", str(kube9.db), "--for"]
    assert len(values(asked(*line, "pod/"))) == complete.MOST
    assert len(values(asked(*line, "pod/web-39"))) == 11
    assert asked(*line, "pod/db-") == ("", [])


MANY = """
WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 19999)
INSERT INTO events (id, event_type, severity, title, object_kind, object_namespace, object_name, created_at, last_seen_at)
SELECT n, 'cluster', 'info', 'x', iif(n % 5000 = 1, 'Job', 'Pod'), iif(n % 5000 = 2, 'quiet', 'busy'), 'p-' || (100000 + n),
    at, at
FROM number, (SELECT '2026-03-01T10:00:00.000Z' AS at)
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--for", "job/"], [f"job/p-1{number:05}" for number in (1, 5001, 10001, 15001)]),
        (["--for", "job/p-115"], ["job/p-115001"]),
        (["-n", "quiet", "--for", "pod/"], [f"pod/p-1{number:05}" for number in (2, 5002, 10002, 15002)]),
        (["-n", "quiet", "--for", "job/"], []),
        (["--for", "pod/p-11234"], [f"pod/p-11234{digit}" for digit in range(10)]),
    ],
    ids=lambda value: " ".join(value)[:30],
)
def test_few_objects_are_found_among_many_others_in_a_bounded_number_of_steps(
    asked, tmp_path: Path, words: list[str], found: list[str]
):
    path = tmp_path / "many.db"
    with closing(migrations.open_writer(str(path))) as database:
        database.execute(MANY)
        assert values(asked("query", "events", "list", "--db", str(path), *words)) == found
        kind, _, begin = words[-1].partition("/")
        steps: list[int] = []
        database.set_progress_handler(lambda: steps.append(1000), 1000)
        namespace = words[1] if "-n" in words else None
        database.execute(complete.NAMES, {"kind": kind.capitalize(), "namespace": namespace, "begin": begin}).fetchall()
        assert sum(steps) < 100 * complete.MOST_LOOKED_AT


@pytest.mark.parametrize("char", ["\n", "\t", "\x1b[31m", "\x07", "\x7f", "\u009b", "\u202e"])
def test_a_name_with_a_control_character_is_left_out(asked, kube9: Kube9, char: str):
    kube9.record(make_event("a.1", namespace=f"bad{char}name"), make_event("b.1", namespace="good"))
    assert len(rows(kube9.db, NAMESPACES)) == 2
    line = ["query", "events", "list", "--db", str(kube9.db)]
    assert values(asked(*line, "-n", "")) == ["good"]


BROKEN = ["missing", "text", "empty", "folder", "fifo", "cut"]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_database_that_cannot_be_read_gives_nothing(asked, databases: Path, tmp_path: Path, broken: str):
    path = tmp_path / "broken.db"
    if broken == "text":
        path.write_text("no database" * 1000)
    elif broken == "empty":
        path.touch()
    elif broken == "folder":
        path.mkdir()
    elif broken == "fifo":
        os.mkfifo(path)
    elif broken == "cut":
        path.write_bytes((databases / "sample.db").read_bytes()[:5000])
    for value in (["-n", ""], ["--for", "pod/"], ["--reason="]):
        assert asked("query", "events", "list", "--db", str(path), *value) == ("", [])
    assert "--severity" in values(asked("query", "events", "list", "--db", str(path), "--"))


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_a_database_of_somebody_else_gives_nothing(databases: Path, tmp_path: Path):
    path = shutil.copy(databases / "sample.db", tmp_path / "closed.db")
    os.chmod(path, 0)
    # Root may read any file: the program runs without that right.
    rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if os.geteuid() == 0 else []
    words = ["__complete", "query", "events", "list", "--db", str(path), "-n", ""]
    done = subprocess.run([*rights, sys.executable, "-m", "kube9", *words], capture_output=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_completing_leaves_nothing_beside_the_database(asked, databases: Path):
    before = sorted(path.name for path in databases.iterdir() if path.is_file())
    asked("query", "events", "list", "--db", "sample.db", "--for", "pod/")
    asked("query", "events", "list", "--db", "nothing.db", "--for", "pod/")
    assert sorted(path.name for path in databases.iterdir() if path.is_file()) == before


def test_a_reader_that_has_gone_is_no_error(databases: Path, kube9: Kube9):
    for close in (">&-", "| true"):
        program = f"{sys.executable} -m kube9 __complete"
        command = f"{program} query events list --si {close} && {program} '' {close}"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], env=kube9.env, cwd=ROOT, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")


def test_no_heavy_library_is_needed(sampled: Kube9):
    code = (
        "import sys; from kube9.complete import complete\n"
        "complete(['query', 'events', 'list', '--db', sys.argv[1], '-n', ''])\n"
        "complete(['spec', ''])\n"
        "print(*(name for name in ('cyclopts', 'pydantic', 'sqlglot', 're', 'json', 'typing') if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, sampled.db], env=sampled.env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("", "")
    assert "shop" in done.stdout.splitlines()


PIECES = [
    "query", "events", "list", "get", "summary", "status", "serve", "import", "spec", "show", "check", "export", "db",
    "migrate", "completion", "__complete", "--", "-", "", "=", "--=", "--for", "--for=", "--for=pod/", "pod/", "/", "//",
    "po/x/y", "--severity", "--severity=", "error,", ",", ",,", "--since", "--db", "--db=", "sample.db", "0.db", "/",
    "/dev/null", "~", "~nobody/x", "$HOME", "--fields", "-n", "-n=", "-o", "-w", "--all", "--watch", "--help",
    "--no-headers", "--sort", "--by", "--reason", "--kind", "'", '"', "\\", "\n", "\t", "\x1b[0m", "$(touch x)", "%s", "{}",
    "é", "\udcff", ":", "*",
    "a" * 5000, "--" + "b" * 5000,
]  # fmt: skip


def random_lines(count: int) -> list[list[str]]:
    chance = random.Random(9)
    lines = []
    for _ in range(count):
        start = chance.choice([[], ["query"], ["query", "events", "list"], ["query", "events", "list", "--db", "sample.db"]])
        words = [chance.choice(PIECES) for _ in range(chance.randint(0, 6))]
        noise = "".join(chance.choice(string.printable + "éß語\u202e") for _ in range(chance.randint(0, 8)))
        lines.append([*start, *words, *([noise] if chance.random() < 0.4 else [])])
    return lines


def test_no_line_is_an_error(asked, databases: Path):
    for line in random_lines(200):
        first, found = asked(*line)
        assert first in ("", "words", "beginnings", "files"), line
        assert all(value.isprintable() or "\udcff" in value for value, _ in found), line
        assert bool(found) == (first in ("words", "beginnings")), line
    assert not (databases / "x").exists()


def test_lines_that_are_no_utf_8_are_no_error(asked):
    assert asked("query", "events", "list", "--severity=\udcff") == ("", [])
    assert asked("query", "events", "list", "--db", "\udcff.db", "-n", "") == ("", [])
    assert asked("query", "events", "list", "--db", "sample.db", "--for", "pod/\udcff") == ("", [])

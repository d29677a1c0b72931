"""Redaction over a corpus: every secret of every listed shape is found and named, every look-alike stays.

All secrets are made up; tests/data/secrets.txt says how it is written.
"""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from kube9 import dump, redact, redact_forms

DATA = Path(__file__).parent / "data"


def lines(name: str) -> list[str]:
    found = [line for line in (DATA / name).read_text().splitlines() if not line.startswith("#")]
    return [line.replace("¦", "").replace("⏎", "\n") for line in found]


def secret_of(line: str) -> tuple[str, str, str]:
    """The kind of a line's secrets, the message, and the message redacted."""
    kind, marked = line.split("\t")
    head, *rest = marked.split("‹")
    return kind, head + "".join(rest).replace("›", ""), head + "".join(redact.MARK + part.partition("›")[2] for part in rest)


SECRETS = [secret_of(line) for line in lines("secrets.txt")]
LOOK_ALIKES = lines("look-alikes.txt")


def named(message: str) -> str:
    return message[:40]


def test_the_corpus_is_large():
    assert len({message for _, message, _ in SECRETS}) >= 250
    assert len(set(LOOK_ALIKES)) >= 250


@pytest.mark.scenario("REC-24")
@pytest.mark.parametrize(("kind", "message", "redacted"), SECRETS, ids=[named(message) for _, message, _ in SECRETS])
def test_a_secret_is_redacted_and_named_and_the_rest_stays(kind: str, message: str, redacted: str):
    found: list[redact.Secret] = []
    assert redact.text(message, found) == redacted
    assert {secret.kind for secret in found} == {kind}
    assert len(found) == redacted.count(redact.MARK)


@pytest.mark.parametrize("message", LOOK_ALIKES, ids=named)
def test_a_look_alike_stays_the_same_object(message: str):
    found: list[redact.Secret] = []
    assert redact.text(message, found) is message
    assert not found


@pytest.mark.parametrize("redacted", [redacted for *_, redacted in SECRETS], ids=named)
def test_what_was_redacted_is_not_redacted_again(redacted: str):
    assert redact.text(redacted) is redacted


@pytest.mark.parametrize("text", ["message: {}", "first line\n{}\nlast line", "({})"])
def test_a_secret_is_found_within_other_text(text: str):
    missed = [message for _, message, redacted in SECRETS if redact.text(text.format(message)) == text.format(message)]
    assert missed == []


def test_a_secret_is_found_in_a_message_that_is_cut_behind_it():
    # What the API server cuts at 1,024 characters still holds the first part of a secret.
    for kind, message, redacted in SECRETS:
        if kind in ("private key", "JSON web token", "docker config") and redacted.count(redact.MARK) == 1:
            start = redacted.index(redact.MARK)
            cut = message[: start + max(40, (len(message) - start) // 2)]
            assert redact.text(cut) != cut, cut


@pytest.mark.parametrize("rule", redact_forms.RULES, ids=lambda rule: f"{rule.kind} {rule.sign}")
def test_each_rule_finds_a_secret_of_the_corpus(rule: redact_forms.Rule):
    assert any(kind == rule.kind and list(redact_forms.spans(message, rule)) for kind, message, _ in SECRETS)


def test_every_real_event_stays_as_it_was(shared_events: Path):
    """No credentials were found in the public dumps, so whatever is redacted there is no secret."""
    redacted = []
    for path in sorted(shared_events.glob("*.json")):
        with path.open("rb") as stream:
            for event in dump.objects(stream, path.name):
                message = event.get("message") or event.get("note") or ""
                if redact.text(message) is not message:
                    redacted.append(message)
    assert redacted == []


# What a search could read time and again: the beginnings of secrets, and what stands in and between them.
UNITS = [
    *("a", "A", "9", "ab-", "\\", "\n", " \n", "\\n", "'", "`", "{", "[", "(", "\u0130", "key", "apikey ", "passwordpassword"),
    *("password=", "password:", "pass=", "token:", 'token:"', "token: a ", "token: Ab", "token: AbCd", "secret: a-"),
    *("secret: a.b/", "password: AAAA", "password: abcdefg ", "password: |\n", "password: |\n  a", "password: |\\n  a\\n"),
    *('"password":', '"name":"password","value":', "name: password\n value: ", "--token ", "Bearer ", "sig=", "sessionid="),
    *("://", "://a:", "@://a:", f"://{'a' * 19}", "a@b:", "a:b@c", "a:b@c:22 ", "u/p@//", "%3A", "%3A%2F%2F", "%3A%2F%2Fa%3A"),
    *("-u a:b ", "curl -u a:", "--user ", "mysql ", "mysql -p", "login -p ", "redis-cli ", "ldapsearch -w", "sshpass -p"),
    *("auth:", 'auth:"YWI6', "Basic ", "Basic YWI6", "Cookie: a=", "Cookie: a=b; ", "ookie:", "$1$", "$2y$a", "SHA}", "{SHA}a"),
    *("eyJ", "eyJ-", "eyJhbGci.", "eyJhdXRocyI", "eyJhdXRocyI\n  ", ".dockercfg: ", '.dockercfg:"a', "MIIaaaIBADAN"),
    *("-----BEGIN ", "-----BEGIN RSA ", "-----BEGIN RSA PRIVATE KEY-----", "Private-Lines: 1\n", "LS0tLS1CRUdJTiBSU0EgUFJJ\\n"),
    *("b3BlbnNzaC1rZXkt\\n", "AGE-SECRET-KEY-1", "sk-", " sk-a", "hvs.", "hvs.a ", "glpat-", "xoxb-", "SG.a", "8Q~", "abc8Q~"),
    *("12345678:AA", "glsa_a_", "a.atlasv1.", "hf_", "K10", "hooks.slack.com/services/", "whsec_", "github_pat_", "AIza"),
]  # fmt: skip
# Work that grows with the square of the length would take minutes for each of them.
ATTACK = """
import sys
from kube9 import redact
for unit in eval(sys.stdin.read()):
    message = "token=x://@_--$~%: K Basic auth: " + unit * (int(sys.argv[1]) // len(unit))
    redact.text(message, [])
"""
LENGTH, CPU_S = 100_000, 60


def test_no_search_takes_more_than_linear_time():
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))

    command = [sys.executable, "-c", ATTACK, str(LENGTH)]
    done = subprocess.run(command, input=repr(UNITS), text=True, capture_output=True, cwd=ROOT, preexec_fn=limit)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"

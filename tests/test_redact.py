"""Secrets in events: what `kube9.redact` takes out, and what it leaves alone.

All secrets are made up. Those with a known form are put together from halves, lest a scanner take them for real ones.
"""

import copy
import json
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kube9 import redact

AWS_ID = "AKIA" + "IOSFODNN7" + "EXAMPLE"
AWS_SECRET = "wJalrXUtnFEMI" + "/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
JWT = "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0In0" + "." + "c2lnbmF0dXJl-X_9"
BEGIN = "-----BEGIN " + "RSA PRIVATE" + " KEY-----"
END = "-----END " + "RSA PRIVATE" + " KEY-----"
GITHUB = "ghp" + "_" + "a1B2" * 9
SLACK = "xoxb" + "-" + "123456789012-abcdefGHIJ"

# Each message has its secret between ‹ and ›, marks that no message has by itself.
SECRETS = [
    # A key and a value, in every spelling of the key.
    "login failed: password=‹hunter2›",
    "sent Bearer ‹abcdefghijklmnopqrstuvwxyz› to it",
    "DB_PASSWORD=‹hunter2› DB_USER=bob",
    "dbPasswd=‹hunter2›, user=bob",
    "db-password=‹hunter2›; user=bob",
    "MYSQL_PASS=‹x›",
    "Uid=sa;Pwd=‹x›;Encrypt=true",
    "passcode=‹x›",
    "spring.datasource.password=‹hunter2›",
    "client_secret=‹abc›&grant_type=client_credentials",
    "clientSecret=‹abc›",
    "X-API-Key: ‹1234abcd›",
    "apikey=‹abc›",
    "private-key=‹abc›",
    "access key: ‹abc123def›",
    "credentials=‹abc›",
    "passphrase = ‹abc›",
    "passwordHash=‹abc›",
    # Where a value without quotes ends.
    "password: ‹hunter2›, then more",
    "password: ‹hunter2›: access denied",
    "password=‹a,b;c)d›",
    "(password=‹p@ss!›) rejected",
    "password=‹hunter2›. Retrying",
    r"password=‹hunter2›\nnext line",
    "password=‹hunter2›\nnext line",
    "map[password:‹hunter2› user:bob]",
    "{Password:‹hunter2› User:bob}",
    'command "mysql --password=‹hunter2› -u bob" failed',
    "Server=db;User Id=sa;Password=‹Pa$$w0rd›;Encrypt=true",
    'Get "https://example.com/x?access_token=‹abc›&page=1": EOF',
    "token: ‹abcdef.0123456789abcdef›",
    "secret: ‹s3cr3t›",
    "token: ‹" + "a1B2" * 30 + "› next",
    "password: ‹a_b› next",
    "password=‹it's›",
    r"password=‹a\b› next",
    "password=‹пароль› next",
    "\u0130 password=‹hunter2› next",
    # Quotes, white space, escapes.
    'password="‹correct horse battery›" next',
    "password: '‹correct horse›' next",
    'password: "‹correct horse',
    r'password="‹a\"b›" next',
    '{"user": "bob", "password": "‹x›", "port": 1}',
    '{"token":"‹value›"}',
    r"{\"password\":\"‹x›\",\"user\":\"bob\"}",
    r"{\"password\":\"‹a\\\"b›\",\"user\":\"bob\"}",
    r'{"password":"‹a\\›","user":"bob"}',
    r"{\\\"password\\\":\\\"‹x y›\\\",\\\"user\\\":\\\"bob\\\"}",
    r'log "{\"password\":\"‹hunt›" was cut off',
    'token: "‹abc123 def›" next',
    '{"tokens":["‹abc","def›"],"user":"bob"}',
    '{"password": ‹12345›}',
    '{"password"=>"‹x›"}',
    'os.environ["DB_PASSWORD"] = "‹x y›"',
    '{"name":"DB_PASSWORD","value":"‹hunter2›"},{"name":"DB_USER","value":"bob"}',
    # Arguments.
    "--password ‹correct› --user bob",
    '--db-password "‹correct horse›" --user bob',
    '["--password","‹hunter2›","--user","bob"]',
    "kubeadm join 10.0.0.1:6443 --token ‹abcdef.0123456789abcdef› --v 5",
    # Headers.
    "Authorization: Bearer ‹abc›",
    "Authorization: Basic ‹dXNlcjpwYXNz›",
    'curl -H "Authorization: Basic ‹dXNlcjpwYXNz›" https://example.com',
    '{"Authorization": "Bearer ‹abc›"}',
    "map[Authorization:[Bearer ‹abc›] Accept:[*/*]]",
    "authorization=bearer ‹abc› rejected",
    "got Bearer ‹abcdef1234567890› from the client",
    # URLs.
    "postgres://user:‹hunter2›@db.example.com:5432/x?sslmode=disable",
    "postgres://user:‹p@ss›@db/x",
    "redis://:‹hunter2›@10.0.0.1:6379/0",
    "amqp://a:‹b›@one,amqp://c:‹d›@two",
    # Clouds.
    f"‹{AWS_ID}› is not active",
    f"‹{AWS_ID.replace('AKIA', 'ASIA')}› is not active",
    f"aws_secret_access_key=‹{AWS_SECRET}› region=x",
    f"aws_secret_access_key = ‹{AWS_SECRET}›",
    f"AWS_SECRET_ACCESS_KEY: ‹{AWS_SECRET}›",
    "called with ‹" + "AIza" + "SyA-1234_567" * 3 + "›.",
    "AccountName=x;AccountKey=‹" + "abc+/1" * 8 + "==›;EndpointSuffix=core.windows.net",
    "Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=‹abc+/1=›",
    "https://x.blob.core.windows.net/c?sv=2020&sig=‹" + "abc%2Bdef123" * 3 + "%3D›&se=2030",
    # Tokens and keys known by their form alone.
    f"got ‹{GITHUB}› from x",
    "got ‹" + "github" + "_pat_" + "11ABC_" * 6 + "› from x",
    "got ‹" + "glpat" + "-" + "a1B2-" * 4 + "› from x",
    f"got ‹{SLACK}› from x",
    f"got ‹{JWT}›, expired",
    rf"log:\n‹{JWT}›\n",
    f"key ‹{BEGIN}\nMIIB\nabc=\n{END}› and more",
    rf"key ‹{BEGIN}\nMIIB\nabc=\n{END}› and more",
    f"key ‹{BEGIN}\nMIIB cut off",
    f"private_key=‹{BEGIN}\nMIIB\n{END}› and more",
    f"‹{BEGIN.replace('RSA PRIVATE KEY', 'PGP PRIVATE KEY BLOCK')}\nMIIB",
    "data is ‹" + "LS0tLS1CRUdJTi" + "BSU0EgUFJJVkFURSBLRVktLS0tLQo=" + "›",
    # One inside the other, and two at once.
    f"password=‹a-{AWS_ID}-b› next",
    f'{{"password": "‹a {JWT} b›"}}',
    "user=bob password=‹a› token=‹b›",
]

# Names, references, settings, prose: nothing here is a secret.
LOOK_ALIKES = [
    'MountVolume.SetUp failed for volume "cert" : secret "cluster-autoscaler-operator-cert" not found',
    "failed to sync secret cache: timed out waiting for the condition",
    'MountVolume.SetUp failed for volume "kube-api-access" : failed to fetch token: Post '
    '"https://api-int.example.com:6443/api/v1/namespaces/x/serviceaccounts/installer-sa/token": EOF',
    'failed to fetch token: pod "installer-4-master-0" not found',
    "unable to retrieve auth token: invalid username/password: unauthorized",
    "secret: not found",
    "Created Secret/webhook-token because it was missing",
    'Pulled image "quay.io/x@sha256:' + "0123456789abcdef" * 4 + '"',
    'Pulled image "docker://registry.example.com:5000/x@sha256:' + "0123456789abcdef" * 4 + '"',
    "Created pod: nginx-7d8f9c6b5-x2x4v",
    'volume "aws-credentials" is not mounted',
    "kube-api-access-mr5g9",
    "token: nginx-7d8f9c6b5-x2x4v",
    "secret: etcd-client-3 not found",
    "required secrets: etcd-client-3,localhost-recovery-client-token-3]",
    "secret: kube-system/etcd-client-3: not found",
    "uid 0f9e8d7c-1234-4321-abcd-0123456789ab of commit 8f14e45fceea167a5a36dedd4bea2543a1b2c3d4",
    # References and settings.
    "imagePullSecrets: registry-2",
    "imagePullSecrets=registry",
    '"imagePullSecrets":"registry"',
    "secretName: my-tls",
    "secretName=my-tls",
    "secretRef=my-tls-1",
    'secretKeyRef: "my-tls-1"',
    "tokenExpirationSeconds: 3600",
    "tokenExpirationSeconds=3600",
    "automountServiceAccountToken: false",
    "automountServiceAccountToken=1",
    "--automount-service-account-token=1",
    "--client-secret-file /etc/x1/y",
    "SharedAccessKeyName=Root1",
    "tlsSecret=my-tls",
    'existingSecret: "my-tls-1A"',
    "PWD=/app/1 OLDPWD=/app/2",
    # Nothing is under the key.
    "password=",
    "password= user=bob",
    'password="" user=bob',
    '{"password":"","token":null,"secret":true}',
    "tokens=5 token=null",
    "password=$(DB_PASSWORD) token=${TOKEN}",
    "password=[REDACTED] next",
    'flag "--user bob --password=" is empty, see "x"',
    '{"args":"--password=","user":"bob"}',
    "postgres://user:$(DB_PASSWORD)@db/x",
    "postgres://user:[REDACTED]@db/x",
    # Prose after a key.
    "unknown flag: --token",
    "the --token flag is gone",
    "--password --user bob",
    "exceeded quota: requested: secrets=1,pods=2, used: secrets=10, limited: secrets=10",
    "failed to parse private key: asn1: structure error",
    "failed to list *v1.Secret: secrets is forbidden",
    "token: expired!",
    "token: 401 Unauthorized",
    "token: (401) Unauthorized",
    "token: 4010 of 5000",
    "password: 401 Unauthorized",
    "token: %!d(float64=86400)",
    "secret: arn:aws:iam::123456789012:role/x",
    'neither "--token" nor "--user" is set',
    "token: x509: certificate signed by unknown authority",
    "token: dial tcp 10.0.0.1:443: i/o timeout",
    "token: 10.0.0.1:443 refused",
    "token: [fd00::1]:443 refused",
    "token: https://example.com/x1 refused",
    "token: 5m30s left",
    "token: /var/run/x1/y cannot be read",
    "password: can't be read",
    'token: "installer-sa" not found',
    'secret "x-token": 404 not found',
    'Get "https://example.com/sa/token": "EOF"',
    '"run/sa/token": read tcp 10.0.0.1:1->10.0.0.2:2',
    "username/password: 12345",
    'Bearer realm="https://auth.example.com/token1",service="x1"',
    "no Bearer token in the request",
    "Authorization: Bearer token is missing",
    # Almost a form.
    "exit sig=SIGTERM",
    "https://example.com:6443/a?x=b@c",
    "ssh://git@example.com/x, see bob@example.com",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "caBundle is LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1J",
    "eyJhIjoxfQ is no token",
    "AKIA, ghp_ and glpat- begin keys",
]


def between(marked: str) -> tuple[str, str]:
    """The message without the marks, and the message with what is between them redacted."""
    head, *rest = marked.split("‹")
    redacted = head
    for part in rest:
        redacted += redact.MARK + part.partition("›")[2]
    return marked.replace("‹", "").replace("›", ""), redacted


@pytest.mark.parametrize("marked", SECRETS)
def test_secret_is_redacted_and_the_rest_stays(marked: str) -> None:
    message, redacted = between(marked)
    assert redact.text(message) == redacted


@pytest.mark.parametrize("message", LOOK_ALIKES)
def test_look_alike_stays_the_same_object(message: str) -> None:
    assert redact.text(message) is message


@pytest.mark.parametrize("message", LOOK_ALIKES)
def test_secret_beside_a_look_alike_is_still_found(message: str) -> None:
    assert redact.text(f"{message}\npassword=hunter2") == f"{message}\npassword={redact.MARK}"


@pytest.mark.parametrize(
    ("data", "redacted"),
    [
        ({"password": "x"}, {"password": "[REDACTED]"}),
        ({"a": [{"b": {"db-password": "x", "c": 1}}]}, {"a": [{"b": {"db-password": "[REDACTED]", "c": 1}}]}),
        ({"API_KEY": "x", "apiKey": "y"}, {"API_KEY": "[REDACTED]", "apiKey": "[REDACTED]"}),
        ({"private key": "x", "accessKey": "y"}, {"private key": "[REDACTED]", "accessKey": "[REDACTED]"}),
        ({"example.com/token": "x"}, {"example.com/token": "[REDACTED]"}),
        ({"Authorization": "Bearer x"}, {"Authorization": "[REDACTED]"}),
        ({"passwd": 1234, "secret": 1.5}, {"passwd": "[REDACTED]", "secret": "[REDACTED]"}),
        ({"credentials": {"user": "bob", "x": [1]}}, {"credentials": "[REDACTED]"}),
        ({"secret": {"name": "bob", "data": "x"}}, {"secret": "[REDACTED]"}),
        ({"tokens": ["x", "y"]}, {"tokens": "[REDACTED]"}),
        ({"note": "password=x y"}, {"note": "password=[REDACTED] y"}),
        (["a", "token=x"], ["a", "token=[REDACTED]"]),
        (["--password", "x", "--user", "bob"], ["--password", "[REDACTED]", "--user", "bob"]),
        (
            [{"name": "DB_PASSWORD", "value": "x"}, {"name": "DB_USER", "value": "bob"}],
            [{"name": "DB_PASSWORD", "value": "[REDACTED]"}, {"name": "DB_USER", "value": "bob"}],
        ),
        ({"secret": {"name": "x", "path": "token=y"}}, {"secret": {"name": "x", "path": "token=[REDACTED]"}}),
        (JWT, "[REDACTED]"),
    ],
)
def test_value_redacts_what_is_under_a_secret_key(data: Any, redacted: Any) -> None:
    given_data = copy.deepcopy(data)
    assert redact.value(data) == redacted
    assert data == given_data, "the given data may not change"


@pytest.mark.parametrize(
    "data",
    [
        None,
        True,
        5,
        1.5,
        "plain",
        {},
        [],
        {"secretName": "my-tls", "secretRef": {"name": "x"}, "tokenExpirationSeconds": 3600},
        {"valueFrom": {"secretKeyRef": {"name": "my-tls", "key": "password"}}},
        {"imagePullSecrets": [{"name": "registry"}], "automountServiceAccountToken": "no"},
        {"secret": {"secretName": "my-tls", "defaultMode": 420, "optional": False}},
        {"secrets": [{"name": "a"}, {"name": "b", "namespace": "c"}]},
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"tokens": 5, "usedTokens": 1.5},
        {"password": None, "token": False, "secret": "", "credentials": {}, "apiKeys": []},
        {"password": "[REDACTED]", "token": "$(TOKEN)"},
        {"f:token": {".": {}}},
        {"name": "DB_PASSWORD", "key": "password"},
        ["--password", "--user", "bob"],
        ["--user", "bob", "password", "x"],
    ],
)
def test_value_without_secrets_stays_the_same_object(data: Any) -> None:
    assert redact.value(data) is data


def test_value_keeps_the_parts_that_hold_no_secret() -> None:
    data: dict[str, Any] = {"kept": {"a": [1]}, "changed": [{"token": "x"}, {"b": 2}]}
    redacted: Any = redact.value(data)
    assert redacted["changed"][0] == {"token": redact.MARK}
    assert redacted["kept"] is data["kept"]
    assert redacted["changed"][1] is data["changed"][1]


@pytest.mark.parametrize(
    ("unit", "redacted"),
    [
        ("a", None),
        ("password=", "password=[REDACTED]"),
        ("password:", None),
        ("token:", None),
        ('token:"', None),
        ("eyJ", None),
        ("eyJ-", None),
        ("-----BEGIN ", None),
        (BEGIN, "[REDACTED]"),
        ("://", None),
        ("://a:", None),
        ("@://a:", None),
        ("secret-", None),
        ("--token ", None),
        ("Bearer ", None),
        (r"\"", None),
        (r"token:\"a b ", None),
        ("token=[REDACTED] ", None),
    ],
)
def test_hostile_message_of_a_megabyte_is_done(unit: str, redacted: str | None) -> None:
    # Work that grows with the square of the length would take hours here, and never end.
    message = unit * (1_000_000 // len(unit))
    assert redact.text(message) == (message if redacted is None else redacted)


PIECES = st.sampled_from(
    [
        *("password", "token", "secret", "Authorization", "Bearer", "api-key", "pwd", "secretName", "imagePullSecrets"),
        *("=", ":", " = ", ": ", "=>", " ", "--", ",", ";", "&", '"', "'", "`", r"\"", r"\\\"", "\\", r"\n", "\n"),
        *("[", "]", "{", "}", "(", ")", "<", ">", "|", "/", "//", "://", "@", ".", "$(", "%", "\u0130", "\xa0"),
        *("x", "a1", "hunter2", "not", "null", "foo-bar-1", "10.0.0.1:80", "https://", "u:p@h", "Basic", redact.MARK),
        *(AWS_ID, JWT, GITHUB, SLACK, BEGIN, END),
    ]
)


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=14).map("".join))
@example("Bearer abc1password=http://x")
@example(f"Bearer abc1password=`x{AWS_ID}")
@example(f"{AWS_ID}{GITHUB}")
@example("x://u:token=a/b,k=c@d")
def test_redacting_again_changes_nothing(message: str) -> None:
    once = redact.text(message)
    assert redact.text(once) is once


@given(st.text(st.characters(exclude_characters="aegpsxAEGPSX@", exclude_categories=["Cs"])))
def test_message_without_the_letters_of_any_secret_stays_the_same_object(message: str) -> None:
    assert redact.text(message) is message


WORDS = st.text("bdfhijlmnoquvw019 .,:;()[]{}<>|/-\n", max_size=20)


@given(before=WORDS, secret=st.text("abcXYZ0189!#%*+/_~^?-", min_size=1), after=WORDS)
def test_only_the_secret_changes(before: str, secret: str, after: str) -> None:
    assume(not set(secret) <= {"*"})
    message = f"{before} password={secret} {after}"
    assert redact.text(message) == f"{before} password={redact.MARK} {after}"


@given(
    key=st.sampled_from(["password", "dbToken", "client-secret", "X_API_KEY"]),
    secret=st.text(min_size=1).map(lambda tail: f"9{tail}"),
    other=st.text("bdfhijlmnoquvw019 \"'\\,:=[]{}\n\u00e9"),
    depth=st.integers(1, 4),
)
@example(key="password", secret='9"\\', other="bob", depth=4)
def test_json_in_a_message_stays_json(key: str, secret: str, other: str, depth: int) -> None:
    message: Any = {"user": other, key: secret, "last": other}
    for _ in range(depth):
        message = json.dumps(message)
    redacted: Any = redact.text(message)
    for _ in range(depth):
        redacted = json.loads(redacted)
    assert redacted == {"user": other, key: redact.MARK, "last": other}

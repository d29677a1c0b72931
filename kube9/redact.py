"""Secrets in events: taken out before an event is stored.

Redacted, each secret becoming `[REDACTED]` and all around it staying as it is:

- in `value()`, what stands under a key that ends in a secret's term (`dbPassword`, `client-secret`, `X_API_KEY`),
  whatever its type; the `value` of an environment variable so named; the argument after a flag so named;
- in `text()`, the same as `key=value`, `key: value`, `"key": "value"` (escaped or not), and `--key value`;
- the credentials of an `Authorization` header and of `Bearer`, the password in `scheme://user:password@host`;
- what is a secret by its form: PEM private keys, JWTs, keys and tokens of AWS, Google, GitHub, GitLab and Slack.

Never redacted:

- names, references and settings: `secretName`, `secretKeyRef`, `tokenExpirationSeconds` do not end in a term;
  `imagePullSecrets`, `automountServiceAccountToken` and a few more do, and are in `_REFERENCE`;
- under a secret's key, what holds none: null, true, false, the empty, a count under a plural (`tokens: 5`), a
  placeholder (`$(DB_PASSWORD)`), and a reference (`{"name": "my-tls"}`), which is walked like any other object;
- after `key:` without quotes, what reads as prose, a URL, an address, a path, a duration: `token: not found`;
  after a secret, token or credential also the name of an object: `secret: etcd-client-3`;
- the keys of objects. No search takes more than linear time, whatever the message holds.
"""

import re
from functools import lru_cache
from typing import TypeAlias

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

MARK = "[REDACTED]"

# What a secret's key ends in, in lower case. `PWD=/app` is a directory; a `sig` of under 16 characters is a signal.
# Each alternative starts with a plain letter, for then `re` skips fast what starts none of them.
_KEYS = ("api", "private", "access", "secret", "account", "shared", "encryption", "signing", "master", "ssh", "auth")
_TERMS = (
    r"passw(?:or)?d|passphrase|passcode|_pass|pwd(?!=/)|client[-_. ]?secret|certificate[-_. ]?key|"
    + "".join(rf"{kind}[-_. ]?key|" for kind in _KEYS)
    + r"token|secret|credential|authorization|bearer|sig(?<!\wsig)(?==[\w%+/.~-]{16})|amz-signature(?==)"
)
_TERM = rf"(?P<term>(?:{_TERMS})(?P<plural>s?)(?:[-_]?(?:value|data|hash|base64|b64))?_?\d{{0,4}})"
_STRONG = re.compile(r"_?pass|pwd|client|.*key")  # The other terms stand as often before a name or an error's text.
_SECRET_KEY = re.compile(rf"{_TERM}\Z")
# These end in a term, and name or set something instead.
_REFERENCE = re.compile(r"(?:(?:imagepull|tls|ssl|existing)secrets?|automountserviceaccounttoken)\Z")
_REFERENCE_FIELDS = ("name", "namespace", "ref", "optional", "items", "path", "mode", "audience", "seconds", "kind")

# The end of a key and what joins it to its value. `env` is the join in {"name":"DB_PASSWORD","value":"…"}; `gap` is
# that of flags and of `Bearer`, and is after so many words that it is looked for only where one of these may be.
_JOINS = (
    r"(?P<eq>[ \t]{0,8}=>[ \t]{0,8}|[ \t]{1,8}=[ \t]{1,8}|:?=)"
    r"|(?P<env>,\s{0,8}\\{0,8}[\"']value\\{0,8}[\"']\s{0,8}:\s{0,8})"
    r"|(?P<colon>[ \t\xa0]{0,8}:[ \t\xa0]{0,8})"
)
_PAIR, _PAIR_OR_ARGUMENT = (
    re.compile(rf"{_TERM}(?P<close>\\{{0,8}}[\"'`]\]?)?(?:{joins})(?:\[(?=\\{{0,8}}[\"'`]))?")
    for joins in (_JOINS, _JOINS + r"|(?P<gap>[ \t]{1,8}|,[ \t]{0,8})")
)
_KEY_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_NO_KEY = re.compile(r"[\s:=,;\"'`\\()\[\]{}]")
_QUOTE = re.compile(r"\\{0,8}[\"'`]")
_NEXT_QUOTED = re.compile(r"\\{0,8}[\"'`]\s{0,8},\s{0,8}\\{0,8}[\"'`]")
_CLOSED = re.compile(r"[,;:.)\]}]*(?:\s|\Z)|[,:\]}]+[\"']")
_SCHEME = re.compile(r"\[?(\\{0,8}[\"'`])?(?:basic|bearer|token|negotiate|apikey)[ \t]{1,8}(?!token\b)", re.IGNORECASE)
# A value without quotes ends at white space, at an escape such as \n, and at a closing character, unless more of the
# value follows that character; a next `key=` is not more of it. One redacted already does not end it either.
_MORE = r"(?=[A-Za-z0-9!#$%^*+=_~@/-])"
_VALUE = re.compile(
    rf"(?:[^\s\"'`,;&)\]}}>|.:\\\[]++|\[(?:REDACTED\])?|[.:]++{_MORE}|\\(?![nrt\"'`\\])|(?<==)[>\"'`](?=\[R)"
    rf"|[\"'`,;&)\]}}>|]{_MORE}(?![A-Za-z_][\w.-]{{0,40}}[=:]))++"
)
_NO_SECRET = re.compile(r"(?:\[REDACTED\])*|true|false|null|nil|none|<[a-z]+>|\*+|\$\(\w+\)?|\$\{\w+\}?", re.IGNORECASE)
# Prose, where a flag's argument would be.
_NO_ARGUMENT = re.compile(r"and|are|can\w*|does|flags?|for|from|has|i[fnst]|may|must|not|o[fnr]|the|to|was|with")
# Never a secret after `key:` without quotes.
_PROSE = re.compile(
    r".*://.*|//.*|(?:/[A-Za-z0-9._-]+){2,}/?|\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?|\d{1,3}|%!.*"
    r"|\[?[0-9a-f]*:[0-9a-f]*:[0-9a-f:]*\]?(?::\d+)?|(?:\d+(?:\.\d+)?(?:[num\xb5]s|[smhd]))+|\d{4}-\d\d-\d\d(?:T.*)?"
    r"|sha\d+:\w*|k8s.*|x509|asn1|pkcs\d+|ed25519|oauth2|http2|ec2|s3|base64|utf-?8"
)
# Nor these after a weak term: an object's name or a list of them, a field, an ARN, a short number.
_PART = r"(?>[a-z]+(?![a-z0-9])|[a-z0-9]{1,10}(?![a-z0-9]))"
_NAME = rf"[a-z]+\d{{0,2}}(?:[-./]{_PART})+(?::\d+)?"
_NAMED = re.compile(rf"{_NAME}(?:,{_NAME})*+|[A-Za-z_]+=(?!=).*|arn:.*|\d{{1,5}}|.{{1,3}}")
# What secrets have and words do not. The first characters of a value decide, lest a long one be read time and again.
_LOOKED_AT = 64
_STRONG_SIGN = re.compile(r"[\d!@#$%^*+~=&_]")
_WEAK_SIGN = re.compile(r"[\d!@#$%^*+~]|=\Z")

_PEM_END = r"(?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_PEM = re.compile(rf"-----BEGIN {_PEM_END}(?s:.*?)(?:-----END {_PEM_END}|\Z)")
_URL = re.compile(r"(://[^\s/?#@:\"'`<>\[\]]*+:)([^\s/?#\"'`<>]+)@")
# The possessive parts keep a long run of `eyJ` from being read again from each of them.
_JWT = re.compile(r"((?<![\w-])(?>[\w-]*?(?=eyJ)))[\w-]{8,}+(?:\.{1,2}[\w-]++)+")
_FORM = re.compile(
    r"A[KS]IA[A-Z0-9]{16,}|AIza[\w-]{30,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}"
    r"|gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\w-]{16,}|xox[a-z]-[\w-]{10,}"
    # The PEM of a private key in base64, as a Secret's data holds it; that of a certificate goes on differently.
    r"|LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJ|BFQyBQUkl|BFTkNSWVBU|BPUEVOU1NI|BEU0EgUFJJ)[A-Za-z0-9+/]*={0,2}"
)


def text(message: str) -> str:
    """Redact the secrets in a message; without any, the result is the very object that was given."""
    low = message.lower()
    # Every message that holds a secret holds one of these. Nearly all hold none, and pay for no more than this test.
    found = "token" in low or "secret" in low or "key" in low or "pass" in low or "pwd" in low or "credential" in low
    found = found or "authorization" in low or "bearer" in low or ("=" in message and "sig" in low)
    found = found or "eyJ" in message or "AKIA" in message or "ASIA" in message or "AIza" in message
    found = found or "gl" in message or "xox" in message or ("_" in message and ("gh" in message or "_pat_" in message))
    found = found or "LS0tLS1C" in message or ("@" in message and "://" in message)
    return _redacted(message) if found else message


def value(data: JSON) -> JSON:
    """Redact the secrets in a JSON value; without any, the result is the very object that was given.

    What changes is copied: the objects and lists that were given never change.
    """
    if isinstance(data, str):
        return text(data)
    if isinstance(data, dict):
        name = data.get("name")
        variable = _secret_key(name) if isinstance(name, str) and "value" in data else None
        fields = data
        for key, item in data.items():
            found = variable if key == "value" and variable else _secret_key(key)
            new = _under_secret_key(item, bool(found["plural"])) if found else value(item)
            if new is not item:
                fields = dict(data) if fields is data else fields
                fields[key] = new
        return fields
    if isinstance(data, list):
        items = data
        after_flag = False
        for index, item in enumerate(data):
            argument = after_flag and isinstance(item, str) and not item.startswith("-")
            new = _under_secret_key(item, False) if argument else value(item)
            if new is not item:
                items = list(data) if items is data else items
                items[index] = new
            after_flag = isinstance(item, str) and item.startswith("--") and _secret_key(item) is not None
        return items
    return data


@lru_cache(maxsize=4096)
def _secret_key(key: str) -> re.Match[str] | None:
    """The term that makes this the key of a secret, if one does."""
    if key.startswith("f:") or _is_reference(key):  # Such a key names a field in managedFields, and holds no value.
        return None
    return _SECRET_KEY.search(key.lower())


def _is_reference(key: str) -> bool:
    return _REFERENCE.search(key.lower().replace("-", "").replace("_", "")) is not None


def _under_secret_key(item: JSON, plural: bool) -> JSON:
    if item is None or isinstance(item, bool) or (plural and isinstance(item, int | float)):
        return item
    if isinstance(item, str):
        return item if _NO_SECRET.fullmatch(item) else MARK
    if isinstance(item, dict | list):
        parts = item if isinstance(item, list) else [item]
        if all(isinstance(part, dict) and all(k.lower().endswith(_REFERENCE_FIELDS) for k in part) for part in parts):
            return value(item)
    return MARK


def _redacted(message: str) -> str:
    new = _PEM.sub(MARK, message)
    new = _URL.sub(lambda url: url[0] if MARK in url[2] or _NO_SECRET.fullmatch(url[2]) else f"{url[1]}{MARK}@", new)
    if "eyJ" in new:
        new = _JWT.sub(rf"\1{MARK}", new)
    new = _pairs(_FORM.sub(MARK, new))
    return message if new == message else new


def _pairs(message: str) -> str:
    """Redact the values of secret keys. The other forms come first, for a value may end inside one of them."""
    low = message.lower()
    if len(low) != len(message):  # Only \u0130 grows in lower case, and a place must be the same in both.
        low = message.replace("\u0130", "i").lower()
    parts: list[str] = []
    copied = place = 0
    pattern = _PAIR_OR_ARGUMENT if "--" in low or "bearer" in low else _PAIR
    while pair := pattern.search(low, place):
        place = pair.end()
        if span := _secret_of(message, pair):
            start, place = span
            parts += [message[copied:start], MARK]
            copied = place
    return "".join([*parts, message[copied:]]) if parts else message


def _secret_of(message: str, pair: re.Match[str]) -> tuple[int, int] | None:
    """Where the secret that belongs to this key starts and ends, if there is one."""
    join, close, start = pair.lastgroup, pair["close"], pair.end()
    head = message[max(0, pair.start() - 256) : pair.start()]
    if close:
        before, opened, stem = head.rpartition(close.rstrip("]"))
        if not opened or _NO_KEY.search(stem):
            return None  # As in `Post "https://…/token": EOF`: the quotes hold more than a key.
    else:
        before = head.rstrip(_KEY_CHARACTERS)
        stem = head[len(before) :]
        if join == "colon" and before.endswith("/"):
            return None  # As in `invalid username/password: …`.
    argument = join == "gap" and stem.startswith("--")
    if _is_reference(stem + pair["term"]) or (join == "gap" and not argument and pair["term"] != "bearer"):
        return None
    scheme = _SCHEME.match(message, start) if join != "gap" and pair["term"] == "authorization" else None
    strong = _STRONG.match(pair["term"]) is not None
    sure = join in ("eq", "env") or argument or scheme is not None
    quote = scheme or _QUOTE.match(message, start)
    opening = (scheme[1] if scheme else quote[0]) if quote else None
    start = quote.end() if quote else start
    if opening:
        if not close and _CLOSED.match(message, start):
            return None  # As in `flag "--password=" is empty`: the quote closes.
        end = _closing(message, start, opening)
        if sure or close or strong:
            while message[pair.end() - 1] == "[" and (another := _NEXT_QUOTED.match(message, end)):
                end = _closing(message, another.end(), opening)
            return None if _NO_SECRET.fullmatch(message, start, end) else (start, end)
        words = message[start : min(end, start + _LOOKED_AT)].split()
        return (start, end) if any(_looks_secret(word, False) for word in words) else None
    if join == "gap" and (close or message.startswith("-", start)):
        return None
    end = len(message) if sure else min(len(message), start + _LOOKED_AT)
    if not (found := _VALUE.match(message, start, end)):
        return None
    word = found[0]
    if sure:
        nothing = _NO_SECRET.fullmatch(word) or (argument and _NO_ARGUMENT.fullmatch(word))
        return None if nothing or (pair["plural"] and word.isdecimal()) else found.span()
    bearer = join == "gap" and len(word) >= 16  # no word of prose is as long
    if not bearer and not _looks_secret(word, strong):
        return None
    whole = _VALUE.match(message, start)
    return whole.span() if whole else None


def _closing(message: str, start: int, opening: str) -> int:
    """Where the text in quotes that starts here ends: at the quote that is escaped as its opening is, or at the end."""
    depth = len(opening) - 1
    place = message.find(opening[-1], start)
    while place >= 0:
        head = message[max(start, place - 128) : place]
        escapes = len(head) - len(head.rstrip("\\"))
        # With fewer escapes a string around this one ends. With more, it is a quote inside, or follows a backslash.
        if escapes < depth or escapes % (2 * depth + 2) == depth:
            return place - min(escapes, depth)
        place = message.find(opening[-1], place + 1)
    return len(message)


def _looks_secret(word: str, strong: bool) -> bool:
    plain = word.lstrip("([{").rstrip("!?")
    if MARK in word or _PROSE.fullmatch(plain) or (not strong and _NAMED.fullmatch(plain)):
        return False
    return (_STRONG_SIGN if strong else _WEAK_SIGN).search(plain) is not None

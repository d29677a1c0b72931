"""Secrets in messages by the key that stands before them: `key=value`, `key: value`, `"key": "value"`, `--key value`.

After `key:` without quotes, what reads as prose, a URL, an address, a path, a duration is no secret (`token: not found`);
after a secret, token or credential neither is the name of an object (`secret: etcd-client-3`).
"""

import re

from kube9.redact_keys import MARK, TERM, WORDS, is_reference, kind_of, no_secret

# The other terms stand as often before a name or an error's text.
_STRONG = ("pass", "pwd", "key")
# The end of a key and what joins it to its value. `env` is the join in {"name":"DB_PASSWORD","value":"…"}, as JSON, YAML or
# Go writes it; `gap` is that of flags and of `Bearer`, and is after so many words that it is looked for only where one of
# these may be.
_JOINS = (
    r"(?P<eq>[ \t]{0,8}=>[ \t]{0,8}|[ \t]{1,8}=[ \t]{1,8}|:?=)"
    r"|(?P<env>,\s{0,8}(?:\\{0,8}[\"']value\\{0,8}[\"']|value)\s{0,8}:\s{0,8}|(?:\n|\\{1,4}n)[ \t]{0,16}value:[ \t]{1,8})"
    r"|(?P<colon>[ \t\xa0]{0,8}:[ \t\xa0]{0,8})"
)
_PAIR, _PAIR_OR_ARGUMENT = (
    re.compile(rf"{TERM}(?P<close>\\{{0,8}}[\"'`]\]?)?(?:{joins})(?:\[(?=\\{{0,8}}[\"'`]))?")
    for joins in (_JOINS, _JOINS + r"|(?P<gap>[ \t]{1,8}(?:\\\n[ \t]{0,16})?|,[ \t]{0,8})")
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
# The value of `key: |` in YAML: the lines behind it that are indented deeper than it, real or as \\n.
_BLOCK = re.compile(r"[|>][+-]?(\\{0,4}(?:\n|(?<=\\)n)[ \t]{1,64})(?=\S)")
# Prose, where a flag's argument would be.
_NO_ARGUMENT = re.compile(r"and|are|can\w*|does|flags?|for|from|has|i[fnst]|may|must|not|o[fnr]|the|to|was|with")
# Never a secret after `key:` without quotes.
_PROSE = re.compile(
    r".*://.*|//.*|(?:/[A-Za-z0-9._-]+){2,}/?|\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?|\d{1,3}|%!.*"
    r"|\[?[0-9a-f]*:[0-9a-f]*:[0-9a-f:]*\]?(?::\d+)?|(?:\d+(?:\.\d+)?(?:[num\xb5]s|[smhd]))+|\d{4}-\d\d-\d\d(?:T.*)?"
    r"|sha\d+:\w*|k8s.*|x509|asn1|pkcs\d+|ed25519|oauth2|http2|ec2|s3|base64|utf-?8"
)
# A word of letters alone is a secret after a strong term where nothing but the next key follows it, unless an error's
# text may say it there.
_WORD = re.compile(r"[A-Za-z]{6,64}(?=[)\]}]*(?:\Z|[\r\n]|\\[nr]|[ \t,;&]+[A-Za-z_][\w.-]{0,40}[=:]))")
_SAID = re.compile(
    r"(?:un|in|mis|mal|non|dis|exp)\w+|\w+(?:ed|ing|able|ible|[ts]ion|ment|[ae]nce|less|ty|out)|errors?|wrong|string"
    r"|secret|password|default|object|optional|unless|(?:re)?quire|cannot|change|never|always|please|should|nothing|denial|limits?|failure",
    re.IGNORECASE,
)
# What no word looks like: a long run of letters in one case, or capitals all over it.
_RANDOM = re.compile(r"[a-z]{28,}|[A-Z]{20,}|(?=[A-Za-z]{12})[a-z]{0,3}(?:[A-Z]++[a-z]{0,3}){4,}")
# Nor these after a weak term: an object's name or a list of them, a field, an ARN, a short number.
_PART = r"(?>[a-z]+(?![a-z0-9])|[a-z0-9]{1,10}(?![a-z0-9]))"
_NAME = rf"[a-z]+\d{{0,2}}(?:[-./]{_PART})+(?::\d+)?"
_NAMED = re.compile(rf"{_NAME}(?:,{_NAME})*+|[A-Za-z_]+=(?!=).*|arn:.*|\d{{1,5}}|.{{1,3}}")
# What secrets have and words do not. The first characters of a value decide, lest a long one be read time and again.
_LOOKED_AT = 64
_STRONG_SIGN = re.compile(r"[\d!@#$%^*+~=&_]")
_WEAK_SIGN = re.compile(r"[\d!@#$%^*+~]|=\Z")


def secrets(message: str) -> list[tuple[int, int, str]]:
    """Where the values of secret keys start and end, and of which kind each is. Takes linear time."""
    low = message.lower()
    if len(low) != len(message):  # Only \u0130 grows in lower case, and a place must be the same in both.
        low = message.replace("\u0130", "i").lower()
    found: list[tuple[int, int, str]] = []
    place = 0
    pattern = _PAIR_OR_ARGUMENT if "--" in low or "bearer" in low else _PAIR
    for start in _starts(low):
        if start < place or not (pair := pattern.match(low, start)):
            continue
        place = pair.end()
        if span := _secret_of(message, pair):
            found.append((*span, kind_of(pair["term"])))
            place = span[1]
    return found


def _starts(low: str) -> list[int]:
    """Where the words that end a secret's key begin; a search of each is much faster than one pattern for all."""
    found: list[int] = []
    for word in WORDS:
        place = low.find(word)
        while place >= 0:
            found.append(place)
            place = low.find(word, place + len(word))
    found.sort()
    return found


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
    if pair["term"] == "pass" and not _is_password(message, pair, stem):
        return None
    argument = join == "gap" and stem.startswith("--")
    if is_reference(stem + pair["term"]) or (join == "gap" and not argument and pair["term"] != "bearer"):
        return None
    scheme = _SCHEME.match(message, start) if join != "gap" and pair["term"] == "authorization" else None
    strong = pair["term"].startswith(_STRONG) or head[-7:].lower().rstrip("-_. ").endswith("client")
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
            return None if no_secret(message[start:end]) else (start, end)
        words = message[start : min(end, start + _LOOKED_AT)].split()
        return (start, end) if any(_looks_secret(word, False) for word in words) else None
    if block := _BLOCK.match(message, start):
        span = _block(message, block)
        return None if no_secret(message[slice(*span)]) else span
    if join == "gap" and (close or message.startswith("-", start)):
        return None
    end = len(message) if sure else min(len(message), start + _LOOKED_AT)
    if not (found := _VALUE.match(message, start, end)):
        return None
    word = found[0]
    if sure:
        nothing = no_secret(word) or (argument and _NO_ARGUMENT.fullmatch(word))
        is_count = word.isdecimal() and (pair["plural"] or (pair["term"] == "pass" and not stem))
        return None if nothing or is_count else found.span()
    bearer = join == "gap" and len(word) >= 16  # no word of prose is as long
    alone = strong and _WORD.match(message, start)
    if not bearer and not (alone and not _SAID.fullmatch(alone[0])) and not _looks_secret(word, strong):
        return None
    whole = _VALUE.match(message, start)
    return whole.span() if whole else None


def _is_password(message: str, pair: re.Match[str], stem: str) -> bool:
    """Whether `pass` is a word here (`dbPass`, no `bypass`), and with a colon has more around it than prose (`pass: ok`)."""
    word = not stem[-1:].isalpha() or (message[pair.start()].isupper() and stem[-1:].islower())
    return word and (bool(stem) or pair["close"] is not None or pair.lastgroup != "colon")


def _block(message: str, block: re.Match[str]) -> tuple[int, int]:
    """Where the lines of a block of YAML start and end: up to a line that is indented less than the first."""
    end, indent = block.end(), block[1]
    while True:
        place = message.find(indent[: indent.index("n") + 1] if "\\" in indent else "\n", end)
        if place < 0:
            return block.end(), len(message)
        if not message.startswith(indent, place):
            return block.end(), place
        end = place + len(indent)


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
    return (_STRONG_SIGN if strong else _WEAK_SIGN).search(plain) is not None or _RANDOM.fullmatch(plain) is not None

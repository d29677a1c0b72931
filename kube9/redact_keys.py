"""Which keys are those of secrets, and what under such a key is no secret.

A key is one when it ends in a secret's term, in any case and spelling: `dbPassword`, `client-secret`, `X_API_KEY`. Names,
references and settings do not end in one (`secretName`, `secretKeyRef`, `tokenExpirationSeconds`), but for those that
`is_reference` knows.
"""

import re
from functools import lru_cache

MARK = "[REDACTED]"

# What a secret's key ends in, in lower case. `PWD=/app` is a directory; a `sig` of under 16 characters is a signal, a
# session's id of under 16 a number. WORDS is what the terms begin with.
_KEYED = (
    *("api", "private", "access", "secret", "account", "shared", "encryption", "signing", "master", "ssh", "auth"),
    *("client", "app", "application", "subscription", "session", "certificate"),
)
_BEFORE_KEY = "|".join(rf"(?<={kind}key)|(?<={kind}[-_. ]key)" for kind in _KEYED)
_LONG_VALUE = r"(?==[\w%+/.~-]{16})"
_LONG_ID = r"(?=(?:=|: ?)(?!0x)[\w%+/.~-]{16})"
WORDS = ("pass", "pwd", "key", "token", "secret", "credential", "authorization", "bearer", "sig", "sess", "cookie")
_TERMS = (
    r"passw(?:or)?d|passphrase|passcode|pass|pwd(?!=/)|"
    rf"key(?:{_BEFORE_KEY})|token|secret|credential|authorization|bearer|"
    r"signature(?:(?<=amz-signature)(?==)|(?==[0-9a-f]{64}))|cookie(?==[\w%+/.~-]{8})|"
    rf"sig(?<!\wsig){_LONG_VALUE}|(?:session[-_]?id|sessid){_LONG_ID}"
)
# The first that a term holds says what kind of secret it is of.
_KINDS = {
    "pass": "password",
    "pwd": "password",
    "key": "key",
    "token": "token",
    "bearer": "token",
    "secret": "secret",
    "credential": "credential",
    "authorization": "authorization",
    "cookie": "cookie",
    "sig": "signature",
    "sess": "session",
}
_BEHIND = r"value|data|hash|base64|base|b64|string|text|pem|confirmation"
TERM = rf"(?P<term>(?:{_TERMS})(?P<plural>s?)(?:[-_]?(?:{_BEHIND}))?_?\d{{0,4}})"
_KEY = re.compile(rf"{TERM}\Z")
# In objects these are keys of secrets too; in a message they would stand before too much else.
_KEY_OF_OBJECT = re.compile(
    r"(?:(?P<password>[_.-]pass)|(?P<cookie>cookies?)|(?P<session>session[-_]?id|sessid)"
    r"|(?P<docker>\.?docker(?:configjson|cfg)))\Z"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# These end in a term, and name or set something instead.
_REFERENCE = re.compile(r"(?:(?:imagepull|tls|ssl|existing)secrets?|automountserviceaccounttoken)\Z")
_REFERENCE_FIELDS = ("name", "namespace", "ref", "optional", "items", "path", "mode", "audience", "seconds", "kind")
_NO_SECRET = re.compile(r"(?:\[REDACTED\])*|true|false|null|nil|none|<[a-z]+>|\*+|\$\(\w+\)?|\$\{\w+\}?", re.IGNORECASE)


class Key:
    """The key of a secret. `plural` tells that a number under it may be a count."""

    __slots__ = ("kind", "plural")

    def __init__(self, kind: str, plural: bool) -> None:
        self.kind, self.plural = kind, plural


@lru_cache(maxsize=4096)
def secret_key(key: str) -> Key | None:
    """What a key of an object says of the secret under it; None where it is no secret's."""
    if key.startswith("f:") or is_reference(key):  # Such a key names a field in managedFields, and holds no value.
        return None
    low = key.lower()
    found = _KEY.search(low)
    if found and found["term"] != "pass":  # as in `bypass`; where `Pass` is a word of its own is looked at next
        return Key(kind_of(found["term"]), bool(found["plural"]))
    found = _KEY_OF_OBJECT.search(_HUMP.sub("_", key).lower())
    return Key("docker config" if found.lastgroup == "docker" else found.lastgroup or "", False) if found else None


def is_reference(key: str) -> bool:
    """Whether a key that ends in a secret's term names or sets something instead."""
    return _REFERENCE.search(key.lower().replace("-", "").replace("_", "")) is not None


def are_references(fields: list[str]) -> bool:
    """Whether an object with these fields refers to a secret, instead of being one."""
    return all(field.lower().endswith(_REFERENCE_FIELDS) for field in fields)


def kind_of(term: str) -> str:
    """The kind of secret that stands under a key that ends in this term."""
    return next(kind for part, kind in _KINDS.items() if part in term)


def no_secret(text: str) -> bool:
    """Whether what stands in a secret's place is none: nothing, a placeholder, or redacted already."""
    return _NO_SECRET.fullmatch(text) is not None

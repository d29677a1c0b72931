"""What is a secret by its form or by the words around it, whatever its key: private keys, tokens, passwords in URLs.

The rules are tried in their order. Where a rule's pattern has a group, that is the secret, and the rest stays.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kube9.redact_keys import MARK, no_secret

Span = tuple[int, int]


class Rule(NamedTuple):
    """A form of secrets.

    A message with one holds `sign`. The secret is the first group of `pattern`, or all of it; with `within` it is each that
    this finds in there. In the end `holds` decides.
    """

    kind: str
    sign: str
    pattern: re.Pattern[str]
    holds: Callable[[re.Match[str]], bool]
    within: re.Pattern[str] | None


def spans(message: str, rule: Rule) -> Iterator[Span]:
    """Where the secrets of this form start and end in a message that holds its sign. Takes linear time."""
    for found in rule.pattern.finditer(message):
        parts = rule.within.finditer(message, *found.span(1)) if rule.within else (found,)
        for part in parts:
            start, end = part.span(1 if part.re.groups else 0)
            secret = message[start:end]
            whole = rule.kind == "private key"  # one that holds a mark is redacted all the same
            if (whole or (MARK not in secret and not no_secret(secret))) and rule.holds(part):
                yield start, end


def is_login(text: str) -> bool:
    """Whether this is `user:password` in base64, as `Authorization: Basic` and docker's `auth` have it."""
    letters = text.rstrip("=")
    whole = letters if len(letters) % 4 != 1 else letters[:-1]  # one that was cut is one too
    alphabet = b"-_" if "-" in whole or "_" in whole else None
    try:
        return b":" in b64decode(whole + "=" * (-len(whole) % 4), altchars=alphabet, validate=True)
    except ValueError:
        return False


def _holds_login(found: re.Match[str]) -> bool:
    return is_login(found[1])


def _is_no_owner(found: re.Match[str]) -> bool:
    """Whether `-u A:B` is a login. With curl it is; elsewhere it may be the user and the group of a process."""
    password = found[1]
    if password.isdecimal():
        return False
    before = found.string[max(0, found.start() - 256) : found.start()]
    return "curl" in before or any(character.isdecimal() for character in password)


def _is_no_attribute(found: re.Match[str]) -> bool:
    """Whether a part of a cookie's header is a cookie, and not what is said of one."""
    return found[0].partition("=")[0].lower() not in _ATTRIBUTES


_ATTRIBUTES = ("path", "domain", "expires", "max-age", "samesite", "priority", "version")

# A value in base64 may be broken into lines, by real line breaks or by \n. The next line is more of it when it looks so.
_BREAK = r"(?:\\{0,2}r)?(?:\n|\\{1,4}n)[ \t]{0,16}(?=[A-Za-z0-9+/]{20,}|[A-Za-z0-9+/]{1,19}=)"
_BASE64 = rf"(?:[A-Za-z0-9+/]++|{_BREAK})*+={{0,2}}"
_IS = r"\\{0,8}[\"']?\s{0,8}[:=]\s{0,8}\\{0,8}[\"']?"
_PEM_END = r"(?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
_PEM = rf"-{{4,5}} ?BEGIN {_PEM_END}(?s:.*?)(?:-{{4,5}} ?END {_PEM_END}|\Z)"
# The PEM of a private key in base64, as a Secret's data holds it; that of a certificate goes on differently.
_PEM_BASE64 = r"LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJ|BFQyBQUkl|BFTkNSWVBU|BPUEVOU1NI|BEU0EgUFJJ|BQR1AgUFJJ)" + _BASE64
_START = r"(?<![\w-])"  # where a token with a short sign may begin
_MIXED = r"(?=[\w-]{0,200}?[A-Z])(?=[\w-]{0,200}?\d)"  # names in Kubernetes have no capitals
# The possessive parts keep a long run of `eyJ` from being read again from each of them. Without a second part it is a
# token that was cut, when it begins as the header of one does.
_JWT = (
    r"(?<![\w-])(?>[\w-]*?(?=eyJ))((?:[\w-]{8,}+(?:\.{1,2}[\w-]++)+"
    r"|(?:eyJhbGci|eyJ0eXAi|eyJraWQi|eyJlbmMi|eyJjdHki|eyJ4NXQi)[\w-]*+))"
)
_VALUE = r"(?:\[REDACTED\]|[^\s;,\"'\\\]}])++"
_COOKIE = rf"[\w!#$%&*+.^|~-]{{1,128}}={_VALUE}"
_COOKIES = rf"ookie2?\\{{0,8}}[\"']?\s?[:=]\s{{0,4}}\[?\\{{0,8}}[\"']?({_COOKIE}(?:; ?(?:{_COOKIE}|Secure|HttpOnly))*+)"
_WORD = r"[^\s\"'`\\]"
_LOGIN = (
    r"-(?<![\w-]-)(?:[uU]|-(?:proxy-)?user)(?:[ \t=]{1,4}|\\{0,8}[\"'],\s{0,4})\\{0,8}[\"']?"
    rf"[^\s:\"'`/=\\]{{1,64}}:({_WORD}+)"
)
_USER = r"://[^\s/?#@:\"'`<>\[\]]*+"
# What a program takes as an argument that is not named so, behind others of its command.
_OTHERS = r"[^\n|;&]{0,200}?[ \t]"
_ARGUMENTS = {
    "sshpass": r"sshpass[ \t]{1,4}-p[ \t]{0,4}",
    "mysql": rf"mysql(?:dump|admin)?\b{_OTHERS}-p(?=\S)",
    "mariadb": rf"mariadb\b{_OTHERS}-p(?=\S)",
    "redis-cli": rf"redis-cli\b{_OTHERS}-a[ \t]{{1,4}}",
    "login": rf"login\b{_OTHERS}-p[ \t]{{1,4}}",
    "curl": rf"curl\b{_OTHERS}-u[^\s:\"'=]{{1,64}}:",
    "ldap": rf"ldap(?:search|modify|add|delete)\b{_OTHERS}-w[ \t]{{1,4}}",
}

_KEYED_SIGNS = (
    *("PRIVATE KEY", "Private-Lines", ".dockerc", "auth", "-u", "-U", "sshpass", "login", "curl", "ookie"),
    *("hooks.slack.com/", "/api/webhooks/", "webhook.office.com/"),
)


def _rule(
    kind: str,
    sign: str,
    pattern: str,
    holds: Callable[[re.Match[str]], bool] = lambda _: True,
    within: str | None = None,
) -> Rule:
    return Rule(kind, sign, re.compile(pattern), holds, re.compile(within) if within else None)


RULES = (
    _rule("private key", "PRIVATE KEY", _PEM),
    _rule("private key", "Private-Lines", r"Private-Lines: \d+((?s:.+?))(?=(?:\n|\\n)Private-MAC|\Z)"),
    _rule("private key", "LS0tLS1C", _PEM_BASE64),
    # In base64: openssh-key-v1; PKCS 8.
    _rule("private key", "b3BlbnNzaC1rZXkt", "b3BlbnNzaC1rZXkt" + _BASE64),
    _rule("private key", "IBADANBgkqhkiG9w0BAQEFAASC", r"MII[\w+/]{3}IBADANBgkqhkiG9w0BAQEFAASC" + _BASE64),
    _rule("private key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
    # {"auths" in base64.
    _rule("docker config", "eyJhdXRocyI", "eyJhdXRocyI" + _BASE64),
    _rule("docker config", ".dockerc", rf"\.docker(?:configjson|cfg){_IS}((?=[A-Za-z0-9+/]{{12}}){_BASE64})"),
    _rule("docker config", "auth", rf"auth(?<![A-Za-z0-9.-]auth){_IS}([\w+/-]{{6,}}={{0,2}})(?![\w-])", _holds_login),
    _rule("URL password", "://", rf"{_USER}:([^\s/?#\"'`<>]+)@"),
    # With a / that should be %2F.
    _rule("URL password", "://", rf"{_USER}:(?!\d{{1,5}}[/?#])([^\s\"'`<>@]{{1,256}})@"),
    _rule("URL password", "%3A%2F%2F", r"%3A%2F%2F(?:[^\s%\"']|%(?!3A|40|2F))*+%3A((?:[^\s%\"']|%(?!40|2F))++)%40"),
    _rule("URL token", "://", r"://((?=[A-Za-z]{0,200}\d)[A-Za-z0-9_-]{20,})@"),
    _rule("DSN password", "@", r"(?<![\w.%+:/-])[\w.%+-]{1,64}:([^\s@\"'`()/]{1,128})@(?=(?:tcp6?|unix|udp|cloudsql)\()"),
    _rule(
        "DSN password", "@", r"(?<![\w.%+:/@-])[\w.%+-]{1,64}:([^\s@\"'`()/:]{1,128})@(?!sha\d)(?=[\w.-]{1,253}:\d{2,5}(?!\d))"
    ),
    _rule("DSN password", "@//", r"(?<![\w/.-])\w{1,64}/([^\s@\"'`/]{1,128})@//"),
    *(_rule("login", sign, _LOGIN, _is_no_owner) for sign in ("-u", "-U")),
    *(_rule("argument", sign, rf"{before}[\"']?({_WORD}+)") for sign, before in _ARGUMENTS.items()),
    _rule("authorization", "asic", r"\b[Bb]asic[ \t]{1,8}([A-Za-z0-9+/_-]{8,}={0,2})", _holds_login),
    _rule("password hash", "$", r"\$(?:apr1|1|2[abxy]|5|6|7|y|gy|argon2\w{1,2}|pbkdf2[\w-]{0,16})\$[\w./$=,+-]{16,}"),
    _rule("password hash", "SHA}", r"\{S?SHA\}([A-Za-z0-9+/]{27,}={0,2})"),
    _rule("JSON web token", "eyJ", _JWT),
    _rule("AWS key", "IA", r"A[KS]IA[A-Z0-9]{16,}"),
    _rule("Google key", "AIza", r"AIza[\w-]{30,}"),
    _rule("Google token", "ya29.", r"(?<![\w.-])ya29\.[\w-]{20,}"),
    _rule("Google secret", "GOCSPX-", r"GOCSPX-[\w-]{20,}"),
    _rule("Azure secret", "Q~", r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])"),
    _rule("GitHub token", "_", r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}"),
    _rule("GitLab token", "gl", r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|soat|agent)-[\w-]{16,}"),
    _rule("Slack token", "xox", r"xox[a-z]-[\w-]{10,}"),
    _rule("Slack token", "xapp-", r"xapp-\d-[\w-]{10,}"),
    _rule("webhook URL", "hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]+)"),
    _rule("webhook URL", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/(\d+/[\w-]+)"),
    _rule("webhook URL", "webhook.office.com/", r"webhook\.office\.com/webhookb2/([\w@/-]+)"),
    _rule("Telegram token", ":AA", r"(?<![0-9])\d{8,10}:AA[\w-]{33}"),
    _rule("npm token", "npm_", r"npm_[A-Za-z0-9]{20,}"),
    _rule("PyPI token", "pypi-", r"pypi-AgE[\w-]{20,}"),
    _rule("Docker token", "dckr_", r"dckr_[po]at_[\w-]{20,}"),
    _rule("Stripe key", "k_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    _rule("Stripe key", "whsec_", r"whsec_[A-Za-z0-9+/]{16,}={0,2}"),
    _rule("Twilio key", "SK", r"(?<!\w)SK[0-9a-f]{32}(?!\w)"),
    _rule("SendGrid key", "SG.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    _rule("OpenAI key", "sk-", rf"{_START}sk-(?!ant-){_MIXED}[\w-]{{20,}}"),
    _rule("Anthropic key", "sk-ant-", rf"{_START}sk-ant-[\w-]{{20,}}"),
    _rule("Vault token", "hv", rf"{_START}hv[sbr]\.{_MIXED}[\w-]{{20,}}"),
    _rule("Terraform token", ".atlasv1.", r"(?<!\w)[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}"),
    _rule("DigitalOcean token", "_v1_", r"do[opr]_v1_[0-9a-f]{32,}"),
    _rule("Grafana token", "glsa_", r"glsa_[A-Za-z0-9]{20,}_[0-9a-f]{8}"),
    _rule("New Relic key", "NRAK-", r"NRAK-[A-Z0-9]{27}"),
    _rule("Hugging Face token", "hf_", r"(?<!\w)hf_[A-Za-z]{30,}"),
    _rule("Swarm token", "SWMTKN-1-", r"SWMTKN-1-[a-z0-9-]{40,}"),
    _rule("K3s token", "::server:", r"K10[0-9a-f]{64}::server:\w+"),
    _rule("cookie", "ookie", _COOKIES, _is_no_attribute, rf"[^\s=;,\"'\\]+=({_VALUE})"),
)
# Those which stand behind a key; the others are told by their form alone.
KEYED = tuple(rule for rule in RULES if rule.sign in _KEYED_SIGNS)

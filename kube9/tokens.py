"""Page and sync tokens: opaque text that a caller gives back to go on.

A page token holds where a walk stands, its window, and the state of the database that page 1 saw; a check over it and
the filters tells a changed or foreign one. It is no secret, and nothing rests on its being genuine: what is in it
travels to SQLite as parameters only.
"""

from kube9.plan import digest_of

CHECK_SIZE = 4
SEPARATOR = "\x1f"  # the unit separator of ASCII
LONGEST = 4096
HEX = "0123456789abcdef"


def page_token(filters: str, parts: list[str]) -> str:
    """A token of text parts, bound to the filters it was made for."""
    body = SEPARATOR.join(part.replace("%", "%25").replace(SEPARATOR, "%1f") for part in parts).encode()
    return (_check(filters, body) + body).hex()


def read_page_token(filters: str, token: str) -> list[str]:
    """The parts of a token. Raises ValueError when it is none, or was made for other filters."""
    try:
        raw = bytes.fromhex(token) if len(token) <= LONGEST else b""
        check, body = raw[:CHECK_SIZE], raw[CHECK_SIZE:]
        parts = [part.replace("%1f", SEPARATOR).replace("%25", "%") for part in body.decode().split(SEPARATOR)]
    except ValueError:
        raise ValueError("not a page token") from None
    if check != _check(filters, body):
        raise ValueError("a page token of another question, or changed")
    return parts


def sync_token(lineage: int, seq: int) -> str:
    """A token for the state of a database: which one, and the last change that it had seen."""
    return f"{lineage:x}.{seq:x}"


def read_sync_token(token: str) -> tuple[int, int]:
    """Lineage and last change. Raises ValueError when it is no such token."""
    lineage, _, seq = token.partition(".")
    if not all(0 < len(part) <= 15 and not part.strip(HEX) for part in (lineage, seq)):
        raise ValueError("not a sync token")
    return int(lineage, 16), int(seq, 16)


def _check(filters: str, body: bytes) -> bytes:
    return digest_of(body, filters, CHECK_SIZE)

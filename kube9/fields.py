"""Fields of Kubernetes objects, whatever a reporter wrote into them: nothing here fails on what it is given."""

from functools import lru_cache
from typing import Any

from kube9 import times
from kube9.model import cut

NAME_LENGTH = 253  # https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
NO_TIME = "0001-01-01"  # what Go writes for a time that was never set


def as_map(value: Any) -> dict[str, Any]:
    """An object as it is; an empty one for anything else."""
    return value if value.__class__ is dict else {}


def as_maps(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [item for item in value if item.__class__ is dict] if value.__class__ is list else []


def as_text(value: Any) -> str | None:
    """A string as it is, None for an empty or absent one; whatever else a reporter wrote, as text."""
    if isinstance(value, str):
        # A lone surrogate and a NUL are legal in JSON; the first cannot be stored, the second hides what is behind it.
        if "\0" in value:
            value = value.replace("\0", "\ufffd")
        return (value if value.isascii() else value.encode(errors="replace").decode()) or None
    return None if value is None or isinstance(value, dict | list) else str(value)


def as_name(value: Any) -> str | None:
    """A name, which Kubernetes keeps under 254 characters; what a dump has longer is cut."""
    text = as_text(value)
    return text and cut(text, NAME_LENGTH)


def as_word(value: Any) -> str | None:
    """As `as_name`, for names that come again and again: kinds, reasons, namespaces, nodes."""
    return _known_word(value) if value.__class__ is str else as_name(value)


_known_word = lru_cache(maxsize=4096)(as_name)


def as_time(value: Any) -> str | None:
    """A Kubernetes time (RFC 3339, with or without a fraction) in our form; None when it is none."""
    return _known_time(value) if value.__class__ is str else None


@lru_cache(maxsize=4096)  # an event has several that are the same, and so have its neighbours
def _known_time(value: str) -> str | None:
    if len(value) < 20 or value[10] not in "Tt" or value.startswith(NO_TIME):
        return None
    if value[-1] != "Z" or value[19] not in ".Z":
        return _parsed(value)
    second = _parsed(value[:19] + "Z")
    fraction = value[20:-1][:3]
    if not second or (fraction and not (fraction.isascii() and fraction.isdigit())):
        return None
    return f"{second[:20]}{fraction:0<3}Z"


@lru_cache(maxsize=4096)
def _parsed(value: str) -> str | None:
    try:
        return times.iso(times.parse(value, 0))
    except ValueError:
        return None

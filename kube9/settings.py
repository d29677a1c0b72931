"""What `kube9 serve` is told in words, read. Each error names the option, because a setting may come from the environment."""

from kube9 import errors, names, times

NEVER = "never"
MOST_DAYS = 36_500


def days_ms(text: str, option: str) -> int | None:
    """Read a number of days, whole or not, in milliseconds; None for `never`.

    Raises:
        InvalidArgument: it is neither, or no time at all.
    """
    word = text.strip()
    if word == NEVER:
        return None
    whole, point, fraction = word.partition(".")
    digits = all(part.isascii() and part.isdigit() for part in (whole, fraction if point else "0"))
    ms = round(float(word) * times.DAY_MS) if digits and len(word) < 20 else 0
    if not 0 < ms <= MOST_DAYS * times.DAY_MS:
        hint = f"give days, such as 7 or 0.5, at most {MOST_DAYS:,}; {NEVER} keeps them for ever"
        raise errors.InvalidArgument(f'{option}: "{text}" is no time to keep events for', hint)
    return ms


def duration_ms(text: str, option: str, hint: str = "") -> int:
    """Read a duration such as `6h`, in milliseconds. Raises InvalidArgument."""
    try:
        return times.duration_ms(text.strip())
    except ValueError as error:
        raise errors.InvalidArgument(f'{option}: "{text}" is {error}', hint) from None


def interval_s(text: str, option: str) -> float:
    """Read how often something runs, such as `6h`, in seconds. Raises InvalidArgument."""
    ms = duration_ms(text, option)
    if not 1000 <= ms <= MOST_DAYS * times.DAY_MS:
        raise errors.InvalidArgument(f'{option}: "{text}" is no time between two runs', "give 1s or more, such as 6h")
    return ms / 1000


def namespace(text: str | None, option: str) -> str | None:
    """Read the name of a namespace; None when it is empty. Raises InvalidArgument for what cannot be the name of one."""
    if text and not names.is_namespace(text):
        what = f'{option}: "{text}" is no name of a namespace'
        raise errors.InvalidArgument(what, "one has lower-case letters, digits and dashes, and at most 63 of them")
    return text or None

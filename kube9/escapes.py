"""JSON in ASCII alone, for readers that decode what arrives piece by piece.

An exec hands output on in pieces that end anywhere. The VS Code extension makes a text of each piece by itself, as much that is
written in JavaScript does, so a character of several bytes on a border would become two or three U+FFFD.
"""

import codecs

try:
    from _json import encode_basestring_ascii as quote  # as in render
except ImportError:  # pragma: no cover - another Python than CPython
    from json.encoder import encode_basestring_ascii as quote


def ascii_json(text: str) -> str:
    r"""The same JSON with every character beyond ASCII, which only strings can hold, as `\uXXXX`."""
    return text.encode("ascii", "kube9-json").decode("ascii")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return quote(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error("kube9-json", _escaped)

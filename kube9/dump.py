"""Event objects out of files, one by one, so that a dump larger than memory can be read and a cut one in part.

Understood are what `kubectl get events -o json` and `-o yaml` write, an API server's lists, single objects, and a
watch's output: objects or `{"type": …, "object": …}`, one after another.
"""

import codecs
import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from kube9.errors import InvalidArgument

CHUNK_BYTES = 1 << 20
LARGEST_OBJECT = 64 << 20  # characters; the API server takes no object over 3 MiB
LOOKED_AT = 65_536  # characters in which YAML of Kubernetes has a key
SPACE = " \t\r\n"
VERSIONS = ("v1", "events.k8s.io/v1", "events.k8s.io/v1beta1")


def objects(stream: BinaryIO, name: str, progress: Callable[[int], None] = lambda _: None) -> Iterator[dict[str, Any]]:
    """The Event objects of a file.

    Args:
        stream: the bytes of the file.
        name: for error messages.
        progress: called with the number of bytes of each part read.

    Raises:
        InvalidArgument: the file is cut or is neither JSON nor YAML; what came before has been yielded.
    """
    text = _Text(stream, name, progress)
    first = text.peek()
    if first == "":
        raise text.wrong("is empty")
    values = _values(text) if first in "{[" else _yaml_values(text)
    for value in values:
        yield from _events(value)


class _Text:
    """The text of a stream, read as it is needed, with the position of what is being looked at."""

    def __init__(self, stream: BinaryIO, name: str, progress: Callable[[int], None]) -> None:
        self.name, self.buffer, self.at, self.ended = name, "", 0, False
        self._stream, self._progress, self._passed_lines, self._passed_column = stream, progress, 0, 0
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()

    def more(self) -> bool:
        """Read another part; False at the end."""
        if self.ended:
            return False
        passed = self.buffer[: self.at]
        lines = passed.count("\n")
        self._passed_lines += lines
        self._passed_column = len(passed) - passed.rfind("\n") - 1 if lines else self._passed_column + len(passed)
        # What is left is doubled at least, so that a large object is not looked at again for every part of it.
        data = self._stream.read(max(CHUNK_BYTES, len(self.buffer) - self.at))
        try:
            self.buffer = self.buffer[self.at :] + self._decoder.decode(data, final=not data)
        except UnicodeDecodeError:
            self.buffer, self.at = self.buffer[self.at :], 0
            raise self.wrong("is not UTF-8") from None
        self.at = 0
        self.ended = not data
        self._progress(len(data))
        return bool(data)

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self.at < len(self.buffer):
                if self.buffer[self.at] not in SPACE:
                    return self.buffer[self.at]
                self.at += 1
            if not self.more():
                return ""

    def take(self, expected: str) -> str:
        """Step over one of the expected characters and return it."""
        found = self.peek()
        if not found or found not in expected:
            raise self.wrong(f"has {found} where {' or '.join(expected)} belongs" if found else "ends in the middle")
        self.at += 1
        return found

    def value(self) -> Any:
        """The next JSON value."""
        self.peek()
        while True:
            try:
                found, end = self._json.raw_decode(self.buffer, self.at)
            except (ValueError, RecursionError) as error:
                if len(self.buffer) - self.at > LARGEST_OBJECT:
                    raise self.wrong("has an object of more than 64 MiB, or a quote that is never closed") from None
                if not isinstance(error, json.JSONDecodeError) or self.ended:
                    raise self.wrong(_reason(error, len(self.buffer)), getattr(error, "pos", self.at)) from None
                self.more()
                continue
            if end == len(self.buffer) and self.more():
                continue  # a number may go on in the next part
            self.at = end
            return found

    def wrong(self, problem: str, at: int | None = None) -> InvalidArgument:
        """The error for a mistake at a place of the buffer."""
        passed = self.buffer[: self.at if at is None else at]
        line = self._passed_lines + passed.count("\n") + 1
        column = len(passed) - passed.rfind("\n") if "\n" in passed else self._passed_column + len(passed) + 1
        return InvalidArgument(f"{self.name}:{line}:{column}: the file {problem}")


def _values(text: _Text) -> Iterator[Any]:
    """The values of a stream of JSON. Of an object, an array under `items` is given element by element."""
    while text.peek():
        if text.peek() == "[":
            yield from _elements(text)
            continue
        text.take("{")
        rest: dict[str, Any] = {}
        is_list = False
        while text.peek() != "}":
            key = text.value()
            if not isinstance(key, str):
                raise text.wrong("has a key that is no string")
            text.take(":")
            if key == "items" and text.peek() == "[":
                is_list = True
                yield from _elements(text)
            else:
                rest[key] = text.value()
            if text.peek() != "}":
                text.take(",}")
                if text.peek() == "}":
                    raise text.wrong("has a comma before }")
        text.take("}")
        if not is_list:
            yield rest


def _elements(text: _Text) -> Iterator[Any]:
    text.take("[")
    if text.peek() != "]":
        while True:
            yield text.value()
            if text.take(",]") == "]":
                return
    text.take("]")


def _yaml_values(text: _Text) -> Iterator[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    class TimesAsText(SafeConstructor):
        pass

    TimesAsText.add_constructor("tag:yaml.org,2002:timestamp", TimesAsText.construct_scalar)
    if ":" not in text.buffer[:LOOKED_AT]:
        raise InvalidArgument(f"{text.name}: the file is neither JSON nor YAML")
    while text.more():
        if len(text.buffer) > LARGEST_OBJECT:
            raise InvalidArgument(f"{text.name}: YAML of more than 64 MiB", "give it as JSON, which is read piece by piece")
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = TimesAsText
    try:
        for value in reader.load_all(text.buffer):
            if not isinstance(value, dict | list):
                raise InvalidArgument(f"{text.name}: the file holds no objects: neither JSON nor YAML of Kubernetes")
            items = value.get("items") if isinstance(value, dict) else value
            values = items if isinstance(items, list) else [value]
            # A cut file may still be YAML: then the list's kind, which kubectl writes after the items, is missing, or the
            # last line has no end and is one of an item's.
            unended = not text.buffer.endswith("\n")
            is_list = isinstance(value, dict) and values is items
            cut = ("kind" not in value or (unended and [*value][-1] == "items")) if is_list else unended
            yield from values[:-1] if cut else values
            if cut:
                raise InvalidArgument(f"{text.name}: the file ends in the middle")
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise InvalidArgument(f"{text.name}{where}: the file is neither JSON nor YAML: {error.problem}") from None
    except RecursionError:
        raise InvalidArgument(f"{text.name}: the file is nested too deeply") from None
    except (YAMLError, ValueError) as error:
        raise InvalidArgument(f"{text.name}: the file is neither JSON nor YAML: {error}") from None


def _events(value: Any) -> Iterator[dict[str, Any]]:
    """The Event in a value; none in anything else, such as the other objects of a mixed list."""
    if not isinstance(value, dict):
        return
    if value.get("type") in ("ADDED", "MODIFIED") and isinstance(value.get("object"), dict):
        value = value["object"]
    # Objects in an EventList carry neither; Events of another group, as in an audit log, are something else.
    if value.get("apiVersion", "v1") not in VERSIONS:
        return
    if value.get("kind") == "Event" or ("kind" not in value and ("involvedObject" in value or "regarding" in value)):
        yield value


def _reason(error: Exception, size: int) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        return f"holds what no event has: {error}"
    position, message = getattr(error, "pos", 0), getattr(error, "msg", str(error))
    cut = position >= size or "Unterminated string" in message
    return "ends in the middle" if cut else f"is not JSON: {message}"

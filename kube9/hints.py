"""Why an answer may be empty, for the person who asked: nothing happened, or the question was another one."""

from difflib import get_close_matches
from typing import Any

from kube9 import errors, render, store, streams
from kube9.bind import Asked, named, said
from kube9.query import Answer

MOST_VALUES = 10_000  # of those that the database knows of a kind, a namespace, a reason


def why_empty(path: str, asked: Asked, given: dict[str, Any], answer: Answer) -> None:
    """Say on stderr what may be the cause: a page behind the end, a window nobody asked for, a name never recorded."""
    params = asked.query["params"]
    if answer.offset:
        streams.say(f"there are {render.total_of(answer)}, and none behind --offset {answer.offset}")
        return
    first = (asked.query["window"] or [""])[0]
    if first and first not in given and params[first]["default"] is not None:
        flag = said(params[first], first)
        streams.say(f"{flag} is {params[first]['default']} when it is not given; an earlier time looks further back")
    try:
        with store.open_reader(path) as reader:
            for name, param in params.items():
                for key, of in named(name, param):
                    if of["known"] and key in asked.values:
                        _never_recorded(reader.connection, said(param, name), of["known"], asked.values[key])
    except (errors.Kube9Error, store.Error):
        return  # the answer itself was right


def _never_recorded(connection: store.Connection, flag: str, known: str, value: Any) -> None:
    found = [str(row[0]) for row in connection.execute(f"{known} LIMIT {MOST_VALUES}")]
    lower = {name.lower(): name for name in found}
    for one in value if isinstance(value, list) else [value]:
        if one not in found:
            near = get_close_matches(str(one).lower(), lower, n=1)
            hint = f"; did you mean {lower[near[0]]}?" if near else ""
            streams.say(f'{flag}: nothing recorded has "{one}"{hint}')

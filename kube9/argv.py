"""The fast reader of the command line: it only ever says yes.

A plain query with known flags, each given once as `--flag value` or `--flag=value`, is read here without the command
line library. Anything else (an unknown flag, help, a value that starts with a dash) is None, and the full way decides:
so errors and help exist once. `tests/test_command_line.py` holds both ways against each other.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kube9.plan import Plan


def read(plan: "Plan", words: list[str]) -> "tuple[Plan, dict[str, Any], dict[str, Any]] | None":
    """Read the words after the program's name.

    Returns: the query's plan, what was given for its parameters, and for the options that say how to answer; both as
    name -> text, True for a flag, or a list of texts for a parameter that may be given several times. None when this is
    not plain.
    """
    query, rest = named(plan, words)
    if query is None:
        return None
    options = query["options"]
    flags, positions = {}, []
    for params in (query["params"], options):
        for key, param in params.items():
            for flag in param["flags"]:
                flags[flag] = key
            for flag in param["aliases"]:
                flags[flag] = key
            if not param["flags"]:
                positions.append(key)
    given: dict[str, Any] = {}
    index, count = 0, len(rest)
    while index < count:
        word = rest[index]
        index += 1
        if word[:1] != "-":
            if not positions:
                return None
            given[positions.pop(0)] = word
            continue
        flag, equals, value = word.partition("=")
        key = flags.get(flag)
        if key is None or (equals and flag[:2] != "--"):
            return None
        param = query["params"].get(key) or options[key]
        if param["type"] == "boolean":
            if equals or key in given:
                return None
            given[key] = True
            continue
        if not equals:
            if index == count:
                return None
            value = rest[index]
            index += 1
        if not value or value[0] == "-":
            return None
        if param["many"]:
            given.setdefault(key, []).append(value)
        elif key in given:
            return None
        else:
            given[key] = value
    if positions:
        return None
    return query, {key: given[key] for key in given if key not in options}, {key: given[key] for key in given if key in options}


def named(plan: "Plan", words: list[str]) -> "tuple[Plan | None, list[str]]":
    """The query that the words name, and the words behind its name."""
    queries = plan["queries"]
    if words[:1] == ["query"]:
        for size in (2, 1):
            name = " ".join(words[1 : 1 + size])
            if name in queries and len(words) > size:
                return queries[name], words[1 + size :]
    return None, []

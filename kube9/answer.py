"""A query from what was typed to what is printed: both ways of reading the command line end here."""

import sys

from kube9 import bind, errors, query, render, store, streams, times

HEAP_BYTES = 64 * 1024 * 1024  # for SQLite in this process: a heavy question must not take the memory of the recorder's pod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kube9.plan import Plan
    from kube9.table import Tables


def answer(
    plan: "Plan", declared: "Plan", given: "dict[str, Any]", options: "dict[str, Any]", hung: "Callable[[], None]"
) -> None:
    """Answer a query on stdout.

    Args:
        plan: the compiled plan.
        declared: the query's part of it.
        given: what was typed for the query's parameters.
        options: what was typed for the options that say how to answer.
        hung: ends the process, where a user's own query does not come back in time.

    Raises:
        InvalidArgument: a value is wrong; the database has not been opened.
        Kube9Error: as `query.run`.
    """
    chosen = _chosen(declared, given, options)
    asked = bind.bind(plan, declared, given, times.now_ms())
    _deprecations(declared, given, chosen["format"])
    path, timeout_s = store.database_path(chosen["db"]), chosen["timeout"] / 1000

    def run(asked: bind.Asked) -> query.Answer:
        return query.run(path, asked, timeout_s, HEAP_BYTES, hung)

    if chosen.get("watch"):
        from kube9 import follow  # select

        follow.follow(path, asked, _writer(asked, chosen), run)
    elif chosen.get("all"):
        from kube9 import paging

        writer = _writer(asked, chosen)
        for page in paging.pages(run, paging.whole_pages(asked)):
            if not writer.page(page):
                return
    else:
        found = run(asked)
        if chosen["format"] in render.DOCUMENTS:
            render.document(found, plan, chosen)
        else:
            _writer(asked, chosen).page(found, last=True)
            if not found.rows and chosen["format"] in render.PEOPLE and streams.is_terminal(sys.stderr):
                from kube9 import hints

                hints.why_empty(path, asked, given, found)


def _writer(asked: bind.Asked, chosen: "dict[str, Any]") -> "render.Lines | Tables":
    """What writes pages to stdout, in the chosen format."""
    if chosen["format"] in ("table", "wide"):
        from kube9.table import Tables  # rich: 50 ms

        return Tables(asked, chosen)
    return render.Lines(asked, chosen)


def _chosen(declared: "Plan", given: "dict[str, Any]", options: "dict[str, Any]") -> "dict[str, Any]":
    """The options with their defaults, checked."""
    bind.exclusive(declared["params"] | declared["options"], options, given | options)
    chosen: dict[str, Any] = {}
    for name, param in declared["options"].items():
        found = options.get(name, param["default"])
        if found is not None:
            found = bind.convert_many(name, param, found, 0) if param["many"] else bind.convert(name, param, found, 0)
        chosen[name] = found
    for name in ("watch", "all"):
        if chosen.get(name):
            if "format" not in options:
                chosen["format"] = "jsonl"
            elif chosen["format"] in render.DOCUMENTS:
                flag = declared["options"][name]["flags"][0]
                forms = ", ".join(form for form in declared["options"]["format"]["choices"] if form not in render.DOCUMENTS)
                what = f"{flag} has no end that {chosen['format']} could be closed at"
                raise errors.InvalidArgument(what, f"--format takes {forms} with it")
    return chosen


def _deprecations(declared: "Plan", given: "dict[str, Any]", form: str) -> None:
    """Say on stderr what was used that is deprecated."""
    found = [(f"`{declared['name']}`", declared["deprecated"])]
    found += [
        (f"`{bind.said(param, name)}`", param["deprecated"]) for name, param in declared["params"].items() if name in given
    ]
    for what, instead in found:
        if instead:
            render.warn(f"{what} is deprecated: {instead}", form)

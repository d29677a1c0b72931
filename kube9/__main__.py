"""The program: a plain query is answered at once; anything else goes the full way through `kube9.cli`."""

import os
import sys


def main() -> int:
    """Run the program with the words of the command line. Returns its exit code."""
    words = sys.argv[1:]
    code = answer(words) if words[:1] == ["query"] else None
    if code is None:
        from kube9.cli import run  # cyclopts and rich: 120 ms

        return run(words)
    sys.stderr.flush()
    os._exit(code)  # all is written and closed: taking the interpreter down costs 2 ms and changes nothing


def answer(words: list[str]) -> int | None:
    """Answer a plain query in JSON and return the exit code; None, and nothing done, when it is not plain."""
    from kube9 import argv, plan

    compiled = plan.load()
    found = compiled and argv.read(compiled, words)
    if not compiled or not found or found[2].get("format", "json") != "json":
        return None
    from kube9 import errors, query, render, store, times

    try:
        declared, given, options = found
        values = query.bind(declared, given, times.now_ms())
        timeout = compiled["options"]["timeout"]
        timeout_ms = query.convert("timeout", timeout, options.get("timeout", timeout["default"]), 0)
        result = query.run(store.database_path(options.get("db")), declared, values, int(timeout_ms) / 1000)
    except errors.Kube9Error as error:
        from kube9.cli import fail

        return fail(error, "json")
    render.write(render.json(result, compiled))
    return 0


if __name__ == "__main__":
    sys.exit(main())

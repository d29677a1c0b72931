"""The plan of now: loaded when it fits, compiled and kept when it does not."""

from kube9 import plan, shipped


def current() -> plan.Plan:
    """The plan that fits queries.yaml and schema/ as they are.

    Raises:
        SpecError: queries.yaml is wrong.
    """
    found = plan.load()
    if found is None:
        from kube9.compiler import compile_text  # sqlglot, pydantic and ruamel: 250 ms

        key = plan.fresh_key()
        with open(shipped.path(plan.SPEC), encoding="utf-8") as file:
            found = compile_text(plan.SPEC, file.read(), key)
        try:
            plan.save(found, plan.cache_path(key))
        except OSError:
            pass  # a read-only place works without it, only slower
    return found

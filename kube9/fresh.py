"""The plan of now: loaded when it fits, compiled and kept when it does not."""

from kube9 import plan, shipped
from kube9.errors import Internal


def current() -> plan.Plan:
    """The plan that fits queries.yaml and schema/ as they are.

    Raises:
        SpecError: queries.yaml is wrong.
        Internal: a file of kube9's own is missing.
    """
    found = plan.load()
    if found is None:
        from kube9.compiler import compile_text  # sqlglot, pydantic and ruamel: 250 ms

        try:
            key = plan.fresh_key()
            with open(shipped.path(plan.SPEC), encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise Internal("kube9 is not whole, install it again", str(error)) from None
        found = compile_text(plan.SPEC, text, key)
        try:
            plan.save(found, plan.cache_path(key))
        except OSError:
            pass  # a read-only place works without it, only slower
    return found

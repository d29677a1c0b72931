"""Puts into the wheel what the source tree has beside the package: queries.yaml, schema/ and the compiled plan."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Shipped(BuildHookInterface[Any]):
    """Runs at the build of a wheel; an editable install finds these files in the source tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the plan and add the files. Fails with every problem of queries.yaml when it is wrong."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from kube9 import compiler, plan, shipped

        text = Path(shipped.path(plan.SPEC)).read_text(encoding="utf-8")
        path = Path(tempfile.mkdtemp(prefix="kube9-build-")) / "plan.marshal"
        plan.save(compiler.compile_text(plan.SPEC, text, plan.fresh_key()), str(path))
        build_data["force_include"] |= {
            str(path): "kube9/plan.marshal",
            shipped.path(plan.SPEC): "kube9/queries.yaml",
            shipped.path("schema"): "kube9/schema",
        }

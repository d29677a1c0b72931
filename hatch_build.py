"""Puts into the wheel what the source tree has beside the package: queries.yaml, schema/ and the compiled plan."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Shipped(BuildHookInterface[Any]):
    """Runs at the build of a wheel; an editable install finds these files in the source tree."""

    folder: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the plan and add the files. Fails with every problem of queries.yaml when it is wrong."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from kube9 import compiler, plan, shipped

        self.folder = tempfile.mkdtemp(prefix="kube9-build-")
        compiled, text = Path(self.folder) / "plan.marshal", Path(shipped.path(plan.SPEC)).read_text(encoding="utf-8")
        plan.save(compiler.compile_text(plan.SPEC, text, plan.fresh_key(for_wheel=True)), str(compiled))
        build_data["force_include"] |= {
            str(compiled): "kube9/plan.marshal",
            shipped.path(plan.SPEC): "kube9/queries.yaml",
            shipped.path("schema"): "kube9/schema",
        }

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made for the build."""
        if self.folder:
            shutil.rmtree(self.folder)

"""Where the files are that kube9 ships beside its code: queries.yaml and schema/."""

import os

PACKAGE = os.path.dirname(os.path.abspath(__file__))


def path(name: str) -> str:
    """The path of a shipped file or folder: inside an installed package, beside the package in a source tree."""
    inside = os.path.join(PACKAGE, name)
    return inside if os.path.exists(inside) else os.path.join(os.path.dirname(PACKAGE), name)

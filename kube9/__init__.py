"""kube9: the flight recorder for Kubernetes events.

    import kube9

    with kube9.connect("kube9.db") as db:
        print(db.events.list(since="24h", severity=["error", "critical"]))

Names are imported when they are first used, because a query on the command line starts from this package too.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kube9 import errors as errors
    from kube9.client import Client as Client
    from kube9.client import connect as connect
    from kube9.errors import Kube9Error as Kube9Error
    from kube9.recording import Recorder as Recorder
    from kube9.recording import recorder as recorder
    from kube9.version import __version__ as __version__


def __dir__() -> list[str]:
    from kube9.client import compiled

    return sorted(["Client", "Kube9Error", "Recorder", "__version__", "connect", "errors", "recorder", *compiled()[1]])


def __getattr__(name: str) -> "Any":
    if name in ("Client", "connect"):
        from kube9 import client  # pydantic: 110 ms

        return getattr(client, name)
    if name in ("Recorder", "recorder"):
        from kube9 import recording

        return getattr(recording, name)
    if name == "errors":
        import sys  # a name asked for by `from kube9 import errors` comes here before the module is looked for

        __import__("kube9.errors")
        return sys.modules["kube9.errors"]
    if name == "__version__":
        from kube9.version import __version__

        return __version__
    if name == "Kube9Error":
        from kube9.errors import Kube9Error

        return Kube9Error
    if name[:1].isupper():
        from kube9.client import compiled

        models = compiled()[1]
        if name in models:
            return models[name]
    raise AttributeError(f"module 'kube9' has no attribute {name!r}")

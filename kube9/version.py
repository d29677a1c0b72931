"""The version of kube9."""

__version__ = "0.1.0"

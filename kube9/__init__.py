"""kube9: the flight recorder for Kubernetes events."""

__version__ = "0.1.0"

"""Why a watch ends: the failures beside those of `kube9.responses`, and how each is counted and told."""

import http.client

from kube9.errors import Kube9Error, PermissionDenied, Unavailable
from kube9.responses import Broken, Refused, Unreachable

STATUS_REASONS = {
    http.client.UNAUTHORIZED: "unauthorized",
    http.client.FORBIDDEN: "forbidden",
    http.client.TOO_MANY_REQUESTS: "throttled",
}


class AnotherCluster(Exception):
    """The server at this address belongs to another cluster now."""


class Expired(Exception):
    """A version cannot be watched from: what happened since is only to be had by a list."""

    def __init__(self, problem: str, reason: str = "expired") -> None:
        super().__init__(problem)
        self.reason = reason  # one of health.REASONS


class Unanswered(Unreachable):
    """A watch was silent, and so was the server when it was asked."""


def reason_of(failure: Expired | Refused | Unreachable) -> str:
    """Which of health.REASONS a failure is."""
    if isinstance(failure, Expired):
        return failure.reason
    if isinstance(failure, Refused):
        return STATUS_REASONS.get(failure.status, "refused")
    if isinstance(failure, Unanswered):
        return "silent"
    return "broken" if isinstance(failure, Broken) else "unreachable"


def explain(failure: Exception) -> Kube9Error:
    """The error of ours for a failed request."""
    if isinstance(failure, Refused) and failure.status == http.client.UNAUTHORIZED:
        return PermissionDenied("the API server does not know this account", f"{failure}; is its token or certificate right?")
    if isinstance(failure, Refused) and failure.status == http.client.FORBIDDEN:
        return PermissionDenied("the API server refuses", f"{failure}; may this account get, list and watch it?")
    if isinstance(failure, Refused):
        return Unavailable("the API server cannot answer", str(failure))
    return Unavailable("the API server does not answer", str(failure))

"""Why a watch ends: the failures beside those of `kube9.apiserver`, and the name by which each is counted."""

import http.client

from kube9.apiserver import Broken, Refused, Unreachable

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

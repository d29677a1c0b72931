"""The stretch of time for which a resource has been watched: whether the next proof extends it, or a gap came between."""

from kube9 import times

SHORT_MS = 1000  # an outage that is shorter makes no gap


class Stretch:
    """One resource's coverage while it is watched. Times are ISO 8601 text.

    Args:
        proven_at: the end of the last stretch that was stored; None when there is none.
        event_ttl_ms: how long the server keeps an object, in milliseconds: older ones no list brings back.
    """

    def __init__(self, proven_at: str | None, event_ttl_ms: int) -> None:
        self.proven_at = proven_at
        self._ttl_ms = event_ttl_ms
        self._cause: str | None = "not_running" if proven_at else "before_first_recording"
        self._lost_at: str | None = None  # when the present outage began, until the server answers again

    @property
    def begins(self) -> bool:
        """Whether the next proof begins a stretch."""
        return self._cause is not None

    def is_kept(self, at: str) -> bool:
        """Whether the next proof ends a gap of which the server has not forgotten anything.

        Such a proof stays true when the version turns out to have expired; of a longer gap it must be sure.
        """
        return self.begins and self.proven_at is not None and _between_ms(self.proven_at, at) < self._ttl_ms

    def lost(self, cause: str, at: str) -> None:
        """From now on nobody can watch, for one of `vocabulary.CAUSES`. The first of several causes stands."""
        if self._cause is None:
            self._cause, self._lost_at = cause, at

    def answered(self, at: str) -> None:
        """The server answers what was asked at this time; an outage that was short until then makes no gap."""
        if self._lost_at and _between_ms(self._lost_at, at) < SHORT_MS:
            self._cause = None
        self._lost_at = None

    def restored(self) -> None:
        """The server went back to an earlier state: what it had since then is gone."""
        self._cause, self._lost_at = "restored", None

    def proof(self, at: str, *, listed: bool = False) -> tuple[str | None, str | None]:
        """Everything up to this time has been read, by a list or by a watch that went on where it stood.

        Returns why a gap lies before it, one of `vocabulary.CAUSES` or None, and from when on it was read afterwards.
        """
        before, cause = self.proven_at, self._cause
        self.proven_at, self._cause, self._lost_at = at, None, None
        if cause is None and not listed:
            return None, None
        kept_from = times.iso(times.ms(at) - self._ttl_ms)
        if cause is None:
            # A list without an outage: the version had expired. What the server dropped in the meantime was not seen.
            missed = before is not None and before < kept_from
            return ("expired", kept_from) if missed else (None, None)
        if cause == "restored":
            return cause, None
        if cause == "not_running" and before and 0 <= _between_ms(before, at) < SHORT_MS:
            return None, None
        if not listed:
            return cause, before
        return cause, max(before, kept_from) if before else kept_from


def _between_ms(start: str, end: str) -> int:
    return times.ms(end) - times.ms(start)

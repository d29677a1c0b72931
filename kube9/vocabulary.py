"""The closed sets of words that the code and queries.yaml share; a test holds both together."""

TIER = "free"
EVENT_TYPES = ("cluster", "operator", "insight", "assessment", "health", "system")
OWN_EVENT_TYPES = EVENT_TYPES[1:]  # the first is for what Kubernetes tells
SEVERITIES = ("info", "warning", "error", "critical")  # rising
# Why a stretch of time was not watched, or is not there any more; what people read, by the name that programs read.
CAUSES = {
    "not_running": "kube9 was not running",
    "disconnected": "no connection to the API server",
    "expired": "the API server no longer had it",
    "restored": "the API server went back to an earlier state",
    "forbidden": "the API server refused",
    "storage_unavailable": "the database took no writes",
    "evicted_by_size": "removed to keep the size budget",
    "older_than_retention": "older than what is kept",
    "before_first_recording": "before the first recording",
    "outside_scope": "outside the one namespace that was watched",
    "imported_only": "known from imported files only",
}

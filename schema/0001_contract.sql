-- The contract: what other programs may read of this file. No column here is ever dropped or renamed.
-- Times are ISO 8601 text in UTC with milliseconds and a Z.

CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY,
    applied_at TEXT NOT NULL,
    description TEXT
);

CREATE TABLE events (
    id TEXT PRIMARY KEY,
    event_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT,
    object_kind TEXT,
    object_namespace TEXT,
    object_name TEXT,
    metadata TEXT,
    created_at TEXT NOT NULL
);

CREATE INDEX idx_events_type ON events (event_type);
CREATE INDEX idx_events_severity ON events (severity);
CREATE INDEX idx_events_created ON events (created_at DESC);
CREATE INDEX idx_events_object ON events (object_kind, object_namespace, object_name);

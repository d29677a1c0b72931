-- What the recorder adds: the span of an event, where it came from, its identity, and the order of arrivals.

CREATE TABLE clusters (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,  -- of the namespace kube-system: it stays the same as long as the cluster does
    name TEXT
);

-- change_seq: the last number given to an added or updated row.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('change_seq', 0);

ALTER TABLE events ADD COLUMN last_seen_at TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE events ADD COLUMN reason TEXT;
ALTER TABLE events ADD COLUMN component TEXT;  -- who reported it, such as kubelet
ALTER TABLE events ADD COLUMN node TEXT;       -- from which node
ALTER TABLE events ADD COLUMN uid TEXT;        -- of the Event object; it changes when an expired event is re-created
ALTER TABLE events ADD COLUMN owner_kind TEXT;
ALTER TABLE events ADD COLUMN owner_name TEXT;

-- The identity of an event of Kubernetes is its cluster, namespace and name, and created_at. To keep a row small,
-- event_namespace is null where it equals object_namespace, and event_name without its first part where that is
-- object_name: '.17b2c4' stands for object_name || '.17b2c4' (a name that starts with a dot or a slash itself is kept behind a slash).
-- cluster_id is null where a dump does not tell the cluster; event_name is null for an event of kube9's own.
ALTER TABLE events ADD COLUMN event_namespace TEXT;
ALTER TABLE events ADD COLUMN event_name TEXT;
ALTER TABLE events ADD COLUMN cluster_id INTEGER REFERENCES clusters (id);

ALTER TABLE events ADD COLUMN origin TEXT NOT NULL DEFAULT 'api';  -- watch, import or api
ALTER TABLE events ADD COLUMN recorded_at TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN change_seq INTEGER NOT NULL DEFAULT 0;

UPDATE events SET last_seen_at = created_at, recorded_at = created_at, change_seq = rowid;
UPDATE counters SET value = (SELECT coalesce(max(change_seq), 0) FROM events);

-- Lists are newest first by last_seen_at. An index begins with what a filter compares for equality and goes on with
-- last_seen_at, so that rows come in order and a window is a range; type, severity and created_at at the end let filters
-- and totals be answered from the index alone.
DROP INDEX idx_events_type;
DROP INDEX idx_events_severity;
DROP INDEX idx_events_created;
DROP INDEX idx_events_object;
CREATE INDEX idx_events_seen ON events (last_seen_at, event_type, severity, created_at);
CREATE INDEX idx_events_type ON events (event_type, last_seen_at, severity);
CREATE INDEX idx_events_severity ON events (severity, last_seen_at, event_type);
CREATE INDEX idx_events_object ON events (object_kind, object_namespace, object_name, last_seen_at);
CREATE INDEX idx_events_namespace ON events (object_namespace, last_seen_at);
CREATE INDEX idx_events_name ON events (object_name, last_seen_at);

-- What pages, followers and summaries need.

-- A token for what is new names the database it was given by, which a copy that is put in its place is not.
INSERT INTO counters (name, value) VALUES ('lineage', abs(random() % 1000000000000000));

-- "Only what is new" reads from here on.
CREATE INDEX idx_events_change ON events (change_seq);
CREATE INDEX idx_events_reason ON events (reason, last_seen_at);
-- What a Deployment owns, for `--for deploy/web`; a row without an owner takes no place in it.
CREATE INDEX idx_events_owner ON events (owner_kind, owner_name, last_seen_at) WHERE owner_name IS NOT NULL;

-- With count in them, occurrences are summed up from the index alone.
DROP INDEX idx_events_seen;
DROP INDEX idx_events_type;
DROP INDEX idx_events_severity;
CREATE INDEX idx_events_seen ON events (last_seen_at, event_type, severity, created_at, count);
CREATE INDEX idx_events_type ON events (event_type, last_seen_at, severity, count);
CREATE INDEX idx_events_severity ON events (severity, last_seen_at, event_type, count);

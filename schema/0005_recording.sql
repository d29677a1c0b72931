-- What the recorder knows beside the rows: how counts rose, what was watched, what it last saw of each object.

-- A rise of a count is a row here: so many more, between two times. An event whose count never rose has none, because
-- its row says it all. The counts of an event's rows sum up to its count.
CREATE TABLE occurrences (
    event_id TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    to_at TEXT NOT NULL,
    from_at TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (event_id, to_at)
) WITHOUT ROWID;

-- Stretches of time that were watched without a break. What lies between two stretches of a resource is a gap; its
-- cause stands with the later one, and so does how much of it was read afterwards.
CREATE TABLE coverage (
    id INTEGER PRIMARY KEY,
    cluster_id INTEGER REFERENCES clusters (id),
    resource TEXT NOT NULL,  -- as in watch_position; import for what a file held
    from_at TEXT NOT NULL,
    to_at TEXT NOT NULL,
    cause TEXT NOT NULL,     -- why nobody watched before from_at
    recovered_from TEXT,     -- what happened from here on was read afterwards; null: nothing of it
    -- Filled in by the trigger: with sums up to each stretch, what was watched of any window is known from its two ends.
    after_at TEXT,                          -- end of the stretch before, where the gap begins; null for the first
    watched_ms INTEGER NOT NULL DEFAULT 0,  -- how long all stretches before were
    known_ms INTEGER NOT NULL DEFAULT 0     -- the same, and what was read afterwards of the gaps between
);
CREATE INDEX idx_coverage_resource ON coverage (resource, to_at);

-- Stretches of a resource are added in their order, and only the last one grows. One that begins before the last one ended,
-- because a clock was set back, ends it.
CREATE TRIGGER coverage_sums AFTER INSERT ON coverage WHEN NEW.resource <> 'import' BEGIN
    UPDATE coverage
    SET after_at = last.to_at,
        watched_ms = last.watched_ms + last.length_ms,
        known_ms = last.known_ms + last.length_ms + last.recovered_ms
    FROM (
        SELECT
            to_at,
            watched_ms,
            known_ms,
            CAST(round(max(0, julianday(min(to_at, NEW.from_at)) - julianday(from_at)) * 86400000) AS INTEGER) AS length_ms,
            CAST(round(max(0, coalesce(julianday(NEW.from_at) - julianday(max(to_at, NEW.recovered_from)), 0)) * 86400000)
                AS INTEGER) AS recovered_ms
        FROM coverage
        WHERE resource = NEW.resource AND id <> NEW.id
        ORDER BY to_at DESC, id DESC
        LIMIT 1
    ) AS last
    WHERE coverage.id = NEW.id;
END;

-- What is gone by age or size: events of this severity that were last seen before this time.
CREATE TABLE evictions (
    severity TEXT NOT NULL,
    cause TEXT NOT NULL,
    before_at TEXT NOT NULL,
    evicted_at TEXT NOT NULL,
    PRIMARY KEY (severity, cause)
) WITHOUT ROWID;

-- The last known state of watched objects, so that a restart neither repeats nor misses a change.
CREATE TABLE watched_objects (
    cluster_id INTEGER NOT NULL REFERENCES clusters (id),
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,  -- empty for cluster-scoped kinds
    name TEXT NOT NULL,
    uid TEXT NOT NULL,
    state TEXT NOT NULL,      -- JSON: what derived events and owners need of it
    list_id INTEGER NOT NULL, -- the list that named it last; what a later list does not name is gone
    PRIMARY KEY (cluster_id, resource, namespace, name)
) WITHOUT ROWID;

-- Which events of the cluster an event of our own is about.
CREATE TABLE event_links (
    event_id TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    linked_id TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    PRIMARY KEY (event_id, linked_id)
) WITHOUT ROWID;
CREATE INDEX idx_event_links_linked ON event_links (linked_id);

ALTER TABLE heartbeat ADD COLUMN problems TEXT NOT NULL DEFAULT '[]';  -- JSON: what keeps it from being healthy

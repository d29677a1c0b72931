-- Where each watch stands, and the sign of life that `kube9 query status` reads.

-- Updated in the transaction that stores the rows read up to it: that is what "exactly once" rests on.
CREATE TABLE watch_position (
    cluster_id INTEGER NOT NULL REFERENCES clusters (id),
    resource TEXT NOT NULL,
    resource_version TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (cluster_id, resource)
) WITHOUT ROWID;

CREATE TABLE heartbeat (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    beat_at TEXT NOT NULL,
    started_at TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    health TEXT NOT NULL,
    queue_size INTEGER NOT NULL,
    dropped_total INTEGER NOT NULL,
    watch TEXT NOT NULL  -- JSON: what serve knows of each watched resource
);

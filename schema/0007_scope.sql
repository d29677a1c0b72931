-- Which part of a cluster was watched: all of it, or one namespace (`kube9 serve --namespace`).

-- A recorder that may read one namespace cannot tell its cluster: `uid` is then that of the namespace, whose name stands here.
-- Positions, known objects and stretches of coverage are kept by this row, so that those of one namespace never meet those of the
-- whole cluster. (Where a recorder of a whole cluster took the same uid for want of a better one, a slash and the name follow.)
ALTER TABLE clusters ADD COLUMN namespace TEXT;  -- null: all of them

-- From when on what was watched. One recorder writes at a time, so a time has one scope. A file without a row here was
-- written by recorders of whole clusters alone; then nothing more is read to tell the coverage of an answer.
CREATE TABLE scopes (
    id INTEGER PRIMARY KEY,
    from_at TEXT NOT NULL,
    namespace TEXT,      -- null: all of them
    recovered_from TEXT, -- from when on its first list told what had happened before; null: not at all
    after_at TEXT        -- where the last stretch before ended; null: there was none
);

CREATE TRIGGER coverage_scope AFTER INSERT ON coverage WHEN NEW.resource = 'events' BEGIN
    INSERT INTO scopes (from_at, namespace, recovered_from, after_at)
    SELECT
        NEW.from_at,
        present.namespace,
        NEW.recovered_from,
        (SELECT max(to_at) FROM coverage WHERE resource = 'events' AND id <> NEW.id)
    FROM (SELECT (SELECT namespace FROM clusters WHERE id = NEW.cluster_id) AS namespace) AS present
    WHERE present.namespace IS NOT (SELECT namespace FROM scopes ORDER BY id DESC LIMIT 1);
END;

ALTER TABLE heartbeat ADD COLUMN namespace TEXT;  -- what the recorder watches alone; null: all of them

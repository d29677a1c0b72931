"""The clusters that events come from, and which of them may be the same one.

A recorder of one namespace (`serve --namespace`) must not ask for kube-system, so it cannot tell its cluster. It has a row
of its own, by the uid of its namespace, and with it positions, known objects and coverage of its own: a list of one
namespace says nothing of the others, and must not take away what is known of them.

Events are another matter: one that a recorder of the whole cluster stored is the same when a recorder of its namespace
reads it again. So an event of a namespace's recorder may be of any whole cluster, and the other way round, as may one of a
dump that does not tell its cluster; namespace, name and time of creation tell it apart from all others. It keeps the
cluster that it was first stored with. To ask for the true one would need a right that the mode is there to do without.
"""

import sqlite3

FIND = "SELECT id FROM clusters WHERE uid IN (:uid, :uid || '/' || coalesce(:namespace, '*')) AND namespace IS :namespace"
# The uid of a namespace may be taken: a recorder of the whole cluster has that of its own where it may not read kube-system.
ADD = """
INSERT INTO clusters (uid, namespace)
SELECT
    CASE WHEN EXISTS (SELECT 1 FROM clusters WHERE uid = :uid) THEN :uid || '/' || coalesce(:namespace, '*') ELSE :uid END,
    :namespace
RETURNING id
"""
WHOLES = "SELECT id FROM clusters WHERE namespace IS NULL"
OTHERS = """
SELECT other.id
FROM clusters AS other, clusters AS this
WHERE this.id = ? AND (other.namespace IS NULL) <> (this.namespace IS NULL)
"""


def find(connection: sqlite3.Connection, uid: str, namespace: str | None) -> int | None:
    """The number of a cluster, or of the one namespace of it that is watched; None when it is not known."""
    found = connection.execute(FIND, {"uid": uid, "namespace": namespace}).fetchone()
    return found and int(found[0])


def identify(connection: sqlite3.Connection, uid: str, namespace: str | None) -> int:
    """The same, and it gets a number when it has none."""
    found = find(connection, uid, namespace)
    if found is None:
        (found,) = connection.execute(ADD, {"uid": uid, "namespace": namespace}).fetchone()
    return int(found)


def alike(connection: sqlite3.Connection, cluster_id: int | None) -> frozenset[int]:
    """The other clusters that may be the same one: to a namespace's recorder whole clusters, and the other way round."""
    return frozenset(number for (number,) in connection.execute(OTHERS, (cluster_id,)))


def wholes(connection: sqlite3.Connection) -> list[int]:
    """The clusters of which all namespaces were watched."""
    return [number for (number,) in connection.execute(WHOLES)]

"""One installation of the chart, which all tests with a node share."""

import pytest
from cluster.operator_pod import Operator

READER = "reader"  # a service account of the operator's namespace
QUERIES = """\
version: 1
queries:
  pods failing:
    summary: Count what fails by pod
    returns: page of FailingPod
    fields: {object_name: string, failures: {type: integer, present: true}}
    filters:
      object-namespace: {column: object_namespace, flags: [-n], doc: only in this namespace}
    sql: |
      SELECT object_name, count(*) AS failures FROM events
      WHERE object_kind = 'Pod' AND {filters}
      GROUP BY object_name ORDER BY failures DESC, object_name
  some shuffled:
    summary: Some events in no order, which takes room to sort
    returns: page of Shuffled
    fields: {id: string, description: string}
    sql: |
      WITH some AS (SELECT id, substr(description, 1, 20) AS description FROM events LIMIT 400)
      SELECT a.id, a.description FROM some AS a, some AS b ORDER BY a.description || random()
  hungry rows:
    summary: Text that doubles without end
    returns: page of Hungry
    fields: {size: integer}
    sql: |
      WITH RECURSIVE grown(text, depth) AS (
        SELECT 'kube9', 0 UNION ALL SELECT text || text, depth + 1 FROM grown WHERE depth < 60
      )
      SELECT length(group_concat(text)) AS size FROM grown
"""
RULES = """\
version: 1
rules:
  - {reason: TeaIsCold, record: true, severity: critical, title: Tea is cold}
"""


@pytest.fixture(scope="session")
def operator() -> Operator:
    """kube9 in the namespace kube9-system, with a reader, queries of one's own and a rule. It goes with its cluster."""
    running = Operator()
    running.install(
        reader={"subjects": [{"kind": "ServiceAccount", "name": READER}]},
        queries={"files": {"queries.yaml": QUERIES}},
        retention={"infoWarningDays": 3},
        rules={"files": {"rules.yaml": RULES}},
    )
    return running

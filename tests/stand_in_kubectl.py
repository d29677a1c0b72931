"""Stands in for kubectl where no cluster is: it runs the words of an exec here, and ends as kubectl ends.

What it gets is written to the file $STAND_IN_LOG, a JSON list a call. $STAND_IN_FAILS is what it says instead, as kubectl
does when it fails itself, $STAND_IN_ANSWER a file with what the command is to answer; $STAND_IN_PODS has the pods that it
knows, as the API server lists them.
"""

import json
import os
import subprocess
import sys

words = sys.argv[1:]
with open(os.environ["STAND_IN_LOG"], "a") as log:
    log.write(json.dumps(words) + "\n")
if said := os.environ.get("STAND_IN_FAILS"):
    print(said, file=sys.stderr)
    sys.exit(1)
pods = json.loads(os.environ.get("STAND_IN_PODS", '["kube9-operator-0"]'))
items = [
    pod
    if isinstance(pod, dict)
    else {"metadata": {"name": pod}, "status": {"containerStatuses": [{"name": "operator", "ready": True}]}}
    for pod in pods
]
if words[0] == "get":
    print(json.dumps({"kind": "PodList", "items": items}))
    sys.exit(0)
if words[:2] == ["config", "get-contexts"]:
    print("far\nfarther")
    sys.exit(0)
assert words[:2] == ["exec", "--stdin"]
at = words.index("--")
pod = words[at - 1]
found = next((item for item in items if item["metadata"]["name"] == pod), None)
if not found:
    print(f'Error from server (NotFound): pods "{pod}" not found', file=sys.stderr)
    sys.exit(1)
if not all(status["ready"] for status in found["status"]["containerStatuses"]):
    print('error: Internal error occurred: unable to upgrade connection: container not found ("operator")', file=sys.stderr)
    sys.exit(1)
if answer := os.environ.get("STAND_IN_ANSWER"):
    with open(answer) as file:
        sys.stdout.write(file.read())
    sys.exit(0)
code = subprocess.run(words[at + 1 :], check=False).returncode
code = code if code >= 0 else 128 - code  # a signal, as a container runtime has it
if code:
    print(f"command terminated with exit code {code}", file=sys.stderr)
sys.exit(code)

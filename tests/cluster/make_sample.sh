#!/usr/bin/env bash
# Makes the sample of real events anew, in about five minutes (root):
#   tests/cluster/make_sample.sh tests/data/sample-events.json
# Outside a cluster it starts one under the host name control-plane-1: the scheduler and kube-proxy write the host's
# name into their events (reportingInstance), and a sample must not name the machine that made it.
# It may also be the command of `cluster.py run --node`; then the machine's own name stays in.
set -euo pipefail

out=${1:?usage: make_sample.sh FILE}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${CLUSTER_PIDS:-} ]]; then
  # shellcheck disable=SC2016  # the inner shell expands it
  exec timeout 900 unshare --uts bash -c 'hostname control-plane-1 && exec "$@"' - \
    "$here/cluster.py" run --node -- "$here/make_sample.sh" "$out"
fi
: "${KUBECONFIG:?run it inside cluster.py run --node}" "${CONTAINERD_ADDRESS:?run it with --node}"
loads=$here/workloads.yaml
part=$out.part

# The last line counts: a component that was started again has a later one.
kubelet=$(awk '$1 == "kubelet" {pid = $2} END {print pid}' "$CLUSTER_PIDS")
trap 'kill -CONT "$kubelet" 2>/dev/null || true; rm -f "$part"' EXIT

say() { printf '%4d s  %s\n' "$SECONDS" "$*" >&2; }

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then
      say "still not true: $*"
      return 1
    fi
    sleep 1
  done
}

node_ready_is() {
  [[ $(kubectl get node node-1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == "$1" ]]
}

# count_is_over REASON OBJECT NUMBER
count_is_over() {
  local count
  count=$(kubectl get events -A --field-selector "reason=$1,involvedObject.name=$2" -o json | jq '[.items[].count // 0] | max // 0')
  ((count > $3))
}

# A crash loop says BackOff only about once a restart, so its count stays near five for minutes.
# Any change of the pod makes the kubelet look at it again, and say so again.
restarts_backed_off() {
  count_is_over BackOff checkout 5 && return
  kubectl annotate pod checkout -n shop --overwrite "test.local/touched=$SECONDS"
  return 1
}

cron_job_ran() { kubectl get events -n shop --field-selector reason=SawCompletedJob -o name | grep -q .; }

quota_has_status() { [[ -n $(kubectl get quota team-budget -n staging -o 'jsonpath={.status.used}') ]]; }

# Failed image pulls name the resolver; a cluster's usual address stands in for the one of this machine.
# The mount namespace is the cluster's own, so nothing outside sees this.
resolv=$(dirname "$CLUSTER_PIDS")/resolv.conf
printf 'nameserver 10.96.0.10\n' >"$resolv"
mount --bind "$resolv" /etc/resolv.conf

python3 "$here/images.py" >&2
kubectl apply -f "$loads" -l case=namespace >&2
until_true 60 kubectl get serviceaccount default -n shop
until_true 60 kubectl get serviceaccount default -n staging
kubectl apply -f "$loads" -l case=quota >&2
until_true 30 quota_has_status
kubectl apply -f "$loads" >&2
say 'workloads applied'

until_true 60 kubectl wait deployment/storefront -n shop --for=condition=Available --timeout=5s
kubectl scale deployment/storefront -n shop --replicas=3 >&2
sleep 10
kubectl scale deployment/storefront -n shop --replicas=1 >&2
say 'scaled up and down'

# One run is enough; every run adds seven events.
until_true 120 cron_job_ran
kubectl patch cronjob session-cleanup -n shop --type=merge -p '{"spec":{"suspend":true}}' >&2
say 'cron job ran and is suspended'

until_true 240 count_is_over BackOff cart 5
while ((SECONDS < 200)); do sleep 1; done
until_true 60 restarts_backed_off
say 'counts have risen'

# The controller manager gives up on a silent node after 50 s.
kill -STOP "$kubelet"
until_true 120 node_ready_is Unknown
say 'node is not ready'
sleep 5
kill -CONT "$kubelet"
until_true 60 node_ready_is True
say 'node is ready again'
sleep 15

# Only the white space differs from what kubectl prints: half the size, the same objects in the same order.
kubectl get events -A -o json --show-managed-fields | jq --indent 1 . >"$part"
jq -e '.items | length >= 60' "$part" >/dev/null
mv "$part" "$out"
say "written: $out, $(jq '.items | length' "$out") events, $(wc -c <"$out") bytes"

#!/usr/bin/env bash
# The tests against a Kubernetes API use kubectl as a user does: this sees that the program is there. A missing one is a
# failure, never a reason to skip.
set -euo pipefail

if command -v kubectl >/dev/null; then
  kubectl version --client | head -1
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "kubectl is missing, and it cannot be installed from here." >&2
  echo "Install it (https://kubernetes.io/docs/tasks/tools/, Debian 12: apt-get install kubernetes-client) and run this again." >&2
  exit 1
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends kubernetes-client
kubectl version --client | head -1

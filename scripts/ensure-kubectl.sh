#!/usr/bin/env bash
# The tests against a Kubernetes API use kubectl as a user does: this sees that the program is there. A missing one is a
# failure, never a reason to skip.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

if ! command -v kubectl >/dev/null; then
  install_packages "kubectl is" "https://kubernetes.io/docs/tasks/tools/, Debian 12: apt-get install kubernetes-client" \
    kubernetes-client
fi
kubectl version --client | sed -n 1p

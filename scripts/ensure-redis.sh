#!/usr/bin/env bash
# The tests run a real redis-server of their own: this sees that the program is there. A missing one is a failure,
# never a reason to skip.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

if ! command -v redis-server >/dev/null; then
  install_packages "redis-server is" "Debian: apt-get install redis-server; macOS: brew install redis" redis-server
fi
redis-server --version

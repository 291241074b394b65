#!/usr/bin/env bash
# The tests run a real redis-server of their own: this sees that the program is there. A missing one is a failure,
# never a reason to skip.
set -euo pipefail

if command -v redis-server >/dev/null; then
  redis-server --version
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "redis-server is missing, and it cannot be installed from here." >&2
  echo "Install it (Debian: apt-get install redis-server; macOS: brew install redis) and run this again." >&2
  exit 1
fi

# Debian starts a service as it installs it, unless this policy says no. One that is there already is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server
redis-server --version

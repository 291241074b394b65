#!/usr/bin/env bash
# What `npm run bench:proxy` measures against and with: this sees that the programs are there.
set -euo pipefail

has_all() {
  local program
  for program in haproxy nginx h2load gcc openssl taskset setpriv; do
    command -v "$program" >/dev/null || return 1
  done
  echo '#include <nghttp2/nghttp2.h>' | gcc -fsyntax-only -x c - 2>/dev/null
}

show() {
  haproxy -v | head -1
  nginx -v 2>&1
  h2load --version
}

# Debian has haproxy and nginx where only root's PATH leads.
PATH="$PATH:/usr/sbin"
if has_all; then
  show
  exit 0
fi

packages=(haproxy nginx-light nghttp2-client libnghttp2-dev gcc libc6-dev openssl util-linux)
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "haproxy, nginx, h2load or what compiles the load programs is missing, and it cannot be installed from here." >&2
  echo "Install it (Debian: apt-get install ${packages[*]}) and run this again." >&2
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
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
has_all || { echo "installed, and something is missing all the same: ${packages[*]}" >&2; exit 1; }
show

#!/usr/bin/env bash
# What `npm run bench:proxy` measures against and with: this sees that the programs are there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

has_all() {
  local program
  for program in haproxy nginx h2load gcc openssl taskset setpriv; do
    command -v "$program" >/dev/null || return 1
  done
  echo '#include <nghttp2/nghttp2.h>' | gcc -fsyntax-only -x c - 2>/dev/null
}

show() {
  haproxy -v | sed -n 1p
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
install_packages "haproxy, nginx, h2load or what compiles the load programs is" \
  "Debian: apt-get install ${packages[*]}" "${packages[@]}"
has_all || { echo "installed, and something is missing all the same: ${packages[*]}" >&2; exit 1; }
show

#!/usr/bin/env bash
# The tests of redirect mode write real rules in network namespaces of their own: this sees that nft, iptables and ip are
# there. A missing one is a failure, never a reason to skip.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

# Debian has them in /usr/sbin, which is not on everybody's PATH.
PATH=$PATH:/usr/sbin
if ! command -v nft >/dev/null || ! command -v iptables >/dev/null || ! command -v ip >/dev/null; then
  install_packages "nft, iptables or ip is" "Debian: apt-get install nftables iptables iproute2" nftables iptables iproute2
fi
nft --version
iptables --version

# Sourced by ensure-*.sh: installs packages where apt-get and the right to use it are there.

# install_packages WHAT HINT PACKAGE...: fails with HINT when WHAT cannot be installed from here.
install_packages() (
  what=$1 hint=$2
  shift 2
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
  fi
  if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "$what missing, and cannot be installed from here." >&2
    echo "Install it ($hint) and run this again." >&2
    exit 1
  fi
  # Debian starts a service as it installs it, unless this policy says no. One that is there already is left alone.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
)

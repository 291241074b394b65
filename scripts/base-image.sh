#!/usr/bin/env bash
# Makes a base for the image from Debian's packages and the Node.js of node_modules, where images cannot be pulled (no
# registry is reached, or none is trusted): localhost/cutline-base:24, and :24-build with npm. Debian, root, buildah and
# mmdebstrap; then: make image BASE=localhost/cutline-base:24 BUILD_BASE=localhost/cutline-base:24-build
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${SUITE:-bookworm}
name=${1:-localhost/cutline-base:24}
node=$(node -p 'fs.realpathSync("node_modules/node/bin/node")')
npm=$(dirname "$(realpath "$(command -v npm)")")/..

missing=()
for tool in buildah mmdebstrap; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing: ${missing[*]}; install them (Debian: apt-get install ${missing[*]}), and run this as root" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
[ -x "$node" ] || { echo "$node is not there: run make install" >&2; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# No apt inside: what is essential, what Node.js and the redirect need, no documents.
mmdebstrap --quiet --variant=essential --include=libstdc++6,ca-certificates,nftables \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' \
  --customize-hook='rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt' \
  "$suite" "$folder/root.tar"

export BUILDAH_ISOLATION=chroot
container=$(buildah from scratch)
buildah add --quiet "$container" "$folder/root.tar" / >/dev/null
buildah copy --quiet --chmod 755 "$container" "$node" /usr/local/bin/node >/dev/null
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd node "$container"
buildah commit --quiet --format docker "$container" "$name"
buildah copy --quiet "$container" "$npm" /usr/local/lib/node_modules/npm >/dev/null
buildah run "$container" -- ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
buildah commit --quiet --format docker --rm "$container" "$name-build"
echo "$name and $name-build"

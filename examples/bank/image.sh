#!/usr/bin/env bash
# Builds the bank's image with docker, podman or buildah, whichever is there, from what `make install` has put into
# node_modules. From the environment: IMAGE, its name (cutline-bank:VERSION); BASE, any image with Node 24
# (node:24-bookworm-slim); ENGINE; SAVE, a file to which the image goes too, as an archive.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
image=${IMAGE:-cutline-bank:$version}
base=${BASE:-node:24-bookworm-slim}
engine=${ENGINE:-}
for candidate in docker podman buildah; do
  [ -z "$engine" ] || break
  if command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then engine=$candidate; fi
done
[ -n "$engine" ] || { echo "none of docker, podman and buildah is there and answers" >&2; exit 1; }

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
NODE_OPTIONS='' node_modules/.bin/tsc -b examples/bank
# What the bank needs at run time, and nothing else of node_modules: npm knows the paths.
root=$PWD
mkdir -p "$context/bank"
NODE_OPTIONS='' npm ls --omit=dev --workspace @cutline/example-bank --parseable --all 2>/dev/null | sort -u |
  while read -r path; do
    [ "$path" != "$root" ] || continue
    case $path in */node_modules/@types/*) continue ;; esac
    place=${path#"$root"/}
    mkdir -p "$context/bank/$(dirname "$place")"
    if [ -L "$path" ]; then
      home=$(realpath --relative-to="$root" "$path")
      mkdir -p "$context/bank/$home"
      for entry in package.json dist proto; do
        [ ! -e "$home/$entry" ] || cp -R "$home/$entry" "$context/bank/$home/"
      done
      cp -P "$path" "$context/bank/$place"
    else
      cp -R "$path" "$context/bank/$place"
    fi
  done
find "$context/bank" \( -name '*.map' -o -name '*.d.ts' -o -name '*.tsbuildinfo' \) -type f -delete
cat >"$context/Dockerfile" <<'DOCKERFILE'
ARG BASE
FROM ${BASE}
COPY bank /opt/bank
ENV NODE_ENV=production
USER 65532:65532
WORKDIR /tmp
CMD ["node", "/opt/bank/examples/bank/dist/src/main.js"]
DOCKERFILE

[ "$engine" != buildah ] || command -v crun >/dev/null || command -v runc >/dev/null || export BUILDAH_ISOLATION=chroot
case $engine in buildah) build=(buildah build --quiet) ;; *) build=("$engine" build --quiet) ;; esac
"${build[@]}" --tag "$image" --build-arg "BASE=$base" "$context" >/dev/null
if [ -n "${SAVE:-}" ]; then
  rm -f "$SAVE"
  case $engine in
    buildah) buildah push --quiet "$image" "docker-archive:$SAVE:$image" ;;
    *) "$engine" save --output "$SAVE" "$image" ;;
  esac
fi
echo "$image, built with $engine"

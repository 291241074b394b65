#!/usr/bin/env bash
# Builds the image with docker, podman or buildah, whichever is there and answers, and writes its bill of materials
# beside it. From the environment:
#   IMAGE        its name                        (cutline:VERSION)
#   BASE         what it stands on               (the Dockerfile's; releases: NAME@sha256:DIGEST)
#   BUILD_BASE   where it is compiled, with npm  (BASE)
#   NPMRC        npm's settings for the build, a file; not in the image
#   AUTHORITIES  certificate authorities for npm, a PEM file; not in the image
#   ENGINE       docker, podman or buildah
#   SAVE         a file: the image goes there too, as an archive that docker load and ctr images import take
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
image=${IMAGE:-cutline:$version}
folder=.cutline/image

answers() {
  command -v "$1" >/dev/null && "$1" info >/dev/null 2>&1
}

engine=${ENGINE:-}
if [ -z "$engine" ]; then
  for candidate in docker podman buildah; do
    if answers "$candidate"; then
      engine=$candidate
      break
    fi
  done
fi
if [ -z "$engine" ] || ! answers "$engine"; then
  echo "none of docker, podman and buildah is there and answers; install one (Debian: apt-get install buildah)" >&2
  exit 1
fi

arguments=(--build-arg "VERSION=$version")
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
created=$(git log -1 --format=%cI 2>/dev/null || echo 1970-01-01T00:00:00Z)
arguments+=(--build-arg "REVISION=$revision" --build-arg "CREATED=$created")
if [ -n "${BASE:-}" ]; then arguments+=(--build-arg "BASE=$BASE"); fi
if [ -n "${BUILD_BASE:-}" ]; then arguments+=(--build-arg "BUILD_BASE=$BUILD_BASE"); fi
if [ -n "${NPMRC:-}" ]; then arguments+=(--secret "id=npmrc,src=$NPMRC"); fi
if [ -n "${AUTHORITIES:-}" ]; then arguments+=(--secret "id=authorities,src=$AUTHORITIES"); fi
case ${BASE:-} in
  *@sha256:*) ;;
  *) echo "note: the base ${BASE:-$(sed -n 's/^ARG BASE=//p' Dockerfile)} is not pinned; for a release say BASE=NAME@sha256:DIGEST" >&2 ;;
esac

if [ "$engine" != docker ] && ! command -v crun >/dev/null && ! command -v runc >/dev/null; then
  export BUILDAH_ISOLATION=chroot
fi
# The format of docker has health checks, the one of OCI has none.
case $engine in
  docker) DOCKER_BUILDKIT=1 docker build --tag "$image" "${arguments[@]}" . ;;
  podman) podman build --format docker --tag "$image" "${arguments[@]}" . ;;
  buildah) buildah build --format docker --tag "$image" "${arguments[@]}" . ;;
  *) echo "ENGINE=$engine: it is docker, podman or buildah" >&2 && exit 1 ;;
esac

mkdir -p "$folder"
bill=$folder/${image//[\/:]/-}.cdx.json
if [ "$engine" = buildah ]; then
  container=$(buildah from --pull-never "$image")
  trap 'buildah rm "$container" >/dev/null' EXIT
  cat "$(buildah mount "$container")/opt/cutline/sbom.cdx.json" >"$bill"
  size=$(buildah images --format '{{.Size}}' "$image")
else
  container=$("$engine" create "$image")
  trap '"$engine" rm "$container" >/dev/null' EXIT
  "$engine" cp "$container:/opt/cutline/sbom.cdx.json" "$bill"
  size=$("$engine" images --format '{{.Size}}' "$image")
fi
if [ -n "${SAVE:-}" ]; then
  rm -f "$SAVE"
  case $engine in
    buildah) buildah push --quiet "$image" "docker-archive:$SAVE:$image" ;;
    *) "$engine" save --output "$SAVE" "$image" ;;
  esac
fi
echo "$image ($size), built with $engine; its bill of materials: $bill"

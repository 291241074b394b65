#!/usr/bin/env bash
# Runs the image as Kubernetes does, as 65532 with a root that nobody can write to, and sees that it is what it says.
# IMAGE=cutline:VERSION; ENGINE=docker, podman or buildah. buildah runs no containers: its image is mounted, and that
# takes root.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
image=${IMAGE:-cutline:$version}
engine=${ENGINE:-}
if [ -z "$engine" ]; then
  for candidate in docker podman buildah; do
    if command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then engine=$candidate && break; fi
  done
fi
if [ -z "$engine" ]; then echo "none of docker, podman and buildah is there and answers" >&2; exit 1; fi

folder=$(mktemp -d)
container=
started=()
clean() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  if mountpoint -q "$folder/root/tmp"; then umount "$folder/root/tmp"; fi
  if mountpoint -q "$folder/root/dev"; then umount -R "$folder/root/dev"; fi
  if mountpoint -q "$folder/root/proc"; then umount "$folder/root/proc"; fi
  if mountpoint -q "$folder/root"; then umount "$folder/root"; fi
  if [ -n "$container" ]; then buildah rm "$container" >/dev/null; fi
  rm -rf "$folder"
}
trap clean EXIT

if [ "$engine" = buildah ]; then
  container=$(buildah from --pull-never "$image")
  mkdir "$folder/root"
  mount --bind "$(buildah mount "$container")" "$folder/root"
  mount --bind /dev "$folder/root/dev"
  mount -t proc proc "$folder/root/proc"
  mount -t tmpfs -o mode=1777 tmpfs "$folder/root/tmp"
  mount -o remount,bind,ro "$folder/root"
fi

# inside COMMAND...: in the image. Variables that begin with CUTLINE_ go along. With run=exec in the place of this shell,
# so that signals reach it.
inside() {
  local variables=()
  while IFS= read -r name; do variables+=("$name=${!name}"); done < <(compgen -e CUTLINE_ || true)
  if [ "$engine" = buildah ]; then
    ${run:-} chroot --userspec=65532:65532 "$folder/root" \
      /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NODE_ENV=production \
      "${variables[@]}" "$@"
  else
    ${run:-} "$engine" run --rm --read-only --tmpfs /tmp --network host "${variables[@]/#/--env=}" "$image" "$@"
  fi
}

setting() {
  if [ "$engine" = buildah ]; then
    buildah inspect --type image --format "{{$1}}" "$image"
  else
    "$engine" image inspect --format "{{$2}}" "$image"
  fi
}

failed=0
expect() { # WHAT EXPECTED FOUND
  if [ "$2" = "$3" ]; then echo "  ok   $1"; else echo "  FAIL $1: expected «$2», found «$3»" && failed=1; fi
}

echo "$image, with $engine"
expect "runs as 65532, by number" "65532:65532" "$(setting .Docker.Config.User .Config.User)"
expect "says its version" "$version" "$(setting 'index .Docker.Config.Labels "org.opencontainers.image.version"' 'index .Config.Labels "org.opencontainers.image.version"')"
expect "has a health check" "[CMD node /opt/cutline/image/health.js]" "$(setting .Docker.Config.Healthcheck.Test .Config.Healthcheck.Test)"
expect "is user 65532" 65532 "$(inside id -u)"
expect "has a root that nobody can write to" refused "$(inside sh -c 'touch /opt/cutline/x 2>/dev/null && echo written || echo refused')"
expect "has Node.js 24" 24 "$(inside node --print 'process.versions.node.split(".")[0]')"
for program in cutline-agent cutline-coordinator cutline kubectl-cutline nft; do
  expect "has $program on the PATH" yes "$(inside sh -c "command -v $program >/dev/null && echo yes || echo no")"
done
expect "has no npm" no "$(inside sh -c 'command -v npm >/dev/null && echo yes || echo no')"
expect "has nothing of development" "" "$(inside sh -c 'cd /opt/cutline; ls -d node_modules/typescript node_modules/@biomejs node_modules/fast-check node_modules/knip node_modules/@cutline/simulator examples test bench 2>/dev/null; find . -name "*.ts" -o -name "*.map"' | head -3)"
expect "has a bill of materials, of npm's and of Debian's packages" "both" "$(inside node --eval '
  const { components } = JSON.parse(require("node:fs").readFileSync("/opt/cutline/sbom.cdx.json", "utf8"));
  const has = (start) => components.some(({ purl }) => purl.startsWith(start));
  console.log(has("pkg:npm/fastify@") && has("pkg:npm/%40grpc/grpc-js@") && has("pkg:deb/debian/nftables@") ? "both" : "not both");')"
expect "answers for the command line" yes "$(inside cutline --help >/dev/null && echo yes || echo no)"
expect "answers for the redirect, which wants its settings" 78 "$(code=0; inside cutline-redirect >/dev/null 2>&1 || code=$?; echo $code)"

answered() { # URL: within 30 s
  for _ in $(seq 150); do
    if curl --silent --fail --max-time 2 --output /dev/null "$1"; then echo yes && return; fi
    sleep 0.2
  done
  echo no
}

CUTLINE_HTTP_PORT=27400 CUTLINE_AGENTS_PORT=27401 run=exec inside cutline-coordinator >"$folder/coordinator.log" 2>&1 &
started+=($!)
expect "starts a coordinator that leads" yes "$(answered http://127.0.0.1:27400/readyz)"
CUTLINE_PROCESS_ID=any/process CUTLINE_APPLICATION_ADDRESS=127.0.0.1:1 CUTLINE_COORDINATOR_ADDRESS=127.0.0.1:27401 \
  CUTLINE_ADMIN_PORT=27402 CUTLINE_OUTBOUND_PORT=0 CUTLINE_INBOUND_PORT=0 CUTLINE_LINK_PORT=0 \
  run=exec inside cutline-agent >"$folder/agent.log" 2>&1 &
started+=($!)
expect "starts an agent" yes "$(answered http://127.0.0.1:27402/healthz)"
expect "is healthy, as a coordinator" 0 "$(CUTLINE_HTTP_PORT=27400 inside node /opt/cutline/image/health.js && echo 0 || echo 1)"
expect "is healthy, as an agent" 0 "$(CUTLINE_PROCESS_ID=any/process CUTLINE_ADMIN_PORT=27402 inside node /opt/cutline/image/health.js && echo 0 || echo 1)"
expect "is not healthy where nothing answers" 1 "$(CUTLINE_HTTP_PORT=27403 inside node /opt/cutline/image/health.js 2>/dev/null && echo 0 || echo 1)"
kill -TERM "${started[0]}"
code=0
wait "${started[0]}" || code=$?
expect "stops on SIGTERM" 0 "$code"

if [ "$failed" = 1 ]; then
  tail -n 5 "$folder"/*.log >&2
  exit 1
fi

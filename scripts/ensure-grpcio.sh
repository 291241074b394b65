#!/usr/bin/env bash
# The interop tests run grpc-core by a real Python program: this sees that its modules are there. Missing ones are a
# failure, never a reason to skip.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

show='import google.protobuf, grpc; print("grpc-core", grpc.__version__)'
# The first is the one of the PATH, the second Debian's, whose packages another Python does not see.
for python in python3 /usr/bin/python3; do
  if "$python" -c "$show" 2>/dev/null; then
    exit 0
  fi
done

packages=(python3-grpcio python3-protobuf)
install_packages "The Python modules grpc and google.protobuf are" \
  "Debian: apt-get install ${packages[*]}; elsewhere: pip install grpcio protobuf" "${packages[@]}"
/usr/bin/python3 -c "$show"

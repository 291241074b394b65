import { spawnSync } from "node:child_process";

/** The first is the one of the PATH, the second Debian's, whose packages another Python does not see. */
const candidates = ["python3", "/usr/bin/python3"];

let found: string | undefined;

/** A Python that has grpc-core and protobuf. Throws with what to do when there is none. */
export function pythonWithGrpc(): string {
  found ??= candidates.find((python) => spawnSync(python, ["-c", "import grpc, google.protobuf"]).status === 0);
  if (found !== undefined) return found;
  throw new Error(
    "grpc-core is missing: no python3 here has the modules grpc and google.protobuf. " +
      "`make grpcio` installs them on Debian and Ubuntu (apt-get install python3-grpcio python3-protobuf)",
  );
}

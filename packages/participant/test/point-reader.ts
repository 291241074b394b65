/** A thread of its own: captures, and sets the flag when the point has come; then it reads to the end. */
import { parentPort, workerData } from "node:worker_threads";
import { ParticipantClient } from "@cutline/proto/participant";
import * as grpc from "@grpc/grpc-js";

const { address, flag } = workerData as { address: string; flag: Int32Array };
const client = new ParticipantClient(address, grpc.credentials.createInsecure());
for await (const { body } of client.capture({ snapshotId: "s", attempt: 1, deadlineMs: 10_000, stateBytesMax: 0 })) {
  if (body?.$case !== "point") continue;
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
}
client.close();
parentPort?.postMessage("read");

/** A program of its own: the server that is measured. */
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { createApplication } from "./application.ts";
import { echoService } from "./contract.ts";

let calls = 0;
const application = createApplication(() => ({ calls }));
application.server.addService(echoService, {
  call({ request }: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) {
    calls += 1;
    callback(null, request);
  },
});
await application.serve("echo serves");

/** `node main.ts grpc-js|http2`: serves the interop service on INTEROP_PORT; the descriptors are in INTEROP_DESCRIPTORS. */
import process from "node:process";
import { Messages } from "../messages.ts";
import { createService } from "../service.ts";
import { serveGrpcJs } from "./grpc-js.ts";
import { serveHttp2 } from "./http2.ts";

const { INTEROP_PORT, INTEROP_DESCRIPTORS = "" } = process.env;
const methods = createService(new Messages(INTEROP_DESCRIPTORS));
const serve = process.argv[2] === "grpc-js" ? serveGrpcJs : serveHttp2;
const { port } = await serve(methods, Number(INTEROP_PORT));
process.once("SIGTERM", () => process.exit(0));
process.stdout.write(`${JSON.stringify({ message: "interop server serves", port })}\n`);

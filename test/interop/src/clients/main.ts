/** `node main.ts grpc-js|http2 SCRIPT`: does what the script says, prints what it saw as JSON, and ends. */
import { readFileSync } from "node:fs";
import process from "node:process";
import type { ClientScript } from "../script.ts";
import { openGrpcJsChannel } from "./grpc-js.ts";
import { openHttp2Channel } from "./http2.ts";
import { perform } from "./perform.ts";

const [stack, file = ""] = process.argv.slice(2);
const script = JSON.parse(readFileSync(file, "utf8")) as ClientScript;
const seen = await perform(script, stack === "grpc-js" ? openGrpcJsChannel : openHttp2Channel, (name) => {
  // For whoever has to find out where a run has come to a stop.
  process.stderr.write(`${name}\n`);
});
process.stdout.write(JSON.stringify(seen));
process.exit(0);

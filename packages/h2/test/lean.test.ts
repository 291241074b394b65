import { createLeanClient } from "../src/lean/client.ts";
import { createLeanServer } from "../src/lean/server.ts";
import { http2Compliance } from "./compliance/compliance.ts";

http2Compliance({ name: "lean", createServer: createLeanServer, createClient: createLeanClient });

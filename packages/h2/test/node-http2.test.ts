import { createNodeHttp2Client } from "../src/node/client.ts";
import { createNodeHttp2Server } from "../src/node/server.ts";
import { http2Compliance } from "./compliance/compliance.ts";

http2Compliance({ name: "node:http2", createServer: createNodeHttp2Server, createClient: createNodeHttp2Client });

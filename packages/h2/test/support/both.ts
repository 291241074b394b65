import { createLeanClient } from "../../src/lean/client.ts";
import { createLeanServer } from "../../src/lean/server.ts";
import { createNodeHttp2Client } from "../../src/node/client.ts";
import { createNodeHttp2Server } from "../../src/node/server.ts";
import type { Http2Adapters } from "../compliance/adapters.ts";

export const lean: Http2Adapters = { name: "lean", createServer: createLeanServer, createClient: createLeanClient };

export const nodeHttp2: Http2Adapters = {
  name: "node:http2",
  createServer: createNodeHttp2Server,
  createClient: createNodeHttp2Client,
};

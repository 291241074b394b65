import { createNodeHttp2Client } from "../../src/dataplane/http2/node-http2-client.ts";
import { createNodeHttp2Server } from "../../src/dataplane/http2/node-http2-server.ts";
import { http2Compliance } from "./compliance.ts";

http2Compliance({ name: "node:http2", createServer: createNodeHttp2Server, createClient: createNodeHttp2Client });

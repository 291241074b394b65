export { createNodeHttp2Client } from "./client.ts";
export { createNodeHttp2Server } from "./server.ts";

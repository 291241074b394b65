export { HeldBytes } from "./held-bytes.ts";
export { createLeanClient } from "./lean/client.ts";
export { createLeanServer } from "./lean/server.ts";
export * from "./port.ts";

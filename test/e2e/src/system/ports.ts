import { once } from "node:events";
import { createServer } from "node:net";
import { SystemError } from "./errors.ts";

/** Below the range that the system gives to outgoing connections, so that none of them takes a port between two starts. */
const firstPort = 18_000;
const ports = 12_000;
const triesMax = 50;

const given = new Set<number>();

/** A port of 127.0.0.1 that is free now, and that this program is given once only. */
export async function reservePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && !given.has(preferred) && (await isFree(preferred))) return take(preferred);
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = firstPort + Math.floor(Math.random() * ports);
    if (!given.has(port) && (await isFree(port))) return take(port);
  }
  throw new SystemError("NoFreePort", `${triesMax} ports from ${firstPort} on were tried, and none is free`);
}

function take(port: number): number {
  given.add(port);
  return port;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const bound = new Promise<boolean>((resolve) => {
    server.once("listening", () => resolve(true));
    server.once("error", () => resolve(false));
  });
  server.listen(port, "127.0.0.1");
  if (!(await bound)) return false;
  server.close();
  await once(server, "close");
  return true;
}

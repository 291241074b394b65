import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends the server and removes its folder; also when it is frozen. */
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  /** Further arguments of redis-server. */
  readonly arguments?: readonly string[];
  /** Default: a free one. */
  readonly port?: number;
  /** Runs as a sentinel; its lines of configuration. */
  readonly sentinel?: readonly string[];
}

const program = "redis-server";
const startTimeoutMs = 30_000;
const startTriesMax = 3;

/** A real redis-server on 127.0.0.1, empty and without persistence. Fails with advice when redis-server is not installed. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start(options.port ?? (await freePort()), options);
    } catch (error) {
      // Between choosing the port and listening on it, another program may take it.
      if (tries === startTriesMax || (error as NodeJS.ErrnoException).code === "ENOENT") {
        throw error;
      }
    }
  }
}

async function start(port: number, options: RedisServerOptions): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-redis-"));
  const common = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, ...(options.arguments ?? [])];
  const configuration = join(folder, "sentinel.conf");
  await writeFile(configuration, (options.sentinel ?? []).join("\n"));
  const server = spawn(
    program,
    options.sentinel === undefined
      ? ["--save", "", "--appendonly", "no", ...common]
      : [configuration, "--sentinel", ...common],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let output = "";
  server.stdout.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-4_096);
  });
  const stop = async () => {
    await end(server);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const pid = await spawned(server);
    await answering(server, port, () => output);
    return { url: `redis://127.0.0.1:${port}`, port, pid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function spawned(server: ChildProcess): Promise<number> {
  return await new Promise<number>((resolve, reject) => {
    server.once("spawn", () => resolve(Number(server.pid)));
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const advice = "redis-server (7 or newer) is needed: apt-get install redis-server, or brew install redis.";
      reject(cause.code === "ENOENT" ? Object.assign(new Error(advice, { cause }), { code: "ENOENT" }) : cause);
    });
  });
}

async function answering(server: ChildProcess, port: number, output: () => string): Promise<void> {
  const client = new Redis({
    port,
    host: "127.0.0.1",
    lazyConnect: true,
    retryStrategy: null,
    enableReadyCheck: false,
  });
  // Each attempt to connect tells by its promise; the event says the same again.
  client.on("error", () => undefined);
  const deadlineMs = performance.now() + startTimeoutMs;
  try {
    for (;;) {
      try {
        await client.connect();
        return;
      } catch (cause) {
        if (server.exitCode !== null || performance.now() > deadlineMs) {
          throw new Error(`redis-server did not start on port ${port}:\n${output()}`, { cause });
        }
      }
      await sleep(20);
    }
  } finally {
    client.disconnect();
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.pid !== undefined && server.exitCode === null && server.signalCode === null) {
    const exited = once(server, "exit");
    server.kill("SIGKILL");
    await exited;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") {
    throw new Error("No port was given out.");
  }
  return address.port;
}

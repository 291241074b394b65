import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SystemError } from "./errors.ts";
import { reservePort } from "./ports.ts";
import { Service } from "./service.ts";

/** A real redis-server on 127.0.0.1, empty and without persistence. */
export async function startRedis(folder: string): Promise<{ redis: Service; url: string }> {
  const port = await reservePort();
  const dataFolder = join(folder, "redis");
  await mkdir(dataFolder);
  const settings = { port: String(port), bind: "127.0.0.1", dir: dataFolder, save: "", appendonly: "no" };
  try {
    const redis = await Service.start({
      name: "redis",
      program: "redis-server",
      arguments: Object.entries(settings).flatMap(([key, value]) => [`--${key}`, value]),
      environment: {},
      logFile: join(folder, "redis.log"),
      servesMessage: "Ready to accept connections",
    });
    return { redis, url: `redis://127.0.0.1:${port}` };
  } catch (cause) {
    if (!(cause instanceof SystemError) || cause.code !== "ProgramMissing") throw cause;
    const advice = "redis-server (7 or newer) is needed: `make redis` installs it on Debian and Ubuntu";
    throw new SystemError("ProgramMissing", advice, { cause });
  }
}

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Rendered, render } from "./support/helm.ts";

const run = promisify(execFile);

describe("the bundled Redis", () => {
  let folder: string;
  let rendered: Rendered;
  let server: ReturnType<typeof spawn>;
  const secret = (key: string) => Buffer.from(rendered.get("Secret", "cutline-redis").data[key], "base64").toString();
  /** The command of the chart's probes, as somebody with this password. */
  const ping = async (password: string | undefined) => {
    const { command } = rendered.get("StatefulSet", "cutline-redis").spec.template.spec.containers[0].readinessProbe
      .exec;
    const { REDISCLI_AUTH: _, ...env } = process.env;
    const [program, ...args] = command;
    return await run(program, ["-s", join(folder, "socket"), ...args], {
      env: { ...env, ...(password !== undefined && { REDISCLI_AUTH: password }) },
    });
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cutline-redis-"));
    rendered = await render();
    const config: string = rendered.get("ConfigMap", "cutline-redis").data["redis.conf"];
    await writeFile(join(folder, "auth.conf"), secret("auth.conf"));
    const here = config.replace("/etc/cutline-redis/auth.conf", join(folder, "auth.conf")).replace("/data", folder);
    await writeFile(join(folder, "redis.conf"), `${here}port 0\nunixsocket ${join(folder, "socket")}\n`);
    server = spawn("redis-server", [join(folder, "redis.conf")], { stdio: "ignore" });
  });
  after(async () => {
    const ended = once(server, "exit");
    server.kill();
    await ended;
    await rm(folder, { recursive: true });
  });

  it("starts with the chart's configuration, and its probe says when it answers", async () => {
    const endMs = performance.now() + 30_000;
    for (;;) {
      const answer = await ping(secret("password")).catch((error: Error) => error);
      if (!(answer instanceof Error)) {
        assert.equal(answer.stdout, "PONG\n");
        return;
      }
      if (performance.now() > endMs) throw answer;
      await sleep(50);
    }
  });

  it("wants its password, without which the probe fails", async () => {
    await assert.rejects(ping(undefined), /NOAUTH/);
    await assert.rejects(ping("another"));
  });

  it("refuses to write when it is full, and drops nothing", async () => {
    const { stdout } = await run("redis-cli", ["-s", join(folder, "socket"), "config", "get", "maxmemory*"], {
      env: { ...process.env, REDISCLI_AUTH: secret("password") },
    });
    assert.match(stdout, /maxmemory-policy\nnoeviction/);
    assert.match(stdout, /maxmemory\n402653184/);
  });
});

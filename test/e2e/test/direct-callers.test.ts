import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../src/system/until.ts";
import { PodNetwork, type Started } from "./redirect-network.ts";

const repository = fileURLToPath(new URL("../../../", import.meta.url));
const program = (path: string) => ["--conditions=cutline-source", `${repository}services/${path}`];
const address = { caller: "10.78.0.1", callee: "10.78.0.2" };
const applicationPort = 9000;

const application = `require("node:http2").createServer().listen(${applicationPort}, "0.0.0.0", () => console.log("serves"));`;
/** Connects, and stays. */
const caller = `
const session = require("node:http2").connect("http://${address.callee}:${applicationPort}");
session.on("connect", () => console.log("connected"));
setTimeout(() => process.exit(1), 120000);`;

interface Manifest {
  readonly id: string;
  readonly phase: string;
  readonly partial: boolean;
  readonly processes: readonly {
    readonly environment: readonly { readonly authority: string; readonly direction: string }[];
  }[];
}

it("a caller that passes the agent by makes snapshots partial, and is named in them", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "cutline-direct-"));
  const [a, b] = [await PodNetwork.open(), await PodNetwork.open()];
  t.after(async () => {
    await a.close();
    await b.close();
    await rm(folder, { recursive: true });
  });
  await a.connect(b, [`${address.caller}/24`], [`${address.callee}/24`]);
  const rest = async <Answer>(path: string, method = "GET"): Promise<Answer> => {
    const script = `fetch("http://${address.callee}:7400${path}", { method: "${method}", headers: { "content-type": "application/json" },
      ...("${method}" === "POST" && { body: "{}" }) }).then((r) => r.text()).then((t) => console.log(t))`;
    return JSON.parse(await b.node(script));
  };
  const programs: Started[] = [];
  const start = (path: string, environment: Record<string, string>) => {
    programs.push(b.start(program(path), { environment: { CUTLINE_STOP_GRACE_MS: "500", ...environment } }));
  };
  start("coordinator/src/main.ts", {
    CUTLINE_HTTP_HOST: address.callee,
    CUTLINE_ACCESS: "open",
    CUTLINE_SNAPSHOTS_MINIMUM_PAUSE_MS: "0",
    CUTLINE_STORE_URL: `file:${join(folder, "coordinator.db")}`,
  });
  const served = b.start(["-e", application]);
  await until("the application", () => served.lines.length > 0 || undefined, { timeoutMs: 30_000 });
  start("agent/src/main.ts", {
    CUTLINE_PROCESS_ID: "shop/b",
    CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${applicationPort}`,
    CUTLINE_TRAFFIC: "env",
  });
  const said = {
    otherwise: () => programs.map(({ lines, errors }) => [...lines, errors()].join("\n")).join("\n---\n"),
  };
  await until(
    "the process to be attached",
    async () => JSON.stringify(await rest("/v1/topology").catch(() => "")).includes('"shop/b"') || undefined,
    { timeoutMs: 90_000, everyMs: 500, ...said },
  );

  const take = async (): Promise<Manifest> => {
    const { id } = await rest<Manifest>("/v1/snapshots", "POST");
    return await until("the snapshot to complete", async () => {
      const manifest = await rest<Manifest>(`/v1/snapshots/${id}`);
      assert.notEqual(manifest.phase, "Failed", JSON.stringify(manifest));
      return manifest.phase === "Completed" ? manifest : undefined;
    });
  };
  assert.equal((await take()).partial, false, "nobody calls yet");

  const stays = a.start(["-e", caller]);
  await until("the caller to be connected", () => stays.lines.length > 0 || undefined, { timeoutMs: 30_000 });
  const manifest = await until(
    "the caller to be seen",
    async () => {
      const taken = await take();
      return taken.partial ? taken : undefined;
    },
    { everyMs: 500 },
  );
  const [peer] = manifest.processes[0]?.environment ?? [];
  assert.equal(peer?.authority, `${address.caller} (past the agent)`);
  assert.equal(peer?.direction, "inbound");
});

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { agentConfig, createAgent } from "@cutline/agent";
import { coordinatorConfig, createCoordinator } from "@cutline/coordinator";
import { createMetrics, loadConfig, silentLogger } from "@cutline/runtime";
import { chart } from "./support/helm.ts";

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly id: number;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

const dashboard: {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
} = JSON.parse(await readFile(`${chart}/files/dashboard.json`, "utf8"));

/** With mutual TLS only, so that a program without it does not show them. */
const withTls = ["cutline_certificate_expiry_timestamp_seconds", "cutline_tls_refusals_total"];
/** Shown by the controller, which wants a cluster; its source is asked instead. */
const controllerSource = fileURLToPath(
  new URL("../../services/coordinator/src/kubernetes/controller.ts", import.meta.url),
);

function agentMetrics(): string[] {
  const environment = { CUTLINE_PROCESS_ID: "any/process", CUTLINE_APPLICATION_ADDRESS: "127.0.0.1:1" };
  const loaded = loadConfig(agentConfig, environment);
  assert.equal(loaded.outcome, "ok");
  const metrics = createMetrics();
  createAgent(loaded.config, { logger: silentLogger, metrics });
  return metrics.describe().map(({ name }) => name);
}

async function coordinatorMetrics(): Promise<string[]> {
  const environment = { CUTLINE_STORE_URL: "file::memory:", CUTLINE_HTTP_PORT: "0", CUTLINE_AGENTS_PORT: "0" };
  const loaded = loadConfig(coordinatorConfig, environment);
  assert.equal(loaded.outcome, "ok");
  const coordinator = createCoordinator(loaded.config, { logger: silentLogger });
  await coordinator.start();
  try {
    const text = await (await fetch(`${coordinator.httpAddress}/metrics`)).text();
    return [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? "");
  } finally {
    await coordinator.stop();
  }
}

function metricsIn(expression: string): string[] {
  return [...expression.matchAll(/\bcutline_[a-z0-9_]+/g)].map(([name]) => name.replace(/_bucket$/, ""));
}

describe("the dashboard", () => {
  it("asks for metrics that there are", async () => {
    const controller = await readFile(controllerSource, "utf8");
    const ofController = [...controller.matchAll(/"(cutline_kubernetes_[a-z_]+)"/g)].map(([, name]) => name ?? "");
    const known = new Set([...agentMetrics(), ...(await coordinatorMetrics()), ...withTls, ...ofController]);
    const asked = [
      ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
      ...dashboard.templating.list.map(({ definition = "" }) => definition),
    ].flatMap(metricsIn);
    assert.ok(asked.length > 20);
    assert.deepEqual([...new Set(asked.filter((name) => !known.has(name)))], []);
  });

  it("says of every panel what it means, and none lies over another", () => {
    const shown = dashboard.panels.filter(({ type }) => type !== "row");
    for (const { title, description } of shown) assert.ok(description, title);
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.equal(taken.get(`${x} ${y}`), undefined, `${title} at ${x} ${y}`);
          taken.set(`${x} ${y}`, title);
        }
      }
    }
  });
});

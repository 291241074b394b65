import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentHello, UploadHeader } from "@cutline/proto/control";
import { createLogger, RefusalLog, type TlsCredentials } from "@cutline/runtime";
import type { ServerCredentials } from "@grpc/grpc-js";
import { type ControlEvents, CoordinatorClient } from "../../../src/control/coordinator-client.ts";
import { type ControlLimits, controlProtocolVersion, defaultControlLimits } from "../../../src/control/limits.ts";
import { TestCoordinator } from "./coordinator.ts";

const waitMs = 10_000;

/** Looks again and again until it holds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + waitMs;
  while (!holds()) {
    assert.ok(performance.now() < deadlineMs, `waited ${waitMs} ms for: ${what}`);
    await delay(2);
  }
}

export interface TestAgent {
  readonly client: CoordinatorClient;
  readonly coordinator: TestCoordinator;
  /** What the client told its owner, in order. */
  readonly events: string[];
  /** Log lines, parsed. */
  readonly lines: Record<string, unknown>[];
  attached(): Promise<void>;
}

export const self = { processId: "bank/branch-a", incarnation: "one" };

/** Limits of the tests: as the defaults, and quick. */
export const quick: ControlLimits = { ...defaultControlLimits, retryMinMs: 5, retryMaxMs: 40 };

/** A client and its coordinator, which is started; both are gone after the test. */
export async function testAgent(
  t: TestContext,
  limits: Partial<ControlLimits> = {},
  owner: Partial<ControlEvents> & { hello?: () => Partial<AgentHello> } = {},
  tls: { readonly agent?: TlsCredentials; readonly coordinator?: ServerCredentials } = {},
): Promise<TestAgent> {
  const coordinator = new TestCoordinator();
  await coordinator.start(tls.coordinator);
  const events: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({
    service: "test",
    level: "debug",
    destination: { write: (line: string) => lines.push(JSON.parse(line)) },
  });
  const refusals = new RefusalLog({ logger, now: () => performance.now() });
  const client = new CoordinatorClient({
    address: coordinator.address,
    ...(tls.agent === undefined ? {} : { security: { credentials: tls.agent, refusals } }),
    hello: () => ({
      ...self,
      protocolVersion: controlProtocolVersion,
      agentVersion: "0.1.0",
      linkAddress: "127.0.0.1:15008",
      authorities: ["branch-a:50051"],
      captureSource: "none",
      labels: {},
      openSnapshots: [],
      ...owner.hello?.(),
    }),
    events: {
      onWelcome(welcome) {
        events.push(`welcome ${welcome.term}`);
        owner.onWelcome?.(welcome);
      },
      onDirectory: ({ version }) => events.push(`directory ${version}`),
      onStart: ({ ref }) => events.push(`start ${ref?.snapshotId}`),
      onEnd: ({ ref, phase }) => events.push(`end ${ref?.snapshotId} ${phase}`),
      onDetached: (reason) => events.push(`detached ${reason}`),
    },
    limits: { ...quick, ...limits },
    logger,
    now: () => performance.now(),
  });
  t.after(async () => {
    await client.stop();
    coordinator.crash();
  });
  return {
    client,
    coordinator,
    events,
    lines,
    async attached() {
      client.start();
      await until("attached", () => client.attached);
    },
  };
}

export function header(kind = "local", channelId = ""): UploadHeader {
  const ref = { snapshotId: "s1", attempt: 1 };
  return { ref, ...self, kind, channelId, contentType: "application/octet-stream" };
}

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeMachine } from "../machine.ts";
import { prepareAgentCode } from "./agent-code.ts";
import { compareWays } from "./compare.ts";
import { pin, placementOf } from "./cores.ts";
import { compileNative } from "./native.ts";
import type { ProxyOptions } from "./options.ts";
import { type ProxyReport, reportOf } from "./report.ts";
import { type SnapshotReport, snapshotReportOf } from "./snapshot-report.ts";
import { measureSnapshots } from "./snapshots.ts";
import { findTools } from "./tools.ts";
import { Workshop } from "./workshop.ts";

/** Of the program that asks. */
export interface Self {
  readonly pid: number;
  readonly executable: string;
  readonly path: string;
  readonly nodeVersion: string;
}

/** Rejects with a `ProxyBenchError` or a `SystemError`; nothing is left running. */
export async function runProxyBench(
  options: ProxyOptions,
  self: Self,
  progress: (line: string) => void,
): Promise<ProxyReport | SnapshotReport> {
  const { executable, path } = self;
  const versions = await findTools(options, path);
  const circumstances = {
    machine: await describeMachine(self.nodeVersion),
    versions,
    startedAt: new Date().toISOString(),
    options,
  };
  const code = await prepareAgentCode(options.agentCode, executable);
  const placement = await placementOf(options.shape);
  await pin(self.pid, placement.aside);
  const profileFolder =
    options.profile === "agents" ? await mkdtemp(join(tmpdir(), "cutline-bench-profiles-")) : undefined;
  const workshop = await Workshop.open({ executable, path, placement });
  try {
    const isWithC = options.cases.some(({ kind }) => kind !== "grpcjs");
    const native = isWithC ? await compileNative(workshop.folder, path) : undefined;
    const request = { options, code, native, profileFolder };
    if (options.mode === "snapshots") {
      return snapshotReportOf(circumstances, await measureSnapshots(workshop, request, progress));
    }
    return reportOf(circumstances, await compareWays(workshop, request, progress));
  } finally {
    await workshop.close();
    if (profileFolder !== undefined) progress(`profiles of the agents: ${profileFolder}`);
  }
}

import type { Command } from "commander";
import type { Mode } from "../app.ts";
import { findingsOf } from "../check/check.ts";
import { gatherFacts } from "../check/gather.ts";
import type { ClusterFlags } from "../cluster/cluster.ts";
import type { Context, Run } from "../context.ts";
import { exitCodes } from "../errors.ts";
import { formatFindings } from "../output/check.ts";
import { emit } from "../output/emit.ts";
import { version } from "../version.ts";
import { addClusterOptions } from "./cluster-options.ts";

/** In both modes it is about a cluster; as a plugin the options for that are everybody's. */
export function addCheck(program: Command, run: Run, mode: Mode): void {
  const command = program
    .command("check")
    .description("what is wrong in a cluster, with which pod or object, and what to do about it");
  if (mode === "program") addClusterOptions(command);
  command.action((own: ClusterFlags) => {
    const flags: ClusterFlags = mode === "plugin" ? program.opts<ClusterFlags>() : own;
    return run((context) => check(context, flags.namespace), own);
  });
}

async function check(context: Context, namespace: string | undefined): Promise<number> {
  const { io } = context;
  const cluster = await context.cluster();
  const facts = await gatherFacts({ cluster, client: context.clusterClient(), namespace, nowMs: io.now(), version });
  const findings = findingsOf(facts);
  const isWell = findings.every(({ severity }) => severity !== "error");
  emit(context, { verdict: isWell ? "ok" : "failed", findings }, () => formatFindings(findings, context.paint));
  return isWell ? exitCodes.ok : exitCodes.failed;
}

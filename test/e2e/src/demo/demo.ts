import { auditSnapshot } from "../system/audit.ts";
import { type System, type SystemOptions, startSystem } from "../system/system.ts";
import { naiveCopies } from "./naive.ts";
import { whatToTryNext } from "./next.ts";
import { reportOf } from "./report.ts";
import { money } from "./words.ts";

export interface DemoOptions {
  readonly redisUrl: string | undefined;
  /** How many snapshots. */
  readonly snapshots: number;
  /** `untilStopped`: a person is there to try things when the snapshots are done. */
  readonly afterwards: "end" | "untilStopped";
  readonly print: (line: string) => void;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Wrong is a snapshot that calls itself exact and is not, and one that did not complete. */
export type DemoOutcome =
  | { readonly outcome: "right" | "interrupted" }
  | { readonly outcome: "wrong"; readonly message: string };

/** The REST port that the command line tries first. */
const httpPortPreferred = 7_400;

const branches: SystemOptions["branches"] = [
  { name: "branch-a" },
  { name: "branch-b" },
  { name: "branch-c" },
  { name: "branch-d", kind: "opaque" },
];

/** Starts the bank, shows what a plain copy of it says and what snapshots say, and stops everything in the end. */
export async function runDemo(options: DemoOptions): Promise<DemoOutcome> {
  const { print, redisUrl } = options;
  const store = redisUrl === undefined ? "the embedded store" : "Redis";
  print("Cutline: consistent pictures of a system that does not stop");
  print("");
  print(`Starting a bank: 4 branches, an agent beside each of them, and a coordinator on ${store}.`);
  print("Each is a process of its own on this machine; the branches talk gRPC through their agents.");
  const startedMs = performance.now();
  const system = await startSystem({
    store: redisUrl === undefined ? "embedded" : { redisUrl },
    branches,
    httpPort: httpPortPreferred,
  });
  try {
    print(`Ready after ${((performance.now() - startedMs) / 1_000).toFixed(1)} s.`);
    return await show(system, options);
  } finally {
    print("");
    print("Stopping the branches, then the agents, then the coordinator ...");
    await system.stop();
    print("Everything is stopped.");
  }
}

async function show(system: System, options: DemoOptions): Promise<DemoOutcome> {
  const { print, signal, snapshots, afterwards } = options;
  print("");
  print(`Each branch opened with ${money(system.totalCents / branches.length)}, and from then on they have sent each`);
  print("other money as fast as they can. No money comes in or goes out, so the bank always has");
  print(`    ${money(system.totalCents)}`);
  print("");
  print("1. A plain copy: ask one branch after the other for its balance, and add up.");
  for (const line of await naiveCopies(system)) print(`    ${line}`);
  print("");
  print("2. Cutline: the same bank, under the same load. Local states and the money on its way,");
  print("   at one consistent cut. branch-d knows nothing of Cutline; its state is read from a page,");
  print("   and it counts as exact only if nothing crossed its border meanwhile.");
  let lastId = "";
  for (let count = 1; count <= snapshots; count += 1) {
    if (signal.aborted) return { outcome: "interrupted" };
    const snapshot = await system.rest.take({ labels: { demo: "yes" } });
    print("");
    print(`   Snapshot ${count} of ${snapshots}: ${snapshot.id}`);
    if (snapshot.phase !== "Completed") {
      const message = `snapshot ${snapshot.id} ended ${snapshot.phase}: ${snapshot.reason}: ${snapshot.message}`;
      return { outcome: "wrong", message };
    }
    const audited = await auditSnapshot(system, snapshot);
    for (const line of reportOf(audited, system.totalCents)) print(`    ${line}`);
    if (audited.judgement === "violated") {
      return { outcome: "wrong", message: `snapshot ${snapshot.id}: ${audited.problems.join("; ")}` };
    }
    lastId = snapshot.id;
  }
  print("");
  if (afterwards === "end") {
    print("3. Run it in a terminal, and the bank goes on, for you to try things on it.");
    return { outcome: "right" };
  }
  print("3. Try next, in another terminal, in this folder:");
  for (const line of whatToTryNext(system, lastId)) print(line === "" ? "" : `    ${line}`);
  print("");
  print("The bank goes on until you press Ctrl-C.");
  await aborted(signal);
  return { outcome: "right" };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // A listener alone does not keep the program alive.
    const alive = setInterval(() => undefined, 60_000);
    const end = () => {
      clearInterval(alive);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

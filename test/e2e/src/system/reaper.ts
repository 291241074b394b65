/**
 * Programs that were started here never outlive this program. This file stands for `main.ts` where there is none: test
 * files and benches are their own programs, so it takes hold of the process itself.
 */
import type { ChildProcess } from "node:child_process";
import process from "node:process";

const children = new Set<ChildProcess>();
let standing: "idle" | "watching" = "idle";

export function reapAtExit(child: ChildProcess): void {
  children.add(child);
  child.once("exit", () => children.delete(child));
  watch();
}

/** What a child needs to run the same Node.js in the same way, and nothing else of this program's environment. */
export function ownProgram(): { readonly executable: string; readonly path: string; readonly nodeOptions: string } {
  return { executable: process.execPath, path: process.env.PATH ?? "", nodeOptions: process.env.NODE_OPTIONS ?? "" };
}

function watch(): void {
  if (standing === "watching") return;
  standing = "watching";
  process.once("exit", killAll);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    const onSignal = () => {
      // Somebody else has a way to stop in order, and ends with an exit.
      if (process.listenerCount(signal) > 1) return;
      killAll();
      process.removeListener(signal, onSignal);
      process.kill(process.pid, signal);
    };
    process.on(signal, onSignal);
  }
}

function killAll(): void {
  for (const child of children) child.kill("SIGKILL");
}

import { execFile } from "node:child_process";
import { CutlineError, type Logger } from "@cutline/runtime";
import { type Family, type RedirectRules, redirectSteps, type Step, type Tool } from "./rules.ts";

class RedirectError extends CutlineError<"CommandFailed" | "NoTool"> {}

/** One command. */
const commandTimeoutMs = 10_000;
const outputBytesMax = 64 * 1024;

export interface ApplyOptions {
  readonly rules: RedirectRules;
  /** The machine has an IPv6 address that others reach: without its rules, traffic would go past the agent. */
  readonly hasIPv6: boolean;
  readonly logger: Logger;
}

/** Puts the rules of both families in place. Rejects with what the tool said. */
export async function applyRedirect({ rules, hasIPv6, logger }: ApplyOptions): Promise<void> {
  const tool = await findTool();
  await applyFamily(tool, "ip", rules);
  try {
    await applyFamily(tool, "ip6", rules);
  } catch (error) {
    if (hasIPv6) throw error;
    logger.info({ error }, "no rules for IPv6: this machine does not use it");
  }
  logger.info({ tool, ...rules }, "traffic is redirected");
}

async function findTool(): Promise<Tool> {
  for (const tool of ["nft", "iptables"] as const) {
    if ((await run([tool, "--version"])).outcome === "done") return tool;
  }
  throw new RedirectError(
    "NoTool",
    "neither nft nor iptables can be run; redirect mode needs one of them in the image",
  );
}

async function applyFamily(tool: Tool, family: Family, rules: RedirectRules): Promise<void> {
  for (const step of redirectSteps(tool, family, rules)) await perform(step);
}

async function perform({ command, input, unless }: Step): Promise<void> {
  if (unless !== undefined && (await run(unless)).outcome === "done") return;
  const ran = await run(command, input);
  if (ran.outcome === "done") return;
  const message = `${command.join(" ")}: ${ran.message}; it takes the capability NET_ADMIN and NAT in the kernel`;
  throw new RedirectError("CommandFailed", message);
}

type Ran = { readonly outcome: "done" } | { readonly outcome: "failed"; readonly message: string };

function run([program, ...args]: readonly [string, ...string[]], input = ""): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { timeout: commandTimeoutMs, maxBuffer: outputBytesMax },
      (error, _stdout, stderr) => {
        resolve(error === null ? { outcome: "done" } : { outcome: "failed", message: stderr.trim() || error.message });
      },
    );
    // A program that ends without reading says why by its exit code.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

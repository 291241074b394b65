import { readFile } from "node:fs/promises";
import { BlockList, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import type { EnvironmentPeer } from "@cutline/proto/snapshot";
import type { Logger } from "@cutline/runtime";
import { connectionsAt } from "./socket-table.ts";

export interface DirectCallersOptions {
  /** Where the application serves. */
  readonly port: number;
  /** Whether an address is the pod itself: its agent, or the application calling itself. */
  isOwn(address: string): boolean;
  /** Between two looks. Default 2000 ms. */
  readonly everyMs?: number;
  readonly logger: Logger;
}

const everyMsDefault = 2_000;
/** Callers told apart by address; beyond it they are counted together as `other`. */
const callersMax = 1_000;
const tables = ["/proc/net/tcp", "/proc/net/tcp6"];

interface Seen {
  readonly caller: string;
  looks: number;
}

/**
 * Where nothing redirects what comes in, callers without an agent reach the application past its agent, which sees
 * neither their calls nor that there were any. What it can see is their connections: both live in one network namespace,
 * and the kernel lists its sockets. So such a caller shows in the snapshots' environment, and makes them partial.
 *
 * One connection counts as one call. Those that are there at one look only are left out: the kubelet's probes.
 */
export class DirectCallers {
  readonly #options: DirectCallersOptions;
  readonly #connections = new Map<string, Seen>();
  readonly #counts = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #said = false;

  constructor(options: DirectCallersOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), this.#options.everyMs ?? everyMsDefault);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One look. Never rejects: where the kernel tells nothing, that is logged, once. */
  async look(): Promise<void> {
    const { port, isOwn, logger } = this.#options;
    const texts = await Promise.all(tables.map((table) => readFile(table, "latin1").catch(() => undefined)));
    if (texts.every((text) => text === undefined)) {
      if (!this.#said)
        logger.warn({ tables }, "callers that pass the agent by cannot be seen: the kernel tells no sockets");
      this.#said = true;
      return;
    }
    const now = texts.flatMap((text) => connectionsAt(text ?? "", port)).filter(({ address }) => !isOwn(address));
    const keys = new Set(now.map(({ key }) => key));
    for (const key of this.#connections.keys()) if (!keys.has(key)) this.#connections.delete(key);
    for (const { key, address } of now) this.#see(key, address);
  }

  /** Since the start; `openCalls`: connections that are open. */
  peers(): EnvironmentPeer[] {
    const open = new Map<string, number>();
    for (const { caller, looks } of this.#connections.values()) {
      if (looks > 1) open.set(caller, (open.get(caller) ?? 0) + 1);
    }
    return [...this.#counts].map(([caller, calls]) => ({
      authority: `${caller} (past the agent)`,
      direction: "inbound",
      calls,
      openCalls: open.get(caller) ?? 0,
    }));
  }

  #see(key: string, address: string): void {
    const seen = this.#connections.get(key);
    if (seen === undefined) {
      const isKnown = this.#counts.has(address) || this.#counts.size < callersMax;
      this.#connections.set(key, { caller: isKnown ? address : "other", looks: 1 });
      return;
    }
    seen.looks += 1;
    if (seen.looks === 2) this.#counts.set(seen.caller, (this.#counts.get(seen.caller) ?? 0) + 1);
  }
}

/** Whether an address is one of this machine's, as they are now. */
export function ownAddresses(): (address: string) => boolean {
  const own = new BlockList();
  own.addSubnet("127.0.0.0", 8, "ipv4");
  own.addAddress("::1", "ipv6");
  for (const { address, family } of Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])) {
    own.addAddress(address, family === "IPv6" ? "ipv6" : "ipv4");
  }
  return (address) => own.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

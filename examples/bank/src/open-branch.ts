import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { Branch, type BranchClient } from "./contract.ts";
import { BankError } from "./errors.ts";
import type { BranchState, Ledger } from "./ledger.ts";
import { Page } from "./page.ts";
import { Peer } from "./peer.ts";
import { Random } from "./random.ts";
import { type Atomic, Sender } from "./sending.ts";
import { branchService } from "./service.ts";
import type { BranchSettings, PeerAddress } from "./settings.ts";
import { Traffic, type TrafficStanding } from "./traffic.ts";

/** For the own calls to be answered, and again for those of the others. */
const STOP_GRACE_MS = 5_000;
const PEERS_WAIT_MS = 300_000;

/** How a branch lets itself be captured: what a participant offers, or nothing at all. */
export interface Capture {
  server(server: grpc.Server): grpc.Server;
  client(client: BranchClient): BranchClient;
  atomic: Atomic;
}

export interface BranchStatus {
  traffic: TrafficStanding;
  /** Calls of this branch without their answer. When it is 0 at every branch, no money is on its way. */
  callsOpen: number;
  state: BranchState;
}

export interface OpenBranch {
  /** Where it listens: `host:port`. */
  authority: string;
  statusPort: number | undefined;
  /** Waits until every peer answers, then starts to send money; throws `PEERS_MISSING` after five minutes. */
  trade(peers: readonly PeerAddress[]): Promise<void>;
  pause(): void;
  resume(): void;
  status(): BranchStatus;
  /** Sends nothing more, serves for `leaveMs`, finishes the open calls, at most for ten seconds, and closes everything. */
  stop(): Promise<void>;
}

/** Opens a branch: from now on it takes money, and `trade` makes it send some. */
export async function openBranch(
  settings: BranchSettings,
  ledger: Ledger,
  capture: Capture,
  kinds: "transfers" | "everything",
): Promise<OpenBranch> {
  const stopped = new AbortController();
  const peers = new Map<string, Peer>();
  const random = new Random(`${settings.seed}/${settings.name}`);
  const sender = new Sender(ledger, random, (section) => capture.atomic(section), peers, settings.paddingBytes);
  const traffic = new Traffic(sender, settings);

  const server = capture.server(new grpc.Server());
  const { slowReaderMs } = settings;
  server.addService(
    Branch.service,
    branchService({ ledger, random, peers, takes: kinds, slowReaderMs, refusedOneIn: settings.refusedOneIn }),
  );
  const host = settings.host ?? "127.0.0.1";
  const port = await bind(server, host, settings.port);

  const status = (): BranchStatus => ({
    traffic: traffic.standing,
    callsOpen: traffic.callsOpen,
    state: ledger.state(),
  });
  const then = (turn: () => void) => () => {
    turn();
    return status();
  };
  const page =
    settings.statusPort === undefined
      ? undefined
      : await Page.open(settings.statusPort, {
          "GET /status": status,
          "GET /state": () => ledger.state(),
          "POST /pause": then(() => traffic.pause()),
          "POST /resume": then(() => traffic.resume()),
        });

  let stopping: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stopped.abort();
    // Whoever still takes this branch for present is served, until word of its leaving has gone round.
    await Promise.all([withinGrace(traffic.stop(), () => undefined), sleep(settings.leaveMs ?? 0)]);
    await withinGrace(shutDown(server), () => server.forceShutdown());
    for (const peer of peers.values()) peer.client.close();
    await page?.close();
  };

  return {
    authority: `${host}:${port}`,
    statusPort: page?.port,
    status,
    pause: () => traffic.pause(),
    resume: () => traffic.resume(),
    async trade(addresses) {
      for (const { name, authority } of addresses) {
        if (name === ledger.branch) continue;
        const client = capture.client(new Branch(authority, grpc.credentials.createInsecure()));
        peers.set(name, new Peer(name, client, ledger.branch, stopped.signal));
      }
      const giveUp = AbortSignal.timeout(PEERS_WAIT_MS);
      await Promise.all([...peers.values()].map((peer) => peer.greet(giveUp)));
      const missing = [...peers.values()].filter((peer) => peer.takes === undefined).map((peer) => peer.name);
      if (giveUp.aborted && missing.length > 0) {
        throw new BankError("PEERS_MISSING", `${ledger.branch} had no answer from ${missing.join(", ")}; start them`);
      }
      if (!stopped.signal.aborted) traffic.start(kinds, peers.values());
    },
    stop() {
      stopping ??= close();
      return stopping;
    },
  };
}

async function bind(server: grpc.Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, grpc.ServerCredentials.createInsecure(), (cause, bound) => {
      if (cause === null) resolve(bound);
      else reject(new BankError("PORT_UNUSABLE", `cannot listen on ${host}:${port}; choose another port`, { cause }));
    });
  });
}

function shutDown(server: grpc.Server): Promise<void> {
  return new Promise((resolve) => {
    server.tryShutdown(() => resolve());
  });
}

async function withinGrace(work: Promise<void>, otherwise: () => void): Promise<void> {
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), STOP_GRACE_MS);
  const outcome = await Promise.race([work, late.promise]);
  clearTimeout(timer);
  if (outcome === "late") otherwise();
}

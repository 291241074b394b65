import { setTimeout as delay } from "node:timers/promises";
import type { SnapshotRef } from "@cutline/protocol";
import * as grpc from "@grpc/grpc-js";
import type { StateSource } from "../../../src/capture/state-source.ts";
import { type LedgerApplication, startApplication } from "./application.ts";
import { authorityOf, introduce, type Member, type MemberOptions, startMember } from "./member.ts";

/** Participants beside their agents, in one process, which know each other. */
export interface World {
  readonly members: readonly Member[];
  readonly applications: readonly LedgerApplication[];
  stop(): Promise<void>;
}

type Kind = "participant" | "opaque";

export interface WorldOptions {
  readonly ids: readonly string[];
  /** Default: `participant`. */
  readonly kind?: Kind | ((id: string) => Kind);
  member?(id: string, application: LedgerApplication): Promise<Partial<MemberOptions>> | Partial<MemberOptions>;
}

export async function startWorld(options: WorldOptions): Promise<World> {
  const applications: LedgerApplication[] = [];
  const members: Member[] = [];
  const clients: grpc.Client[] = [];
  for (const id of options.ids) {
    const kind = typeof options.kind === "function" ? options.kind(id) : (options.kind ?? "participant");
    const application = await startApplication(id, kind);
    const source = kind === "opaque" ? { source: ledgerSource(application) } : {};
    const more = { ...source, ...(await options.member?.(id, application)) };
    const member = await startMember({ id, applicationPort: application.port, ...more });
    applications.push(application);
    members.push(member);
    letDial(application, member, clients);
  }
  introduce(members);
  await until("every application is greeted", () =>
    members.every(({ application }) => application.unreadyReason === undefined),
  );
  return {
    members,
    applications,
    async stop() {
      for (const client of clients) client.close();
      for (const application of applications) application.stop();
      await Promise.all(members.map((member) => member.stop()));
    },
  };
}

/** `clients`: to be closed. */
export function letDial(application: LedgerApplication, member: Member, clients: grpc.Client[]): void {
  const known = new Map<string, grpc.Client>();
  application.dial = (to) => {
    let client = known.get(to);
    if (client === undefined) {
      const plain = dialThrough(member, authorityOf(to));
      clients.push(plain);
      client = application.kind === "participant" ? application.participant.client(plain) : plain;
      known.set(to, client);
    }
    return client;
  };
}

/** As an application's own endpoint would give its state: in a turn of its own, at once. */
function ledgerSource({ ledger }: LedgerApplication): StateSource {
  return {
    name: "http",
    async read(sink) {
      await delay(1);
      sink.contentType("application/json");
      await sink.write(Buffer.from(JSON.stringify(ledger.state())));
    },
  };
}

/** A plain client of the application beside `member`. */
export function dialThrough(member: Member, authority: string): grpc.Client {
  return new grpc.Client(`127.0.0.1:${member.outboundPort}`, grpc.credentials.createInsecure(), {
    "grpc.default_authority": authority,
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.enable_channelz": 0,
    "grpc.enable_retries": 0,
    "grpc.use_local_subchannel_pool": 1,
  });
}

/** Starts an attempt at these members, and waits until every member is done with it. */
export async function snapshot(members: readonly Member[], ref: SnapshotRef, initiators = members): Promise<void> {
  for (const member of initiators) member.start(ref);
  await until(`snapshot ${ref.snapshotId} is complete`, () => members.every((member) => member.isDone(ref)));
}

export function endSnapshot(members: readonly Member[], ref: SnapshotRef): void {
  for (const member of members) member.end(ref);
}

/** Frames and calls that the agents still keep. */
export function keptCalls(members: readonly Member[]): string[] {
  const kept: string[] = [];
  for (const { id, plane } of members) {
    for (const link of plane.driver.links.values()) {
      for (const call of link.calls.values()) {
        const { inbound, outbound } = call;
        const read = `read ${outbound.read.messages}${outbound.read.end ? " and the end" : ""}`;
        const kept_ = `handed ${inbound.messagesHanded}, kept ${inbound.bytes} in and ${outbound.bytes} out`;
        kept.push(`${id} ${call.role} ${call.method} ${call.applicationId}: ${read}, ${kept_}`);
      }
    }
    if (plane.calls.openCalls > 0) kept.push(`${id} has ${plane.calls.openCalls} open calls`);
    const ids = plane.calls.openOutgoingIds();
    if (ids.length > 0) kept.push(`${id} takes ${ids.length} calls to be open: ${ids.slice(0, 10)}`);
  }
  return kept;
}

const untilTimeoutMs = 20_000;

export async function until(what: string, condition: () => boolean, timeoutMs = untilTimeoutMs): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(2);
  }
}

const connectTimeoutMs = 20_000;

/** Has every application's client connect to every other. What an opaque one's library holds back until then nobody outside can see. */
export async function connectAll({ applications }: World, ids: readonly string[]): Promise<void> {
  const connected = ({ dial }: LedgerApplication, to: string) =>
    new Promise<void>((resolve, reject) => {
      dial(to).waitForReady(Date.now() + connectTimeoutMs, (error) => (error ? reject(error) : resolve()));
    });
  await Promise.all(
    applications.flatMap((application, i) => ids.filter((_, k) => k !== i).map((to) => connected(application, to))),
  );
}

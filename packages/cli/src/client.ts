import { Snapshot } from "@cutline/proto/snapshot";
import { CliError } from "./errors.ts";
import type { Io } from "./io.ts";
import { arrayOf, asRecord, textOf } from "./json.ts";
import { readTopology, type Topology } from "./topology.ts";
import { badAnswer, createTransport, type Route } from "./transport.ts";

/** What was read, and the JSON it was read from: programs get that one, with whatever a newer server added. */
export interface Fetched<T> {
  readonly value: T;
  readonly raw: unknown;
}

export interface CreateRequest {
  readonly namespaces: readonly string[];
  readonly initiator: string | undefined;
  readonly timeoutMs: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly attempts: number | undefined;
  readonly idempotencyKey: string;
}

interface ListRequest {
  readonly labels: Readonly<Record<string, string>>;
  readonly phases: readonly string[];
  /** 1..500. */
  readonly limit: number;
  readonly cursor: string | undefined;
}

export interface CertificateEnd {
  /** own or authority. */
  readonly role: string;
  readonly subject: string;
  readonly untilMs: number;
}

/** As the coordinator's metrics tell it. */
const certificateLine =
  /^cutline_certificate_expiry_timestamp_seconds\{certificate="(\w+)",subject="((?:[^"\\]|\\.)*)",serial="[^"]*"\} (\S+)$/gm;

export type StateForm = "json" | "ndjson";

/** The coordinator's REST interface. Every rejection is a CliError with the exit code it stands for. */
export interface CoordinatorClient {
  create(request: CreateRequest): Promise<Fetched<Snapshot>>;
  list(request: ListRequest): Promise<{ snapshots: Fetched<Snapshot>[]; next: string | undefined }>;
  get(id: string): Promise<Fetched<Snapshot>>;
  abort(id: string): Promise<void>;
  remove(id: string): Promise<void>;
  topology(): Promise<Fetched<Topology>>;
  /** When the certificates end that this replica has and trusts; empty: it has none. */
  certificates(): Promise<readonly CertificateEnd[]>;
  /** What keeps this replica from serving; empty: it is ready. */
  readiness(): Promise<readonly string[]>;
  globalState(id: string, form: StateForm): Promise<AsyncGenerator<Uint8Array>>;
  processState(id: string, processId: string): Promise<AsyncGenerator<Uint8Array>>;
  channelState(id: string, channelId: string): Promise<AsyncGenerator<Uint8Array>>;
}

export function createClient(io: Io, route: Route): CoordinatorClient {
  const transport = createTransport(io, route);
  const pathOf = (id: string) => `/v1/snapshots/${encodeURIComponent(id)}`;

  return {
    async create(request) {
      const failure = "cannot start a snapshot";
      const raw = await transport.json({
        method: "POST",
        path: "/v1/snapshots",
        headers: { "idempotency-key": request.idempotencyKey },
        body: {
          ...(request.namespaces.length > 0 && { scope: { namespaces: request.namespaces, labelSelector: {} } }),
          ...(request.initiator !== undefined && { initiator: request.initiator }),
          ...(request.timeoutMs !== undefined && { timeoutMs: request.timeoutMs }),
          ...(Object.keys(request.labels).length > 0 && { labels: request.labels }),
          ...(request.attempts !== undefined && { attempts: request.attempts }),
        },
        repeat: "idempotent",
        failure,
      });
      return readSnapshot(raw, failure);
    },

    async list(request) {
      const failure = "cannot list the snapshots";
      const query = new URLSearchParams();
      for (const [key, value] of Object.entries(request.labels)) query.append("label", `${key}=${value}`);
      for (const phase of request.phases) query.append("phase", phase);
      query.set("limit", String(request.limit));
      if (request.cursor !== undefined) query.set("cursor", request.cursor);
      const raw = await transport.json({ method: "GET", path: "/v1/snapshots", query, repeat: "idempotent", failure });
      const page = asRecord(raw);
      if (!Array.isArray(page?.snapshots)) throw badAnswer(failure, "it has no list of snapshots");
      return {
        snapshots: arrayOf(page.snapshots).map((entry) => readSnapshot(entry, failure)),
        next: textOf(page.next),
      };
    },

    async get(id) {
      const failure = `cannot get the snapshot ${id}`;
      return readSnapshot(
        await transport.json({ method: "GET", path: pathOf(id), repeat: "idempotent", failure }),
        failure,
      );
    },

    async abort(id) {
      const failure = `cannot abort the snapshot ${id}`;
      // Not repeated: after a first one that was carried out, a second one answers with a conflict.
      await transport.json({ method: "POST", path: `${pathOf(id)}:abort`, repeat: "never", failure });
    },

    async remove(id) {
      const failure = `cannot delete the snapshot ${id}`;
      await transport.json({ method: "DELETE", path: pathOf(id), repeat: "idempotent", failure });
    },

    async topology() {
      const failure = "cannot get the topology";
      const raw = await transport.json({ method: "GET", path: "/v1/topology", repeat: "idempotent", failure });
      if (asRecord(raw) === undefined) throw badAnswer(failure, "it is no JSON object");
      return { raw, value: readTopology(raw) };
    },

    async certificates() {
      const failure = "cannot get the coordinator's metrics";
      const chunks: Uint8Array[] = [];
      const headers = { accept: "text/plain" };
      const page = await transport.stream({ method: "GET", path: "/metrics", headers, repeat: "idempotent", failure });
      for await (const chunk of page) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString("utf8");
      return [...text.matchAll(certificateLine)].map(([, role = "", subject = "", seconds]) => ({
        ...{ role, subject },
        untilMs: Number(seconds) * 1_000,
      }));
    },

    async readiness() {
      try {
        await transport.json({
          method: "GET",
          path: "/readyz",
          repeat: "idempotent",
          failure: "cannot ask the coordinator",
        });
        return [];
      } catch (error) {
        if (error instanceof CliError && error.code === "NotReady") return error.details;
        throw error;
      }
    },

    globalState: (id, form) =>
      transport.stream({
        method: "GET",
        path: `${pathOf(id)}/state`,
        headers: { accept: form === "json" ? "application/json" : "application/x-ndjson" },
        repeat: "idempotent",
        failure: `cannot get the state of ${id}`,
      }),

    processState: (id, processId) =>
      transport.stream({
        method: "GET",
        path: `${pathOf(id)}/processes/${encodeURIComponent(processId)}/state`,
        headers: { accept: "*/*" },
        repeat: "idempotent",
        failure: `cannot get the local state of ${processId} in ${id}`,
      }),

    channelState: (id, channelId) =>
      transport.stream({
        method: "GET",
        path: `${pathOf(id)}/channels/${encodeURIComponent(channelId)}`,
        repeat: "idempotent",
        failure: `cannot get the channel ${channelId} of ${id}`,
      }),
  };
}

function readSnapshot(raw: unknown, failure: string): Fetched<Snapshot> {
  const record = asRecord(raw);
  if (textOf(record?.id) === undefined) throw badAnswer(failure, "it holds no snapshot");
  try {
    return { raw, value: Snapshot.fromJSON(raw) };
  } catch (error) {
    throw badAnswer(failure, `its snapshot cannot be read: ${String(error)}`);
  }
}

import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { type IssueOptions, type Issuer, readRequest, signCertificate } from "@cutline/certificates";
import { certificateOf, mesh } from "@cutline/runtime/testing";
import { AgentIdentity, type AgentIdentityOptions } from "../../../src/control/identity.ts";
import { listLogger } from "../../dataplane/processes.ts";

export interface Asked {
  readonly token: string;
  readonly csr: string;
}

type Answer =
  | { readonly status: 200; readonly body: { readonly certificate: string; readonly authorities: string } }
  | { readonly status: number; readonly body: object; readonly retryAfterSeconds?: number };

/** A coordinator that issues what its test says. */
export class TestIssuer {
  readonly asked: Asked[] = [];
  readonly url: URL;
  readonly #server: Server;
  answer: (asked: Asked) => Answer = (asked) => issued(asked);

  static async open(identity: Issuer = certificateOf("coordinator")): Promise<TestIssuer> {
    const server = createServer({ cert: identity.certificate, key: identity.key, minVersion: "TLSv1.3" });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const issuer = new TestIssuer(server);
    after(() => issuer.close());
    return issuer;
  }

  private constructor(server: Server) {
    this.#server = server;
    this.url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on("request", async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const asked: Asked = JSON.parse(Buffer.concat(chunks).toString());
      this.asked.push(asked);
      const answer = this.answer(asked);
      const more = "retryAfterSeconds" in answer ? { "retry-after": String(answer.retryAfterSeconds) } : {};
      response.writeHead(answer.status, { "content-type": "application/json", ...more });
      response.end(JSON.stringify(answer.body));
    });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** As a coordinator would: for shop/a by default, by the mesh's authority. */
export function issued(
  { csr }: Asked,
  name = "shop/a",
  changes: Partial<IssueOptions> & { readonly authorities?: string } = {},
): Extract<Answer, { status: 200 }> {
  const read = readRequest(csr);
  if (read.outcome === "invalid") throw new Error(read.message);
  const { authorities = mesh.certificate, ...more } = changes;
  const options = {
    kind: "peer" as const,
    commonName: name,
    uris: [`spiffe://cutline/process/${name}`],
    fromMs: Date.now() - 60_000,
    untilMs: Date.now() + 3_600_000,
    issuer: mesh,
    ...more,
  };
  return { status: 200, body: { certificate: signCertificate(options, read.publicKey), authorities } };
}

export interface TestIdentity {
  readonly identity: AgentIdentity;
  readonly folder: string;
  readonly tokenFile: string;
  readonly log: {
    readonly level: string;
    readonly fields: Readonly<Record<string, unknown>>;
    readonly message: string;
  }[];
}

/** Of shop/a, in a folder of its own. */
export async function identityOf(
  url: URL,
  { folder, ...changes }: Partial<AgentIdentityOptions> = {},
): Promise<TestIdentity> {
  const own = folder ?? (await mkdtemp(join(tmpdir(), "cutline-identity-")));
  const tokenFile = join(own, "token");
  await writeFile(tokenFile, "first-token\n");
  const log: TestIdentity["log"] = [];
  const identity = new AgentIdentity({
    url,
    tokenFile,
    folder: own,
    firstAuthorities: mesh.certificate,
    processId: "shop/a",
    waitMs: 10_000,
    limits: {
      startRetryMinMs: 5,
      startRetryMaxMs: 20,
      renewRetryMinMs: 5,
      renewRetryMaxMs: 20,
      requestTimeoutMs: 5_000,
    },
    nowMs: Date.now,
    random: () => 0.5,
    logger: listLogger(log),
    ...changes,
  });
  after(async () => {
    await identity.stop();
    await rm(own, { recursive: true, force: true });
  });
  return { identity, folder: own, tokenFile, log };
}

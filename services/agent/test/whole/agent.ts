import { after } from "node:test";
import { createMetrics, type Logger, loadConfig, type TlsCredentials } from "@cutline/runtime";
import * as grpc from "@grpc/grpc-js";
import { type Agent, createAgent } from "../../src/app.ts";
import { agentConfig } from "../../src/config.ts";
import { listLogger } from "../dataplane/processes.ts";

interface LogLine {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** An agent with all of its parts, in this program. */
export interface WholeAgent {
  readonly agent: Agent;
  readonly log: readonly LogLine[];
  /** What its page tells at this path. */
  page(path: string): Promise<string>;
  /** One metric as it is on its page; labels as they stand there. */
  metric(name: string): Promise<Record<string, number>>;
  /** A client of its application. */
  client(authority: string): grpc.Client;
}

export interface WholeAgentOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly credentials?: TlsCredentials;
}

const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

/** Starts an agent, which is stopped after the tests of the file. */
export async function startAgent({ environment = {}, credentials }: WholeAgentOptions = {}): Promise<WholeAgent> {
  const loaded = loadConfig(agentConfig, {
    CUTLINE_PROCESS_ID: "shop/orders",
    CUTLINE_APPLICATION_ADDRESS: "127.0.0.1:1",
    CUTLINE_COORDINATOR_ADDRESS: "127.0.0.1:1",
    CUTLINE_DIRECTORY_WAIT_MS: "0",
    CUTLINE_OUTBOUND_PORT: "0",
    CUTLINE_INBOUND_PORT: "0",
    CUTLINE_LINK_PORT: "0",
    CUTLINE_ADMIN_PORT: "0",
    CUTLINE_STOP_GRACE_MS: "1000",
    ...environment,
  });
  if (loaded.outcome === "invalid") throw new Error(JSON.stringify(loaded.problems));
  const log: LogLine[] = [];
  const logger: Logger = listLogger(log);
  const agent = createAgent(loaded.config, { logger, credentials, metrics: createMetrics() });
  opened.push(() => agent.stop());
  await agent.start();
  const page = async (path: string) => await (await fetch(`http://127.0.0.1:${agent.ports.adminPort}${path}`)).text();
  return {
    agent,
    log,
    page,
    async metric(name) {
      const lines = (await page("/metrics")).split("\n").filter((line) => line.startsWith(name));
      return Object.fromEntries(
        lines.map((line) => [
          line.slice(name.length, line.lastIndexOf(" ")),
          Number(line.slice(line.lastIndexOf(" "))),
        ]),
      );
    },
    client(authority) {
      const client = new grpc.Client(`127.0.0.1:${agent.ports.outboundPort}`, grpc.credentials.createInsecure(), {
        "grpc.default_authority": authority,
        "grpc.enable_channelz": 0,
        "grpc.use_local_subchannel_pool": 1,
      });
      opened.push(() => client.close());
      return client;
    },
  };
}

/** A unary call; resolves with its status, whatever it is. */
export function unary(
  client: grpc.Client,
  { path, metadata = new grpc.Metadata() }: { readonly path: string; readonly metadata?: grpc.Metadata },
): Promise<grpc.StatusObject> {
  const asItIs = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    const call = client.makeUnaryRequest(path, asItIs, asItIs, Buffer.from("x"), metadata, () => undefined);
    call.on("status", resolve);
  });
}

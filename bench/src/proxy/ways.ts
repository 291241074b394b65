import { reservePort } from "@cutline/e2e";
import { echoAuthority } from "../contract.ts";
import type { AgentCode } from "./agent-code.ts";
import { meshTls } from "./agent-tls.ts";
import { startAgentPair } from "./agents.ts";
import { type Case, type Ends, endsOf } from "./cases.ts";
import { type Authority, type Certificate, createAuthority } from "./certificates.ts";
import { type Echo, type GrpcJsClient, startGrpcJsClient, startGrpcJsEcho, startNativeEcho } from "./ends.ts";
import { startHaproxyPair } from "./haproxy.ts";
import type { NativePrograms } from "./native.ts";
import { startNginxPair } from "./nginx.ts";
import type { ProxyOptions, WayName } from "./options.ts";
import type { Pair } from "./pair.ts";
import type { Workshop } from "./workshop.ts";

/** One of the ways that are compared, with programs of one kind at its ends. Everything of it is up. */
export interface Way {
  readonly name: WayName;
  readonly ends: Ends;
  readonly pair: Pair;
  readonly echo: Echo;
  /** With grpc-js at both ends. */
  readonly client: GrpcJsClient | undefined;
}

export interface WaysRequest {
  readonly options: ProxyOptions;
  readonly code: AgentCode;
  /** Undefined when no case needs them. */
  readonly native: NativePrograms | undefined;
  readonly profileFolder: string | undefined;
}

const noSdk = { sdk: "none", stateBytes: 0, stateForm: "object" } as const;

/** Starts all ways for all kinds of ends that the cases have. */
export async function startWays(workshop: Workshop, request: WaysRequest): Promise<Way[]> {
  const { options, native } = request;
  const authority = await authorityFor(workshop, options);
  const ways: Way[] = [];
  for (const ends of new Set(options.cases.map((one: Case) => endsOf(one)))) {
    const isC = ends === "c" && native !== undefined;
    const echo = isC ? await startNativeEcho(workshop, native) : await startGrpcJsEcho(workshop, noSdk);
    for (const name of options.ways) {
      const pair = await startPair(workshop, name, echo, authority, request);
      ways.push({ name, ends, pair, echo, client: isC ? undefined : await startClient(workshop, name, pair) });
    }
  }
  return ways;
}

export async function authorityFor(workshop: Workshop, { hops }: ProxyOptions): Promise<Authority | undefined> {
  return hops === "tls" ? createAuthority(await workshop.subfolder("certificates")) : undefined;
}

async function startPair(
  workshop: Workshop,
  name: WayName,
  { port: echoPort }: Echo,
  authority: Authority | undefined,
  { code, profileFolder }: WaysRequest,
): Promise<Pair> {
  const issue = async (one: string, two: string): Promise<[Certificate, Certificate] | undefined> =>
    authority && [await authority.issue(one), await authority.issue(two)];
  switch (name) {
    case "direct":
      return { hops: [], port: echoPort, authority: `127.0.0.1:${echoPort}` };
    case "haproxy":
      return startHaproxyPair(workshop, { echoPort, certificates: await issue("haproxy/1", "haproxy/2") });
    case "nginx":
      return startNginxPair(workshop, { echoPort, certificates: await issue("nginx/1", "nginx/2") });
    case "agents": {
      const pair = await startAgentPair(workshop, {
        ...{ echoPort, code, profileFolder },
        tls: meshTls(authority),
        capture: "none",
        clientPort: await reservePort(),
        authority: echoAuthority,
      });
      await pair.ready();
      return pair;
    }
  }
}

async function startClient(workshop: Workshop, name: WayName, { port }: Pair): Promise<GrpcJsClient> {
  const route = { port, proxyPort: name === "agents" ? port : undefined };
  return startGrpcJsClient(workshop, noSdk, route, await reservePort());
}

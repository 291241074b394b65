import { join } from "node:path";
import { reservePort, Service } from "@cutline/e2e";
import { type InteropCase, interopCases, MessageBook, type Scale } from "./cases.ts";
import { differences, unmet } from "./judge.ts";
import { authorityOf, type Mesh, startMesh } from "./mesh.ts";
import { compileProtocols, Messages } from "./messages.ts";
import { pythonWithGrpc } from "./python.ts";
import { runClient } from "./run-client.ts";
import type { ClientScript, SeenCase } from "./script.ts";
import { type ClientStack, clientStacks, type Route, type ServerStack, serverStacks } from "./stacks.ts";

/** One case of one client and one server, directly and by each of the client's ways to its agent. */
export interface CaseResult {
  readonly name: string;
  readonly client: ClientStack["name"];
  readonly server: ServerStack["name"];
  /** What the stacks do not offer, so that it is left out of the case. */
  readonly without: string | undefined;
  /** Empty: the case is met directly and through agents, and a client cannot tell them apart. */
  readonly problems: readonly string[];
  readonly directMs: number;
  /** The slowest of the ways. */
  readonly agentsMs: number;
}

const clientPlace = "client";

/** Servers of every stack, an agent beside each, and one beside the clients, which run one after the other. */
export class Matrix {
  readonly #mesh: Mesh;
  readonly #servers: readonly Service[];
  readonly #ports: ReadonlyMap<string, number>;
  readonly #messages: Messages;

  /** `agentEnvironment`: CUTLINE_* settings of every agent. */
  static async start(agentEnvironment: Readonly<Record<string, string>> = {}): Promise<Matrix> {
    const ports = new Map<string, number>();
    for (const { name } of serverStacks) ports.set(name, await reservePort());
    const python = pythonWithGrpc();
    const mesh = await startMesh([
      { name: clientPlace, environment: agentEnvironment },
      ...[...ports].map(([name, applicationPort]) => ({ name, applicationPort, environment: agentEnvironment })),
    ]);
    const servers: Service[] = [];
    try {
      const descriptors = join(mesh.folder, "interop.binpb");
      compileProtocols(descriptors);
      await Promise.all(
        [...ports].map(async ([name, port]) => {
          const service = await Service.start({
            name: `server-${name}`,
            ...(name === "grpc-core"
              ? { program: python, arguments: [join(import.meta.dirname, "../python/server.py")] }
              : { program: "test/interop/src/servers/main.ts", arguments: [name] }),
            environment: { INTEROP_PORT: String(port), INTEROP_DESCRIPTORS: descriptors },
            logFile: join(mesh.folder, `server-${name}.log`),
            servesMessage: "interop server serves",
          });
          servers.push(service);
        }),
      );
      return new Matrix(mesh, servers, ports, new Messages(descriptors));
    } catch (error) {
      await Promise.all(servers.map((server) => server.stop()));
      await mesh.stop();
      throw error;
    }
  }

  private constructor(mesh: Mesh, servers: readonly Service[], ports: ReadonlyMap<string, number>, messages: Messages) {
    this.#mesh = mesh;
    this.#servers = servers;
    this.#ports = ports;
    this.#messages = messages;
  }

  /** All cases of one client and one server. `wanted`: only the cases of these names. */
  async run(
    client: ClientStack,
    server: ServerStack,
    scale: Scale,
    wanted?: ReadonlySet<string>,
  ): Promise<CaseResult[]> {
    const book = new MessageBook(this.#messages);
    const cases = interopCases(book, client, server, scale).filter(({ script }) => wanted?.has(script.name) ?? true);
    const common = { messages: book.encoded, cases: cases.map(({ script }) => script) };
    const { folder } = this.#mesh;
    const target = `127.0.0.1:${this.#ports.get(server.name)}`;
    const direct = await runClient(client.name, { ...common, target }, folder);
    const byRoute: [Route, SeenCase[]][] = [];
    // One after another: as many calls at a time as the case has, and no more.
    for (const route of client.routes) byRoute.push([route, await this.#throughAgents(client, server, route, common)]);
    return cases.map((one, index) => this.#result(one, client, server, index, direct, byRoute));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
    await this.#mesh.stop();
  }

  #throughAgents(
    client: ClientStack,
    server: ServerStack,
    route: Route,
    common: Pick<ClientScript, "messages" | "cases">,
  ): Promise<SeenCase[]> {
    const agentPort = this.#mesh.outboundPort(clientPlace);
    const script = { ...common, target: authorityOf(server.name) };
    if (route === "grpc_proxy") {
      return runClient(client.name, script, this.#mesh.folder, `http://127.0.0.1:${agentPort}`);
    }
    return runClient(client.name, { ...script, via: { agentPort, how: route } }, this.#mesh.folder);
  }

  #result(
    one: InteropCase,
    client: ClientStack,
    server: ServerStack,
    index: number,
    direct: readonly SeenCase[],
    byRoute: readonly [Route, SeenCase[]][],
  ): CaseResult {
    const { name } = one.script;
    const problems: string[] = [];
    const seenDirectly = direct[index];
    if (seenDirectly === undefined) throw new Error(`the client of ${client.name} has skipped ${name}`);
    problems.push(...unmet(one, seenDirectly).map((problem) => `directly: ${problem}`));
    let agentsMs = 0;
    for (const [route, all] of byRoute) {
      const seen = all[index];
      if (seen === undefined) throw new Error(`the client of ${client.name} has skipped ${name} by ${route}`);
      agentsMs = Math.max(agentsMs, seen.elapsedMs);
      problems.push(...unmet(one, seen).map((problem) => `by ${route}: ${problem}`));
      problems.push(...differences(one, seenDirectly, seen).map((difference) => `by ${route}: ${difference}`));
    }
    const { without } = one;
    const names = { name, client: client.name, server: server.name };
    return { ...names, without, problems, directMs: seenDirectly.elapsedMs, agentsMs };
  }
}

/** Every client with every server. */
export function combinations(): [ClientStack, ServerStack][] {
  return clientStacks.flatMap((client) => serverStacks.map((server): [ClientStack, ServerStack] => [client, server]));
}

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Network namespaces want root; where a test is not, it asks for it. */
const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
/** A namespace whose test has died goes after this. */
const holdSeconds = "600";
const commandTimeoutMs = 30_000;

async function command(args: readonly string[]): Promise<string> {
  const [program = "", ...rest] = [...asRoot, ...args];
  return (await run(program, rest, { timeout: commandTimeoutMs })).stdout;
}

export interface Started {
  /** Lines of its standard output. */
  readonly lines: string[];
  /** What it said on its standard error. */
  errors(): string;
  stop(): Promise<void>;
}

export interface Runs {
  readonly user?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The network of one pod: interfaces, addresses and rules of its own. */
export class PodNetwork {
  readonly #holder: ChildProcess;
  readonly #started: Started[] = [];

  static async open(): Promise<PodNetwork> {
    const [program = "", ...args] = [...asRoot, "unshare", "--net", "sleep", holdSeconds];
    const holder = spawn(program, args, { stdio: "ignore" });
    const network = new PodNetwork(holder);
    const own = await command(["readlink", "/proc/self/ns/net"]);
    while ((await command(["readlink", `/proc/${holder.pid}/ns/net`])) === own) {
      if (holder.exitCode !== null) throw new Error("unshare --net failed: network namespaces want root");
    }
    await network.command("ip", "link", "set", "lo", "up");
    return network;
  }

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  /** A cable between two pods. */
  async connect(other: PodNetwork, own: readonly string[], theirs: readonly string[]): Promise<void> {
    const ends = [
      ["eth0", "netns", this.#pid],
      ["peer", "name", "eth0", "netns", other.#pid],
    ] as const;
    await command(["ip", "link", "add", ...ends[0], "type", "veth", ...ends[1]]);
    for (const [network, addresses] of [
      [this, own],
      [other, theirs],
    ] as const) {
      for (const address of addresses) await network.command("ip", "address", "add", address, "dev", "eth0", "nodad");
      await network.command("ip", "link", "set", "eth0", "up");
    }
  }

  /** Runs a program to its end; rejects with what it said when it fails. */
  async command(...args: readonly string[]): Promise<string> {
    return await command([...this.#enter({}), ...args]);
  }

  /** Node with a script, to its end: what it printed. */
  async node(script: string, options: Runs = {}): Promise<string> {
    return await command([...this.#enter(options), process.execPath, "-e", script]);
  }

  start(args: readonly string[], options: Runs = {}): Started {
    const [program = "", ...rest] = [...asRoot, ...this.#enter(options), process.execPath, ...args];
    const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"] });
    const lines: string[] = [];
    let errors = "";
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString("utf8");
    });
    const started = {
      lines,
      errors: () => errors,
      async stop() {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill("SIGTERM");
        await once(child, "close");
      },
    };
    this.#started.push(started);
    return started;
  }

  async close(): Promise<void> {
    for (const started of this.#started.reverse()) await started.stop();
    this.#holder.kill("SIGKILL");
  }

  get #pid(): string {
    return String(this.#holder.pid);
  }

  #enter({ user, environment = {} }: Runs): string[] {
    const as = user === undefined ? [] : ["--setuid", String(user), "--setgid", String(user)];
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    return ["nsenter", "--target", this.#pid, "--net", ...as, "--", "env", ...variables];
  }
}

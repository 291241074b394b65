import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { startOpaqueBranch } from "../src/index.ts";
import { until } from "./bank.ts";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

interface Line {
  message: string;
  code?: string;
  authority?: string;
  state?: { failures: object; counters: { transfersSent: number } };
}

/** Starts `src/main.ts` as a program of its own and collects the lines that it prints. */
function run(test: TestContext, environment: Record<string, string>): { child: ChildProcess; lines: Line[] } {
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, NODE_OPTIONS: process.env.NODE_OPTIONS, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  test.after(() => child.kill("SIGKILL"));
  const lines: Line[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line)));
  return { child, lines };
}

describe("the branch program", () => {
  it("reaches a peer through grpc_proxy by a name that does not resolve, and closes on SIGTERM", async (test) => {
    const peer = await startOpaqueBranch(
      {
        name: "b",
        port: 0,
        openingCents: 5,
        concurrency: 1,
        pauseMs: 0,
        paddingBytes: 0,
        slowReaderMs: 0,
        refusedOneIn: 50,
        seed: "1",
      },
      0,
    );
    test.after(() => peer.stop());
    const asked = new Set<string>();
    const tunnels = new Set<Socket>();
    const proxy = createHttpServer().on("connect", (request, downstream: Socket) => {
      asked.add(request.url ?? "");
      const upstream = connect(Number(peer.authority.split(":")[1]), "127.0.0.1", () => {
        downstream.write("HTTP/1.1 200 Connection established\r\n\r\n");
        upstream.pipe(downstream).pipe(upstream);
      });
      for (const socket of [upstream, downstream]) {
        tunnels.add(socket);
        // Either end may go first.
        socket.on("error", () => socket.destroy());
      }
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    test.after(() => {
      for (const socket of tunnels) socket.destroy();
      proxy.close();
    });

    const { child, lines } = run(test, {
      BRANCH_NAME: "a",
      BRANCH_PORT: "0",
      BRANCH_PEERS: "b=branch-2.bank:50051",
      BRANCH_OPAQUE_STATE_PORT: "0",
      BRANCH_PAUSE_MS: "1",
      grpc_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    });
    await until("transfers through the proxy", () => peer.status().state.counters.transfersReceived > 5);
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
    assert.deepEqual([...asked], ["branch-2.bank:50051"]);
    assert.deepEqual(
      lines.map((line) => line.message),
      ["branch open", "trading", "branch closed"],
    );
    assert.deepEqual(lines.at(-1)?.state?.failures, {});
  });

  it("says what is wrong with its settings and ends with 1", async (test) => {
    const { child, lines } = run(test, { BRANCH_NAME: "a", BRANCH_PEERS: "somewhere" });
    const [code] = await once(child, "close");
    assert.equal(code, 1);
    assert.equal(lines[0]?.code, "SETTING_INVALID");
  });
});

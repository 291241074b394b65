import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { silentLogger } from "@cutline/runtime";
import { Recorder } from "../../../services/agent/src/capture/recorder.ts";
import { defaultCallLimits } from "../../../services/agent/src/dataplane/call/call-host.ts";
import { DataPlane } from "../../../services/agent/src/dataplane/data-plane.ts";
import { defaultLinkLimits } from "../../../services/agent/src/dataplane/link/link.ts";
import { defaultMeshLimits } from "../../../services/agent/src/dataplane/link/mesh.ts";
import { choicesOf, piecesOf } from "../engine/inputs.ts";
import type { Session, Target } from "../engine/target.ts";
import { FakeApplication } from "./support/application.ts";
import { anyHandshake, handshakes, honestHello, ping, self } from "./support/hellos.ts";

/** Links that hostile peers have made and that wait for a resume, before they are given up. */
const linksMax = 50;

/** An agent's mesh with an honest peer, on real sockets. */
class Harbour implements Session {
  readonly #plane: DataPlane;
  readonly #port: number;
  readonly #honest: Socket;
  #pongs = 0;
  #executions = 0;

  static async open(): Promise<Harbour> {
    const plane = new DataPlane(
      {
        self,
        firstIncomingId: 1,
        application: {
          ready: true,
          error: undefined,
          confirmsReceipt: false,
          settle: (call) => call.settled(),
          cancelled() {},
          streamAnswered() {},
        },
        callLimits: defaultCallLimits,
        linkLimits: defaultLinkLimits,
        meshLimits: { ...defaultMeshLimits, pingIntervalMs: 600_000 },
        recorder: new Recorder(64 * 1024),
        applicationClient: new FakeApplication(),
        environmentClient: () => undefined,
        now: () => performance.now(),
        logger: silentLogger,
      },
      {
        onCapture: (ref) => plane.driver.captured(ref),
        onCut() {},
        onChannel() {},
        onFailed() {},
        onForget() {},
      },
    );
    const { port } = await plane.mesh.listen("127.0.0.1", 0);
    const honest = connect({ host: "127.0.0.1", port, noDelay: true });
    await once(honest, "connect");
    honest.write(honestHello);
    await once(honest, "data");
    return new Harbour(plane, port, honest);
  }

  private constructor(plane: DataPlane, port: number, honest: Socket) {
    this.#plane = plane;
    this.#port = port;
    this.#honest = honest;
    honest.on("data", () => {
      this.#pongs += 1;
    });
  }

  async run(input: Buffer): Promise<void> {
    this.#executions += 1;
    // Addresses of the loopback network by turns: one alone would run out of ports.
    const localAddress = `127.${1 + (this.#executions % 200)}.${1 + (Math.floor(this.#executions / 200) % 200)}.1`;
    const socket = connect({ host: "127.0.0.1", port: this.#port, localAddress, noDelay: true });
    socket.on("error", () => {}); // A connection that is refused may be reset.
    const closed = new Promise((resolve) => socket.once("close", resolve));
    for (const piece of piecesOf(input, choicesOf(input)).slice(0, 4)) socket.write(piece);
    socket.resume();
    socket.end();
    await closed;
    const { driver } = this.#plane;
    if (driver.links.size > linksMax) {
      for (const link of [...driver.links.values()]) {
        if (link.peer.processId !== "bank/witness") driver.closeLink(link, "the peer is gone");
      }
    }
    for (const { ref } of [...driver.state.snapshots.values()]) driver.ended(ref);
    await this.#ask();
  }

  async close(): Promise<void> {
    this.#honest.destroy();
    await this.#plane.mesh.stop();
  }

  /** The honest peer is still connected, and is answered. */
  async #ask(): Promise<void> {
    const before = this.#pongs;
    this.#honest.write(ping);
    while (this.#pongs === before) {
      if (this.#honest.destroyed) throw new Error("the connection of an honest peer was closed");
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** The acceptor's handshake and what follows it, on real sockets: whatever comes costs that connection alone. */
export const target: Target = {
  name: "mesh",
  // An execution is a connection over TCP.
  testExecutions: 2_000,
  samples: () => handshakes,
  generate: anyHandshake,
  open: () => Harbour.open(),
};

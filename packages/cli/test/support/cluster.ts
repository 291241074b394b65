import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Loose } from "./fixtures.ts";

/** What RFC 6455 adds to the key. */
const webSocketSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const protocol = "v4.channel.k8s.io";
const opcodes = { binary: 2, close: 8 } as const;

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  readonly body: Loose;
}

/**
 * An API server of a few objects, which forwards ports of pods to a port of this machine: over WebSockets with the channels of
 * `v4.channel.k8s.io`, as kubelets do it.
 */
export class FakeCluster implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** By path; lists have `items`. What is not there is a 404. */
  readonly objects = new Map<string, Loose>();
  /** Where forwarded ports lead. */
  podPort = 0;
  /** Instead of that: what the kubelet says on the error channel. */
  forwardFailure: string | undefined;
  /** Answers every request to forward with this status. */
  forwardRefusal: number | undefined;
  readonly #sockets = new Set<Duplex>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  url = "";

  static async start(): Promise<FakeCluster> {
    const cluster = new FakeCluster();
    cluster.#server.on("upgrade", (request: IncomingMessage, socket: Duplex) => cluster.#upgrade(request, socket));
    await new Promise<void>((resolve) => cluster.#server.listen(0, "127.0.0.1", resolve));
    cluster.url = `http://127.0.0.1:${(cluster.#server.address() as AddressInfo).port}`;
    return cluster;
  }

  kubeconfig(user: object = { token: "user-token" }): object {
    return {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "fake",
      clusters: [{ name: "fake", cluster: { server: this.url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "me", user }],
      contexts: [{ name: "fake", context: { cluster: "fake", user: "me", namespace: "shop" } }],
    };
  }

  /** A coordinator of two pods in the namespace `cutline`, the second of which leads. */
  addCoordinator(): void {
    const labels = { "app.kubernetes.io/part-of": "cutline", "app.kubernetes.io/component": "coordinator" };
    const service = {
      metadata: { namespace: "cutline", name: "cutline-coordinator", labels },
      spec: { selector: labels, ports: [{ name: "http", port: 7400 }] },
    };
    const agents = {
      ...service,
      metadata: { ...service.metadata, name: "cutline-agents" },
      spec: { ports: [{ port: 7401 }] },
    };
    const pod = (name: string) => ({
      metadata: { namespace: "cutline", name, labels },
      spec: {
        containers: [{ name: "coordinator", image: "cutline:0.1.0" }],
        serviceAccountName: "cutline-coordinator",
      },
      status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
    });
    const pods = [pod("coordinator-a"), pod("coordinator-b")];
    const renewTime = "2026-03-01T12:30:00.000000Z";
    const lease = { spec: { holderIdentity: "coordinator-b_1f", renewTime, leaseDurationSeconds: 15 } };
    this.objects.set("/api/v1/services", { items: [agents, service] });
    this.objects.set("/api/v1/namespaces/cutline/services/cutline-coordinator", service);
    this.objects.set("/api/v1/namespaces/cutline/pods", { items: pods });
    for (const one of pods) this.objects.set(`/api/v1/namespaces/cutline/pods/${one.metadata.name}`, one);
    this.objects.set("/apis/coordination.k8s.io/v1/namespaces/cutline/leases/cutline-coordinator", lease);
  }

  get forwarded(): string[] {
    return this.asked.filter(({ path }) => path.endsWith("/portforward")).map(({ path, query }) => `${path}?${query}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString("utf8");
    const { path } = this.#note(request, text === "" ? undefined : JSON.parse(text));
    const found = path.endsWith("/token") ? { status: { token: "account-token" } } : this.objects.get(path);
    const missing = { kind: "Status", reason: "NotFound", code: 404, message: `${path} not found` };
    response.writeHead(found === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(found ?? missing));
  }

  #note(request: IncomingMessage, body: Loose): Asked {
    const { pathname: path, searchParams: query } = new URL(request.url ?? "", "http://host");
    const asked = { method: request.method ?? "", path, query, authorization: request.headers.authorization, body };
    this.asked.push(asked);
    return asked;
  }

  #upgrade(request: IncomingMessage, socket: Duplex): void {
    this.#note(request, undefined);
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    if (this.forwardRefusal !== undefined) {
      socket.end(`HTTP/1.1 ${this.forwardRefusal} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
      return;
    }
    const key = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${webSocketSuffix}`).digest("base64");
    const head = ["HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: Upgrade"];
    head.push(`sec-websocket-accept: ${key}`, `sec-websocket-protocol: ${protocol}`);
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    // Each channel begins with the port's number.
    for (const channel of [0, 1]) send(socket, channel, Buffer.from([0xe8, 0x1c]));
    if (this.forwardFailure !== undefined) {
      send(socket, 1, Buffer.from(this.forwardFailure));
      return;
    }
    const pod = connect(this.podPort, "127.0.0.1");
    pod.on("data", (data) => send(socket, 0, data));
    pod.on("close", () => socket.end());
    pod.on("error", () => socket.destroy());
    receive(socket, pod);
  }
}

/** One frame, never masked, as servers send them: the channel's number and the bytes. */
function send(socket: Duplex, channel: number, data: Buffer): void {
  const length = data.length + 1;
  const head = Buffer.alloc(length < 126 ? 2 : 10);
  head[0] = 0x80 | opcodes.binary;
  head[1] = length < 126 ? length : 127;
  if (length >= 126) head.writeBigUInt64BE(BigInt(length), 2);
  socket.write(Buffer.concat([head, Buffer.from([channel]), data]));
}

/** Frames of a client, which are masked, to the pod; only channel 0 is used. */
function receive(socket: Duplex, pod: Socket): void {
  let waiting = Buffer.alloc(0);
  socket.on("close", () => pod.destroy());
  socket.on("data", (data: Buffer) => {
    waiting = Buffer.concat([waiting, data]);
    for (;;) {
      const short = (waiting[1] ?? 0) & 0x7f;
      const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
      const maskAt = 2 + lengthBytes;
      if (waiting.length < maskAt + 4) return;
      const length =
        lengthBytes === 0 ? short : lengthBytes === 2 ? waiting.readUInt16BE(2) : Number(waiting.readBigUInt64BE(2));
      const from = maskAt + 4;
      if (waiting.length < from + length) return;
      const opcode = (waiting[0] ?? 0) & 0x0f;
      const mask = waiting.subarray(maskAt, from);
      const payload = Buffer.from(waiting.subarray(from, from + length).map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
      waiting = waiting.subarray(from + length);
      if (opcode === opcodes.close) return void pod.end();
      if (opcode === opcodes.binary) pod.write(payload.subarray(1));
    }
  });
}

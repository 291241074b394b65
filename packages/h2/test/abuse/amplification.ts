/** `npm run amplification --workspace packages/h2`: CPU per octet of attacks, as a multiple of that of honest calls. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { createLeanServer } from "../../src/lean/server.ts";
import { answer, request, trailers } from "../support/requests.ts";
import { block, frame, integer, settingId, text, wire } from "../support/wire.ts";

const { headers, data, reset, settings } = wire;
const ended = { endStream: true };
const id = (i: number) => 2 * i + 1;
const call = block(request("/done"));
const open = block(request());
/** Into the table of both: the fields of a call, as a client's second call has them. */
const learnt = Buffer.concat([Buffer.from([0x83, 0x86, 0x44]), text("/done"), Buffer.from([0x41]), text("a.test")]);
const again = Buffer.from([0x83, 0x86, 0xbf, 0xbe]);
const large = Buffer.concat([call, Buffer.from([0x40]), text("a"), text("x".repeat(4_000))]);

/** In memory: nothing but the server's work is measured. */
function serve(chunks: readonly Buffer[]): Promise<void> {
  const socket = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
    writev: (_chunks, done) => done(),
  });
  const server = createLeanServer();
  const over = new Promise<void>((resolve) => {
    server.accept(socket as Socket, {
      onCall(stream, list) {
        if (list.includes("/done")) stream.respond([...answer, ...trailers], true);
        return { onHeaders() {}, onData() {}, onTrailers() {}, onEnd() {}, onReset() {}, onDrain() {} };
      },
      onClose: () => resolve(),
    });
  });
  socket.push(Buffer.concat([wire.preface, settings()]));
  const next = (i: number): void => {
    if (i < chunks.length && !socket.destroyed) {
      socket.push(chunks[i]);
      setImmediate(next, i + 1);
    } else setImmediate(() => socket.destroy());
  };
  next(0);
  return over;
}

/** 64 KiB or so at a time, as a socket would bring them. */
function chunksOf(count: number, bytes: (i: number) => Buffer): Buffer[] {
  const whole = Buffer.concat(Array.from({ length: count }, (_, i) => bytes(i)));
  return Array.from({ length: Math.ceil(whole.length / 65_536) }, (_, i) =>
    whole.subarray(65_536 * i, 65_536 * (i + 1)),
  );
}

const update = (size: number) => integer(size, 0x20, 5);
/** Every order of a large field and a small one is a block of its own, which nobody remembers. */
const shuffled = (i: number) => Buffer.from(Array.from({ length: 15 }, (_, k) => (((i >> k) & 1) === 0 ? 0xbe : 0x90)));

const cases: { name: string; chunks: Buffer[] }[] = [
  { name: "honest calls", chunks: chunksOf(20_000, (i) => headers(id(i), i === 0 ? learnt : again, ended)) },
  { name: "honest calls, headers in full", chunks: chunksOf(20_000, (i) => headers(id(i), call, ended)) },
  {
    name: "rapid reset within the budget",
    chunks: chunksOf(2_000, (i) => Buffer.concat([headers(id(i), open), reset(id(i), 8)])),
  },
  {
    name: "MadeYouReset within the budget",
    chunks: chunksOf(1_000, (i) => Buffer.concat([headers(id(i), open), wire.windowUpdate(id(i), 0)])),
  },
  { name: "PING", chunks: chunksOf(50_000, () => wire.ping("x")) },
  { name: "DATA of one octet", chunks: [headers(1, open), ...chunksOf(50_000, () => data(1, "x"))] },
  { name: "empty DATA within the budget", chunks: [headers(1, open), ...chunksOf(1_000, () => data(1))] },
  {
    name: "SETTINGS that move 1,000 windows",
    chunks: [
      ...chunksOf(1_000, (i) => headers(id(i), open)),
      ...chunksOf(90, () =>
        settings(...Array.from({ length: 32 }, (_, k) => [settingId.initialWindowSize, 1 + (k % 2)] as const)),
      ),
    ],
  },
  {
    name: "header bomb: 60 KB said in 15 octets",
    chunks: chunksOf(10_000, (i) => headers(id(i), i === 0 ? large : Buffer.concat([call, shuffled(i)]), ended)),
  },
  {
    name: "table sizes up and down",
    chunks: chunksOf(20_000, (i) => headers(id(i), Buffer.concat([update(0), update(4096), call]), ended)),
  },
  { name: "unknown frames within the budget", chunks: chunksOf(1_000, () => frame(0xee, 0, 0)) },
];

async function nanosecondsPerOctet(chunks: readonly Buffer[]): Promise<number> {
  const octets = chunks.reduce((sum, { length }) => sum + length, 0);
  const runs: number[] = [];
  for (let run = 0; run < 5; run += 1) {
    const before = process.cpuUsage();
    await serve(chunks);
    const { user, system } = process.cpuUsage(before);
    runs.push(((user + system) * 1_000) / octets);
  }
  return runs.toSorted((a, b) => a - b)[2] as number;
}

let honest = 0;
for (const { name, chunks } of cases) {
  const cost = await nanosecondsPerOctet(chunks);
  honest ||= cost;
  console.log(
    `${name.padEnd(42)} ${cost.toFixed(1).padStart(8)} ns an octet, ${(cost / honest).toFixed(2)} times honest`,
  );
}

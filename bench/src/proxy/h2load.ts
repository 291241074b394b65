import { createReadStream } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Case } from "./cases.ts";
import { ProxyBenchError } from "./errors.ts";
import { type LoadResult, runLoad, type Sample } from "./load-run.ts";
import { callPath } from "./native-load.ts";
import type { Pair } from "./pair.ts";
import type { Workshop } from "./workshop.ts";

const slackMs = 20_000;
const prefixBytes = 5;

/** Unary calls on one connection. Latencies are those of h2load's log, which has every call. */
export async function loadWithH2load(
  { folder, path, placement }: Workshop,
  { port, authority }: Pick<Pair, "port" | "authority">,
  { name, messageBytes, underWay }: Case,
  warmUpMs: number,
  durationMs: number,
  sample: Sample,
): Promise<LoadResult> {
  const body = await bodyFile(folder, messageBytes);
  const log = join(folder, "h2load.log");
  await rm(log, { force: true });
  const command = [
    "h2load",
    ...["--clients=1", "--threads=1", `--max-concurrent-streams=${underWay}`],
    ...[`--warm-up-time=${warmUpMs}ms`, `--duration=${durationMs}ms`],
    ...[`--data=${body}`, "--header=te: trailers", "--header=content-type: application/grpc"],
    ...[`--log-file=${log}`, `--connect-to=127.0.0.1:${port}`, `http://${authority}${callPath}`],
  ] as const;
  const spec = { name: `h2load of ${name} on ${authority}`, command, core: placement.load };
  let beganMs = 0;
  let elapsedMs = 0;
  const lines = await runLoad(
    {
      spec,
      began: "Main benchmark duration is started",
      ended: "Main benchmark duration is over",
      timeoutMs: warmUpMs + durationMs + slackMs,
    },
    path,
    (at, pid) => {
      sample(at, pid);
      if (at === "began") beganMs = performance.now();
      else elapsedMs = performance.now() - beganMs;
    },
  );
  const { done, succeeded, dataBytes } = summaryOf(lines);
  // A refused call is HTTP 200, too, with a status and without a message.
  if (dataBytes < succeeded * (prefixBytes + messageBytes)) {
    const message = `${spec.name}: ${succeeded} answers have ${dataBytes} bytes of messages together, which is too little: calls were refused`;
    throw new ProxyBenchError("CallsFailed", message);
  }
  return { calls: succeeded, failures: done - succeeded, elapsedMs, ...(await percentiles(log)) };
}

/** A message as gRPC frames it. */
async function bodyFile(folder: string, messageBytes: number): Promise<string> {
  const file = join(folder, `message-${messageBytes}`);
  const body = Buffer.alloc(prefixBytes + messageBytes, "x");
  body.writeUInt8(0, 0);
  body.writeUInt32BE(messageBytes, 1);
  await writeFile(file, body);
  return file;
}

function summaryOf(lines: readonly string[]): { done: number; succeeded: number; dataBytes: number } {
  const text = lines.join("\n");
  const [, done, succeeded] = /(\d+) done, (\d+) succeeded/.exec(text) ?? [];
  const [, dataBytes] = /\((\d+)\) data/.exec(text) ?? [];
  if (done === undefined || succeeded === undefined || dataBytes === undefined) {
    throw new ProxyBenchError("ProgramFailed", `h2load wrote no summary that is known:\n${text}`);
  }
  return { done: Number(done), succeeded: Number(succeeded), dataBytes: Number(dataBytes) };
}

/** Of its third column, microseconds. */
async function percentiles(log: string): Promise<{ p50Us: number; p99Us: number }> {
  const latencies: number[] = [];
  for await (const line of createInterface({ input: createReadStream(log) })) {
    latencies.push(Number(line.slice(line.lastIndexOf("\t") + 1)));
  }
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { p50Us: at(0.5), p99Us: at(0.99) };
}

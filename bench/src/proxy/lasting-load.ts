import { once } from "node:events";
import type { LoadCount, LoadRequest, LoadResult } from "../contract.ts";
import type { Case } from "./cases.ts";
import { ProxyBenchError } from "./errors.ts";
import type { NativePrograms } from "./native.ts";
import { nativeLoadSpec } from "./native-load.ts";
import { Program } from "./program.ts";
import type { Way } from "./ways.ts";
import type { Surroundings } from "./workshop.ts";

/** A load that goes on until it is ended, and says meanwhile how far it is. */
export interface LastingLoad {
  readonly pid: number;
  /** Of now, or a moment later. Rejects with `ProgramFailed` when the load has ended. */
  count(): Promise<LoadCount>;
  /** Resolves with the number of calls that failed. */
  end(): Promise<number>;
}

/** It ends by itself after this long. */
const durationMsMax = 1_800_000;

/** `callsPerSecond` undefined: as many as the case has under way; else at that rate, with grpc-js only. */
export function startLoad(
  surroundings: Surroundings,
  native: NativePrograms | undefined,
  way: Way,
  one: Case,
  callsPerSecond?: number,
): LastingLoad {
  if (way.client !== undefined) return startGrpcJsLoad(way, one, callsPerSecond);
  if (native === undefined) throw new RangeError(`${one.name} needs the load program in C, which was not compiled`);
  return startNativeLoad(surroundings, native, way, one);
}

/** Calls open at once at a given rate, at most. */
const pacedOpenMax = 256;

function startGrpcJsLoad({ client }: Way, { messageBytes, underWay }: Case, callsPerSecond?: number): LastingLoad {
  if (client === undefined) throw new RangeError("there is no client with grpc-js");
  const { program, controlUrl } = client;
  const ask = async (method: string, body?: string): Promise<string> => {
    const response = await fetch(controlUrl, { method, ...(body === undefined ? {} : { body }) });
    const text = await response.text();
    if (!response.ok) throw program.failed(`answered ${response.status}: ${text}`);
    return text;
  };
  const pace = callsPerSecond === undefined ? { concurrency: underWay } : { concurrency: pacedOpenMax, callsPerSecond };
  const request: LoadRequest = { route: "agents", durationMs: durationMsMax, messageBytes, ...pace };
  const ended = ask("POST", JSON.stringify(request));
  // Whoever ends the load hears of it.
  ended.catch(() => undefined);
  return {
    pid: program.pid,
    count: async () => JSON.parse(await ask("GET")) as LoadCount,
    async end() {
      await ask("DELETE");
      return (JSON.parse(await ended) as LoadResult).failures;
    },
  };
}

function startNativeLoad(
  { path, placement }: Surroundings,
  native: NativePrograms,
  { pair }: Way,
  one: Case,
): LastingLoad {
  const duration = { warmUpMs: 0, durationMs: durationMsMax };
  const spec = nativeLoadSpec(native, placement.load, pair, one, duration);
  let last = "";
  const said = new EventTarget();
  const program: Program = new Program(spec, path, (line) => {
    last = line;
    const [, nanoseconds, calls] = /^at (\d+) (\d+)$/.exec(line) ?? [];
    if (nanoseconds === undefined) return;
    const detail: LoadCount = { calls: Number(calls), atMs: Number(nanoseconds) / 1e6 };
    said.dispatchEvent(new CustomEvent("count", { detail }));
  });
  const ended = program.ended.then((how) => {
    if (how !== "exit code 0") throw program.failed(`ended with ${how}`);
  });
  ended.catch(() => undefined);
  return {
    pid: program.pid,
    async count() {
      const stop = new AbortController();
      const over = ended.then(() => {
        throw new ProxyBenchError("ProgramFailed", `${spec.name} ended too early`);
      });
      try {
        const [event] = (await Promise.race([once(said, "count", { signal: stop.signal }), over])) as [
          CustomEvent<LoadCount>,
        ];
        return event.detail;
      } finally {
        stop.abort();
      }
    },
    async end() {
      program.terminate();
      await ended;
      return (JSON.parse(last) as LoadResult).failures;
    },
  };
}

import type { LoadRequest } from "../contract.ts";
import type { Case } from "./cases.ts";
import type { GrpcJsClient } from "./ends.ts";
import type { LoadResult, Sample } from "./load-run.ts";

/** Unary calls by a client that is told to measure, over HTTP. */
export async function loadWithGrpcJs(
  { program, controlUrl }: GrpcJsClient,
  route: LoadRequest["route"],
  { messageBytes, underWay }: Case,
  warmUpMs: number,
  durationMs: number,
  sample: Sample,
): Promise<LoadResult> {
  const ask = async (ms: number): Promise<LoadResult> => {
    const request: LoadRequest = { route, concurrency: underWay, durationMs: ms, messageBytes };
    const response = await fetch(controlUrl, { method: "POST", body: JSON.stringify(request) });
    if (!response.ok) throw program.failed(`answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as LoadResult;
  };
  await ask(warmUpMs);
  sample("began", program.pid);
  const result = await ask(durationMs);
  sample("ended", program.pid);
  return result;
}

import { isDeepStrictEqual } from "node:util";
import type { CallScript, CaseScript, ClientScript, Pair, SeenCall, SeenCase } from "../script.ts";
import type { Channel, OpenChannel } from "./channel.ts";

/** Does what a script says with the stack that `openChannel` belongs to. */
export async function perform(
  script: ClientScript,
  openChannel: OpenChannel,
  onCase: (name: string) => void = () => undefined,
): Promise<SeenCase[]> {
  const messages = new Map(
    Object.entries(script.messages).map(([name, base64]) => [name, new Uint8Array(Buffer.from(base64, "base64"))]),
  );
  const shared = await openChannel(script);
  const seen: SeenCase[] = [];
  for (const one of script.cases) {
    onCase(one.name);
    seen.push(await performCase(one));
  }
  shared.close();
  return seen;

  async function performCase({ name, calls, repeat }: CaseScript): Promise<SeenCase> {
    const { times, concurrency, channel: ownership } = repeat ?? { times: 1, concurrency: 1, channel: "shared" };
    const outcomes = calls.map((): { times: number; seen: SeenCall }[] => []);
    const begun = performance.now();
    let left = times;
    const worker = async () => {
      while (left > 0) {
        left -= 1;
        const channel = ownership === "own" ? await openChannel(script) : shared;
        for (const [index, call] of calls.entries()) note(outcomes[index] ?? [], await performCall(channel, call));
        if (ownership === "own") channel.close();
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    return { name, calls: outcomes, elapsedMs: Math.round(performance.now() - begun) };
  }

  async function performCall(channel: Channel, call: CallScript): Promise<SeenCall> {
    const running = channel.open(call);
    for (const step of call.steps) {
      switch (step.do) {
        case "send": {
          const bytes = messages.get(step.message);
          if (bytes === undefined) throw new Error(`the script has no message ${step.message}`);
          running.send(bytes, call.compression === "gzip" && step.plain !== true ? "gzip" : "none");
          break;
        }
        case "receive":
          await running.receive();
          break;
        case "halfClose":
          running.halfClose();
          break;
        case "cancel":
          running.cancel();
      }
    }
    return running.end();
  }
}

function note(outcomes: { times: number; seen: SeenCall }[], seen: SeenCall): void {
  const known = outcomes.find((outcome) => isDeepStrictEqual(withoutDate(outcome.seen), withoutDate(seen)));
  if (known === undefined) outcomes.push({ times: 1, seen });
  else known.times += 1;
}

/** Servers on node:http2 say the time. */
function withoutDate(seen: SeenCall): SeenCall {
  const keep = ([name]: Pair) => name !== "date";
  return { ...seen, headers: seen.headers?.filter(keep) ?? null, trailers: seen.trailers.filter(keep) };
}

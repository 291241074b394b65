import type { CallEnd } from "../dataplane/call/call-end.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";
import { CaptureError } from "./errors.ts";
import type { ReceiptBook } from "./receipts.ts";
import { callsOf } from "./standstill.ts";

/** What of an application's sending before its cut had not come out of its sockets when the waiting ended. */
export interface Outstanding {
  readonly calls: number;
  /** Calls that the application had made and that never came here. */
  readonly unseen: readonly number[];
  /** Of these, calls that it has ended since: they cannot come any more, or nobody waits for them. */
  readonly neverSent: ReadonlySet<number>;
}

export interface SettlingOptions {
  readonly plane: DataPlane;
  readonly receipts: ReceiptBook;
  /** Calls that the application had made and not ended at its cut. */
  readonly made: Iterable<number>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Lets out what stands before the cut, and waits until all of it has come. Rejects when it is aborted. */
export async function settle(options: SettlingOptions): Promise<Outstanding> {
  const { plane, receipts } = options;
  const { gate, calls } = plane;
  const unseen = new Set([...options.made].filter((id) => !calls.hasSeen(id)));
  const neverSent = new Set<number>();
  const unsettled = new Set<CallEnd>();
  gate.fromApplication = "settling";
  for (const call of [...callsOf(plane)]) {
    if (call.cutTarget === undefined) continue;
    call.pumpToLink();
    call.readForCut();
    if (!call.hasSettled) unsettled.add(call);
  }
  const allSettled = () => {
    for (const call of unsettled) if (call.hasSettled) unsettled.delete(call);
    for (const id of unseen) {
      const call = calls.outgoing(id);
      if (call !== undefined && !call.hasSettled) unsettled.add(call);
      if (calls.hasSeen(id)) unseen.delete(id);
      else if (receipts.hasEnded(id)) {
        unseen.delete(id);
        neverSent.add(id);
      }
    }
    return unsettled.size === 0 && unseen.size === 0;
  };
  await crossingsUntil(plane, allSettled, options.timeoutMs, options.signal);
  return { calls: unsettled.size, unseen: [...unseen, ...neverSent], neverSent };
}

/** Looks again whenever something has crossed, once per turn of the event loop; at the latest after `timeoutMs`. */
function crossingsUntil(
  { gate }: DataPlane,
  done: () => boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let looking: NodeJS.Immediate | undefined;
    const finish = (end: () => void) => {
      clearTimeout(timer);
      clearImmediate(looking);
      signal.removeEventListener("abort", aborted);
      gate.onCrossing = undefined;
      end();
    };
    const look = () => {
      looking = undefined;
      if (done()) finish(resolve);
    };
    const aborted = () => finish(() => reject(new CaptureError("CaptureAborted", "the capture was given up")));
    const timer = setTimeout(() => {
      done();
      finish(resolve);
    }, timeoutMs);
    signal.addEventListener("abort", aborted, { once: true });
    gate.onCrossing = () => {
      looking ??= setImmediate(look);
    };
    if (signal.aborted) aborted();
    else look();
  });
}

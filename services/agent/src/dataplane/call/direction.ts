import { FrameError, FrameType } from "../link/codec.ts";
import type { CallRole } from "./call-host.ts";

const fromCaller: ReadonlySet<number> = new Set([
  FrameType.open,
  FrameType.message,
  FrameType.halfClose,
  FrameType.reset,
]);
const fromCallee: ReadonlySet<number> = new Set([
  FrameType.headers,
  FrameType.message,
  FrameType.trailers,
  FrameType.reset,
]);

/** Throws {@link FrameError} for a frame that does not come from the other end of a call. `role`: of this end. */
export function checkDirection(role: CallRole, type: number): void {
  if ((role === "callee" ? fromCaller : fromCallee).has(type)) return;
  throw new FrameError(`frame type ${type} does not come from a ${role === "callee" ? "caller" : "callee"}`);
}

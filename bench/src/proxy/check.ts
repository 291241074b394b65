import type { Case } from "./cases.ts";
import { ProxyBenchError } from "./errors.ts";
import type { NativePrograms } from "./native.ts";
import { loadNatively } from "./native-load.ts";
import type { Way } from "./ways.ts";
import type { Surroundings } from "./workshop.ts";

/** One after another, until a call has ended: a first call may take a while on a busy machine. */
const checksMs = [100, 500, 5_000] as const;
const underWay = 4;

/**
 * That a way brings calls there and back: h2load does not look at a call's status. Rejects with `CallsFailed`. With
 * grpc-js the client looks at every answer itself.
 */
export async function checkWay(surroundings: Surroundings, native: NativePrograms, way: Way): Promise<void> {
  for (const kind of ["unary", "pingpong"] as const) {
    const one: Case = { name: `check-${kind}`, kind, messageBytes: 1_000, underWay };
    let last = { calls: 0, failures: 0 };
    for (const checkMs of checksMs) {
      last = await loadNatively(surroundings, native, way.pair, one, 0, checkMs, () => undefined);
      if (last.calls > 0 || last.failures > 0) break;
    }
    if (last.calls > 0 && last.failures === 0) continue;
    const counts = `${last.calls} of ${kind} went well, ${last.failures} failed`;
    throw new ProxyBenchError("CallsFailed", `${way.name} does not bring calls there and back: ${counts}`);
  }
}
